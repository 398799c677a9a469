from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from medtranslate.config import PhantomSettings
from medtranslate.phantom import write_study


def test_who_reads_converts_or_describes_does_not_wait_for_torch() -> None:
    """The contract in pyproject.toml sees our own imports; this sees those of other packages, too."""
    script = (
        "import sys; from medtranslate import config, conversion, geometry, io, records, runtime\n"
        "print({'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_who_scores_or_reports_does_not_wait_for_torch(tmp_path: Path) -> None:
    """The whole commands, with a source but without a model; only a mean image needs networks."""
    write_study(PhantomSettings(out=tmp_path / "head", size=32, spacing=8.0))
    script = f"""
import sys
from medtranslate import cli
head, out = {str(tmp_path / "head")!r}, {str(tmp_path)!r}
paths = [f"{{head}}/ct.nii.gz", f"{{head}}/ct.nii.gz", "--source", f"{{head}}/mr.nii.gz"]
assert cli.invoke(["evaluate", "--quiet", *paths, "--register", "rigid", "--out", f"{{out}}/scores"]) == 0
assert cli.invoke(["report", "--quiet", f"{{out}}/scores", "--view", "html", "--out", f"{{out}}/views"]) == 0
print({{"torch", "monai"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["set()"], done.stderr
    assert (tmp_path / "views" / "report.html").is_file()
