"""Pages of the site that are made from files outside `docs/`; mkdocs loads this as a hook.

The files stay where a reader of the repository expects them, and links to them work in both places: a link is
resolved in the repository first, and then led to the page that the file became.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
MOVED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "pipelines/README.md": "pipelines.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "medtranslate/models/brain-2d/notice.md": "models/brain-2d-terms.md",
    "medtranslate/models/head-ct/notice.md": "models/head-ct-terms.md",
}
"""Page of each Markdown file that is shown as it is."""
BECOME = {**MOVED, "examples": "examples.md", "findings": "findings.md", "LICENSE": "licence.md"}
"""Page of everything outside `docs/` that a link may lead to."""
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the views that the notebook shows."""
    texts = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in MOVED.items()}

    texts["examples.md"] = examples()
    texts["findings.md"] = findings()
    texts["licence.md"] = f"# Licence\n\n```text\n{(ROOT / 'LICENSE').read_text(encoding='utf-8')}```\n"
    texts.update(notebook(ROOT / "examples" / "explore.ipynb"))
    for uri, text in texts.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to files outside `docs/` to the pages that these files became."""
    uri = page.file.src_uri
    source = {became: path for path, became in MOVED.items()}.get(uri, f"docs/{uri}")

    def led(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        target, anchor = BECOME.get(path, path.removeprefix("docs/")), match[2] or ""
        if path.startswith("findings/"):
            target, anchor = (
                "findings.md",
                "#" + posixpath.basename(path).removesuffix(".sh").replace("_", "-"),
            )
        return f"]({posixpath.relpath(target, posixpath.dirname(uri) or '.')}{anchor})"

    return LINK.sub(led, markdown)


def examples() -> str:
    """Write every script of `examples/`, under the first line of its docstring."""
    text = "# Examples\n\nEach script is run by the tests.\n"
    for path in sorted((ROOT / "examples").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        title = (ast.get_docstring(ast.parse(code)) or path.stem).splitlines()[0].rstrip(".")
        text += f"\n## {title}\n\n`examples/{path.name}`\n\n```{{.python .copy}}\n{code}```\n"
    return text


def findings() -> str:
    """Write the head of every script of `findings/`, which describes what it shows."""
    text = (
        "# Findings\n\nBehaviour of other tools that surprised us. Each script of `findings/` installs pinned"
        " versions in a temporary folder, makes its input, shows the behaviour, and fails if it has changed."
        " None needs medtranslate. The page on [other tools](interop.md) has more.\n"
    )
    for path in sorted((ROOT / "findings").glob("*_*.sh")):
        comment = list(head(path))
        title = path.stem.replace("_", " ")
        text += (
            f"\n## {title[0].upper()}{title[1:]}\n\n" + "\n".join(comment) + f"\n\n`findings/{path.name}`\n"
        )
    return text


def head(path: Path) -> Iterator[str]:
    """Lines of a script's first comment, without its usage."""
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        if not line.startswith("#") or line.startswith("#     "):
            return
        yield line.removeprefix("#").strip()


def notebook(path: Path) -> dict[str, str]:
    """Run a notebook, and give its page, and a file for each view that it shows."""
    from medtranslate.notebook import View

    names: dict[str, Any] = {}
    made, text = {}, ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text += f"{source}\n\n"
            continue
        text += f"```{{.python .copy}}\n{source}\n```\n\n"
        *lines, last = source.splitlines()
        exec("\n".join(lines), names)
        shown = eval(last, names)
        if isinstance(shown, View):
            name = f"notebook-view-{len(made) + 1}.html"
            made[name] = shown.page
            frame = f'class="view" src="{name}" title="Slices in three planes" loading="lazy"'
            text += f"<iframe {frame}></iframe>\n\n"
        else:
            text += f"```text\n{shown}\n```\n\n"
    text += f"`examples/{path.name}`, run when this page was built.\n"
    return {"notebook.md": text, **made}
