"""Measures whether lesions survive MR to CT, whether some are invented, and the uncertainty in lost ones.

    python -m benchmarks.quality.lesions --model head-ct --model brain-2d --labels MAP.nii.gz --digital

The same slices are translated without a lesion and with one of each kind, from T1, T2, FLAIR and PD. MAP is a
label map that no model was trained on (`medtranslate.phantom.read_label_map`); --digital adds heads of seeds
that are never trained on. --count slices of each are given lesions, and four times as many are translated
without one; --iron 1 makes the deep nuclei dark in T2, as bleedings are. The uncertainty is measured where a
lesion is lost: error limits of models that estimate them, else the spread of samples; of all models with
--spread. --samples 0 leaves it out. --sheet draws the first slice of each kind.

A row is a kind and contrast, its columns are of the clear lesions (6 HU from the brain around them and 25 mm2
at least), in HU of the brain window:

clear          lesions that are measured
true, made HU  lesion less the brain around it, 2 to 10 mm away
right sign     share that is brighter or darker than brain as in the truth
kept           share that has at least half of the true contrast, and its sign
seen           share that the MR shows: 15 % brighter or darker than the brain around it
kept of seen   share of these that is kept
as bone        share of pixels at 91 HU or more, without an edge of 2 mm
doubt          uncertainty in lesions that are not kept, in medians of the brain's; the median lesion
doubled        share of these in which it is at least twice the brain's median
elsewhere      share of spots of the same shapes, elsewhere in the brain, where it is so too
rank           share of pairs of a lost lesion and such a spot in which the lesion is more uncertain
raw            the same without the model's calibration

Rows "no lesion" have the slices, and the share of them with a blob in the brain that the truth has not: 10 HU
and 50 mm2 at least, 3 mm from fluid and bone.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.quality.label_heads import MADE
from benchmarks.quality.lesion_measures import (
    Found,
    Site,
    doubt_in,
    found_in,
    invented_blobs,
    is_clear,
    site_of,
    spots_in,
    summary,
)
from benchmarks.quality.lesion_slices import (
    KINDS,
    Slice,
    cut_slices,
    digital_slices,
    draw_cover,
    with_lesion,
)
from benchmarks.quality.pair_sets import WINDOW
from benchmarks.quality.tables import Row, table, write
from medtranslate.calibrate import uncalibrated
from medtranslate.checkpoint import Model, load_model
from medtranslate.config.types import Contrast
from medtranslate.io import Volume
from medtranslate.metrics import Values
from medtranslate.phantom import read_label_map
from medtranslate.translation.framed import frame
from medtranslate.translation.volume import Translated, translate_framed

COLUMNS = (
    *("clear", "true HU", "made HU", "right sign", "kept", "seen", "kept of seen", "as bone"),
    *("doubt", "doubled", "elsewhere", "rank"),
    *("raw doubt", "raw doubled", "raw elsewhere", "raw rank", "slices", "invented"),
)
PLAIN = 4
"""Slices without lesions for each slice with them."""

BRAIN = 0.9
"""Least share of a pixel that is brain alone."""

TRIES = 5
"""Places that are tried for a lesion until it is clear."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--labels", type=Path, nargs="*", default=[], help="label maps that no model saw")
    parser.add_argument("--digital", action="store_true", help="digital heads of held-out seeds")
    parser.add_argument("--count", type=int, default=6, help="slices that are given lesions")
    parser.add_argument("--samples", type=int, default=8, help="of the posterior, where a lesion is lost")
    parser.add_argument("--spread", action="store_true", help="take samples though a model estimates limits")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--iron", type=float, default=0.0, help="in the deep nuclei, from 0 to 1 (old age)")
    parser.add_argument("--csv", type=Path, help="write the rows")
    parser.add_argument("--sheet", type=Path, help="PNG of the first slice with each kind, for each source")
    options = parser.parse_args()
    if not (options.labels or options.digital):
        parser.error("give --labels FILE, --digital, or both")
    models = {name: load_model(name, torch.device("cpu")) for name in options.model}
    rows: list[Row] = []
    for name, slices in sources(options).items():
        board = Board(models, options.samples, spread=options.spread)
        for number, plain in enumerate(slices):
            board.measure(plain, lesions=number < options.count)
        rows += board.report(name)
        if options.sheet:
            board.draw(options.sheet.with_stem(f"{options.sheet.stem}-{name}"))
    if options.csv:
        write(options.csv, rows)


def sources(options: argparse.Namespace) -> dict[str, Iterator[Slice]]:
    """Yield the slices of each label map, and of digital heads."""
    count = (1 + PLAIN) * options.count
    found = {
        path.name.partition(".nii")[0]: cut_slices(read_label_map(path), count, options.seed, options.iron)
        for path in options.labels
    }
    return found | ({"digital": digital_slices(count, options.seed, options.iron)} if options.digital else {})


Doubt = tuple[float, tuple[float, ...]]
"""Uncertainty in a lesion, and in spots elsewhere, in medians of the brain's."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A slice with one clear lesion."""

    kind: str
    slice: Slice
    site: Site


