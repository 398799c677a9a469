"""Translate and score at once, with one page to look at; all of the outputs, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from monai.data import MetaTensor

from medtranslate.checkpoint import Model
from medtranslate.config import Modality, TranslateSettings, plain, write_yaml
from medtranslate.errors import InputRefused, UsageError
from medtranslate.evaluation.averages import (
    gathered_warnings,
    mean_baselines,
    mean_scores,
    mean_tissues,
    telling,
)
from medtranslate.evaluation.baselines import mean_image
from medtranslate.evaluation.evaluate_pair import provenance_of
from medtranslate.evaluation.pair import align, compare
from medtranslate.evaluation.pairing import members_of, pair_up
from medtranslate.io import read_volume
from medtranslate.io.names import pair_name
from medtranslate.metrics import INVENTED, head_mask, percentile_range, shows
from medtranslate.modality import UNITS
from medtranslate.records import Cohort, Evaluation, Provenance, Translation, write_result
from medtranslate.report import (
    TRANSLATION_VIEWS,
    VIEWS,
    Pictures,
    Shown,
    write_case,
    write_translation_case,
)
from medtranslate.runtime import whole_outputs
from medtranslate.transforms import to_axial
from medtranslate.transforms.monai_adapters import to_metatensor
from medtranslate.translation import (
    OTHER,
    Item,
    as_spoken,
    is_map,
    load_for,
    outputs,
    plan,
    record_of,
    translate_each,
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
    jobs = plan(settings)
    names = [pair_name(job.source) for job in jobs]
    if len(set(names)) < len(names):
        names = [job.source.name for job in jobs]
    references = _references(settings, names)
    if settings.deidentify:
        names, references = ["volume"], dict(zip(["volume"], references.values(), strict=False))
    record, beside = _result_place(settings) if references and not settings.report else (None, {})
    targets = outputs(jobs) | beside
    if settings.report:
        if settings.report.resolve() in {path.resolve() for path in targets}:
            raise UsageError(f"--report {settings.report}: is the output, too; name another folder")
        targets[settings.report] = True
    with whole_outputs(targets, overwrite=settings.overwrite) as fresh:
        model = load_for(settings)
        records, results = [], []
        for name, item in zip(names, translate_each(settings, jobs, model, fresh, quiet=quiet), strict=True):
            records.append(item.record)
            page = fresh[settings.report] if settings.report and len(jobs) > 1 else None
            if references:
                result, drawn = _score(item, references[name], model, name)
                results.append(result)
                if page:
                    write_case(result, drawn, page)
            elif page:
                write_translation_case(item.record, name, _shown(item, model), page)

        def again(wanted: Sequence[str]) -> Iterable[tuple[str, Item]]:
            """Some of the items anew, so that not all have to be held: what is drawn is little."""
            if len(jobs) == 1:
                return [(names[0], item)]
            chosen = [(name, job) for name, job in zip(names, jobs, strict=True) if name in wanted]
            made = translate_each(settings, [job for _, job in chosen], model, fresh, quiet=True)
            return zip((name for name, _ in chosen), made, strict=True)

        found = _found(results, settings)
        if settings.report:
            _report(settings, names, records, found, references, model, again, fresh[settings.report])
        elif found and record:
            write_result(found, fresh[record[0]] / record[1] if record[1] else fresh[record[0]])
    return records, found


def _references(settings: TranslateSettings, names: Sequence[str]) -> dict[str, Path]:
    """The reference of each job; none without --reference."""
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


def _score(item: Item, reference: Path, model: Model, name: str) -> tuple[Evaluation, Pictures]:
    """Score a translation as it was written."""
    to: Modality = item.record.model.to
    read = {
        "prediction": to_metatensor(read_volume(item.path, modality=to)),
        "reference": to_metatensor(
            read_volume(reference, modality=to, advice=f"--reference takes the true {to.upper()}")
        ),
        "source": item.source,
    }
    result, pictures = compare(
        align(
            read["prediction"],
            read["reference"],
            source=item.source,
            mean_image=mean_image(item.source, model, to),
            uncertainty=item.spread,
        ),
        "image",
        None,
        item.record,
        name,
    )
    result = replace(result, provenance=_provenance(item, read))
    if result.coverage is None or item.record.uncertainty is None:
        return result, pictures
    known = replace(
        item.record.uncertainty,
        coverage=result.coverage.within_2_sd,
        correlation=result.coverage.correlation,
    )
    return replace(result, translation=replace(item.record, uncertainty=known)), pictures


def _provenance(item: Item, read: Mapping[str, MetaTensor]) -> Provenance:
    """What was scored; by the digest of an original nobody finds the patient of a de-identified one."""
    spread = item.spread_path
    # A map is no volume that is read.
    written = {"uncertainty": to_metatensor(read_volume(spread))} if spread and not is_map(spread) else {}
    found = provenance_of({**read, **written})
    if not item.record.settings.get("deidentify"):
        return found
    hidden = {role: replace(found.inputs[role], digest=None) for role in ("reference", "source")}
    return replace(found, inputs=found.inputs | hidden)


def _found(results: Sequence[Evaluation], settings: TranslateSettings) -> Evaluation | Cohort | None:
    """The scores of the one volume, or of a folder with their mean."""
    if not results:
        return None
    if not settings.input.is_dir() or len(results) == 1:
        return replace(results[0], settings=plain(settings))
    return Cohort(
        items=list(results),
        mean=mean_scores(item.volume for item in results),
        baselines=mean_baselines(results),
        tissues=mean_tissues(results),
        settings=plain(settings),
        warnings=gathered_warnings(results),
    )


def _report(
    settings: TranslateSettings,
    names: Sequence[str],
    records: Sequence[Translation],
    found: Evaluation | Cohort | None,
    references: Mapping[str, Path],
    model: Model,
    again: Callable[[Sequence[str]], Iterable[tuple[str, Item]]],
    folder: Path,
) -> None:
    write_yaml(settings, folder / "settings.yaml")
    if found is None:
        step = max(1, len(names) // SHOWN)
        views = [(name, _shown(item, model)) for name, item in again(names[::step][:SHOWN])]
        for write_page in TRANSLATION_VIEWS.values():
            write_page(records, views, folder)
        return
    wanted = telling(found.items if isinstance(found, Cohort) else [found])
    pictures = {name: _score(item, references[name], model, name)[1] for name, item in again(wanted)}
    for write in VIEWS.values():
        write(found, pictures, folder)


def _shown(item: Item, model: Model) -> Shown:
    """A translation laid out for drawing; the source opens with the range that the model sees of it."""
    scale, to, grey = model.description.scale, item.record.model.to, "levels" in item.source.meta
    ends = {"ct": scale.ct_window, "mr": scale.mr_range}
    spoken_range, range = ((0.0, 255.0),) * 2 if grey else (ends[OTHER[to]], ends[to])
    spoken = to_axial(as_spoken(item.source, OTHER[to], model)).numpy()[0]
    source = to_axial(item.source)
    translation = to_axial(to_metatensor(read_volume(item.path, modality=to))).numpy()[0]
    mask = head_mask([spoken, translation], [spoken_range, range]) | shows(translation, range, INVENTED)
    arbitrary = to == "ct" and not grey and mask.any()
    columns, rows, depth = (float(length) for length in source.pixdim)
    return Shown(
        source=source.numpy()[0],
        translation=translation,
        spread=None if item.spread is None else to_axial(item.spread).numpy()[0],
        mask=mask,
        source_range=percentile_range(source.numpy()[0], mask) if arbitrary else spoken_range,
        range=range,
        spacing_mm=(columns, rows, depth),
        source_unit="grey levels" if grey else UNITS[OTHER[to]],
        unit="grey levels" if grey else item.record.model.unit,
        affine=None if grey else np.asarray(source.affine, dtype=np.float64),
        regular="slices" not in item.source.meta,
    )
