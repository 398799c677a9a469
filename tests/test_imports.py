from __future__ import annotations

import subprocess
import sys


def test_who_reads_converts_or_describes_does_not_wait_for_torch() -> None:
    """The contract in pyproject.toml sees our own imports; this sees those of other packages, too."""
    script = (
        "import sys; from medtranslate import config, conversion, geometry, io, records, runtime\n"
        "print({'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
