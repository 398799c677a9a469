"""The cycle test: CT to MR to CT, or MR to CT to MR, scored against the original."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import CycleSettings, Modality, nan_value, plain, write_yaml
from medtranslate.device import choose_device
from medtranslate.evaluation.alignment import align
from medtranslate.evaluation.averages import representative_cases, summarise
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.evaluation.pair import compare
from medtranslate.evaluation.pairing import members_of
from medtranslate.evaluation.rules import ScoringRules
from medtranslate.io import Volume, read_volume
from medtranslate.io.dicom_values import require_signal
from medtranslate.io.layout import to_axial
from medtranslate.metrics import PROFILES, Range, score
from medtranslate.modality import OTHER
from medtranslate.records import Cycle, Evaluation, Mask
from medtranslate.records.places import stem_of
from medtranslate.report import VIEWS, Pictures, draw_differences, write_case
from medtranslate.runtime import check_free, progress, require_apart, whole_output
from medtranslate.translation import as_spoken, framed_alone, pass_gate, translate_volume

NAMES = {
    "source copied": "intermediate copied",
    "histogram match": "intermediate matched",
    "mean image": "mean image",
}
"""What the baselines of a pair are called where the source is itself a translation."""


@dataclass(frozen=True)
class Noise:
    """Normal noise on the image between.

    Attributes:
        share: standard deviation, as a share of the image's range.
        seed: of the draws.
    """

    share: float = 0.0
    seed: int = 0


def cycle(settings: CycleSettings, *, quiet: bool = False) -> Cycle:
    """Translate there and back by the posterior's mean, and score what comes back against the source.

    Writes `settings.out` with result.json, slices.csv, report.html, settings.yaml, differences/NAME.png and,
    of several images, the page of each in cases/, whole or not at all. The pictures (or NIfTI volumes) of a
    folder are tested one by one.

    Raises:
        InputRefused: the input or the model is refused, by the model's input gate among others, or no head
            is found in an image between.
        OutputExists: `settings.out` is there and `overwrite` is not set.
        UsageError: the output is the input, or a folder around it.
    """
    require_apart([settings.out], [settings.input])
    check_free(settings.out, overwrite=settings.overwrite)
    paths = members_of(settings.input) or {stem_of(settings.input): settings.input}
    model = load_model(settings.model, choose_device(settings.device))
    items = []
    title = f"{settings.from_} to {OTHER[settings.from_]} and back"
    with (
        whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder,
        progress(len(paths), "image", title, quiet=quiet) as bar,
    ):
        (folder / "differences").mkdir()
        for name, path in paths.items():
            result, drawn = _one(settings, model, name, path)
            draw_differences(drawn, folder / "differences", name)
            if len(paths) > 1:
                write_case(_gathered(settings, model, [result]), drawn, folder)
            items.append(result)
            bar.update()
        pictures = {name: drawn}
        if len(items) > 1:
            wanted = representative_cases(items)
            pictures = {name: _one(settings, model, name, paths[name])[1] for name in wanted}
        found = _gathered(settings, model, items)
        for write in VIEWS.values():
            write(found, pictures, folder)
        write_yaml(settings, folder / "settings.yaml")
    return found


def _one(settings: CycleSettings, model: Model, name: str, path: Path) -> tuple[Evaluation, Pictures]:
    """Read one image and test it."""
    source = read_volume(
        path,
        series=settings.series,
        select=settings.select,
        volume=settings.volume,
        modality=settings.from_,
        nan_to=nan_value(settings.nan_to, settings.from_, str(path)),
        advice=f"--from says what the input is, so give --from {OTHER[settings.from_]}",
    )
    require_signal(source.meta)
    noise = Noise(settings.noise, settings.seed)
    return cycle_volume(
        source, settings.from_, model, settings.batch, noise=noise, name=name, force=settings.force
    )


def _gathered(settings: CycleSettings, model: Model, items: list[Evaluation]) -> Cycle:
    return Cycle(
        **summarise(items),
        path=(settings.from_, OTHER[settings.from_], settings.from_),
        model=model.info(settings.from_),
        noise=settings.noise,
        settings=plain(settings),
    )


def cycle_volume(
    source: Volume,
    modality: Modality,
    model: Model,
    batch: int | None = None,
    *,
    noise: Noise | None = None,
    name: str = "",
    force: bool = False,
) -> tuple[Evaluation, Pictures]:
    """Translate one volume there and back, and score it by the profile `image`; give the scored arrays, too.

    The reference is the source on the scale of the model's own output: CT inside its window, MR by its
    percentile, since the model can say nothing else. The mask is the source's head alone, so that no
    image between can change which voxels count. The baselines treat the image between as the source
    of an evaluation does; `untranslated` is the source through the model's frame and back, the score of
    networks that copy their input. The gate judges the source, and the record has its verdict.

    Args:
        source: in physical units.
        modality: of the source.
        batch: slices per pass (default: by their size and the free memory).
        noise: on the image between.
        name: of the item, without patient identity.
        force: go on where the input gate refuses the source.

    Raises:
        InputRefused: the gate refuses the source, and `force` is not set; or no head is found on the way.
    """
    translated, outward = translate_volume(source, model, OTHER[modality], batch)
    outward = pass_gate(outward, str(source.meta.path or "image"), force=force)
    ends = (0.0, 255.0) if source.is_picture else outward.model.output_range
    between = _as_kept(translated, ends, noise or Noise())
    recovered, record = translate_volume(between, model, modality, batch)
    record = replace(record, gate=outward.gate)
    original = to_axial(as_spoken(source, modality, model))
    spoken = (0.0, 255.0) if source.is_picture else record.model.output_range
    head = PROFILES["image"].mask([original.values], [spoken])
    volumes = {
        "prediction": recovered,
        # The scores bring a volume to the model's scale themselves.
        "reference": original if source.is_picture else source,
        "source": between,
        "mask": Volume(head.astype(np.float32), original.affine),
        "mean_image": mean_image(between, model, modality),
    }
    result, pictures = compare(align(volumes), ScoringRules(), translation=record, name=name)
    untouched = to_axial(framed_alone(source, modality, model)).values
    baselines = {
        "untranslated": score(untouched, pictures.reference, pictures.mask, pictures.data_range)[0],
        **{NAMES[key]: scores for key, scores in result.baselines.items()},
    }
    rule = "head: the source above 3 % of its range, holes filled, largest component"
    return replace(
        result,
        baselines=baselines,
        mask=Mask(rule=rule, share=float(head.mean())),
        warnings=[*(text for text in outward.warnings if text not in source.meta.warnings), *result.warnings],
    ), pictures


def _as_kept(volume: Volume, ends: Range, noise: Noise) -> Volume:
    """Add noise to a translation, and round it as a file would (pictures: to whole grey levels)."""
    values = volume.values
    if noise.share:
        drawn = np.random.default_rng(noise.seed).standard_normal(values.shape, dtype=np.float32)
        values = (values + np.float32(noise.share * (ends[1] - ends[0])) * drawn).clip(*ends)
    if volume.is_picture:
        values = values.round()
    where = f"{volume.meta.path or 'image'} (translated to {volume.meta.modality})"
    return volume.with_values(values, path=Path(where))
