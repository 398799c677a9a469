"""What the pages tell a reader to do is done here, block by block, in an empty folder for each page."""

from __future__ import annotations

import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from medtranslate import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def steps(page: Path) -> list[str | list[str]]:
    """Whole python blocks, and the arguments of the `$ medtranslate ...` lines of console blocks."""
    text = page.read_text(encoding="utf-8")
    found: list[str | list[str]] = []
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            found.append(block)
            continue
        lines = block.replace("\\\n", " ").splitlines()
        found += [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("$ med")]
    return found


WITH_STEPS = [page for page in PAGES if steps(page)]

IN_A_SHELL = ("README.md", "cluster.md")
"""As a newcomer does it; and training on several devices starts the program again for each."""


@pytest.mark.parametrize(
    "page", [page for page in WITH_STEPS if page.name not in IN_A_SHELL], ids=lambda page: page.name
)
def test_the_commands_and_programs_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}  # the programs of a page go on from each other
    for step in steps(page):
        if isinstance(step, str):
            exec(compile(step, page.name, "exec"), names)
        else:
            assert cli.invoke(step) == 0, step
        assert "error:" not in capsys.readouterr().err, step


@pytest.mark.parametrize(
    "page", [page for page in WITH_STEPS if page.name in IN_A_SHELL], ids=lambda page: page.name
)
def test_what_a_page_says_runs_in_a_shell(page: Path, tmp_path: Path) -> None:
    for step in steps(page):
        arguments = ["-c", step] if isinstance(step, str) else ["-m", "medtranslate", *step]
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=600
        )
        assert (done.returncode, done.stderr.count("error:")) == (0, 0), f"{step}: {done.stderr}"


def test_the_readme_has_commands() -> None:
    assert steps(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def anchors(page: Path) -> set[str]:
    """Headings of a page as GitHub names them: lower case, without punctuation, blanks as hyphens."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_to_headings_lead_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    missing = [
        (target, anchor)
        for target, anchor in links
        if anchor not in anchors(page.parent / target if target else page)
    ]
    assert missing == []


def sentences(page: Path) -> list[str]:
    """Sentences of a page's paragraphs and lists, without tables and blocks; code in a line is one word."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(\||#|!\[).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "Code", re.sub(r"\]\([^)]*\)", "]", text))
    paragraphs = re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", text, flags=re.MULTILINE)
    return [part for each in paragraphs for part in re.split(r"(?<=[.!?])\W*\s+(?=\W*[A-Z])", each)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_sentence_is_long(page: Path) -> None:
    """CONTRIBUTING asks for 30 words; the ten more are for lists of names and numbers."""
    assert [each for each in sentences(page) if len(re.findall(r"\w\S*", each)) > 40] == []


def entries(nav: object) -> list[str]:
    """Pages of a site's `nav`, which nests lists and titles."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in entries(part)]


def test_each_page_has_one_place_on_the_site() -> None:
    """A page without a line in `nav` of mkdocs.yml can be found by search alone."""
    text = re.sub(r"!!python\S+.*", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = entries(yaml.safe_load(text)["nav"])
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(listed) == len(set(listed))
    assert pages - set(listed) == set()
    code = (ROOT / "docs" / "site_pages.py").read_text(encoding="utf-8")
    assert {page for page in set(listed) - pages if f'"{page}"' not in code} == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda page: page.name)
def test_the_names_of_an_api_page_exist(page: Path) -> None:
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert pkgutil.resolve_name(name)


FINDINGS = sorted((ROOT / "findings").glob("*_*.sh"))


@pytest.mark.parametrize("script", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_is_in_the_table_and_runs_alone(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert f"(../findings/{script.name})" in (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")
    assert "import medtranslate" not in text
    versions = re.findall(r"[\w.-]+==[\w.]+", text)
    assert versions
    assert f"bash findings/{script.name}" in text
    assert "the behaviour has changed" in text or "settle(" in text
