"""One plane of one head, painted tissue over tissue.

Every tissue is the inside of a signed distance (mm, negative inside). A boundary is as soft as a pixel
is wide, so thin layers (skull tables, sulci) weigh in with the share of the pixel that they cover.
A volume is a stack of planes: both come from `paint`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtranslate.phantom.canvas import Box, Canvas, Frame, Plane, blend, ellipsoid, field, tube
from medtranslate.phantom.head import Head, Lesion
from medtranslate.phantom.parts import PARTS
from medtranslate.phantom.tissues import Floats


def _mirrored(points: Floats) -> Floats:
    mirrored = points.copy()
    np.abs(mirrored[0], out=mirrored[0])
    return mirrored


def cavity(folded: Floats) -> Floats:
    """Signed distance to the inside of the skull; x of the points is unsigned."""
    x, y, z = folded
    vault = ellipsoid(folded, (0, -17, 9), (69, 88, 70))
    floor = np.float32(-18.0) - 0.10 * np.abs(x - 30.0) + 0.9 * np.minimum(y - 4.0, 0.0) - z
    vault = blend(-blend(-vault, -floor, 8.0), ellipsoid(folded, (41, -6, -18), (25, 32, 27)), 10.0)
    vault = blend(vault, ellipsoid(folded, (18, -60, -28), (42, 43, 35)), 16.0)
    return blend(vault, ellipsoid(folded, (0, -26, -32), (15, 20, 34)), 8.0)


def paint(head: Head, plane: Plane, values: Floats, softness: float = 1.0) -> Canvas:
    """Paint one plane of a head.

    Args:
        head: whose.
        plane: where, in scan coordinates.
        values: of each tissue in each image, [channels, tissues].
        softness: width of boundaries in pixels.
    """
    frame = Frame.of(head, plane)
    canvas = Canvas.blank(values, plane.shape, softness * frame.pixel)
    points = frame.points
    folded = _mirrored(points)
    inside = cavity(folded)
    coarse = field(head.coarse, plane)
    fine = field(head.fine, plane)
    _soft_tissue(head, canvas, points, folded, inside, fine)
    _paint_parts("face", frame, canvas, fine)
    _skull(head, canvas, inside, coarse)
    _paint_parts("base", frame, canvas, fine)
    brain = _box(inside < 2.0)
    if brain is None:
        _paint_parts("deep", frame, canvas, fine, only=_SPINAL)
        return canvas
    canvas.fill("dura", inside[brain], brain)
    canvas.fill("csf", inside[brain] + 0.9, brain)
    here = points[:, *brain]
    _brain(head, canvas, brain, here, folded[:, *brain], inside[brain], coarse[brain])
    _paint_parts("deep", frame, canvas, fine)
    _lesions(head, frame, canvas, inside, fine, coarse)
    return canvas


def _box(where: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _soft_tissue(
    head: Head, canvas: Canvas, points: Floats, folded: Floats, inside: Floats, fine: Floats
) -> None:
    x, y, z = folded
    bulge = (
        head.muscle * np.exp(-(((y - 12) / 26) ** 2) - ((z + 14) / 27) ** 2) * np.clip((x - 30) / 25, 0, 1)
    )
    outer = inside - (head.skull + head.scalp) - bulge
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
        face = blend(blend(blend(face, brow, 14.0), jaw, 20.0), nose, 6.0)
        outer = blend(blend(outer, face, 14.0), neck, 16.0)
    canvas.fill("skin", outer)
    canvas.fill("fat", outer + 1.9)
    canvas.fill("muscle", np.maximum(outer + head.scalp, -0.9 - 0.45 * fine - np.maximum(z + 40, 0)))


def _skull(head: Head, canvas: Canvas, inside: Floats, coarse: Floats) -> None:
    thick = head.skull * (1.0 + 0.14 * coarse)
    canvas.fill("cortical bone", inside - thick)
    canvas.fill("diploe", np.maximum(inside - thick + head.table, head.table - inside))


_SPINAL = ("csf", "brainstem")


def _paint_parts(
    name: str, frame: Frame, canvas: Canvas, fine: Floats, only: tuple[str, ...] | None = None
) -> None:
    parts = PARTS[name]
    starts, ends, radii, tapers = placed(frame.head, name)
    walls = np.array([part.wall[1] if part.wall else 0.0 for part in parts], np.float32)[:, None, None]
    reach = radii * np.maximum(tapers, 1.0)[..., None] + walls + 1.0
    halves = np.float32(0.5) * np.abs(ends - starts) + reach
    centres = np.float32(0.5) * (starts + ends)
    boxes = frame.boxes(centres.reshape(-1, 3), halves.reshape(-1, 3))
    for index, part in enumerate(parts):
        if only and part.tissue not in only:
            continue
        for side in range(2 if part.both else 1):
            box = boxes[2 * index + side]
            if box is None:
                continue
            at = (index, side)
            distance = tube(frame.points[:, *box], starts[at], ends[at], radii[at], float(tapers[at]))
            if part.wall:
                canvas.fill(part.wall[0], distance - part.wall[1], box)
            if part.cells:
                distance = np.maximum(distance, 0.55 - np.abs(fine[box]) * (part.cells / 4))
            canvas.fill(part.tissue, distance, box)


def placed(head: Head, name: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Starts, ends, radii [parts, 2 sides, 3] and tapers [parts, 2] of one head's parts."""
    parts, jitter = PARTS[name], head.jitter[name]
    mirror = np.array([[1, 1, 1], [-1, 1, 1]], np.float32)
    starts = np.array([part.start for part in parts], np.float32)[:, None] * mirror
    ends = np.array([part.end for part in parts], np.float32)[:, None] * mirror
    radii = np.array([part.radii for part in parts], np.float32)[:, None] * np.exp(0.09 * jitter[..., 3:6])
    swell = {
        "": 1.0,
        "ventricle": head.ventricle,
        "sinus": head.pneumatisation,
        "cistern": head.ventricle**0.5,
    }
    radii *= np.array([swell[part.group] for part in parts], np.float32)[:, None, None]
    shift = 0.9 * jitter[..., :3] * mirror
    shift[[not part.both for part in parts], :, 0] *= 0.4
    tapers = np.array([part.taper for part in parts], np.float32)[:, None] * np.exp(0.05 * jitter[..., 6])
    tapers[[part.taper == 1.0 for part in parts]] = 1.0
    blobs = (starts == ends).all(axis=2, keepdims=True)
    starts = starts + shift
    return starts, np.where(blobs, starts, ends + shift), radii.astype(np.float32), tapers.astype(np.float32)


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
    side = np.sign(points[0])
    # Folds are drawn where a ray from the hemisphere's core meets a sphere, so that they stand upright.
    spoke = np.stack([x - 30.0, y - np.clip(y, -55.0, 28.0), z - 4.0])
    radius = np.sqrt(np.einsum("chw,chw->hw", spoke, spoke)) + 1e-3
    stretch = 36.0 * (radius / 36.0) ** 0.45 / radius
    spoke *= stretch
    spoke[1] += np.clip(y, -55.0, 28.0)
    spoke[0] = (spoke[0] + 70.0) * side
    phases = np.tensordot(head.fold.vectors, spoke, 1)
    phases += head.fold.phases[:, None, None]
    quadrature = np.cos(phases).sum(axis=0)
    np.sin(phases, out=phases)
    folds = phases.sum(axis=0)
    sheet = np.abs(folds) / np.sqrt(folds * folds + quadrature * quadrature + 1e-3)
    sheet *= np.float32(0.5 * 19.0 / np.pi) / stretch.clip(0.8, 2.0)
    width = head.sulcus * (1.0 + 0.4 * coarse)
    sulci = np.maximum(sheet - width, -hull - head.fold_depth * (1.0 + 0.35 * coarse))
    # Interhemispheric fissure: the midplane outside the corpus callosum's ellipse.
    callosum = np.sqrt(((y + 6.0) / 38.0) ** 2 + ((z - 3.0) / 26.0) ** 2)
    medial = np.maximum(x - head.sulcus - 0.3, (1.0 - callosum) * 28.0)
    depth = np.minimum(-hull, medial)
    sulci = np.maximum(sheet - width, depth - head.fold_depth * (1.0 + 0.35 * coarse))
    # Sylvian fissure: a slanting sheet that opens on the insula.
    slant = np.abs(z + 2.0 + 0.65 * (y - 2.0) + 3.0 * coarse) * 0.8
    sylvian = np.maximum(np.maximum(slant - head.sulcus - 0.4, np.abs(y + 6.0) - 27.0), 37.5 - x)
    insula = np.maximum(
        np.abs(x - 38.5 + 0.06 * np.abs(y)) - head.sulcus - 0.2,
        (np.sqrt(((y - 1) / 21) ** 2 + ((z - 3) / 13) ** 2) - 1) * 13,
    )
    pia = np.minimum(np.minimum(sulci, np.minimum(sylvian, insula)), depth)
    canvas.fill("grey matter", -pia, box)
    canvas.fill("white matter", head.cortex * (1.0 + 0.12 * coarse) - pia, box)
    falx = np.maximum(np.maximum(x - 0.6, (1.15 - callosum) * 28.0), hull - 4.0)
    canvas.fill("dura", falx, box)
    if head.falx_calcified:
        canvas.fill("calcification", np.maximum(falx, 1.5 - 1.2 * coarse), box)
    sinus = np.maximum(x - 3.5 - 0.7 * hull, np.maximum(-4.0 - hull, 6.0 - z + 0.3 * y))
    canvas.fill("venous blood", sinus, box)


