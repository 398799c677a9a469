"""From files to translated files, each with its record; all of a command's outputs, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from monai.data import MetaTensor

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality, TranslateSettings, plain, stack_spacing, write_yaml
from medtranslate.device import choose_device, fast_precision
from medtranslate.errors import InputRefused, UsageError
from medtranslate.io import FORMATS, list_pictures, read_volume, require_fit, write_volume
from medtranslate.io.deidentify import FACES
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.names import synthetic_name
from medtranslate.io.png import save_preview
from medtranslate.jobs import progress, staged, whole_outputs
from medtranslate.report import Sheet, draw
from medtranslate.result import Derivation, Translation, write_result
from medtranslate.translation.burn import burned_in
from medtranslate.translation.checks import check_input, check_output
from medtranslate.translation.preview import preview
from medtranslate.translation.records import PREVIEW, RECORD, preview_of, record_beside, record_of, stem_of
from medtranslate.translation.spread import check_slices, check_spread, write_spread
from medtranslate.translation.stack import Stack, stack
from medtranslate.translation.volume import OTHER, Translated, sample_stacks, slices_per_pass

DRAWS = 16
"""Samples where --uncertainty is given without a number."""

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
    preview: Place | None = None

    def places(self) -> list[Place]:
        """All that is written."""
        places = (self.target, self.record, self.spread, self.preview)
        return [place for place in places if place is not None]


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


@dataclass(frozen=True)
class Passed:
    """One volume that came through the network.

    Attributes:
        source: what `read_source` gave.
        sheet: its preview, where one is wanted.
    """

    job: Job
    source: MetaTensor
    done: Translated
    sheet: Sheet | None


def translate(settings: TranslateSettings, *, quiet: bool = False) -> Translation | list[Translation]:
    """Translate one volume, or each picture of a folder, and write it with its record and a preview.

    A folder gets `translation.json` and `preview.png` inside; a file `x.nii.gz` gets `x.translation.json` and
    `x.preview.png` beside it. A folder of pictures gets a record for each of them, and `settings.yaml`.
    `settings.uncertainty` gets the standard deviation over samples of the posterior.

    Raises:
        InputRefused: the input or the model is refused; nothing is written.
        OutputExists: an output is there and `overwrite` is not set.
        UsageError: an output is an input, or a folder around it; or can't hold what it is to hold.
    """
    if settings.reference or settings.report:
        raise UsageError("--reference and --report score too: call evaluation.translate_and_score")
    jobs = plan(settings)
    with whole_outputs(outputs(jobs), overwrite=settings.overwrite) as fresh:
        model = load_for(settings)
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
        Unreadable: the input is not one volume, series, picture or folder of pictures.
        UsageError: as `translate`.
    """
    found = check_input(settings)
    stacked = stack_spacing(settings) is not None
    format = check_output(settings, found, stacked=stacked)
    if settings.input.is_dir() and found == "png" and not stacked:
        return _plan_pictures(settings)
    check_spread(settings.uncertainty, "stack" if stacked else found, settings.regrid)
    spread = (settings.uncertainty, "") if settings.uncertainty else None
    if settings.output.suffix:
        record = record_of(settings.output)
        drawn = (preview_of(record), "") if _drawn(settings, format) else None
        return [Job(settings.input, (settings.output, ""), (record, ""), spread, format, drawn)]
    apart = format == "dicom" or (stacked and format == "png")
    source = Path("volume") if settings.deidentify else settings.input
    target = settings.output, "" if apart else name_in(source, format, settings.to)
    drawn = (settings.output, PREVIEW) if _drawn(settings, format) else None
    return [Job(settings.input, target, (settings.output, RECORD), spread, format, drawn)]


def _drawn(settings: TranslateSettings, format: str) -> bool:
    """Whether a preview is written: pictures are seen without one, and in one a patient may be recognised."""
    return format != "png" and not settings.deidentify if settings.preview is None else settings.preview


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

    def pass_through(given: tuple[list[Job], list[Stack]]) -> list[Passed]:
        group, stacks = given
        depth = sum(seen.shape[0] for seen in stacks)  # of what is passed, resampled or not
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
        for job, done in zip(group, made, strict=True):
            pass_gate(settings, job, done.record)
        return [
            Passed(job, seen.source, done, preview(seen, done.volume, done.record) if job.preview else None)
            for job, seen, done in zip(group, stacks, made, strict=True)
        ]

    def write(made: list[Passed]) -> list[Item]:
        return [write_one(settings, passed, at) for passed in made]

    with progress(len(jobs), "picture", f"translating to {settings.to}", quiet=quiet or not many) as pictures:
        for items in staged(groups, read, pass_through, write):
            for item in items:
                yield item
                pictures.update()


