"""Key planes of a volume: the pictures that head a page and a PDF, all at one scale of millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from medtranslate.metrics import Voxels
from medtranslate.records import Evaluation
from medtranslate.report.drawing import (
    Cut,
    compare_plane,
    encode_png,
    middle_cuts,
    show_plane,
    size_mm,
    spread_planes,
)
from medtranslate.report.pictures import Pictures, Shown
from medtranslate.report.wording import Words

GAP_MM = 4.0
"""Space between pictures."""
KEY_SHARE = 0.5
"""Least area of the head in the worst slice, as a share of its largest; crown and neck show too little."""
WORST_RULE = f"the worst slice by MAE of those with at least {KEY_SHARE:.0%} of the head’s largest area"


@dataclass(frozen=True)
class KeyPicture:
    """A picture at its place in the figure, in mm from the top left corner."""

    image: Image
    left: float
    top: float
    width: float
    height: float

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return encode_png(self.image)


@dataclass(frozen=True)
class KeyPlane:
    """One plane of all images, as a column of the figure.

    Attributes:
        title: name and place of the plane, or name of the image if there is one row.
        left: side of the patient at the left edge; empty for pictures, which have no place.
        pictures: one for each image.
    """

    cut: Cut
    title: str
    left: str
    pictures: list[KeyPicture]


@dataclass(frozen=True)
class KeyFigure:
    """Rows of images, columns of planes; of a picture, one row with a column for each image.

    Attributes:
        rows: names of the images.
        width, height: of the figure in mm.
        caption: rule by which the planes were chosen.
    """

    rows: list[str]
    planes: list[KeyPlane]
    width: float
    height: float
    caption: str


def key_of_pair(result: Evaluation, pictures: Pictures, words: Words) -> KeyFigure:
    """Show source, translation and reference in the worst axial plane and two planes through the middle."""
    index = worst_fair_slice(result, pictures.mask)
    worst = None if index is None else Cut(2, index)
    cuts, caption = key_cuts(pictures.mask, worst=index)
    names = {"source": words.source, "prediction": words.prediction, "reference": words.reference}
    drawn = [compare_plane(pictures, cut, 1.0) for cut in cuts]
    rows = [name for name in names if name in drawn[0]]
    images = [[plane[row] for row in rows] for plane in drawn]
    return _lay_out(pictures, cuts, images, [names[row] for row in rows], caption, worst)


def key_of_translation(shown: Shown) -> KeyFigure:
    """Show source and translation in three planes through the middle of the head, or in three slices."""
    cuts, caption = key_cuts(shown.mask, regular=shown.regular)
    return _lay_out(
        shown,
        cuts,
        [show_plane(shown, cut, 1.0)[:2] for cut in cuts],
        ["Source", "Translation"],
        caption,
    )


def worst_fair_slice(result: Evaluation, mask: Voxels) -> int | None:
    """Find the slice with the highest MAE among those that show enough of the head; None without scores."""
    area = mask.sum(axis=(0, 1))
    fair = [
        plane
        for plane in result.slices
        if "mae" in plane.scores and plane.index < len(area) and area[plane.index] >= KEY_SHARE * area.max()
    ]
    return max(fair, key=lambda plane: plane.scores["mae"]).index if fair else None


def key_cuts(mask: Voxels, *, worst: int | None = None, regular: bool = True) -> tuple[list[Cut], str]:
    """Choose three planes of a volume, one of a picture; return them with the rule.

    Args:
        mask: [X, Y, Z], with at least one voxel; the head or the scored voxels.
        worst: axial plane to show in place of the middle one.
        regular: False for tilted or uneven slices, of which three are shown as acquired.
    """
    if mask.shape[2] == 1:
        return [Cut(2, 0)], ""
    if not regular:
        return [Cut(2, index) for index in spread_planes(mask, 3)], "Slices as acquired, at even distances."
    middle = int(np.mean(np.flatnonzero(mask.any(axis=(0, 1)))))
    axial = f"Axial: {WORST_RULE}. " if worst is not None else ""
    rest = "Coronal and sagittal: through" if axial else "Planes through"
    cuts = [Cut(2, middle if worst is None else worst), *middle_cuts(mask)]
    return cuts, f"{axial}{rest} the middle of the head."


def _lay_out(
    pictures: Pictures | Shown,
    cuts: Sequence[Cut],
    images: Sequence[Sequence[Image]],
    rows: list[str],
    caption: str,
    worst: Cut | None = None,
) -> KeyFigure:
    """Place pictures [plane][row] side by side, centred in their rows; those of one plane in one row."""
    if len(cuts) == 1:  # side by side, as columns
        cuts, images, titles, rows = list(cuts) * len(rows), [[one] for one in images[0]], rows, [""]
    else:
        titles = [f"{cut.name.capitalize()} {cut.index}{', worst' * (cut == worst)}" for cut in cuts]
    sizes = [size_mm(pictures, cut) for cut in cuts]
    tall = max(height for _, height in sizes)
    planes, left = [], 0.0
    for cut, (width, height), column, title in zip(cuts, sizes, images, titles, strict=True):
        places = [
            KeyPicture(image, left, row * (tall + GAP_MM) + (tall - height) / 2, width, height)
            for row, image in enumerate(column)
        ]
        planes.append(KeyPlane(cut, title, cut.left if pictures.affine is not None else "", places))
        left += width + GAP_MM
    return KeyFigure(rows, planes, left - GAP_MM, len(rows) * (tall + GAP_MM) - GAP_MM, caption)