def _cerebellum(head: Head, canvas: Canvas, box: Box, folded: Floats, hull: Floats, coarse: Floats) -> None:
    if hull.min() > 0.0:
        return
    x, y, z = folded
    bulk = np.maximum(hull, ellipsoid(folded, (20, -60, -34), (38, 36, 27)))
    bulk = blend(bulk, np.maximum(hull, ellipsoid(folded, (0, -58, -26), (10, 26, 20))), 3.0)
    # Folia fan out from the roof of the fourth ventricle, about an axis from left to right.
    angle = np.arctan2(z + 36.0, -(y + 38.0)) + 0.0035 * x
    radius = np.hypot(y + 38.0, z + 36.0) + 0.35 * x
    folia = np.abs(np.sin(angle * 21.0 + 1.2 * coarse)) * radius / 21.0
    folia = np.maximum(folia - 0.35 - 0.3 * head.sulcus, -bulk - 11.0 - 3.0 * coarse)
    pia = np.minimum(folia, -bulk)
    canvas.fill("cerebellar cortex", -pia, box)
    canvas.fill("white matter", 1.5 - pia, box)
    nucleus = ellipsoid(folded, (15, -54, -36), (5, 6, 4))
    canvas.fill("deep nuclei", np.abs(nucleus) - np.float32(0.8), box)