def pass_gate(settings: TranslateSettings, job: Job, record: Translation) -> None:
    """Let a translation pass, unless the model's input gate refuses what it was made of.

    Raises:
        InputRefused: it does, and `force` is not set.
    """
    if record.gate and record.gate.verdict == "refuse" and not settings.force:
        reasons = "; ".join(record.gate.reasons)
        raise InputRefused(
            f"{job.source}: refused by the input gate of {record.model.name}: {reasons}; give another input,"
            " or --force, which is recorded"
        )


def read_source(settings: TranslateSettings, job: Job) -> MetaTensor:
    """What a job translates.

    Raises:
        InputRefused: it can't be read, is no CT in HU or MR signal by its header, or can't be written in the
            job's format.
    """
    to, wanted = settings.to, OTHER[settings.to]
    source = read_volume(
        job.source,
        series=settings.series,
        select=settings.select,
        volume=settings.volume,
        modality=wanted,
        regular=settings.regrid,
        stack=stack_spacing(settings),
        advice=f"--to {to} makes {to.upper()} of {wanted.upper()}, so give --to {wanted}",
    )
    require_signal(source.meta)
    if settings.deidentify:
        source.meta.pop("files", None)
    elif job.format == "dicom":
        source.meta["warnings"] += source.meta.get("identity", [])
    require_fit(source, job.format or "png", job.source)
    if job.spread:
        check_slices(source, job.spread[0])
    return source


def write_one(settings: TranslateSettings, passed: Passed, at: Callable[[Place], Path]) -> Item:
    """Write a translation, its record and its preview.

    Args:
        at: where each of the job's places is written.
    """
    job, source, done = passed.job, passed.source, passed.done
    path, record, spread_path = at(job.target), done.record, None
    derivation = Derivation(
        model=record.model,
        source=OTHER[settings.to],
        deidentify=settings.deidentify,
        compress=settings.compress,
        burned_in=settings.burn_in,
    )
    if settings.burn_in:
        record = burned_in(done.volume, record, job.format)
    write_volume(done.volume, path, like=source, derivation=derivation, format=job.format, overwrite=True)
    if job.preview and passed.sheet:
        save_preview(draw(passed.sheet), at(job.preview))
    if job.spread and done.spread is not None and record.uncertainty:
        spread_path = at(job.spread)
        write_spread(done.spread, record.uncertainty, spread_path, source, derivation)
        named = job.spread[1] or job.spread[0].name
        record = replace(record, uncertainty=replace(record.uncertainty, output=named))
    record = _recorded(record, settings, job.target[1] or job.target[0].name)
    write_result(record, at(job.record))
    return Item(job, source, path, done.spread, record, spread_path)


def _recorded(record: Translation, settings: TranslateSettings, output: str) -> Translation:
    """The record with its settings; a de-identified one has no digest by which its source is found."""
    record = replace(record, output=output, settings=plain(settings))
    if record.gate and record.gate.verdict in ("warn", "refuse"):
        forced = record.gate.verdict == "refuse"
        said = "refused this input, and was passed by force" if forced else "doubts this input"
        # Without the numbers, which `gate` has: pictures that are doubted alike are counted together.
        because = "; ".join(reason.partition(" (")[0] for reason in record.gate.reasons)
        record = replace(
            record,
            gate=replace(record.gate, forced=forced),
            warnings=[
                *record.warnings,
                f"the model's input gate {said} ({because}): the translation may mean nothing",
            ],
        )
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
    if settings.preview:
        raise UsageError("--preview: pictures of a folder are seen as they are; leave it out")
    jobs, records = list[Job](), set[str]()
    for path in list_pictures(settings.input):
        name = synthetic_name(path.name, settings.to)
        sure = synthetic_name(path.name, settings.to, uncertainty=True)
        # a.jpg beside a.png
        record = record_beside(Path(name), whole=record_beside(Path(name)).name in records).name
        records.add(record)
        jobs.append(Job(path, (out, name), (out, record), (spread, sure) if spread else None, "png"))
    return jobs


def name_in(path: Path, format: str, to: Modality) -> str:
    """Name of a translation in an output folder: what it is, after the input's name.

    It keeps the input's suffix where that fits the format.
    """
    suffixes = FORMATS[format].suffixes
    fits = any(path.name.lower().endswith(suffix) for suffix in suffixes if suffix)
    return synthetic_name(path.name if fits and path.is_file() else f"{stem_of(path)}{suffixes[-1]}", to)
