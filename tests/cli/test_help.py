from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from medtranslate import cli, config, errors
from medtranslate.cli.command import SOME_FAILED, SettingsCommand
from medtranslate.cli.options import leaves, parameters


def help_of(name: str, capsys: pytest.CaptureFixture[str], flag: str = "--help") -> str:
    assert cli.invoke([name, flag]) == 0
    return capsys.readouterr().out


def command_of(name: str) -> SettingsCommand[object]:
    command = cli.program.get_command(click.Context(cli.program), name)
    assert isinstance(command, SettingsCommand)
    return command


def imported(arguments: list[str]) -> set[str]:
    """Modules that are imported once the program has answered."""
    script = "import sys; from medtranslate import cli; cli.invoke(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nonsense"]])
def test_the_program_answers_without_heavy_imports(arguments: list[str]) -> None:
    assert not imported(arguments) & {"torch", "monai", "numpy", "pydantic", "yaml"}


@pytest.mark.parametrize("name", [*config.COMMANDS, "run", "models"])
def test_a_commands_help_needs_no_torch(name: str) -> None:
    modules = imported([name, "--help"])
    assert not modules & {"torch", "monai", "numpy"}
    assert f"medtranslate.cli.{name.replace('-', '_')}" in modules


@pytest.mark.parametrize("name", config.COMMANDS)
def test_every_setting_is_an_argument_or_an_option_with_its_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = command_of(name)
    assert command.kind is config.COMMANDS[name]
    rare = any(leaf.rare for leaf in leaves(command.kind))
    quiet = " ".join(help_of(name, capsys).split())
    whole = " ".join(help_of(name, capsys, "--help-all").split())
    assert ("--help-all" in quiet) == rare
    for leaf in leaves(command.kind):
        shown = ".".join(leaf.path)
        flag = shown.upper() if shown in command.arguments else f"--{shown.replace('_', '-')} "
        assert flag in whole
        assert (flag in quiet) != leaf.rare
        assert leaf.help
        assert leaf.help.split()[0] in whole


def test_the_help_of_train_shows_what_people_set(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [leaf for leaf in leaves(config.TrainSettings) if not leaf.rare]
    assert 20 <= len(shown) <= 30
    # The whole help was printed before; that must not change the next page.
    help_of("train", capsys, "--help-all")
    assert "--cycle-noise" not in help_of("train", capsys)


@pytest.mark.parametrize("name", config.COMMANDS)
def test_sections_of_the_help_name_fields(name: str) -> None:
    command = command_of(name)
    listed = [field for fields in command.sections.values() for field in fields]
    assert {*listed} <= {leaf.path[0] for leaf in leaves(command.kind)} - {*command.arguments}
    assert len(listed) == len({*listed})


def test_hidden_options_work(capsys: pytest.CaptureFixture[str], stub: Callable[..., None]) -> None:
    seen: list[config.TrainSettings] = []

    def fit(settings: config.TrainSettings, quiet: bool) -> dict[str, object]:
        seen.append(settings)
        return {"model": "m"}

    stub("training", fit=fit)
    line = "train --ct a --mr b --out c --network.heads last --no-anchor-lesions --loss.cycle 3"
    assert cli.invoke(line.split()) == 0, capsys.readouterr().err
    assert (seen[0].network.heads, seen[0].anchor_lesions, seen[0].loss.cycle) == ("last", False, 3.0)


def test_names_of_other_packages_are_choices_and_options(
    install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install("far", "losses", {"variation": "far:variation"}, "raise RuntimeError('imported')")
    install("further", "formats", {"raw": "further:raw"}, "raise RuntimeError('imported')")
    # Options are made when a command's module is imported.
    made = {param.opts[0]: param for param in parameters(config.TrainSettings, ())}
    assert "--loss.others.variation" in made
    kind = next(p for p in parameters(config.TranslateSettings, ()) if p.name == "format").type
    assert isinstance(kind, click.Choice)
    assert [*kind.choices][-1] == "raw"


def test_every_listed_command_exists() -> None:
    context = click.Context(cli.program)
    for name in cli.COMMANDS:
        command = cli.program.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert set(config.COMMANDS) <= set(cli.COMMANDS)


def test_defaults_choices_and_groups_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    page = help_of("train", capsys, "--help-all")
    for heading in ("Options:", *(f"{title}:" for title in command_of("train").sections), "Shared options:"):
        assert page.count(f"\n{heading}\n") == 1
    words = " ".join(page.split())
    assert "[default: 0.0005]" in words
    assert "[auto|float32|bfloat16]" in words
    assert "[default: -20.0, 100.0]" in words
    assert "[html|pdf|csv|json|dicom],..." in help_of("report", capsys)


@pytest.mark.parametrize("given", [[], ["-h"], ["models"], ["models", "-h"]])
def test_without_a_command_the_help_is_shown(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(given) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Usage: medtranslate")
    assert printed.err == ""


def test_the_help_tells_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke([]) == 0
    words = capsys.readouterr().out.partition("Exit codes:")[2].split()
    codes = {kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    assert {str(code) for code in codes | {0, SOME_FAILED}} <= set(words)
