"""`medtranslate info`."""

from __future__ import annotations

from dataclasses import asdict

from medtranslate.cli.command import Answer, SettingsCommand
from medtranslate.cli.failures import aligned
from medtranslate.config import InfoSettings


def act(settings: InfoSettings, quiet: bool) -> Answer:
    """List the images in one input."""
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

    items = list_items(settings.input, settings.volume)
    lines = []
    table = aligned([_HEADINGS, *map(row, items)])
    for line, item in zip(table, [None, *items], strict=True):
        lines.append(line)
        if item:
            lines += [f"    refused: {item.refused}"] if item.refused else []
            lines += [f"    warning: {warning}" for warning in item.warnings]
    values = {"schema": "medtranslate/info/1", "items": [asdict(item) for item in items]}
    return Answer(values, lines if items else ["no images found"])


_HEADINGS = ("name", "kind", "count", "size", "mm", "geometry", "coding", "description")

command = SettingsCommand(
    "info",
    InfoSettings,
    act,
    "io.inventory",
    help="""List each DICOM series, volume and folder of pictures in INPUT, with size and geometry, from
    headers alone. Warnings of reading it are listed too; where it would be refused, the reason and a remedy.

    A series is named by the end of its UID, for --series, and one of its several acquisitions by the value
    for --select. Names and numbers of patients are not shown. The description is the one that the scanner
    wrote.""",
    arguments=("input",),
)
