from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

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
from pathlib import Path

from PIL import Image
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


def test_who_translates_does_not_wait_for_what_trains_scores_or_draws_charts(
    small_model: Path, tmp_path: Path
) -> None:
    Image.linear_gradient("L").resize((48, 48)).save(tmp_path / "mr.png")
    script = (
        "import runpy, sys\n"
        "try: runpy.run_module('medtranslate', run_name='__main__')\n"
        "except SystemExit as end: print(end.code)\n"
        "heavy = 'monai', 'nibabel', 'skimage', 'scipy.stats', 'matplotlib', 'reportlab', 'highdicom'\n"
        "print(set(heavy) & set(sys.modules), 'torch' in sys.modules)"
    )
    given = ["translate", "mr.png", "ct.png", "--to", "ct", "--model", str(small_model), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", script, *given],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, (tmp_path / "ct.png").is_file()) == ("0\nset() True\n", True), done.stderr