def _lesions(head: Head, frame: Frame, canvas: Canvas, inside: Floats, fine: Floats, coarse: Floats) -> None:
    for lesion in head.lesions:
        centre, radii = np.array(lesion.centre, np.float32), np.array(lesion.radii, np.float32)
        (box,) = frame.boxes(centre[None], radii[None] * 1.5 + lesion.oedema * 1.5)
        if box is None:
            continue
        distance = tube(frame.points[:, *box], centre, centre, radii, 1.0)
        rough = distance + 0.12 * float(radii.mean()) * (coarse[box] + fine[box])
        rough = np.maximum(rough, inside[box] + 3.0)
        if lesion.oedema:
            spread = np.maximum(distance - lesion.oedema * (1.0 + 0.5 * coarse[box]), inside[box] + 5.0)
            canvas.fill("oedema", spread, box)
        canvas.fill(lesion.kind, rough, box)
        if lesion.kind == "tumour" and radii.mean() > 10.0:
            canvas.fill("oedema", rough + 0.5 * float(radii.mean()), box)


def lesion_at(head: Head, lesion: Lesion) -> tuple[tuple[float, float, float], float]:
    """Centre in scan coordinates (RAS+ mm) and mean radius in mm.

    The warp is inverted by fixed-point iteration; it moves points by less than their distance.
    """
    target = np.array(lesion.centre, np.float32)
    at = head.rotation.T @ (target * head.scale) + head.shift
    for _ in range(8):
        plane = Plane(at.astype(np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32), (1, 1))
        moved = np.array([field(waves, plane)[0, 0] for waves in head.warp], np.float32)
        at = head.rotation.T @ ((target - moved) * head.scale) + head.shift
    radius = float(np.mean(np.array(lesion.radii) * head.scale))
    return (float(at[0]), float(at[1]), float(at[2])), radius
