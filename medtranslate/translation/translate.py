"""Command `translate`, which writes all of its outputs or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from medtranslate.config import TranslateSettings, write_yaml
from medtranslate.errors import UsageError
from medtranslate.io import output_format, require_fit
from medtranslate.io.dicom_texts import require_source
from medtranslate.records import Translation
from medtranslate.records.places import RECORD
from medtranslate.runtime import whole_outputs
from medtranslate.translation.checks import cannot_become
from medtranslate.translation.planning import Job, Outputs, places, plan, plan_volume
from medtranslate.translation.translator import (
    Translator,
    Written,
    open_translator,
    translate_jobs,
    write_translation,
)
from medtranslate.translation.volume import Translated

Again = Callable[[Sequence[int]], Iterable[Written]]
"""Function that repeats the translations of some jobs, by index, so that not all stay in memory."""


class Observer(Protocol):
    """Receives translations as they are written, and adds outputs of its own, such as scores and pages."""

    @property
    def places(self) -> Mapping[Path, bool]:
        """Outputs to add; True for a folder."""

    def see(self, index: int, written: Written, translator: Translator, outputs: Outputs) -> None:
        """Receive one translation; called in the order of the jobs."""

    def finish(
        self, records: Sequence[Translation], again: Again, translator: Translator, outputs: Outputs
    ) -> None:
        """Write outputs that need all translations."""


def translate(
    settings: TranslateSettings,
    observe: Callable[[TranslateSettings, Sequence[Job]], Observer] | None = None,
    *,
    quiet: bool = False,
) -> list[Translation]:
    """Translate one volume, or each picture of a folder, and write it with its record and a preview.

    A folder gets `translation.json` and `preview.png` inside; a file `x.nii.gz` gets `x.translation.json` and
    `x.preview.png` beside it. A folder of pictures gets a record for each of them, and `settings.yaml`.
    `settings.uncertainty` gets the error limit, or the standard deviation of the samples.

    Args:
        observe: makes the observer that scores and reports (`evaluation.translate_and_score`);
            it alone uses `settings.reference` and `settings.report`.

    Returns:
        A record for each job, in their order.

    Raises:
        InputRefused: the input or the model is refused; nothing is written.
        OutputExists: an output exists and `overwrite` is not set.
        UsageError: an output is an input or a folder around it, or its format cannot hold the translation.
    """
    jobs = plan(settings)
    observer = observe(settings, jobs) if observe else None
    own = places(jobs)
    with whole_outputs(
        own | dict(observer.places if observer else {}), overwrite=settings.overwrite
    ) as fresh:
        outputs, translator = Outputs(fresh), open_translator(settings)
        for root, folder in own.items():
            if folder and (root, RECORD) not in {job.record for job in jobs}:
                write_yaml(settings, fresh[root] / "settings.yaml")
        records, last = list[Translation](), None
        for index, last in enumerate(translate_jobs(translator, jobs, outputs, quiet=quiet)):
            records.append(last.record)
            if observer:
                observer.see(index, last, translator, outputs)

        def again(wanted: Sequence[int]) -> Iterable[Written]:
            if len(jobs) == 1 and last is not None:
                return [last]
            return translate_jobs(translator, [jobs[index] for index in wanted], outputs, quiet=True)

        if observer:
            observer.finish(records, again, translator, outputs)
    return records


def write_translated(
    made: Translated,
    output: Path,
    *,
    format: str | None = None,
    overwrite: bool = False,
    deidentify: bool = False,
    burn_in: bool = False,
) -> Translation:
    """Write a translation in memory as `translate` does.

    Args:
        output: its suffix decides the format, unless `format` does; without both it is the source's format.

    Returns:
        The record as written.

    Raises:
        OutputExists: an output exists and `overwrite` is not set.
        UsageError: translations of this source cannot have the format.
        GeometryRefused: the format cannot hold its grid.
    """
    source, record = made.source, made.record
    settings = TranslateSettings(
        input=source.meta.path or Path("in-memory"),
        output=output,
        to=record.model.to,
        model=record.model.name,
        deidentify=deidentify,
        burn_in=burn_in,
        overwrite=overwrite,
    )
    own = source.meta.format or "nifti"
    wanted = output_format(output, format) or own
    if reason := cannot_become(own, wanted):
        raise UsageError(f"{output}: its source {reason}")
    if wanted == "dicom":
        require_source(source.meta)
    require_fit(source, wanted, output)
    job = plan_volume(settings, wanted, stacked=bool(source.meta.files))
    with whole_outputs(places([job]), overwrite=overwrite) as fresh:
        return write_translation(job, made, Outputs(fresh)).record
