"""What a command is to translate, and where each of its files goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medtranslate.config import Modality, TranslateSettings, stack_spacing
from medtranslate.errors import UsageError
from medtranslate.io import FORMATS, list_pictures
from medtranslate.io.names import synthetic_name
from medtranslate.records.places import PREVIEW, RECORD, preview_of, record_beside, record_of, stem_of
from medtranslate.translation.checks import check_input, check_output
from medtranslate.translation.uncertainty_files import check_uncertainty

Place = tuple[Path, str]
"""An output of the command, and the name of a file in it; "" is the output itself."""


@dataclass(frozen=True)
class Outputs:
    """Paths at which outputs are written before they take their own places.

    Attributes:
        fresh: temporary path of each output.
    """

    fresh: Mapping[Path, Path]

    def path(self, place: Place) -> Path:
        """Where a file is written."""
        root, name = place
        return self.fresh[root] / name if name else self.fresh[root]


@dataclass(frozen=True)
class Job:
    """One volume to translate, and where its files go.

    Attributes:
        settings: how it is read and written; they are recorded.
        source: what is read.
        format: key of `FORMATS` to write.
    """

    settings: TranslateSettings
    source: Path
    target: Place
    record: Place
    uncertainty: Place | None
    format: str
    preview: Place | None = None

    def places(self) -> list[Place]:
        """All that is written."""
        places = (self.target, self.record, self.uncertainty, self.preview)
        return [place for place in places if place is not None]


def plan(settings: TranslateSettings) -> list[Job]:
    """What is to be translated into what: one volume, or the pictures of a folder.

    Raises:
        Unreadable: the input is not one volume, series, picture or folder of pictures.
        UsageError: as `translate`.
    """
    found = check_input(settings)
    stacked = stack_spacing(settings) is not None
    format = check_output(settings, found, stacked=stacked)
    if settings.input.is_dir() and found == "png" and not stacked:
        return _plan_pictures(settings)
    check_uncertainty(settings.uncertainty, "stack" if stacked else found, settings.regrid)
    return [plan_volume(settings, format, stacked=stacked)]


def plan_volume(settings: TranslateSettings, format: str, *, stacked: bool = False) -> Job:
    """Where the files of one volume go.

    Args:
        format: to write.
        stacked: the volume is a folder of pictures.
    """
    spread = (settings.uncertainty, "") if settings.uncertainty else None
    if settings.output.suffix:
        record = record_of(settings.output)
        drawn = (preview_of(record), "") if _drawn(settings, format) else None
        return Job(settings, settings.input, (settings.output, ""), (record, ""), spread, format, drawn)
    apart = format == "dicom" or (stacked and format == "png")
    source = Path("volume") if settings.deidentify else settings.input
    target = settings.output, "" if apart else name_in(source, format, settings.to)
    drawn = (settings.output, PREVIEW) if _drawn(settings, format) else None
    return Job(settings, settings.input, target, (settings.output, RECORD), spread, format, drawn)


def _drawn(settings: TranslateSettings, format: str) -> bool:
    """Whether a preview is written: pictures are seen without one, and in one a patient may be recognised."""
    return format != "png" and not settings.deidentify if settings.preview is None else settings.preview


def places(jobs: Sequence[Job]) -> dict[Path, bool]:
    """The outputs of the jobs, and whether each is a folder.

    Raises:
        UsageError: two of them would be one file.
    """
    found: dict[Path, bool] = {}
    files: set[Path] = set()
    for root, name in (place for job in jobs for place in job.places()):
        file = (root / name).resolve()
        if file in files:
            raise UsageError(f"{root / name}: is named for two outputs; give each a name of its own")
        files.add(file)
        found[root] = bool(name) or found.get(root, False)
    return found


def _plan_pictures(settings: TranslateSettings) -> list[Job]:
    out, spread = settings.output, settings.uncertainty
    if settings.deidentify:
        raise UsageError("--deidentify: a folder of pictures keeps its names; give one picture or volume")
    if out.suffix or (spread and spread.suffix) or settings.format not in (None, "png"):
        raise UsageError(
            f"{spread if spread and spread.suffix else out}: a folder of pictures becomes a folder of"
            " pictures; name a folder, and give no --format"
        )
    if settings.preview:
        raise UsageError("--preview: pictures of a folder are seen as they are; leave it out")
    jobs, records = list[Job](), set[str]()
    for path in list_pictures(settings.input):
        name = synthetic_name(path.name, settings.to)
        sure = synthetic_name(path.name, settings.to, uncertainty=True)
        # a.jpg beside a.png
        record = record_beside(Path(name), whole=record_beside(Path(name)).name in records).name
        records.add(record)
        jobs.append(
            Job(settings, path, (out, name), (out, record), (spread, sure) if spread else None, "png")
        )
    return jobs


def name_in(path: Path, format: str, to: Modality) -> str:
    """Name of a translation in an output folder: what it is, after the input's name.

    It keeps the input's suffix where that fits the format.
    """
    suffixes = FORMATS[format].suffixes
    fits = any(path.name.lower().endswith(suffix) for suffix in suffixes if suffix)
    return synthetic_name(path.name if fits and path.is_file() else f"{stem_of(path)}{suffixes[-1]}", to)
