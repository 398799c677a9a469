"""Translate and score at once, with one page to look at; all of the outputs, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medtranslate.checkpoint import Model
from medtranslate.config import TranslateSettings, plain, write_yaml
from medtranslate.errors import InputRefused, UsageError
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.averages import representative_cases, summarise
from medtranslate.evaluation.evaluate_pair import provenance_of
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.evaluation.pair import compare
from medtranslate.evaluation.pairing import members_of, pair_up
from medtranslate.evaluation.records import nan_of
from medtranslate.evaluation.rules import ScoringRules
from medtranslate.evaluation.shown import shown_of
from medtranslate.io import Volume, read_volume
from medtranslate.io.names import pair_name
from medtranslate.records import Cohort, Evaluation, Provenance, Translation, write_result
from medtranslate.records.places import record_of
from medtranslate.report import (
    TRANSLATION_VIEWS,
    VIEWS,
    Pictures,
    Shown,
    write_case,
    write_translation_case,
)
from medtranslate.translation import (
    Again,
    Job,
    Outputs,
    Translator,
    Written,
    is_map,
    places,
    translate,
)

SHOWN = 6
"""Pictures of a folder that a page without scores shows."""


def translate_and_score(
    settings: TranslateSettings, *, quiet: bool = False
) -> tuple[list[Translation], Evaluation | Cohort | None]:
    """Translate as `translation.translate` does, score against `settings.reference`, report.

    With a reference the written translation is scored as `evaluate` would score it, with the source and
    the model's mean image as baselines; where samples were drawn, their spread is held against the
    error. The scores go to `settings.report` with every view, or without a report to result.json in the
    output's folder (`NAME.result.json` beside a file). A report without a reference is a page that shows
    what went in and what came out.

    Returns:
        The records, and the scores where there is a reference.

    Raises:
        InputRefused, OutputExists, UsageError: as `translate` and `evaluate`.
    """
    observers: list[_Scoring] = []

    def observe(settings: TranslateSettings, jobs: Sequence[Job]) -> _Scoring:
        observers.append(_Scoring(settings, jobs))
        return observers[0]

    records = translate(settings, observe, quiet=quiet)
    return records, observers[0].found


class _Scoring:
    """Scores each translation as it is written, and reports all.

    Attributes:
        places: the outputs that it adds.
        found: the scores, when all is done.
    """

    def __init__(self, settings: TranslateSettings, jobs: Sequence[Job]) -> None:
        names = [pair_name(job.source) for job in jobs]
        if len(set(names)) < len(names):
            names = [job.source.name for job in jobs]
        references = _references(settings, names)
        if settings.deidentify:
            names, references = ["volume"], dict(zip(["volume"], references.values(), strict=False))
        self.settings, self.names, self.references = settings, names, references
        self.record, self.places = None, dict[Path, bool]()
        if references and not settings.report:
            self.record, self.places = _result_place(settings)
        if settings.report:
            if settings.report.resolve() in {path.resolve() for path in places(jobs)}:
                raise UsageError(f"--report {settings.report}: is the output, too; name another folder")
            self.places = {settings.report: True}
        self.results: list[Evaluation] = []
        self.found: Evaluation | Cohort | None = None

    def see(self, index: int, written: Written, translator: Translator, outputs: Outputs) -> None:
        """Score one translation, and write its page where there are several."""
        name, model, report = self.names[index], translator.model, self.settings.report
        page = outputs.path((report, "")) if report and len(self.names) > 1 else None
        if self.references:
            result, drawn = _score(written, self.references[name], model, name, outputs)
            self.results.append(result)
            if page:
                write_case(result, drawn, page)
        elif page:
            write_translation_case(written.record, name, _shown(written, outputs), page)

    def finish(
        self, records: Sequence[Translation], again: Again, translator: Translator, outputs: Outputs
    ) -> None:
        """Write the report, or the scores alone."""
        self.found = _found(self.results, self.settings)
        if self.settings.report:
            self._report(records, again, translator.model, outputs)
        elif self.found and self.record:
            write_result(self.found, outputs.path(self.record))

    def _report(self, records: Sequence[Translation], again: Again, model: Model, outputs: Outputs) -> None:
        assert self.settings.report is not None
        folder, found, names = outputs.path((self.settings.report, "")), self.found, self.names
        write_yaml(self.settings, folder / "settings.yaml")
        if found is None:
            wanted = list(range(0, len(names), max(1, len(names) // SHOWN)))[:SHOWN]
            made = zip(wanted, again(wanted), strict=True)
            views = [(names[index], _shown(item, outputs)) for index, item in made]
            for write_page in TRANSLATION_VIEWS.values():
                write_page(records, views, folder)
            return
        representative = representative_cases(found.items if isinstance(found, Cohort) else [found])
        wanted = [index for index, name in enumerate(names) if name in representative]
        pictures = {
            names[index]: _score(item, self.references[names[index]], model, names[index], outputs)[1]
            for index, item in zip(wanted, again(wanted), strict=True)
        }
        for write in VIEWS.values():
            write(found, pictures, folder)


def _references(settings: TranslateSettings, names: Sequence[str]) -> dict[str, Path]:
    """Find the reference of each job; none without --reference."""
    if settings.reference is None:
        return {}
    members = members_of(settings.reference)
    if not members and len(names) == 1:
        return {names[0]: settings.reference}
    if not members:
        raise InputRefused(
            f"{settings.reference}: one volume can't be the reference of {len(names)} pictures; give a folder"
        )
    given = {"input": members_of(settings.input), "reference": members}
    paired = pair_up({"input": settings.input, "reference": settings.reference}, given)
    return {name: paired[name]["reference"] for name in names}


def _result_place(settings: TranslateSettings) -> tuple[tuple[Path, str], dict[Path, bool]]:
    """Where result.json goes without a report: in the output's folder, or beside the output."""
    if not settings.output.suffix:
        return (settings.output, "result.json"), {}
    path = record_of(settings.output, "result")
    return (path, ""), {path: False}


