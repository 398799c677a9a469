"""`medtranslate run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from medtranslate import cli, config
from medtranslate.cli.command import SettingsCommand, merge, nest
from medtranslate.errors import SettingsError


def pipelines() -> dict[str, Path]:
    """Find the shipped pipelines by name: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "pipelines"
    folder = inside if inside.is_dir() else package.parent / "pipelines"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True},
    options_metavar="[--set KEY=VALUE]...",
    help="""Run one command with the settings of PIPELINE: a YAML file, or the name of a shipped one.

    Options of that command may follow PIPELINE. An option wins over --set, --set over the file, the
    file over the default.""",
)
@click.argument("pipeline")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting: loss.cycle=4.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF THE COMMAND]...")
@click.pass_context
def command(ctx: click.Context, pipeline: str, changes: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Parse the rest of the line by the pipeline's own command."""
    path = _find(pipeline)
    values = config.read_yaml(path)
    name = values.pop("command", None)
    if not isinstance(name, str) or name not in config.COMMANDS:
        raise SettingsError(f"{path}: command is {name!r}; write one of {', '.join(config.COMMANDS)}")
    for change in changes:
        values = merge(values, _parse(change))
    chosen = cli.program.get_command(ctx, name)
    assert isinstance(chosen, SettingsCommand)
    chosen = chosen.over(values, str(path))
    with chosen.make_context(pipeline, list(options), parent=ctx) as inner:
        chosen.invoke(inner)


def _find(pipeline: str) -> Path:
    if Path(pipeline).is_file():
        return Path(pipeline)
    shipped = pipelines()
    if pipeline not in shipped:
        raise SettingsError(
            f"{pipeline}: no such file, and no shipped pipeline; those are {', '.join(shipped)}"
        )
    return shipped[pipeline]


def _parse(change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not (key and equals):
        raise SettingsError(f"--set {change}: write KEY=VALUE, for example --set loss.cycle=4")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(
            f"--set {change}: not a plain YAML value ({' '.join(str(error).split())})"
        ) from None
    return nest(key.replace("-", "_").split("."), value)
