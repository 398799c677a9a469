"""`medtranslate info`."""

from __future__ import annotations

from dataclasses import asdict

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.cli.failures import aligned
from medtranslate.config import InfoSettings


def act(settings: InfoSettings, quiet: bool) -> Answer:
    """List what lies in one input."""
    from medtranslate.io.inventory import Item, list_items

    def row(item: Item) -> tuple[str, ...]:
        size = " x ".join(map(str, item.size)) if item.size else ""
        spacing = " x ".join(f"{length:.3g}" for length in item.spacing_mm) if item.spacing_mm else ""
        modality = item.modality or "?"
        return (
            f"{item.name} {item.select}".rstrip(),
            modality,
            str(item.count),
            size,
            spacing,
            item.geometry,
            item.coding,
            item.description,
        )

    items = list_items(settings.input)
    lines = []
    table = aligned([_HEADINGS, *map(row, items)])
    for line, refused in zip(table, ["", *(item.refused for item in items)], strict=True):
        lines.append(line)
        if refused:
            lines.append(f"    refused: {refused}")
    values = {"schema": "medtranslate/info/1", "items": [asdict(item) for item in items]}
    return Answer(values, lines if items else ["no images found"])


_HEADINGS = ("name", "kind", "count", "size", "mm", "geometry", "coding", "description")

command = SettingsCommand(
    "info",
    InfoSettings,
    act,
    "io.inventory",
    help="""List what INPUT holds, from headers alone: each DICOM series, volume and folder of pictures with
    its size and geometry and, where it would be refused, why and what would help.

    A series goes by the end of its UID, which --series takes, and an acquisition of several in it by what
    --select takes. Names and numbers of patients are not shown;
    a description is what the scanner calls the series.""",
    arguments=("input",),
)
