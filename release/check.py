"""Goes through the checklist of a release: `make release-check`.

Each check prints a line. The exit code is 1 if one of them failed.

    clean      the checkout has no changes
    changelog  CHANGELOG.md has an entry for the tag of this commit, or else unreleased ones
    build      wheel and sdist, in dist/
    twine      their metadata and README, strictly
    contents   models in the wheel, tests and pages in the sdist, sizes
    install    the wheel in an empty environment, and the quickstart with it
    sbom       what that environment holds, as CycloneDX, in dist/
    container  the Containerfile, by hadolint
    digests    dist/SHA256SUMS
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent

MOST_MB = 100
"""Size of a file that PyPI takes."""

IN_WHEEL = (
    "medtranslate/models/brain-2d/weights.safetensors",
    "medtranslate/models/phantom/model.json",
    "medtranslate/pipelines/phantom.yaml",
    "medtranslate/py.typed",
)
IN_SDIST = ("tests/conftest.py", "docs/quickstart.md", "CHANGELOG.md", "LICENSE", "Makefile")

QUICKSTART = (
    "phantom study --seed 900001 --format dicom --size 64 --spacing 3.6",
    "translate study/mr synthetic-ct --to ct",
    "evaluate synthetic-ct study/ct --source study/mr --out scores",
)


class Failed(Exception):
    """A check that failed, with its reason."""


def call(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program and return what it prints.

    Raises:
        Failed: it ends with another code than 0.
    """
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Failed(f"{Path(str(command[0])).name} {command[1]}: {last}")
    return done.stdout.strip()


def check_clean() -> str:
    if changed := call("git", "status", "--porcelain"):
        raise Failed(f"{len(changed.splitlines())} changed files; commit or remove them")
    return call("git", "rev-parse", "--short", "HEAD")


def check_changelog() -> str:
    tags = [
        tag for tag in call("git", "tag", "--points-at", "HEAD").split() if re.fullmatch(r"v\d+(\.\d+)+", tag)
    ]
    return entries((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tags[0][1:] if tags else "Unreleased")


def entries(text: str, version: str) -> str:
    """Count the entries of a version in a changelog.

    Raises:
        Failed: there is none.
    """
    found = re.search(rf"^## \[{re.escape(version)}\].*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    count = len(re.findall(r"^- ", found[0], re.MULTILINE)) if found else 0
    if not count:
        raise Failed(f"CHANGELOG.md: no entry for [{version}]")
    return f"{count} entries for {version}"


def check_build() -> str:
    for path in built("*"):
        path.unlink()
    call(BIN / "python", "-m", "build", "--outdir", DIST)
    return ", ".join(path.name for path in built("*"))


def check_twine() -> str:
    call(BIN / "twine", "check", "--strict", *built("*"))
    return "passed"


def check_contents() -> str:
    wheel, sdist = built("*.whl")[0], built("*.tar.gz")[0]
    with zipfile.ZipFile(wheel) as archive:
        require(wheel, archive.namelist(), IN_WHEEL)
        if any(name.startswith("tests/") for name in archive.namelist()):
            raise Failed(f"{wheel.name}: holds tests")
    with tarfile.open(sdist) as tar:
        require(sdist, [name.partition("/")[2] for name in tar.getnames()], IN_SDIST)
    return ", ".join(f"{path.suffix} {size_mb(path):.1f} MB" for path in (wheel, sdist))


def require(archive: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Compare the names in an archive with those that it needs, and its size with `MOST_MB`.

    Raises:
        Failed: names are missing, or it is larger.
    """
    if missing := [name for name in wanted if name not in names]:
        raise Failed(f"{archive.name}: lacks {', '.join(missing)}")
    if size_mb(archive) > MOST_MB:
        raise Failed(f"{archive.name}: {size_mb(archive):.0f} MB, PyPI takes {MOST_MB}")


def check_install() -> str:
    """Install the wheel into an empty environment, work with it, and list what is in it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv.create(place / "venv", with_pip=True)
        programs = place / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        constraints = ("--constraint", ROOT / "constraints.txt")
        call(programs / "python", "-m", "pip", "install", "--quiet", *constraints, built("*.whl")[0])
        call(programs / "python", "-m", "pip", "check")
        for step in QUICKSTART:
            call(programs / "medtranslate", *step.split(), "--quiet", cwd=place)
        size = sum(path.stat().st_size for path in (place / "venv").rglob("*") if path.is_file())
        write_sbom(programs / "python")
        return f"quickstart done; {size / 1e6:.0f} MB installed"


def write_sbom(python: Path) -> None:
    """List the packages of an environment as CycloneDX."""
    options = ("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--output-format", "JSON")
    call(BIN / "cyclonedx-py", "environment", *options, "--output-file", DIST / "sbom.cdx.json", python)


def check_container() -> str:
    call(BIN / "hadolint", ROOT / "containers" / "Containerfile")
    return "no finding"


def check_digests() -> str:
    files = [*built("*"), *DIST.glob("sbom.cdx.json")]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    return f"{len(lines)} files"


def built(pattern: str) -> list[Path]:
    """List the distributions in dist/.

    Raises:
        Failed: a wheel or an sdist is asked for, and there is none.
    """
    found = sorted(path for path in DIST.glob(pattern) if path.name.endswith((".whl", ".tar.gz")))
    if not found and pattern != "*":
        raise Failed(f"dist/ holds no {pattern}")
    return found


def size_mb(path: Path) -> float:
    """Return the size of a file in megabytes."""
    return path.stat().st_size / 1e6


CHECKS: dict[str, Callable[[], str]] = {
    "clean": check_clean,
    "changelog": check_changelog,
    "build": check_build,
    "twine": check_twine,
    "contents": check_contents,
    "install": check_install,
    "container": check_container,
    "digests": check_digests,
}


def main() -> int:
    """Run the checks that are named, or all of them."""
    parser = argparse.ArgumentParser(description="Checklist of a release.")
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], help="checks to run (default: all)")
    failures = 0
    for name in parser.parse_args().checks or CHECKS:
        try:
            print(f"ok      {name:10} {CHECKS[name]()}", flush=True)
        except Failed as failure:
            failures += 1
            print(f"FAILED  {name:10} {failure}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
