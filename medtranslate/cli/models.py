"""`medtranslate models`."""

from __future__ import annotations

import click

from medtranslate.cli.command import Answer
from medtranslate.cli.options import SHARED


def _list(json: bool, quiet: bool) -> None:
    from medtranslate.checkpoint import list_models

    models = {model.name: model.summary for model in list_models()}
    lines = [f"{name}: {summary}" for name, summary in models.items()]
    Answer({"models": models}, lines).show(as_json=json, quiet=quiet)


def _show(name: str, json: bool, quiet: bool) -> None:
    from medtranslate.checkpoint import card

    text = card(name)
    Answer({"name": name, "card": text}, [text]).show(as_json=json, quiet=quiet)


command = click.Group(
    "models",
    commands=[
        click.Command("list", callback=_list, params=[*SHARED], help="Models that `--model` takes by name."),
        click.Command(
            "show",
            callback=_show,
            params=[click.Argument(["name"], metavar="NAME"), *SHARED],
            help="The card of a model: what it is meant for, what it was trained on, what it scores.",
        ),
    ],
    help="The models at hand and their cards.",
    no_args_is_help=False,
)
