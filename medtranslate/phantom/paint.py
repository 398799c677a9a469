"""Paints one plane of one head, tissue over tissue.

Every tissue is the inside of a signed distance (mm, negative inside). A boundary is as soft as a pixel
is wide, so a thin layer (skull table, sulcus) contributes by the share of the pixel that it covers.
A volume is a stack of planes: both come from `paint`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtranslate.phantom.canvas import Box, Canvas, Frame, Plane, at, blend, ellipsoid, field, tube
from medtranslate.phantom.head import Head, Lesion, Placed
from medtranslate.phantom.tissues import Floats

_GROOVE_MM = 1.5
"""Depth of the sagittal sinus in the skull."""


def _mirrored(points: Floats) -> Floats:
    mirrored = points.copy()
    np.abs(mirrored[0], out=mirrored[0])
    return mirrored


def cavity(folded: Floats) -> Floats:
    """Compute the signed distance to the inside of the skull; x of the points is unsigned."""
    x, y, z = folded
    vault = ellipsoid(folded, (0, -17, 9), (69, 88, 70))
    floor = np.float32(-20.0) - 0.10 * np.abs(x - 30.0) + 0.9 * np.minimum(y - 4.0, 0.0) - z
    vault = blend(-blend(-vault, -floor, 8.0), ellipsoid(folded, (41, -6, -18), (25, 32, 27)), 10.0)
    vault = blend(vault, ellipsoid(folded, (18, -60, -28), (42, 43, 35)), 16.0)
    return blend(vault, ellipsoid(folded, (0, -26, -32), (15, 20, 34)), 8.0)


def paint(head: Head, plane: Plane, values: Floats, softness: float = 1.0) -> Canvas:
    """Paint one plane of a head.

    Args:
        head: head to paint.
        plane: plane in scan coordinates.
        values: value of each tissue in each image, [channels, tissues].
        softness: width of boundaries in pixels.
    """
    frame = Frame.of(head, plane)
    canvas = Canvas.blank(values, plane.shape, softness * frame.pixel)
    points = frame.points
    folded = _mirrored(points)
    inside = cavity(folded)
    coarse = field(head.coarse, plane)
    fine = field(head.fine, plane)
    skull = _thickness(head, folded, coarse)
    _soft_tissue(head, canvas, points, folded, inside, skull, coarse, fine)
    _paint_parts(head.parts["face"], frame, canvas, fine)
    _skull(head, canvas, inside, skull)
    if "base" in head.parts:
        _paint_parts(head.parts["base"], frame, canvas, fine)
    brain = _box(inside < 2.0)
    if brain is None:
        _paint_parts(head.parts["deep"], frame, canvas, fine, only=_SPINAL)
        return canvas
    canvas.fill("dura", inside[brain], brain)
    canvas.fill("csf", inside[brain] + 0.9, brain)
    here = points[:, *brain]
    _brain(head, canvas, brain, here, folded[:, *brain], inside[brain], coarse[brain])
    _paint_parts(head.parts["deep"], frame, canvas, fine)
    _lesions(head.lesions, frame, canvas, inside, fine, coarse)
    return canvas


def _box(where: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _soft_tissue(
    head: Head,
    canvas: Canvas,
    points: Floats,
    folded: Floats,
    inside: Floats,
    skull: Floats,
    coarse: Floats,
    fine: Floats,
) -> None:
    x, y, z = folded
    bulge = (
        head.muscle * np.exp(-(((y - 12) / 26) ** 2) - ((z + 14) / 27) ** 2) * np.clip((x - 30) / 25, 0, 1)
    )
    outer = inside - skull - head.scalp - bulge
    if z.min() < 20.0:
        face = ellipsoid(points, (0, 16 + head.face, -70), (67, 70, 74))
        nose = tube(
            points,
            np.array([0, 82 + head.face, -26], np.float32),
            np.array([0, 86 + head.face, -62], np.float32),
            np.array([9, 9, 9], np.float32),
            1.5,
        )
        neck = tube(
            points,
            np.array([0, -36, -62], np.float32),
            np.array([0, -42, -190], np.float32),
            np.array([58 + head.neck, 58 + head.neck, 40], np.float32),
            1.0,
        )
        brow = ellipsoid(points, (0, 52, -22), (52, 30, 26))
        jaw = tube(
            folded,
            np.array([12, 56 + head.face, -114], np.float32),
            np.array([44, 14, -100], np.float32),
            np.array([16, 20, 18], np.float32),
            1.1,
        )
        face = blend(blend(blend(face, brow, 14.0), jaw, 20.0), nose, 9.0)
        outer = blend(blend(outer, face, 14.0), neck, 16.0)
    np.less(outer, 0.0, out=canvas.head)
    canvas.fill("skin", outer)
    canvas.fill("fat", outer + 1.9)
    canvas.fill(
        "muscle",
        np.maximum(
            outer + head.scalp, 0.8 - np.abs(0.4 * fine + coarse) * 5.0 - 0.2 * np.maximum(z + 45.0, 0.0)
        ),
    )


def _thickness(head: Head, folded: Floats, coarse: Floats) -> Floats:
    """Compute the thickness of the skull in mm: more at brow and occiput, less at the temples."""
    x, y, z = folded
    brow = 1.0 / (1.0 + (x / 24.0) ** 2 + ((y - 68.0) / 24.0) ** 2 + ((z + 12.0) / 13.0) ** 2) ** 2
    occiput = 1.0 / (1.0 + (x / 14.0) ** 2 + ((y + 104.0) / 20.0) ** 2 + ((z + 14.0) / 14.0) ** 2) ** 2
    temple = 1.0 / (1.0 + ((x - 68.0) / 16.0) ** 2 + ((y - 5.0) / 40.0) ** 2 + ((z + 15.0) / 34.0) ** 2)
    thick: Floats = head.skull * (1.0 + 0.13 * coarse - 0.45 * temple) + head.brow * brow + 5.0 * occiput
    return thick


def _skull(head: Head, canvas: Canvas, inside: Floats, thick: Floats) -> None:
    canvas.fill("cortical bone", inside - thick)
    canvas.fill("diploe", np.maximum(inside - thick + head.table, head.table - inside))


_SPINAL = ("csf", "brainstem")


def _paint_parts(
    placed: Placed, frame: Frame, canvas: Canvas, fine: Floats, only: tuple[str, ...] | None = None
) -> None:
    for index, box in frame.boxes(placed.centres, placed.halves):
        part = placed.parts[index]
        if only and part.tissue not in only:
            continue
        start, end, radii = placed.starts[index], placed.ends[index], placed.radii[index]
        distance = tube(frame.points[:, *box], start, end, radii, float(placed.tapers[index]))
        if part.wall:
            canvas.fill(part.wall[0], distance - np.float32(part.wall[1]), box)
        if part.cells:
            distance = np.maximum(distance, 0.55 - np.abs(fine[box]) * (part.cells / 4))
        canvas.fill(part.tissue, distance, box)


def _brain(
    head: Head, canvas: Canvas, box: Box, points: Floats, folded: Floats, inside: Floats, coarse: Floats
) -> None:
    x, y, z = folded
    tentorium = z - (3.0 - 0.40 * x + 0.24 * np.minimum(y + 40.0, 0.0))
    petrous = (y + 4.0 + 0.60 * x) * 0.85
    below = np.maximum(tentorium, petrous)
    hull = inside + (head.gap + 0.9)
    cerebrum = np.maximum(hull, 1.2 - below)
    cerebellum = np.maximum(hull, below + 1.0)
    _cerebrum(head, canvas, box, points, folded, cerebrum, coarse)
    _cerebellum(head, canvas, box, folded, cerebellum, coarse)
    canvas.fill("dura", np.maximum(np.abs(below) - 0.6, inside), box)


def _cerebrum(
    head: Head, canvas: Canvas, box: Box, points: Floats, folded: Floats, hull: Floats, coarse: Floats
) -> None:
    x, y, z = folded
    # Interhemispheric fissure: the midplane outside the corpus callosum's ellipse.
    callosum = np.sqrt(((y + 6.0) / 41.0) ** 2 + ((z - 3.0) / 27.0) ** 2)
    medial = np.maximum(
        x - 0.6 * head.sulcus - 0.6, (1.0 - callosum) * (28.0 + 140.0 * np.maximum(1.0 - x / 8.0, 0.0))
    )
    depth = np.minimum(-hull, medial)
    # Sylvian fissure: a slanting sheet that opens on the insula.
    slant = np.abs(z + 2.0 + 0.6 * (y - 2.0) + 3.0 * coarse) * 0.85
    sylvian = np.maximum(
        np.maximum(slant - head.sulcus - 0.3, np.abs(y + 7.0 + 4.0 * coarse) - 27.0), 38.0 - x
    )
    rim = (np.sqrt(((y - 1.0) / 19.0) ** 2 + ((z - 3.0) / 12.0) ** 2) - 1.0) * 12.0
    insula = np.maximum(np.abs(x - 40.0 + 0.012 * y * y) - head.sulcus, rim)
    pia = np.minimum(np.minimum(sylvian, insula), depth)
    sheet, pits = _folds(head, points, folded, depth)
    width = head.sulcus * (0.9 + 0.4 * coarse)
    sulci = np.maximum(sheet - width, depth - head.fold_depth * (1.0 + 0.35 * pits))
    pia = np.minimum(pia, sulci)
    canvas.fill("grey matter", -pia, box)
    canvas.fill("white matter", head.cortex * (1.0 + 0.12 * coarse) - pia, box)
    falx = np.maximum(np.maximum(x - 0.6, (1.15 - callosum) * 28.0), hull - 4.0)
    canvas.fill("dura", falx, box)
    if head.falx_calcified:
        canvas.fill("calcification", np.maximum(falx, 1.5 - 1.2 * coarse), box)
    # The sagittal sinus, widest in its groove of the skull.
    sinus = np.maximum(x - 1.8 + 0.022 * y - 0.6 * hull, 6.0 - z + 0.3 * y)
    groove = hull - (head.gap + 0.9 + _GROOVE_MM)
    canvas.fill("venous blood", np.maximum(sinus, np.maximum(-4.0 - hull, groove)), box)


def _folds(head: Head, points: Floats, folded: Floats, depth: Floats) -> tuple[Floats, Floats]:
    """Compute the distance in mm to the nearest sulcus, as if unlimited, and its depth (-1 to 1).

    Sulci are the zeros of a band of waves, which are sheets. The waves are evaluated near the point where
    a ray from the hemisphere's core leaves it, so that the sheets are normal to its surface. For a single
    wave sin(kx), |sin| / (sqrt(cos^2 + 0.4 sin^2) k) is within 5 % of the distance to the zero.
    """
    x, y, z = folded
    core = np.clip(y, -58.0, 30.0)
    spoke = np.stack([x - 28.0, y - core, z - 4.0])
    radius = np.sqrt(np.einsum("chw,chw->hw", spoke, spoke)) + np.float32(8.0)
    stretch = 1.0 + np.float32(0.75) * np.maximum(depth, 0.0) / radius
    spoke *= stretch
    spoke[1] += core
    spoke[0] = (spoke[0] + 70.0) * np.sign(points[0])
    shape = depth.shape
    vectors = head.fold.vectors
    phases = vectors @ spoke.reshape(3, -1)
    phases += head.fold.phases[:, None]
    along = np.concatenate([vectors.T, np.ones((1, len(vectors)), np.float32)]) @ np.cos(phases)
    np.sin(phases, out=phases)
    value = np.ones(len(vectors), np.float32) @ phases
    steepness = np.float32(0.4 * (vectors**2).sum(axis=1).mean())
    slope = np.sqrt(
        np.einsum("ip,ip->p", along[:3], along[:3]) + steepness * value * value + np.float32(1e-6)
    )
    sheet = (np.abs(value) / slope).reshape(shape) / stretch
    pits = np.clip(along[3] * np.float32(head.fold.amplitude), -1.5, 1.5).reshape(shape)
    return sheet, pits


def _cerebellum(head: Head, canvas: Canvas, box: Box, folded: Floats, hull: Floats, coarse: Floats) -> None:
    if hull.min() > 0.0:
        return
    x, y, z = folded
    bulk = np.maximum(hull, ellipsoid(folded, (20, -60, -34), (38, 36, 27)))
    bulk = blend(bulk, np.maximum(hull, ellipsoid(folded, (0, -58, -26), (10, 26, 20))), 3.0)
    # Folia fan out from the roof of the fourth ventricle, about an axis from left to right.
    radius = np.sqrt((y + 38.0) ** 2 + (z + 36.0) ** 2) + 0.35 * x
    angle = np.arctan2(z + 36.0, -(y + 38.0)) + 0.016 * radius
    folia = np.abs(np.sin(angle * 21.0 + 1.2 * coarse)) * radius / 21.0
    folia = np.maximum(
        folia - 0.35 - 0.3 * head.sulcus, -bulk - 6.0 - 11.0 * np.abs(np.sin(angle * 5.0 + coarse))
    )
    pia = np.minimum(folia, -bulk)
    canvas.fill("cerebellar cortex", -pia, box)
    canvas.fill("white matter", 1.5 - pia, box)
    nucleus = ellipsoid(folded, (15, -54, -36), (5, 6, 4))
    canvas.fill("deep nuclei", np.abs(nucleus) - np.float32(0.8), box)


def _lesions(
    lesions: tuple[Lesion, ...], frame: Frame, canvas: Canvas, inside: Floats, fine: Floats, coarse: Floats
) -> None:
    if not lesions:
        return
    centres = np.array([lesion.centre for lesion in lesions], np.float32)
    radii = np.array([lesion.radii for lesion in lesions], np.float32)
    rims = np.array([[lesion.oedema] for lesion in lesions], np.float32)
    for index, box in frame.boxes(centres, 1.5 * (radii + rims)):
        lesion, size = lesions[index], float(radii[index].mean())
        distance = tube(frame.points[:, *box], centres[index], centres[index], radii[index], 1.0)
        rough = np.maximum(distance + 0.12 * size * (coarse[box] + fine[box]), inside[box] + 3.0)
        if lesion.oedema:
            spread = distance - lesion.oedema * (1.0 + 0.5 * coarse[box])
            canvas.fill("oedema", np.maximum(spread, inside[box] + 5.0), box)
        canvas.fill(lesion.kind, rough, box)
        if lesion.kind == "tumour" and size > 10.0:
            canvas.fill("oedema", rough + 0.5 * size, box)


def lesion_at(head: Head, lesion: Lesion) -> tuple[tuple[float, float, float], float]:
    """Locate a lesion: centre in scan coordinates (RAS+ mm) and mean radius in mm.

    The warp is inverted by fixed-point iteration; it moves points by less than their distance.
    """
    target = np.array(lesion.centre, np.float32)
    place = head.rotation.T @ (target * head.scale) + head.shift
    for _ in range(8):
        moved = np.array([at(waves, place[None])[0] for waves in head.warp], np.float32)
        place = head.rotation.T @ ((target - moved) * head.scale) + head.shift
    radius = float(np.mean(np.array(lesion.radii) * head.scale))
    return (float(place[0]), float(place[1]), float(place[2])), radius