def _score(
    item: Written, reference: Path, model: Model, name: str, outputs: Outputs
) -> tuple[Evaluation, Pictures]:
    """Score a translation as it was written."""
    to = item.record.model.to
    read = {
        "prediction": read_volume(outputs.path(item.job.target), modality=to),
        "reference": read_volume(
            reference,
            modality=to,
            nan_to=nan_of("reference", reference, item.job.settings.nan_to, to, main=("source",)),
            advice=f"--reference takes the true {to.upper()}",
        ),
        "source": item.made.framed.source,
    }
    volumes = {**read, "mean_image": mean_image(read["source"], model, to)}
    if item.made.uncertainty is not None:
        volumes["uncertainty"] = item.made.uncertainty
    result, pictures = compare(align(volumes), ScoringRules(), translation=item.record, name=name)
    result = replace(result, provenance=_provenance(item, read, outputs))
    if result.coverage is None or item.record.uncertainty is None:
        return result, pictures
    known = replace(
        item.record.uncertainty,
        within=result.coverage.within_1_sd,
        coverage=result.coverage.within_2_sd,
        correlation=result.coverage.correlation,
    )
    return replace(result, translation=replace(item.record, uncertainty=known)), pictures


def _provenance(item: Written, read: Mapping[str, Volume], outputs: Outputs) -> Provenance:
    """Describe what was scored, without the digests by which a de-identified patient could be found."""
    place = item.job.uncertainty
    spread = outputs.path(place) if place and item.made.uncertainty is not None else None
    # A map is no volume that is read.
    written = {"uncertainty": read_volume(spread)} if spread and not is_map(spread) else {}
    found = provenance_of({**read, **written})
    if not item.record.settings.get("deidentify"):
        return found
    hidden = {role: replace(found.inputs[role], digest=None) for role in ("reference", "source")}
    return replace(found, inputs=found.inputs | hidden)


def _found(results: Sequence[Evaluation], settings: TranslateSettings) -> Evaluation | Cohort | None:
    """Give the scores of the one volume, or those of a folder with their mean."""
    if not results:
        return None
    if not settings.input.is_dir() or len(results) == 1:
        return replace(results[0], settings=plain(settings))
    return Cohort(**summarise(results), settings=plain(settings))


def _shown(item: Written, outputs: Outputs) -> Shown:
    written = read_volume(outputs.path(item.job.target), modality=item.record.model.to)
    return shown_of(item.made, written)
