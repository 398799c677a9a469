"""Draws inputs that are fit and unfit for a model, with the answer of the gate: docs/images/gallery-gate.png.

    python -m benchmarks.quality.gallery docs/images/gallery-gate.png

All heads are digital, so that nobody can be recognised.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import medtranslate as mt
from medtranslate.io import Volume
from medtranslate.phantom import Study

SEED, SIZE, SPACING = 910_007, 40, 4.8


def main() -> None:
    """Translate every case and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="brain-2d")
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    head = mt.digital_head(SEED, size=SIZE, spacing=SPACING)
    figure = Figure(figsize=(3.2 * len(CASES), 5.2), layout="constrained")
    axes = figure.subplots(2, len(CASES))
    for column, (name, make) in enumerate(CASES.items()):
        source = make(head)
        draw(axes[0, column], source.values, name)
        try:
            made = mt.translate(source, to="ct", model=arguments.model)
        except mt.errors.InputRefused as error:
            axes[1, column].text(0.5, 0.5, "refused", ha="center", va="center", fontsize=12)
            axes[1, column].axis("off")
            print(f"{name}: {error}")
            continue
        assert made.record.gate is not None
        verdict = "made, but doubtful" if made.record.doubts else "made"
        draw(axes[1, column], made.volume.values, verdict)
        print(f"{name}: {made.record.gate.verdict} {made.record.doubts}")
    figure.savefig(arguments.out, dpi=75)


def turned(head: Study) -> Volume:
    """Exchange front and top, with an affine that does not say so."""
    return head.mr.with_values(np.ascontiguousarray(np.swapaxes(head.mr.values, 1, 2)))


def peeled(head: Study) -> Volume:
    """Keep the brain alone, as tools of neuroimaging do."""
    inside = (head.ct.values > 0) & (head.ct.values < 80)
    return head.mr.with_values(np.where(inside, head.mr.values, 0).astype(np.float32))


def noisy(head: Study) -> Volume:
    """Add noise of half the brightest value."""
    noise = np.random.default_rng(0).normal(0, 0.5 * head.mr.values.max(), head.mr.shape)
    return head.mr.with_values(np.abs(head.mr.values + noise).astype(np.float32))


def as_mr(head: Study) -> Volume:
    """Call a CT an MR."""
    return head.mr.with_values(head.ct.values + 1024)


CASES: dict[str, Callable[[Study], Volume]] = {
    "an axial head": lambda head: head.mr,
    "a head lying on its face": turned,
    "a brain without skull": peeled,
    "noise": noisy,
    "a CT that says it is MR": as_mr,
}


def draw(axes: Axes, values: np.ndarray, title: str) -> None:
    """Draw the middle axial slice, nose up."""
    axes.imshow(values[:, ::-1, values.shape[2] // 2].T[:, ::-1], cmap="gray")
    axes.set_title(title, fontsize=12)
    axes.axis("off")


if __name__ == "__main__":
    main()
