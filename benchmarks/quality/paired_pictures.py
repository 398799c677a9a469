"""Scores a model on pairs of CT and MR pictures, beside its baselines and the floor of misalignment.

    python -m benchmarks.quality.paired_pictures --model RUN/model --pairs DIR --cases 32 33 41

DIR holds CT/NAME.png and MRI/NAME.png on one grid; a case is a name's first two characters. Scores are
those of the profile `image` (range 255, inside the head). `matched` is the MAE after the translation was
given the truth's histogram, which parts anatomy from choice of contrast. `floor` is the MAE of the truth
against itself shifted by two pixels. Intervals are 95 % of a bootstrap over cases.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.exposure import match_histograms

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality
from medtranslate.evaluation import score_pair
from medtranslate.evaluation.mean_image import mean_image
from medtranslate.io import read_volume
from medtranslate.metrics import head_mask, mae
from medtranslate.modality import OTHER
from medtranslate.translation import translate_volume

FOLDERS: dict[Modality, str] = {"ct": "CT", "mr": "MRI"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", required=True)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    names = sorted(
        path.name for path in (options.pairs / "CT").glob("*.png") if path.name[:2] in options.cases
    )
    summary: dict[str, object] = {
        "model": model.description.name,
        "pairs": len(names),
        "cases": options.cases,
    }
    rows: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    shown = names[:: max(1, len(names) // 8)][:8]
    targets: tuple[Modality, Modality] = ("ct", "mr")
    for to in targets:
        table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        sheets = []
        for name in names:
            scores, sheet = one(options.pairs, name, to, model)
            for key, value in scores.items():
                table[key][name[:2]].append(value)
            if name in shown:
                sheets.append(sheet)
        summary[f"to {to}"] = {key: interval(cases) for key, cases in table.items()}
        rows += [np.concatenate([sheet[line] for sheet in sheets], axis=1) for line in range(4)]
    if options.picture:
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows).clip(0, 255).astype(np.uint8)).save(options.picture)
    print(json.dumps(summary))


def one(
    pairs: Path, name: str, to: Modality, model: Model
) -> tuple[dict[str, float], list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """Score one picture; return source, translation, truth and error for the eye too."""
    source = read_volume(pairs / FOLDERS[OTHER[to]] / name, modality=OTHER[to])
    truth = read_volume(pairs / FOLDERS[to] / name, modality=to)
    made, _ = translate_volume(source, model, to)
    result = score_pair(made, truth, source=source, mean_image=mean_image(source, model, to))
    arrays = [volume.values for volume in (truth, source, made)]
    mask = head_mask(arrays, [(0.0, 255.0)] * 3)
    matched = arrays[2].copy()
    matched[mask] = match_histograms(arrays[2][mask], arrays[0][mask])
    shifted = np.roll(arrays[0], 2, axis=0)
    scores = {
        f"{score} {name}".strip(): scored.get(score)
        for name, scored in {"": result.volume, **result.baselines}.items()
        for score in ("mae", "psnr", "ssim")
    }
    scores |= {"mae matched": mae(matched, arrays[0], mask), "mae floor": mae(shifted, arrays[0], mask)}
    error = np.abs(made.values - truth.values)
    sheet = [values[:, :, 0].T for values in (source.values, made.values, truth.values, error)]
    return {key: float(value) for key, value in scores.items() if value is not None}, sheet


def interval(cases: dict[str, list[float]]) -> list[float]:
    """Return the mean over pictures, and 95 % of 2,000 bootstraps in which whole cases are drawn."""
    generator = np.random.default_rng(0)
    groups = [np.array(values) for values in cases.values()]
    draws = [
        np.concatenate([groups[index] for index in generator.integers(len(groups), size=len(groups))]).mean()
        for _ in range(2_000)
    ]
    low, high = np.percentile(draws, (2.5, 97.5))
    return [round(float(value), 3) for value in (np.concatenate(groups).mean(), low, high)]


if __name__ == "__main__":
    main()
