from __future__ import annotations

import subprocess
import sys

import click
import pytest

from medtranslate import cli, config, errors
from medtranslate.cli.command import SOME_FAILED, SettingsCommand
from medtranslate.cli.options import leaves


def help_of(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.invoke([name, "--help"]) == 0
    return capsys.readouterr().out


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
    assert f"medtranslate.cli.{name}" in modules


@pytest.mark.parametrize("name", config.COMMANDS)
def test_every_setting_is_an_argument_or_an_option_with_its_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = " ".join(help_of(name, capsys).split())
    command = cli.program.get_command(click.Context(cli.program), name)
    assert isinstance(command, SettingsCommand)
    assert command.kind is config.COMMANDS[name]
    for leaf in leaves(command.kind):
        shown = ".".join(leaf.path)
        assert (shown.upper() if shown in command.arguments else "--" + shown.replace("_", "-")) in page
        assert leaf.help
        assert leaf.help.split()[0] in page


def test_every_listed_command_exists() -> None:
    context = click.Context(cli.program)
    for name in cli.COMMANDS:
        command = cli.program.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert set(config.COMMANDS) <= set(cli.COMMANDS)


def test_defaults_choices_and_groups_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    page = help_of("train", capsys)
    for heading in (
        "Scale options:",
        "Network options:",
        "Loss options:",
        "Augment options:",
        "Shared options:",
    ):
        assert page.count(heading) == 1
    words = " ".join(page.split())
    assert "[default: 0.0005]" in words
    assert "[auto|float32|bfloat16]" in words
    assert "[default: -20.0, 100.0]" in words


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