@dataclass
class Board:
    """Measures of lesions, by model, kind and contrast, and of slices without one, by model and contrast."""

    models: dict[str, Model]
    samples: int
    spread: bool = False
    found: dict[tuple[str, str, Contrast], list[Found]] = field(default_factory=lambda: defaultdict(list))
    blobs: dict[tuple[str, Contrast], list[bool]] = field(default_factory=lambda: defaultdict(list))
    drawn: dict[str, list[Values]] = field(default_factory=lambda: defaultdict(list))

    def measure(self, plain: Slice, *, lesions: bool) -> None:
        """Translate a slice without a lesion, and perhaps with one of each kind."""
        scenes = [scene for kind in KINDS if (scene := scene_of(plain, kind))] if lesions else []
        first = lesions and not self.drawn
        for scene in scenes if first else ():
            self.drawn[scene.kind].append(scene.slice.truth)
        for contrast in MADE:
            without = plain.mr(contrast)
            sources = [scene.slice.mr(contrast) for scene in scenes]
            for scene, source in zip(scenes if first else (), sources, strict=False):
                self.drawn[scene.kind].append(grey_of(source))
            for name, model in self.models.items():
                bare, *made = (plane(one.volume) for one in translated([without, *sources], model))
                blobs = invented_blobs(bare, plain.truth, plain.brain_share > BRAIN, plain.pixel)
                self.blobs[name, contrast].append(bool(blobs))
                found = self.measured(scenes, sources, made, model)
                for scene, ct, one in zip(scenes, made, found, strict=True):
                    self.found[name, scene.kind, contrast].append(one)
                    if first:
                        self.drawn[scene.kind].append(ct)

    def measured(
        self, scenes: Sequence[Scene], sources: Sequence[Volume], made: Sequence[Values], model: Model
    ) -> list[Found]:
        """Measure the lesions in translations, and the uncertainty in those that are lost."""
        found = [
            found_in(ct, scene.slice.truth, plane(source), scene.site, scene.slice.pixel)
            for ct, source, scene in zip(made, sources, scenes, strict=True)
        ]
        lost = [index for index, one in enumerate(found) if not one.kept] if self.samples else []
        doubts = [self.doubts(sources[index], scenes[index], model) for index in lost]
        for index, (own, raw) in zip(lost, doubts, strict=True):
            found[index] = replace(found[index], doubt=own[0], spots=own[1])
            if raw:
                found[index] = replace(found[index], raw_doubt=raw[0], raw_spots=raw[1])
        return found

    def doubts(self, source: Volume, scene: Scene, model: Model) -> tuple[Doubt, Doubt | None]:
        """Measure the uncertainty in a lesion and in spots elsewhere in the brain.

        The second measure is without calibration, if the model is calibrated.
        """
        samples = 0 if model.description.network.limits and not self.spread else self.samples
        known = [model, uncalibrated(model)] if "ct" in model.description.curves(samples) else [model]
        brain, found = scene.slice.brain_share > BRAIN, []
        for one in known:
            [made] = translated([source], one, samples, limits=not samples)
            assert made.uncertainty is not None
            values = plane(made.uncertainty)
            found.append((doubt_in(values, scene.site, brain), spots_in(values, scene.site, brain)))
        return found[0], found[1] if len(found) > 1 else None

    def report(self, source: str) -> list[Row]:
        """Print a table for each model, and return its rows."""
        rows: list[Row] = []
        for name in self.models:
            cells: dict[tuple[str, Contrast], dict[str, float]] = {
                (kind, contrast): summary(self.found[name, kind, contrast])
                for kind, contrast in product(KINDS, MADE)
            }
            for contrast in MADE:
                cells["all kinds", contrast] = summary(
                    one for kind in KINDS for one in self.found[name, kind, contrast]
                )
            for contrast in MADE:
                blobs = self.blobs[name, contrast]
                cells["no lesion", contrast] = {
                    "slices": float(len(blobs)),
                    "invented": 100 * float(np.mean(blobs)),
                }
            print(f"\n**{name}, {source}**\n")
            print("\n".join(table({", ".join(key): cells[key] for key in cells}, COLUMNS)), flush=True)
            rows += [
                {"set": source, "model": name, "kind": kind, "contrast": contrast, **values}
                for (kind, contrast), values in cells.items()
            ]
        return rows

    def draw(self, path: Path) -> None:
        """Draw a line for each kind: the true CT, and for each contrast the MR and the models' CT."""
        low, high = WINDOW
        lines = [np.concatenate(images, axis=0) for images in self.drawn.values()]
        grey = ((np.concatenate(lines, axis=1).T - low) / (high - low) * 255).clip(0, 255)
        Image.fromarray(grey.astype(np.uint8)).save(path)


def scene_of(plain: Slice, kind: str) -> Scene | None:
    """Put a clear lesion into a slice; None if none is found."""
    rng = np.random.default_rng([plain.seed, *kind.encode()])
    for _ in range(TRIES):
        cover = draw_cover(KINDS[kind], plain, rng)
        changed = with_lesion(plain, KINDS[kind].tissue, cover)
        lesion = cover * plain.brain_share > 0.5
        site = site_of(lesion, plain.brain_share > BRAIN, plain.pixel)
        if site and is_clear(site, changed.truth):
            return Scene(kind, changed, site)
    return None


def translated(
    sources: Sequence[Volume], model: Model, samples: int = 0, *, limits: bool = False
) -> list[Translated]:
    """Translate MR slices to CT, as `translate` does volumes of one slice."""
    if not sources:
        return []
    framed = [frame(source, "mr", model) for source in sources]
    return translate_framed(framed, model, "ct", samples=samples, limits=limits)


def plane(volume: Volume) -> Values:
    return volume.values[:, :, 0]


def grey_of(mr: Volume) -> Values:
    """Bring an MR to the HU of the window, to draw it beside CT."""
    low, high = WINDOW
    shown: Values = low + (high - low) * plane(mr) / np.percentile(mr.values, 99.5)
    return shown


if __name__ == "__main__":
    main()
