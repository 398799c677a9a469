"""The test of generation: CT to MR to CT, or MR to CT to MR, against where it began."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from monai.data import MetaTensor

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import CycleSettings, Modality, nan_value, plain, write_yaml
from medtranslate.device import choose_device
from medtranslate.evaluation.averages import (
    gathered_warnings,
    mean_baselines,
    mean_scores,
    mean_tissues,
    telling,
)
from medtranslate.evaluation.baselines import mean_image
from medtranslate.evaluation.pair import align, compare
from medtranslate.evaluation.pairing import members_of
from medtranslate.io import read_volume
from medtranslate.io.dicom_values import require_signal
from medtranslate.metrics import PROFILES, Range, score
from medtranslate.modality import OTHER
from medtranslate.records import Cycle, Evaluation, Mask
from medtranslate.report import VIEWS, Pictures, draw_differences, write_case
from medtranslate.runtime import check_free, progress, require_apart, whole_output
from medtranslate.transforms import to_axial
from medtranslate.transforms.monai_adapters import from_metatensor, to_metatensor
from medtranslate.translation import as_spoken, framed_alone, pass_gate, stem_of, translate_volume

NAMES = {
    "source copied": "intermediate copied",
    "histogram match": "intermediate matched",
    "mean image": "mean image",
}
"""What the baselines of a pair are called where the source is itself a translation."""


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

    def one(name: str) -> tuple[Evaluation, Pictures]:
        read = read_volume(
            paths[name],
            series=settings.series,
            select=settings.select,
            volume=settings.volume,
            modality=settings.from_,
            nan_to=nan_value(settings.nan_to, settings.from_, str(paths[name])),
            advice=f"--from says what the input is, so give --from {OTHER[settings.from_]}",
        )
        require_signal(read.meta)
        source = to_metatensor(read)
        return cycle_volume(
            source,
            settings.from_,
            model,
            settings.batch,
            noise=settings.noise,
            seed=settings.seed,
            name=name,
            force=settings.force,
        )

    def gathered(items: list[Evaluation]) -> Cycle:
        return Cycle(
            path=(settings.from_, OTHER[settings.from_], settings.from_),
            model=model.info(settings.from_),
            noise=settings.noise,
            items=items,
            mean=mean_scores(item.volume for item in items),
            baselines=mean_baselines(items),
            tissues=mean_tissues(items),
            settings=plain(settings),
            warnings=gathered_warnings(items),
        )

    items = []
    title = f"{settings.from_} to {OTHER[settings.from_]} and back"
    with (
        whole_output(settings.out, overwrite=settings.overwrite, folder=True) as folder,
        progress(len(paths), "image", title, quiet=quiet) as bar,
    ):
        (folder / "differences").mkdir()
        for name in paths:
            result, drawn = one(name)
            draw_differences(drawn, folder / "differences", name)
            if len(paths) > 1:
                write_case(gathered([result]), drawn, folder)
            items.append(result)
            bar.update()
        found = gathered(items)
        pictures = {name: drawn} if len(items) == 1 else {name: one(name)[1] for name in telling(items)}
        for write in VIEWS.values():
            write(found, pictures, folder)
        write_yaml(settings, folder / "settings.yaml")
    return found


def cycle_volume(
    source: MetaTensor,
    modality: Modality,
    model: Model,
    batch: int | None = None,
    *,
    noise: float = 0.0,
    seed: int = 0,
    name: str = "",
    force: bool = False,
) -> tuple[Evaluation, Pictures]:
    """One volume there and back, scored by the profile `image`, and the arrays as they were scored.

    The reference is the source on the scale of the model's own output: CT inside its window, MR by its
    percentile, since the model can say nothing else. The mask is the source's head alone, so that no
    image between can change which voxels count. The baselines treat the image between as the source
    of an evaluation does; `untranslated` is the source through the model's frame and back, which is
    what two networks would score that copy their input. The input gate judges the source; the image between
    is the model's own, and its record has the gate's verdict on the source.

    Args:
        source: [1, X, Y, Z] in physical units.
        modality: of the source.
        batch: slices per pass (default: by their size and the free memory).
        noise: standard deviation of normal noise on the image between, as a share of its range.
        seed: of the noise.
        name: of the item, without patient identity.
        force: go on where the input gate refuses the source.

    Raises:
        InputRefused: the input gate refuses the source, and `force` is not set; or no head is found in the
            source or in the image between.
    """
    there = OTHER[modality]
    given = from_metatensor(source)
    translated, outward = translate_volume(given, model, there, batch)
    outward = pass_gate(outward, str(given.meta.path or "image"), force=force)
    ends = (0.0, 255.0) if "levels" in source.meta else outward.model.output_range
    between = _as_kept(to_metatensor(translated), ends, noise, seed)
    made, record = translate_volume(from_metatensor(between), model, modality, batch)
    recovered = to_metatensor(made)
    record = replace(record, gate=outward.gate)
    original = to_axial(to_metatensor(as_spoken(given, modality, model)))
    known = source.meta.get("warnings", [])
    spoken = (0.0, 255.0) if "levels" in source.meta else record.model.output_range
    profile = PROFILES["image"]
    head = profile.mask([original.numpy()[0]], [spoken])
    result, pictures = compare(
        align(
            prediction=recovered,
            # The scores bring a volume to the model's scale themselves.
            reference=original if "levels" in source.meta else source,
            source=between,
            mask=MetaTensor(torch.from_numpy(head[None].astype(np.float32)), affine=original.affine),
            mean_image=mean_image(between, model, modality),
        ),
        "image",
        None,
        record,
        name,
        on_scale=True,
    )
    untouched = to_axial(to_metatensor(framed_alone(given, modality, model))).numpy()[0]
    baselines = {
        "untranslated": score(untouched, pictures.reference, pictures.mask, pictures.data_range)[0],
        **{NAMES[key]: scores for key, scores in result.baselines.items()},
    }
    rule = "head: the source above 3 % of its range, holes filled, largest component"
    return replace(
        result,
        baselines=baselines,
        mask=Mask(rule=rule, share=float(head.mean())),
        warnings=[*(text for text in outward.warnings if text not in known), *result.warnings],
    ), pictures


def _as_kept(volume: MetaTensor, ends: Range, noise: float, seed: int) -> MetaTensor:
    """A translation as a file would hold it (pictures: whole grey levels), with noise on it."""
    values = volume.as_tensor()
    if noise:
        drawn = np.random.default_rng(seed).standard_normal(tuple(values.shape), dtype=np.float32)
        values = (values + noise * (ends[1] - ends[0]) * torch.from_numpy(drawn)).clamp(*ends)
    if "levels" in volume.meta:
        values = values.round()
    where = f"{volume.meta.get('path', 'image')} (translated to {volume.meta['modality']})"
    return MetaTensor(values, meta={**volume.meta, "path": where})
