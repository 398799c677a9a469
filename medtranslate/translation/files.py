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
from medtranslate.io import read_volume, require_fit, write_volume
from medtranslate.io.deidentify import FACES
from medtranslate.io.dicom_texts import require_source
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.png import save_preview
from medtranslate.records import Derivation, Translation, write_result
from medtranslate.report import Sheet, draw
from medtranslate.runtime import progress, staged, whole_outputs
from medtranslate.transforms.monai_adapters import from_metatensor, to_metatensor
from medtranslate.translation.burn import burned_in
from medtranslate.translation.framed import Stack, stack
from medtranslate.translation.planning import Job, Place, outputs, plan
from medtranslate.translation.preview import preview
from medtranslate.translation.records import RECORD
from medtranslate.translation.uncertainty_files import check_slices, write_spread
from medtranslate.translation.volume import OTHER, Translated, sample_stacks, slices_per_pass

DRAWS = 16
"""Samples where --uncertainty is given without a number."""


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
        return [_pass(settings, job, seen, done) for job, seen, done in zip(group, stacks, made, strict=True)]

    def write(made: list[Passed]) -> list[Item]:
        return [write_one(settings, passed, at) for passed in made]

    with progress(len(jobs), "picture", f"translating to {settings.to}", quiet=quiet or not many) as pictures:
        for items in staged(groups, read, pass_through, write):
            for item in items:
                yield item
                pictures.update()


def _pass(settings: TranslateSettings, job: Job, seen: Stack, made: Translated) -> Passed:
    done = passed(job.source, made, force=settings.force)
    sheet = preview(seen, done.volume, done.record) if job.preview else None
    return Passed(job, seen.source, done, sheet)


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
    if job.format == "dicom":
        require_source(source.meta)
    if settings.deidentify:
        source = source.with_meta(files=())
    elif job.format == "dicom":
        source = source.with_meta(warnings=(*source.meta.warnings, *source.meta.identity))
    require_fit(source, job.format or "png", job.source)
    if job.spread:
        check_slices(source, job.spread[0])
    return to_metatensor(source)


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
        doubts=record.doubts,
    )
    if settings.burn_in:
        record = burned_in(done.volume, record, job.format)
    write_volume(
        from_metatensor(done.volume),
        path,
        like=from_metatensor(source),
        derivation=derivation,
        format=job.format,
        overwrite=True,
    )
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
    if not settings.deidentify:
        return record
    return replace(record, source=replace(record.source, digest=None), warnings=[*record.warnings, FACES])
