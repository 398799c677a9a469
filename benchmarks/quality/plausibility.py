"""Takes the measures without a truth: of right digital heads, of the same with faults, and of pictures.

    python -m benchmarks.quality.plausibility heads --model brain-2d --first 905000 --heads 10
    python -m benchmarks.quality.plausibility images --model brain-2d FILE_OR_FOLDER ...

Of a digital head the true CT is looked at, the same with the polarity of its brain turned, and the
translation.
Images are MR; a folder of pictures counts each of them. Each line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medtranslate.checkpoint import Model, load_model
from medtranslate.io import Volume, detect_format, list_pictures, read_volume
from medtranslate.io.layout import to_axial, to_slices
from medtranslate.phantom import study
from medtranslate.records import Plausibility, Translation
from medtranslate.transforms import normalise
from medtranslate.translation import translate_volume
from medtranslate.translation.air import clear, examine, find_outline
from medtranslate.translation.framed import frame

Values = NDArray[np.float32]

BRAIN = 0.435
"""Brain in [0, 1] of the brain window, about which the polarity is turned: 32 HU."""
NEAR = 0.3
"""What lies as near to it is brain or fluid."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    jobs = parser.add_subparsers(dest="job", required=True)
    heads, images = jobs.add_parser("heads"), jobs.add_parser("images")
    heads.add_argument("--first", type=int, default=905000, help="seed of the first head")
    heads.add_argument("--heads", type=int, default=10)
    heads.add_argument("--contrasts", nargs="+", default=["t1", "t2", "flair"])
    heads.add_argument("--size", type=int, default=128)
    images.add_argument("paths", nargs="+", type=Path)
    for job in (heads, images):
        job.add_argument("--model", default="brain-2d")
    options = parser.parse_args()
    model = load_model(options.model, torch.device("cpu"))
    for row in of_heads(options, model) if options.job == "heads" else of_images(options.paths, model):
        print(json.dumps({key: _short(value) for key, value in row.items()}), flush=True)


def of_heads(options: argparse.Namespace, model: Model) -> Iterator[dict[str, Any]]:
    """Yield a row for each head, contrast, and kind of CT."""
    for seed in range(options.first, options.first + options.heads):
        for contrast in options.contrasts:
            head = study(seed, size=options.size, spacing=256 / options.size, contrast=contrast)
            truth = to_slices(normalise(to_axial(head.ct).values, "ct", model.description.scale))
            made = {"truth": truth, "turned": turned(truth)}
            found = {name: looked_at(head.mr, ct, model) for name, ct in made.items()}
            record = translate_volume(head.mr, model, "ct")[1]
            found |= {"translation": record.plausibility or Plausibility()}
            yield from ({"seed": seed, "contrast": contrast, "kind": k, **known(v)} for k, v in found.items())


def of_images(paths: list[Path], model: Model) -> Iterator[dict[str, Any]]:
    """Yield a row for each MR."""
    for path in paths:
        pictures = path.is_dir() and detect_format(path) == "png"
        for image in list_pictures(path) if pictures else [path]:
            record = translate_volume(read_volume(image, modality="mr"), model, "ct")[1]
            yield {"image": image.name, **row_of(record)}


def _short(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


def row_of(record: Translation) -> dict[str, Any]:
    gate = record.gate.verdict if record.gate else "none"
    return {"gate": gate, **known(record.plausibility or Plausibility())}


def known(found: Plausibility) -> dict[str, Any]:
    """Keep the measures that were taken."""
    return {name: value for name, value in asdict(found).items() if value is not None}


def turned(ct: Values) -> Values:
    """Turn the polarity of a CT in [-1, 1]: fluid is bright and brain stays, as a wrong contrast gives."""
    share = (ct + 1) / 2
    made: Values = np.where(np.abs(share - BRAIN) < NEAR, 2 * BRAIN - share, share) * 2 - 1
    return made


def looked_at(mr: Volume, made: Values, model: Model) -> Plausibility:
    """Examine slices [Z, Y, X] in [-1, 1] as the translation of an MR."""
    seen, made = frame(mr, "mr", model), made.copy()
    found = find_outline(seen)
    return examine(seen, made, found, "ct", model.description.scale, clear(made, found))


if __name__ == "__main__":
    main()
