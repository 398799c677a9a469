"""Plans the jobs of a command, and the places of their files."""

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
"""Output of the command, and name of a file in it; "" is the output itself."""


@dataclass(frozen=True)
class Outputs:
    """Temporary paths of outputs, before they take their places.

    Attributes:
        fresh: temporary path of each output.
    """

    fresh: Mapping[Path, Path]

    def path(self, place: Place) -> Path:
        """Return the temporary path of a file."""
        root, name = place
        return self.fresh[root] / name if name else self.fresh[root]


@dataclass(frozen=True)
class Job:
    """Volume to translate, and places of its files.

    Attributes:
        settings: for reading and writing; they are recorded.
        source: file or folder to read.
        format: of the output, a key of `FORMATS`.
    """

    settings: TranslateSettings
    source: Path
    target: Place
    record: Place
    uncertainty: Place | None
    format: str
    preview: Place | None = None

    def places(self) -> list[Place]:
        """List the places of all files."""
        places = (self.target, self.record, self.uncertainty, self.preview)
        return [place for place in places if place is not None]


def plan(settings: TranslateSettings) -> list[Job]:
    """Plan the jobs of a command: one volume, or the pictures of a folder.

    Raises:
        Unreadable: the input is not one volume, series, picture or folder of pictures.
        UsageError: as `translate`.
    """
    source = check_input(settings)
    stacked = stack_spacing(settings) is not None
    format = check_output(settings, source, stacked=stacked)
    if settings.input.is_dir() and source == "png" and not stacked:
        return _plan_pictures(settings)
    check_uncertainty(settings.uncertainty, "stack" if stacked else source, settings.regrid)
    return [plan_volume(settings, format, stacked=stacked)]


def plan_volume(settings: TranslateSettings, format: str, *, stacked: bool = False) -> Job:
    """Plan the places of the files of one volume.

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
    """Decide on a preview: pictures need none, and a preview may show a patient's face."""
    return format != "png" and not settings.deidentify if settings.preview is None else settings.preview


def places(jobs: Sequence[Job]) -> dict[Path, bool]:
    """Collect the outputs of the jobs; True for a folder.

    Raises:
        UsageError: two of them would be one file.
    """
    outputs: dict[Path, bool] = {}
    files: set[Path] = set()
    for root, name in (place for job in jobs for place in job.places()):
        file = (root / name).resolve()
        if file in files:
            raise UsageError(f"{root / name}: is named for two outputs; give each a name of its own")
        files.add(file)
        outputs[root] = bool(name) or outputs.get(root, False)
    return outputs


def _plan_pictures(settings: TranslateSettings) -> list[Job]:
    out, spread = settings.output, settings.uncertainty
    if settings.deidentify:
        raise UsageError("--deidentify: a folder of pictures keeps its names; give one picture or volume")
    if out.suffix or (spread and spread.suffix) or settings.format not in (None, "png"):
        raise UsageError(
            f"{spread if spread and spread.suffix else out}: a folder of pictures becomes a folder of"
            " pictures; name a folder, and give no --format"
        )
    if settings.mask:
        raise UsageError("--mask: a folder of pictures has one for each; give one picture or volume")
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
    """Name a translation in an output folder after its input.

    The input's suffix is kept if it fits the format.
    """
    suffixes = FORMATS[format].suffixes
    fits = any(path.name.lower().endswith(suffix) for suffix in suffixes if suffix)
    return synthetic_name(path.name if fits and path.is_file() else f"{stem_of(path)}{suffixes[-1]}", to)
