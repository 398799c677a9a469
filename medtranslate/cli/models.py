"""`medtranslate models`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from medtranslate.cli import Group
from medtranslate.cli.command import Answer
from medtranslate.cli.options import SHARED


def _list(run: Path | None, json: bool, quiet: bool) -> None:
    if run is not None:
        _list_run(run, json, quiet)
        return
    from medtranslate.checkpoint import list_models

    models = {model.name: model.summary for model in list_models()}
    lines = [f"{name}: {summary}" for name, summary in models.items()]
    Answer({"models": models}, lines).show(as_json=json, quiet=quiet)


def _list_run(run: Path, json: bool, quiet: bool) -> None:
    from medtranslate.checkpoint import list_run

    models = {
        str(folder): {
            "images": known.training.get("images"),
            "kept": known.training.get("kept", "the last"),
            "gate": known.gate is not None,
            "validation": known.training.get("validation", {}),
        }
        for folder, known in list_run(run).items()
    }
    lines = [
        line
        for folder, known in models.items()
        for line in _printable(f"{folder}: {known['images']} images, {known['kept']}")
    ]
    Answer({"models": models}, lines).show(as_json=json, quiet=quiet)


def _show(name: str, json: bool, quiet: bool) -> None:
    from medtranslate.checkpoint import facts

    known = facts(name)
    foreign = [f"{text}: no part of a model, not read" for text in known["foreign"]]
    Answer(known, [*_lines(known), "", *_printable(known["card"])], foreign).show(as_json=json, quiet=quiet)


def _import(export: Path, output: Path, overwrite: bool, json: bool, quiet: bool) -> None:
    from medtranslate.export import import_model

    known = import_model(export, output, overwrite=overwrite)
    answer = {"name": known.name, "sha256": known.sha256, "output": str(output)}
    lines = [f"{known.name}: weights with SHA-256 {known.sha256}", f"written: {output}"]
    Answer(answer, lines).show(as_json=json, quiet=quiet)


def _lines(known: Mapping[str, Any]) -> list[str]:
    """Write a model's facts one a line; nested ones as dotted names."""
    from medtranslate.checkpoint.card import FRAMES

    parts = (
        "summary",
        "anatomy",
        "input",
        "output",
        "parameters",
        "digests",
        "calibrated",
        "training",
        "parent",
        "licence",
    )
    shown = {key: known[key] for key in parts if known.get(key) is not None}
    size, frame = known["network"]["size"], FRAMES[known["network"]["frame"]]
    shown["slices"] = f"{size} x {size} pixels, {frame}"
    return [known["name"], *(line for row in _flat(shown) for line in _printable(row))]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, (list, tuple)):
            yield f"{above}{key}: {' to '.join(map(str, value))}"
        else:
            yield f"{above}{key}: {value}"


def _printable(text: str) -> list[str]:
    """Remove control characters, which could speak to the terminal: the folder may be anyone's."""
    return ["".join(c if c.isprintable() else "?" for c in line) for line in text.splitlines()]


command = Group(
    "models",
    commands=[
        click.Command(
            "list",
            callback=_list,
            params=[
                click.Argument(["run"], metavar="[RUN]", required=False, type=click.Path(path_type=Path)),
                *SHARED,
            ],
            help="Models that `--model` takes by name; with RUN, the models that a training run keeps.",
        ),
        click.Command(
            "show",
            callback=_show,
            params=[click.Argument(["name"], metavar="NAME"), *SHARED],
            help="What a model takes, gives and was trained on, its digests, and its card.",
        ),
        click.Command(
            "import",
            callback=_import,
            params=[
                click.Argument(["export"], metavar="EXPORT", type=click.Path(path_type=Path)),
                click.Argument(["output"], metavar="OUTPUT", type=click.Path(path_type=Path)),
                click.Option(["--overwrite"], is_flag=True, help="Replace an existing output."),
                *SHARED,
            ],
            help="Make a model folder OUTPUT of EXPORT, the output of `medtranslate export`.",
        ),
    ],
    help="The models at hand and their cards.",
    no_args_is_help=False,
)
