"""Scores a model on phantom heads of seeds never trained on, beside its baselines.

    python -m benchmarks.quality.phantom_heads --model phantom --heads 20

Each head is a cube of 256 mm. CT truth and translation are compared in HU inside the model's window. MR
truth is brought to the model's range by its own 99.5th percentile, one number per volume; the
translation is compared as it is. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medtranslate.checkpoint import Model, load_model
from medtranslate.evaluation import ScoringRules, score_pair
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import Volume
from medtranslate.phantom import HELD_OUT, TISSUES, Study, study
from medtranslate.records import Evaluation
from medtranslate.transforms import denormalise, normalise
from medtranslate.translation import translate_volume

Values = NDArray[np.float32]

BONE_HU = 80.0
"""Above this a windowed CT shows bone."""


DEEP_MM = 25.0
"""From bone; CSF as far from it fills ventricles and wide cisterns."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--first", type=int, default=HELD_OUT, help="seed of the first head")
    parser.add_argument("--heads", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--contrast", default="t1")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    rows = []
    for seed in range(options.first, options.first + options.heads):
        head = study(seed, size=options.size, spacing=256 / options.size, contrast=options.contrast)
        ct, row = to_ct(head, model)
        mr, more = to_mr(head, model)
        rows.append({"seed": seed, **row, **more})
        print(json.dumps(rows[-1]), flush=True)
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            picture(head, ct, mr, model, options.pictures / f"{seed}.png")
    keys = [key for key in rows[0] if key != "seed"]
    print(json.dumps({key: round(float(np.mean([row[key] for row in rows])), 3) for key in keys}))


def to_ct(head: Study, model: Model) -> tuple[Volume, dict[str, float]]:
    """Translate the MR, and score the CT."""
    made, _ = translate_volume(head.mr, model, "ct")
    blank = mean_image(head.mr, model, "ct")
    window = model.description.scale.ct_window
    result = score_pair(made, head.ct, ScoringRules(data_range=window), source=head.mr, mean_image=blank)
    labels = head.labels.values
    names = [tissue.name for tissue in TISSUES]

    def mean_hu(*wanted: str) -> float:
        return float(made.values[np.isin(labels, [names.index(name) for name in wanted])].mean())

    spacing = head.labels.spacing[0]
    from_bone = ndimage.distance_transform_edt(labels != names.index("cortical bone"), sampling=spacing)
    csf = ndimage.binary_erosion(labels == names.index("csf"), np.ones((3, 3, 3)))
    bone, predicted = head.ct.values > BONE_HU, made.values > BONE_HU
    facts = {
        "ct_bone_dice": 2 * float((bone & predicted).sum()) / float(bone.sum() + predicted.sum()),
        "ct_hu_csf": mean_hu("csf"),
        "ct_hu_deep_csf": float(made.values[csf & (from_bone > DEEP_MM)].mean()),
        "ct_hu_white": mean_hu("white matter"),
        "ct_hu_bone": mean_hu("cortical bone"),
    }
    return made, scores("ct", result) | facts


def to_mr(head: Study, model: Model) -> tuple[Volume, dict[str, float]]:
    """Translate the CT, and score the MR."""
    made, _ = translate_volume(head.ct, model, "mr")
    blank = mean_image(head.ct, model, "mr")
    scale = model.description.scale
    truth = head.mr.with_values(as_made(head.mr, model))
    source = head.ct.with_values(normalise(head.ct.values, "ct", scale))
    return made, scores(
        "mr",
        score_pair(made, truth, ScoringRules(data_range=scale.mr_range), source=source, mean_image=blank),
    )


def as_made(mr: Volume, model: Model) -> Values:
    """Bring the values of an MR to the scale of the model's own output."""
    scale = model.description.scale
    return denormalise(normalise(mr.values, "mr", scale), "mr", scale)


def scores(name: str, result: Evaluation) -> dict[str, float]:
    """Collect masked scores, those of the baselines, and the MAE as a share of the best baseline's."""
    found = {f"{name}_{key}": result.volume[key] for key in ("mae", "psnr", "ssim")}
    others = {f"{name}_mae_{key.replace(' ', '_')}": value["mae"] for key, value in result.baselines.items()}
    best = min(value for value in others.values() if value is not None)
    ratio = found[f"{name}_mae"] / best
    return {key: round(float(value), 4) for key, value in (found | others | {f"{name}_ratio": ratio}).items()}


def picture(head: Study, ct: Volume, mr: Volume, model: Model, path: Path) -> None:
    """Draw source, translation, truth and error in five axial slices, for both directions."""
    scale = model.description.scale

    def row(values: Values, lower: float, upper: float) -> NDArray[np.uint8]:
        depth = values.shape[2]
        planes = [values[:, :, int(depth * share)].T[::-1, ::-1] for share in (0.35, 0.45, 0.55, 0.65, 0.75)]
        grey = (np.concatenate(planes, axis=1) - lower) / (upper - lower) * 255
        made: NDArray[np.uint8] = grey.clip(0, 255).astype(np.uint8)
        return made

    truth = as_made(head.mr, model)
    window = scale.ct_window
    rows = [
        row(truth, *scale.mr_range),
        row(ct.values, *window),
        row(head.ct.values, *window),
        row(np.abs(ct.values - head.ct.values.clip(*window)), 0, 60),
        row(mr.values, *scale.mr_range),
        row(np.abs(mr.values - truth), 0, 500),
    ]
    Image.fromarray(np.concatenate(rows)).save(path)


if __name__ == "__main__":
    main()
