"""Scores models on all pairs of CT and MR pictures at hand, in both directions, beside their rungs.

    python -m benchmarks.quality.scoreboard --model brain-2d --model RUN/model --data DATA --cases choosing

DATA is the folder of `pair_sets`. `choosing` cases choose settings; `reporting` cases are looked at last.
--like patient asks for MR as bright as another picture of the patient, --like site as one of another patient.
Each case's CT has its own window (`pair_sets.WINDOWS`), in which translations are compared.
--every 4 measures every fourth picture. --sheet draws pictures of each case; most pairs may not be shown.
--heads measures whole heads (`head_volumes`). --labels FILE ... measures heads from label maps in T1, T2,
FLAIR and PD; the models should not have seen them. --uneven paints fat and marrow as in adults. With
--slice-mm 1 they are thin, and a model that knows three planes translates them from three sides, unless
--planes 1 is given.

Each set and direction with a truth has a table of models and rungs:

mean of bent      with --bent N, the mean CT of N copies of an MR that are shown otherwise: what a model could
                  learn from its own answers
blurred N         the translation, blurred by a Gaussian of N pixels: a change that lowers MAE and bone
                  together has only blurred
mean              the model's mean training image
mean of contrast  the mean of the other cases' MR of the truth's contrast, where there are any
copied            the source
shifted           the truth, shifted by 2 pixels
moved             the truth, moved in its plane to where the source lies, by the bone of the first model's CT:
                  no translation of this source can do better, but for the tilt of planes

Columns are means over pictures. The CSV has intervals (95 % of a bootstrap over cases), and a row for a case:

MAE, SSIM         masked, profile `image`, of 255 over the pair's window
matched           MAE with the truth's histogram, which parts anatomy from contrast
bone              Dice of 235 and more, from 55 to 105 HU on by the case's window
aligned           MAE and bone after the shift and scale that fit bone best; MR is moved as its CT has to be
fluid, truth      fluid less brain, in grey values; the areas are those of the true CT
fluid Dice        overlap of dark parts inside the skull
shared fluid      made less true fluid where both are fluid: how wrong it is, wherever it lies
gradient          correlation of gradients
held              share of errors within the error limit, of a model that estimates and calibrates one
SWD               sliced Wasserstein distance of 7 x 7 patches, in thousandths of [-1, 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.quality import head_volumes
from benchmarks.quality.contact_sheet import Strip, planes_of, strip_of, write_sheet
from benchmarks.quality.head_volumes import TO_CT, TO_MR, Head, as_grey, heads, spoken, to_ct, to_mr_and_back
from benchmarks.quality.label_heads import SLICE_MM, label_heads
from benchmarks.quality.pair_measures import interval
from benchmarks.quality.pair_sets import PAIR_SETS, Whose
from benchmarks.quality.rungs import Rung, climb, projections
from benchmarks.quality.tables import Row, table, write
from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality
from medtranslate.config.types import Contrast, Ends, ends_of
from medtranslate.metrics import Values

COLUMNS = (
    "mae",
    "mae aligned",
    "mae matched",
    "ssim",
    "bone",
    "bone aligned",
    "fluid",
    "true fluid",
    "fluid dice",
    "shared fluid",
    "gradient",
    "swd",
    "held",
)
CONTRASTS: tuple[Contrast, ...] = ("t1", "t2", "flair", "pd")
"""Of the MR that is made of a CT without a true MR."""

TARGETS: tuple[Modality, Modality] = ("ct", "mr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", choices=("choosing", "reporting"), help="of the pairs of pictures")
    parser.add_argument("--heads", action="store_true", help="whole heads, in HU where there is a truth")
    parser.add_argument("--labels", type=Path, nargs="*", default=[], help="label maps that no model saw")
    parser.add_argument(
        "--like", choices=("patient", "site"), help="meet the contrast of another picture: whose"
    )
    parser.add_argument(
        "--window", type=float, nargs=2, help="level and width of all pairs' CT, in place of each case's own"
    )
    parser.add_argument("--bent", type=int, default=0, help="copies of an MR that are shown otherwise")
    parser.add_argument(
        "--slice-mm", type=float, default=SLICE_MM, help="of the heads painted from label maps"
    )
    parser.add_argument(
        "--uneven", action="store_true", help="with --labels: fat and marrow as in adults (`label_heads`)"
    )
    parser.add_argument("--planes", type=int, choices=(1, 3), help="1: axial slices alone")
    parser.add_argument("--every", type=int, default=1, help="measure every n-th picture or slice")
    parser.add_argument("--csv", type=Path, help="write the rows, with intervals")
    parser.add_argument("--sheet", type=Path, help="PNG of source, translations and truth")
    options = parser.parse_args()
    if not (options.cases or options.heads or options.labels):
        parser.error("give --cases choosing, --cases reporting, --heads, --labels FILE, or several")
    models = {name: load_model(name, torch.device("cpu")) for name in options.model}
    board = Board({name: model.axial() if options.planes == 1 else model for name, model in models.items()})
    if options.cases:
        window = ends_of(options.window) if options.window else None
        of_pictures(board, options.data, options.cases, options.every, options.like, options.bent, window)
    if options.heads:
        of_heads(board, heads(options.data), options.every)
    if options.labels:
        slice_mm, uneven = options.slice_mm, options.uneven
        painted = (label_heads(path, slice_mm=slice_mm, uneven=uneven) for path in options.labels)
        of_heads(board, chain.from_iterable(painted), options.every)
    if options.csv:
        write(options.csv, board.rows)
    if options.sheet:
        write_sheet(board.strips, options.sheet)


@dataclass
class Board:
    """What was measured of some models: rows of the CSV, and strips of the sheet."""

    models: dict[str, Model]
    rows: list[Row] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)

    def add(
        self, name: str, to: Modality, truth: list[Values], rungs: dict[str, Rung], labels: list[str]
    ) -> None:
        """Print the table of a set and direction, and keep its rows and pictures."""
        patches = projections(truth)
        found = {name: rung.summary(patches) for name, rung in rungs.items()}
        print(f"\n**{name}, to {to.upper()}** ({len(truth)} slices)\n")
        print("\n".join(table(found, COLUMNS)), flush=True)
        for rung, means in found.items():
            self.rows += [{"set": name, "to": to, "row": rung, **row} for row in rows_of(rungs[rung], means)]
        shown = {"source": rungs["copied"].slices, **{name: rungs[name].slices for name in self.models}}
        self.strips.append(strip_of(f"{name}, to {to.upper()}", labels, shown | {"truth": truth}))

    def add_heads(self, name: str, found: dict[str, dict[str, float]], columns: Sequence[str]) -> None:
        """Print a table of heads, and keep its rows."""
        print(f"\n**{name}**\n")
        print("\n".join(table(found, columns)), flush=True)
        self.rows += [{"set": name, "row": row, **values} for row, values in found.items()]


def of_pictures(
    board: Board,
    data: Path,
    use: str,
    every: int,
    like: Whose | None = None,
    bent: int = 0,
    window: Ends | None = None,
) -> None:
    """Measure the pairs of pictures."""
    for pairs in PAIR_SETS:
        names = pairs.names(data, use, every)
        if not names:
            print(f"\n**{pairs.name}**: no pictures in {data / pairs.folder}")
            continue
        for to in TARGETS:
            truth, rungs = climb(pairs, data, names, to, board.models, like, bent, window)
            board.add(f"{pairs.name}, {use}", to, truth, rungs, [name[:2] for name in names])


def of_heads(board: Board, found: Iterable[Head], every: int) -> None:
    """Measure whole heads."""
    made, back = dict[str, dict[str, float]](), dict[str, dict[str, float]]()
    first, shown = next(iter(board.models.values())), list[tuple[str, list[NDArray[np.uint8]]]]()
    for head in found:
        if head.mr and head.ct:
            for to in TARGETS:
                truth, rungs = head_volumes.climb(head, to, board.models, every)
                board.add(head.name, to, truth, rungs, [head.name] * len(truth))
        side: Modality = "mr" if head.mr else "ct"
        source = head.of(side)
        drawn = [as_grey(spoken(head, side, first), side, first)]
        for name, model in board.models.items():
            if head.mr:
                made[f"{head.name}, {name}"], image = to_ct(head, model)
                drawn.append(image)
                continue
            for kind in CONTRASTS if model.description.network.told else (None,):
                label = f"{head.name}, {name}" + (f" in {kind}" if kind else "")
                back[label], image = to_mr_and_back(head, model, kind)
                drawn.append(image)
        shown.append((head.name, [planes_of(image, source.spacing) for image in drawn]))
    board.strips.append(Strip(f"Heads: source, {', '.join(board.models)}", shown))
    for title, rows, columns in (("MR to CT", made, TO_CT), ("CT to MR and back", back, TO_MR)):
        if rows:
            board.add_heads(f"Heads, {title}", rows, columns)


def rows_of(rung: Rung, means: Mapping[str, float]) -> Iterator[Row]:
    """Yield the means with their intervals, then the means of each case."""
    ends: Row = {}
    for name, values in rung.measures.items():
        _, ends[f"{name} low"], ends[f"{name} high"] = interval(values)
    yield {"case": "all", **means, **ends}
    for case in rung.cases:
        yield {"case": case, **rung.means(case)}


if __name__ == "__main__":
    main()
