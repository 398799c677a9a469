"""Applies a model: reads and frames volumes, translates them in shared passes, writes them with records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, TranslateSettings, nan_value, plain, stack_spacing
from medtranslate.errors import InputRefused, UsageError
from medtranslate.io import Volume, list_others, read_volume, require_fit, write_volume
from medtranslate.io.deidentify import FACES
from medtranslate.io.dicom_texts import require_source
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.png import save_preview
from medtranslate.modality import OTHER
from medtranslate.records import Derivation, Translation, write_result
from medtranslate.report import Sheet, draw
from medtranslate.runtime import few, progress, staged
from medtranslate.translation.burn import burned_in
from medtranslate.translation.contrast import open_model
from medtranslate.translation.framed import Framed, frame
from medtranslate.translation.mask import mask_of, masked, read_mask
from medtranslate.translation.passes import slices_per_pass
from medtranslate.translation.planning import Job, Outputs
from medtranslate.translation.preview import preview
from medtranslate.translation.sides import slices_of
from medtranslate.translation.uncertainty import DRAWS
from medtranslate.translation.uncertainty_files import check_slices, write_uncertainty
from medtranslate.translation.volume import Translated, translate_framed


@dataclass(frozen=True)
class Written:
    """Translation in a temporary file, which takes its place when all files of a command are complete.

    Attributes:
        made: the translation in memory, with its source.
        record: as written.
    """

    job: Job
    made: Translated
    record: Translation


@dataclass(frozen=True)
class Translator:
    """Model with the settings of its use. `read` may run in another thread beside `run`.

    Attributes:
        model: on its device.
        to: modality of the translation.
        samples: draws of the posterior for the uncertainty; 0 for none.
        limits: without samples, the uncertainty is the error limit that the model estimates.
        seed: of the draws.
        batch: slices per pass; None for a number that suits the device.
        force: translate inputs that the gate refuses, too.
    """

    model: Model
    to: Modality
    samples: int = 0
    limits: bool = False
    seed: int = 0
    batch: int | None = None
    force: bool = False

    @property
    def slices_per_pass(self) -> int:
        """Number of slices in one pass of the network."""
        return self.batch or slices_per_pass(self.model.description.network, self.model.device)

    def frame(self, source: Volume) -> Framed:
        """Lay a volume out axially and find its head.

        Raises:
            InputRefused: no head is found.
        """
        return frame(source, OTHER[self.to], self.model)

    def read(self, job: Job) -> Framed:
        """Read and frame the volume of a job.

        Raises:
            InputRefused: it or its mask can't be read, it can't be written in the job's format, or no head is
                found.
        """
        source = read_source(job)
        mask = read_mask(job.settings.mask, source) if job.settings.mask else None
        return replace(self.frame(source), mask=mask)

    def run(
        self, framed: Sequence[Framed], *, advance: Callable[[int], object] = lambda slices: None
    ) -> list[Translated]:
        """Translate volumes; small ones, such as pictures, share passes.

        Args:
            advance: called with the number of slices that are done.

        Raises:
            InputRefused: the model's gate refuses one of them, and `force` is not set.
        """
        made = translate_framed(
            framed,
            self.model,
            self.to,
            self.slices_per_pass,
            samples=self.samples,
            limits=self.limits,
            seed=self.seed,
            advance=advance,
        )
        return [
            masked(replace(one, record=pass_gate(one.record, one.framed.where, force=self.force)))
            for one in made
        ]

    def translate(self, source: Volume, mask: Volume | None = None) -> Translated:
        """Translate one volume; outside the mask's voxels above 0 the translation is air.

        Raises:
            InputRefused: no head is found, the mask has another grid, or the model's gate refuses the
                source and `force` is not set.
        """
        kept = mask_of(mask, source) if mask else None
        (made,) = self.run([replace(self.frame(source), mask=kept)])
        return made


def write_translation(job: Job, made: Translated, outputs: Outputs, sheet: Sheet | None = None) -> Written:
    """Write a translation, its uncertainty, its preview and its record.

    Args:
        sheet: its `sheet_of`, if this was called already.
    """
    settings, record, source = job.settings, made.record, made.framed.source
    derivation = Derivation(
        model=record.model,
        source=OTHER[record.model.to],
        deidentify=settings.deidentify,
        compress=settings.compress,
        burned_in=settings.burn_in,
        doubts=record.doubts,
    )
    # Words are burnt in after the preview.
    drawn = draw(sheet or sheet_of(made)) if job.preview else None
    if settings.burn_in:
        record = burned_in(made.volume, record, job.format)
    write_volume(
        made.volume,
        outputs.path(job.target),
        like=source,
        derivation=derivation,
        format=job.format,
        overwrite=True,
    )
    if job.preview and drawn:
        save_preview(drawn, outputs.path(job.preview))
    if job.uncertainty and made.uncertainty is not None and record.uncertainty:
        path = outputs.path(job.uncertainty)
        write_uncertainty(made.uncertainty, record.uncertainty, path, source, derivation)
        named = job.uncertainty[1] or job.uncertainty[0].name
        record = replace(record, uncertainty=replace(record.uncertainty, output=named))
    record = _recorded(record, settings, job.target[1] or job.target[0].name)
    write_result(record, outputs.path(job.record))
    return Written(job, made, record)


def open_translator(settings: TranslateSettings) -> Translator:
    """Load the model that the settings name.

    Raises:
        ModelRefused, RunFailed: the model or the device is not there.
        InputRefused: the MR whose contrast is to be met is refused.
    """
    model, mapped = open_model(settings), settings.uncertainty is not None
    sampled = mapped and not model.description.network.limits
    draws = settings.samples or (DRAWS if sampled else 0)
    return Translator(model, settings.to, draws, mapped, settings.seed, settings.batch, settings.force)


def translate_jobs(
    translator: Translator, jobs: Sequence[Job], outputs: Outputs, *, quiet: bool = False
) -> Iterator[Written]:
    """Translate and write jobs in order, reading the next ones and writing the last ones meanwhile."""
    many, side, to = len(jobs) > 1, translator.slices_per_pass, translator.to
    groups = [jobs[start : start + side] for start in range(0, len(jobs), side)]

    def read(group: Sequence[Job]) -> tuple[Sequence[Job], list[Framed]]:
        return group, [translator.read(job) for job in group]

    def run(given: tuple[Sequence[Job], list[Framed]]) -> tuple[Sequence[Job], list[Translated]]:
        group, framed = given
        depth = sum(slices_of(one, translator.model) for one in framed)
        with progress(depth, "slice", f"translating to {to}", quiet=quiet or many) as slices:
            made = translator.run(framed, advance=slices.update)
            slices.update(depth - slices.n)
        return group, made

    def write(given: tuple[Sequence[Job], list[Translated]]) -> list[Written]:
        return [write_translation(job, made, outputs) for job, made in zip(*given, strict=True)]

    with progress(len(jobs), "picture", f"translating to {to}", quiet=quiet or not many) as pictures:
        for written in staged(groups, read, run, write):
            for one in written:
                yield one
                pictures.update()


def read_source(job: Job) -> Volume:
    """Read the volume that a job translates.

    Raises:
        InputRefused: it can't be read, has no HU or MR signal, or can't be written in the job's format.
        UsageError: a window of pictures is given for a volume.
    """
    settings, to, wanted = job.settings, job.settings.to, OTHER[job.settings.to]
    source = read_volume(
        job.source,
        series=settings.series,
        select=settings.select,
        volume=settings.volume,
        modality=wanted,
        regular=settings.regrid,
        stack=stack_spacing(settings),
        nan_to=nan_value(settings.nan_to, wanted, str(job.source)),
        picture_hu=settings.picture_hu if wanted == "ct" else None,
        advice=f"--to {to} makes {to.upper()} of {wanted.upper()}, so give --to {wanted}",
    )
    if settings.window and not source.is_picture:
        raise UsageError(f"--window is for CT pictures, and {job.source} holds physical units; leave it out")
    require_signal(source.meta)
    if job.format == "dicom":
        require_source(source.meta)
    if source.meta.format == "dicom" and job.source.is_dir() and not settings.deidentify:
        source = source.with_meta(warnings=(*source.meta.warnings, *_say_others(job.source)))
    if settings.deidentify:
        source = source.with_meta(files=())
    elif job.format == "dicom":
        source = source.with_meta(warnings=(*source.meta.warnings, *source.meta.identity))
    require_fit(source, job.format or "png", job.source)
    if job.uncertainty:
        check_slices(source, job.uncertainty[0])
    return source


def _say_others(folder: Path) -> list[str]:
    """Warn of images beside a DICOM series in its folder, which are not translated."""
    others = [str(file.relative_to(folder)) for file in list_others(folder)]
    if not others:
        return []
    return [
        f"the folder holds {len(others)} images beside the DICOM series, which are not translated"
        f" ({few(others)}); `medtranslate batch` translates a tree"
    ]


def pass_gate(record: Translation, source: str, *, force: bool) -> Translation:
    """Add a warning to the record of a translation if the model's gate warns of its source or refuses it.

    Args:
        source: name of the source, for the message.
        force: pass sources that the gate refuses.

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
    verdict = "refused this input, and was passed by force" if refused else "doubts this input"
    # Without numbers, which are in `gate`, so that equal warnings of several pictures are counted together.
    because = "; ".join(reason.partition(" (")[0] for reason in gate.reasons)
    warning = f"the model's input gate {verdict} ({because}): the translation may be meaningless"
    return replace(record, gate=replace(gate, forced=refused), warnings=[*record.warnings, warning])


def sheet_of(made: Translated) -> Sheet:
    """Cut the planes of a translation's preview."""
    return preview(made.framed, made.volume, made.record)


def _recorded(record: Translation, settings: TranslateSettings, output: str) -> Translation:
    """Add the settings to a record; a de-identified one loses the digest, which identifies its source."""
    record = replace(record, output=output, settings=plain(settings))
    if not settings.deidentify:
        return record
    return replace(record, source=replace(record.source, digest=None), warnings=[*record.warnings, FACES])
