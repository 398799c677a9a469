"""`medtranslate phantom`."""

from __future__ import annotations

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.config import PhantomSettings, plain


def act(settings: PhantomSettings, quiet: bool) -> Answer:
    """Write a digital head."""
    from medtranslate.phantom import write_study

    write_study(settings)
    return Answer(plain(settings), [f"written: {settings.out}"])


command = SettingsCommand(
    "phantom",
    PhantomSettings,
    act,
    "phantom",
    help="""Write a digital head: CT in HU, MR by the signal equation, and the tissue labels that both are
    made from. It shows no patient, and its truth is known in both modalities.""",
    arguments=("out",),
)
