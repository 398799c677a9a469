"""`medtranslate run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml
from click.core import ParameterSource

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
    file over the default. The documents of a file run in turn; each takes over what it does not set from
    the one before, if both are of one command. With --resume, documents that have not begun begin.""",
)
@click.argument("pipeline")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting: loss.cycle=4.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF THE COMMAND]...")
@click.pass_context
def command(ctx: click.Context, pipeline: str, changes: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Parse the rest of the line by the pipeline's own commands, and run them in turn."""
    path = _find(pipeline)
    steps = [_parse_step(ctx, path, values, changes, options) for values in documents(path)]
    if len(steps) > 1:
        _require_sense(path, steps)
    for step in steps:
        if len(steps) > 1 and step.settings.get("resume") and not _output(step).exists():
            step.context.params["resume"] = False
            step.context.set_parameter_source("resume", ParameterSource.COMMANDLINE)
        with step.context:
            step.command.invoke(step.context)


@dataclass(frozen=True)
class _Step:
    """One document of a pipeline, with the options of the line."""

    command: SettingsCommand[Any]
    context: click.Context

    @property
    def settings(self) -> dict[str, Any]:
        return self.command.given(self.context)


def documents(path: Path) -> list[dict[str, Any]]:
    """Read the documents of a file, and lay each over the one before if both are of one command."""
    steps: list[dict[str, Any]] = []
    for values in config.read_documents(path):
        before = steps[-1] if steps else {}
        alike = values.get("command", before.get("command")) == before.get("command")
        steps.append(merge(before, values) if alike else values)
    return steps


def _parse_step(
    ctx: click.Context, path: Path, values: dict[str, Any], changes: Sequence[str], options: Sequence[str]
) -> _Step:
    name = values.pop("command", None)
    if not isinstance(name, str) or name not in config.COMMANDS:
        raise SettingsError(f"{path}: command is {name!r}; write one of {', '.join(config.COMMANDS)}")
    for change in changes:
        values = merge(values, _parse(change))
    chosen = cli.program.get_command(ctx, name)
    assert isinstance(chosen, SettingsCommand)
    chosen = chosen.over(values, str(path))
    return _Step(chosen, chosen.make_context(path.name, list(options), parent=ctx))


def _require_sense(path: Path, steps: Sequence[_Step]) -> None:
    """Refuse faults of later steps before the first one works for hours.

    Raises:
        SettingsError: a setting is wrong, or two steps have one output.
    """
    for step in steps:
        config.build(step.command.kind, step.settings, str(path))
    outputs = [_output(step) for step in steps]
    if twice := sorted(str(output) for output in set(outputs) if outputs.count(output) > 1):
        raise SettingsError(
            f"{path}: {twice[0]} is the output of several steps; give each one of its own in the file (an"
            " option holds for all steps)"
        )


def _output(step: _Step) -> Path:
    return Path(str(step.settings.get("out", step.settings.get("output"))))


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
