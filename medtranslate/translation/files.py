"""From files to translated files, each with its record; all of a command's outputs, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from monai.data import MetaTensor

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import TranslateSettings, plain, stack_spacing, write_yaml
from medtranslate.device import choose_device, fast_precision
from medtranslate.errors import InputRefused, UsageError
from medtranslate.geometry import require_grid
from medtranslate.io import FORMATS, detect_format, format_of_name, list_pictures, read_volume, write_volume
from medtranslate.io.deidentify import FACES
from medtranslate.jobs import progress, require_apart, staged, whole_outputs
from medtranslate.result import Derivation, Translation, write_result
from medtranslate.translation.spread import check_slices, check_spread, write_spread
from medtranslate.translation.stack import Stack, stack
from medtranslate.translation.volume import OTHER, Translated, sample_stacks, slices_per_pass

DRAWS = 16
"""Samples where --uncertainty is given without a number."""

RECORD = "translation.json"
"""What the one volume of a folder is recorded in."""

Place = tuple[Path, str]
"""An output of the command, and the name of a file in it; "" is the output itself."""


@dataclass(frozen=True)
class Job:
    """One volume to translate, and where its files go."""

    source: Path
    target: Place
    record: Place
    spread: Place | None
    format: str | None

    def places(self) -> list[Place]:
        """All that is written."""
        return [place for place in (self.target, self.record, self.spread) if place is not None]


@dataclass(frozen=True)
class Item:
    """One translated volume.

    Attributes:
        path: where the translation was written; the output takes its own place later.
        spread: standard deviation over samples, or None.
        spread_path: where that was written, likewise, or None.
    """

    job: Job
    source: MetaTensor
    path: Path
    spread: MetaTensor | None
    record: Translation
    spread_path: Path | None = None


def translate(settings: TranslateSettings, *, quiet: bool = False) -> Translation | list[Translation]:
    """Translate one volume, or each picture of a folder, and write it with its record.

    A folder gets `translation.json` inside; a file `x.nii.gz` gets `x.translation.json` beside it. A folder
    of pictures gets one for each of them, and `settings.yaml`.
    `settings.uncertainty` gets the standard deviation over samples of the posterior.

    Raises:
        InputRefused: the input or the model is refused; nothing is written.
        OutputExists: an output is there and `overwrite` is not set.
        UsageError: an output is an input, or a folder around it; or can't hold what it is to hold.
    """
    if settings.reference or settings.report:
        raise UsageError("--reference and --report score too: call evaluation.translate_and_score")
    jobs = plan(settings)
    model = load_for(settings)
    with whole_outputs(outputs(jobs), overwrite=settings.overwrite) as fresh:
        done = [item.record for item in translate_each(settings, jobs, model, fresh, quiet=quiet)]
    pictures = settings.input.is_dir() and jobs[0].format == "png" and not settings.stack
    return done if pictures else done[0]


def load_for(settings: TranslateSettings) -> Model:
    """The model on the device and in the precision that the settings ask for."""
    device = choose_device(settings.device)
    return load_model(settings.model, device, fast_precision(settings.precision, device))


def plan(settings: TranslateSettings) -> list[Job]:
    """What is to be translated into what: one volume, or the pictures of a folder.

    Raises:
        Unreadable: the input is of no known format.
        UsageError: as `translate`.
    """
    require_apart(
        [settings.output, settings.uncertainty, settings.report], [settings.input, settings.reference]
    )
    found = detect_format(settings.input)
    stacked = stack_spacing(settings) is not None
    if settings.input.is_dir() and found == "png" and not stacked:
        return _plan_pictures(settings)
    if settings.regrid and (settings.format or found) == "dicom" and not settings.output.suffix:
        raise UsageError("--regrid: a DICOM series keeps its own slices; name an output such as out.nii.gz")
    check_spread(settings.uncertainty, found, settings.regrid)
    spread = (settings.uncertainty, "") if settings.uncertainty else None
    if settings.output.suffix:
        target, record = (settings.output, ""), (record_beside(settings.output), "")
        format = settings.format or format_of_name(settings.output)
        return [Job(settings.input, target, record, spread, format)]
    format = settings.format or found
    apart = format == "dicom" or (stacked and format == "png")
    source = Path("volume") if settings.deidentify else settings.input
    name = "" if apart else name_in(source, format)
    return [Job(settings.input, (settings.output, name), (settings.output, RECORD), spread, format)]


def outputs(jobs: list[Job]) -> dict[Path, bool]:
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


def translate_each(
    settings: TranslateSettings,
    jobs: list[Job],
    model: Model,
    fresh: Mapping[Path, Path],
    *,
    quiet: bool,
) -> Iterator[Item]:
    """Translate and write one job after the other; the next are read and the last written meanwhile.

    Args:
        fresh: path at which each of `outputs(jobs)` is written.
    """

    def at(place: Place) -> Path:
        return fresh[place[0]] / place[1] if place[1] else fresh[place[0]]

    for root, folder in outputs(jobs).items():
        if folder and (root, RECORD) not in {job.record for job in jobs}:
            write_yaml(settings, fresh[root] / "settings.yaml")
    many = len(jobs) > 1
    samples = settings.samples or (DRAWS if settings.uncertainty else 0)
    side = settings.batch or slices_per_pass(model.description.network, model.device)
    groups = [jobs[start : start + side] for start in range(0, len(jobs), side)]

    def read(group: list[Job]) -> tuple[list[Job], list[Stack]]:
        return group, [stack(read_source(settings, job), OTHER[settings.to], model) for job in group]

    def pass_through(given: tuple[list[Job], list[Stack]]) -> list[tuple[Job, MetaTensor, Translated]]:
        group, stacks = given
        depth = sum(seen.source.shape[3] for seen in stacks)
        with progress(depth, "slice", f"translating to {settings.to}", quiet=quiet or many) as slices:
            made = sample_stacks(
                stacks,
                model,
                settings.to,
                side,
                samples=samples,
                seed=settings.seed,
                advance=slices.update,
            )
            slices.update(depth - slices.n)
        return [
            (job, seen.source, passed(job.source, done, force=settings.force))
            for job, seen, done in zip(group, stacks, made, strict=True)
        ]

    def write(made: list[tuple[Job, MetaTensor, Translated]]) -> list[Item]:
        return [write_one(settings, job, source, done, at) for job, source, done in made]

    with progress(len(jobs), "picture", f"translating to {settings.to}", quiet=quiet or not many) as pictures:
        for items in staged(groups, read, pass_through, write):
            for item in items:
                yield item
                pictures.update()


def passed(source: Path, done: Translated, *, force: bool) -> Translated:
    """A translation that may be written: `pass_gate` of its record."""
    return replace(done, record=pass_gate(source, done.record, force=force))


def pass_gate(source: Path | str, record: Translation, *, force: bool) -> Translation:
    """The record of a translation, with a warning of what the model's input gate has against its source.

    Args:
        source: what was translated, for the message.
        force: let pass what the gate refuses.

    Raises:
        InputRefused: the gate refuses the source, and `force` is not set.
    """
    gate = record.gate
    if gate is None or gate.verdict in ("pass", "none"):
        return record
    refused = gate.verdict == "refuse"
    if refused and not force:
        reasons = "; ".join(gate.reasons)
        raise InputRefused(
            f"{source}: refused by the input gate of {record.model.name}: {reasons}; give another input,"
            " or --force, which is recorded"
        )
    said = "refused this input, and was passed by force" if refused else "doubts this input"
    # Without the numbers, which `gate` has: pictures that are doubted alike are counted together.
    because = "; ".join(reason.partition(" (")[0] for reason in gate.reasons)
    warning = f"the model's input gate {said} ({because}): the translation may mean nothing"
    return replace(record, gate=replace(gate, forced=refused), warnings=[*record.warnings, warning])


def read_source(settings: TranslateSettings, job: Job) -> MetaTensor:
    """What a job translates.

    Raises:
        InputRefused: it can't be read, or not be written in the job's format.
    """
    source = read_volume(
        job.source,
        series=settings.series,
        modality=OTHER[settings.to],
        regular=settings.regrid,
        stack=stack_spacing(settings),
    )
    if settings.deidentify:
        source.meta.pop("files", None)
    if job.format != "dicom":
        require_grid(source.meta, str(job.source))
    if job.spread:
        check_slices(source, job.spread[0])
    return source


def write_one(
    settings: TranslateSettings,
    job: Job,
    source: MetaTensor,
    done: Translated,
    at: Callable[[Place], Path],
) -> Item:
    """Write a translation and its record.

    Args:
        source: what `read_source` gave.
        at: where each of the job's places is written.
    """
    path, record, spread_path = at(job.target), done.record, None
    write_volume(
        done.volume,
        path,
        like=source,
        derivation=Derivation(
            model=record.model,
            source=OTHER[settings.to],
            deidentify=settings.deidentify,
            compress=settings.compress,
        ),
        format=job.format,
        overwrite=True,
    )
    if job.spread and done.spread is not None and record.uncertainty:
        spread_path = at(job.spread)
        write_spread(done.spread, record.uncertainty, spread_path, source, deidentify=settings.deidentify)
        named = job.spread[1] or job.spread[0].name
        record = replace(record, uncertainty=replace(record.uncertainty, output=named))
    record = _recorded(record, settings, job.target[1] or job.target[0].name)
    write_result(record, at(job.record))
    return Item(job, source, path, done.spread, record, spread_path)


def record_beside(output: Path, kind: str = "translation") -> Path:
    """`x.translation.json` for a file x.nii.gz, x.png, ..."""
    return output.with_name(f"{_stem(output)}.{kind}.json")


def _recorded(record: Translation, settings: TranslateSettings, output: str) -> Translation:
    """The record with its settings; a de-identified one has no digest by which its source is found."""
    record = replace(record, output=output, settings=plain(settings))
    if not settings.deidentify:
        return record
    return replace(record, source=replace(record.source, digest=None), warnings=[*record.warnings, FACES])


def _plan_pictures(settings: TranslateSettings) -> list[Job]:
    out, spread = settings.output, settings.uncertainty
    if settings.deidentify:
        raise UsageError("--deidentify: a folder of pictures keeps its names; give one picture or volume")
    if out.suffix or (spread and spread.suffix) or settings.format not in (None, "png"):
        raise UsageError(
            f"{spread if spread and spread.suffix else out}: a folder of pictures becomes a folder of"
            " pictures; name a folder, and give no --format"
        )
    return [
        Job(
            path,
            (out, path.name),
            (out, record_beside(path).name),
            (spread, path.name) if spread else None,
            "png",
        )
        for path in list_pictures(settings.input)
    ]


def name_in(path: Path, format: str) -> str:
    """Name of the one file in an output folder: the input's, with its own suffix where that fits."""
    suffixes = FORMATS[format].suffixes
    fits = any(path.name.lower().endswith(suffix) for suffix in suffixes if suffix)
    return path.name if fits and path.is_file() else f"{_stem(path)}{suffixes[-1]}"


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]
