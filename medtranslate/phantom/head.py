"""A head, drawn from a seed.

A head differs from the standard one (`parts`) by pose, scale, a smooth warp, and the place and size of
each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from medtranslate.phantom.parts import GROUPS, PARTS, Part, Point
from medtranslate.phantom.tissues import Floats


@dataclass(frozen=True)
class Lesion:
    """A lesion of a head.

    Attributes:
        kind: "tumour", "haemorrhage", "infarct" or "calcification".
        centre: mm in the standard head.
        radii: mm along x, y, z; a rim of oedema of `oedema` mm lies around it.
    """

    kind: str
    centre: Point
    radii: Point
    oedema: float = 0.0


@dataclass(frozen=True, eq=False)
class Waves:
    """A smooth random field: a sum of plane waves.

    Attributes:
        vectors: wave vectors in radian per mm, [waves, 3].
        phases: [waves].
        amplitude: amplitude of each wave; the field's standard deviation is amplitude * sqrt(waves / 2).
    """

    vectors: Floats
    phases: Floats
    amplitude: float


@dataclass(frozen=True, eq=False)
class Placed:
    """The parts of one head at their places: each part once, or a second time on the other side.

    Attributes:
        parts: definition of each part.
        starts: first ends of the axes in mm of the standard head, [n, 3]; `ends`: second ends.
        radii: [n, 3]; `tapers` [n].
        centres: centres of the boxes that hold part and wall, [n, 3]; `halves`: their half sides.
    """

    parts: tuple[Part, ...]
    starts: Floats
    ends: Floats
    radii: Floats
    tapers: Floats
    centres: Floats
    halves: Floats


@dataclass(frozen=True, eq=False)
class Head:
    """All properties of one head that determine its slices and volumes.

    Attributes:
        seed: seed of all random numbers of the head.
        rotation: scan to head axes, [3, 3].
        scale: size of this head against the standard one, [3].
        shift: mm from the scan's centre to the head's, [3].
        warp: displacement in mm along x, y, z.
        fold: waves of the cortical folds; `coarse` and `fine`: waves of the other local variations.
        fold_depth: depth of a medium sulcus in mm; `sulcus` is half its width.
        gap: mm between dura and gyri; `cortex`, `skull`, `table`, `scalp`: thicknesses in mm.
        brow: additional thickness in mm of the frontal bone above the nose.
        muscle: thickness of the temporal muscle in mm.
        face: protrusion of the face in mm; `neck`: additional thickness of the neck in mm.
        parts: parts of the face, of the base of the skull (optional) and of the deep brain.
    """

    seed: int
    rotation: Floats
    scale: Floats
    shift: Floats
    warp: tuple[Waves, Waves, Waves]
    fold: Waves
    coarse: Waves
    fine: Waves
    fold_depth: float
    sulcus: float
    gap: float
    cortex: float
    skull: float
    brow: float
    table: float
    scalp: float
    muscle: float
    face: float
    neck: float
    falx_calcified: bool
    parts: dict[str, Placed]
    lesions: tuple[Lesion, ...]


def draw_waves(rng: np.random.Generator, count: int, shortest: float, longest: float, spread: float) -> Waves:
    """Draw a field of `count` waves, `shortest` to `longest` mm long, of standard deviation `spread`."""
    direction = rng.standard_normal((count, 3))
    direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
    length = rng.uniform(shortest, longest, (count, 1))
    return Waves(
        (direction * 2 * np.pi / length).astype(np.float32),
        rng.uniform(0, 2 * np.pi, count).astype(np.float32),
        float(spread * np.sqrt(2 / count)),
    )


def draw_head(seed: int) -> Head:
    """Draw the head of a seed; equal seeds give equal heads."""
    rng = np.random.default_rng([seed, 0])
    atrophy = rng.beta(1.3, 2.5)
    swell = {
        "": 1.0,
        "sinus": float(np.clip(rng.normal(1.0, 0.18), 0.5, 1.4)),
        "ventricle": float(np.clip(np.exp(0.22 * rng.standard_normal() + 0.8 * (atrophy - 0.3)), 0.6, 2.0)),
    }
    swell["cistern"] = swell["ventricle"] ** 0.5
    angles = np.radians(rng.normal(0.0, [3.0, 6.0, 4.0]))
    size = 0.915 + 0.035 * rng.standard_normal()
    return Head(
        seed=seed,
        rotation=_rotation(*angles),
        scale=(size * np.exp(0.035 * rng.standard_normal(3))).astype(np.float32),
        shift=rng.uniform(-6.0, 6.0, 3).astype(np.float32),
        warp=(
            draw_waves(rng, 5, 90, 200, 1.8),
            draw_waves(rng, 5, 90, 200, 1.8),
            draw_waves(rng, 5, 90, 200, 1.8),
        ),
        fold=draw_waves(rng, 16, 16, 24, 1.0),
        coarse=draw_waves(rng, 6, 35, 80, 1.0),
        fine=draw_waves(rng, 10, 9, 18, 1.0),
        fold_depth=rng.uniform(11.0, 17.0),
        sulcus=0.15 + 1.3 * atrophy**1.4,
        gap=0.5 + 3.0 * atrophy * rng.random(),
        cortex=rng.uniform(2.3, 3.2),
        skull=float(np.clip(rng.normal(6.2, 1.3), 3.8, 10.0)),
        brow=rng.uniform(3.0, 9.0),
        table=rng.uniform(1.1, 2.0),
        scalp=float(np.clip(rng.normal(6.0, 1.6), 3.2, 11.0)),
        muscle=rng.uniform(3.0, 9.0),
        face=rng.normal(0.0, 3.0),
        neck=rng.uniform(-6.0, 6.0),
        falx_calcified=bool(rng.random() < 0.25),
        parts={name: _place(rng, name, swell) for name in PARTS},
        lesions=_draw_lesions(rng),
    )


@cache
def _tables(name: str) -> tuple[tuple[Part, ...], dict[str, Floats]]:
    """List parts with their mirrored twins, and their numbers as arrays."""
    parts = tuple(part for part in PARTS[name] for _ in range(1 + part.both))
    side = np.array([-1.0 if i and parts[i] is parts[i - 1] else 1.0 for i in range(len(parts))])
    mirror = np.stack([side, np.ones_like(side), np.ones_like(side)], axis=1)
    return parts, {
        "starts": np.array([part.start for part in parts]) * mirror,
        "ends": np.array([part.end for part in parts]) * mirror,
        "radii": np.array([part.radii for part in parts]),
        "tapers": np.array([part.taper for part in parts]),
        "walls": np.array([[part.wall[1] if part.wall else 0.0] for part in parts]),
        "freedom": np.array([(0.9 if part.both else 0.35, 0.9, 0.9) for part in parts]),
        "group": np.array([GROUPS.index(part.group) for part in parts]),
    }


def _place(rng: np.random.Generator, name: str, swell: dict[str, float]) -> Placed:
    """Draw place, size and taper of each part; both sides of a pair differ a little."""
    parts, table = _tables(name)
    jitter = rng.standard_normal((len(parts), 7)).clip(-2.0, 2.0)
    grown = np.array([swell[group] for group in GROUPS])[table["group"], None]
    shift = table["freedom"] * jitter[:, :3]
    starts, ends = table["starts"] + shift, table["ends"] + shift
    radii = table["radii"] * np.exp(0.09 * jitter[:, 3:6]) * grown
    tapers = np.where(table["tapers"] == 1.0, 1.0, table["tapers"] * np.exp(0.05 * jitter[:, 6]))
    halves = np.abs(ends - starts) / 2 + radii * np.maximum(tapers, 1.0)[:, None] + table["walls"]
    numbers = (starts, ends, radii, tapers, (starts + ends) / 2, halves)
    return Placed(parts, *(number.astype(np.float32) for number in numbers))


def _rotation(roll: float, pitch: float, yaw: float) -> Floats:
    """Compose rotations about y, x and z."""
    cr, sr, cp, sp, cy, sy = (
        np.cos(roll),
        np.sin(roll),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(yaw),
        np.sin(yaw),
    )
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    turned: Floats = (about_y @ about_x @ about_z).astype(np.float32)
    return turned


_KINDS = ("tumour", "haemorrhage", "infarct", "calcification")


def _draw_lesions(rng: np.random.Generator) -> tuple[Lesion, ...]:
    lesions = []
    for _ in range(rng.choice(4, p=[0.4, 0.4, 0.15, 0.05])):
        kind = str(rng.choice(_KINDS, p=[0.4, 0.2, 0.3, 0.1]))
        size = rng.uniform(2.0, 4.5) if kind == "calcification" else rng.uniform(4.0, 19.0)
        side = rng.choice([-1.0, 1.0])
        centre = (side * rng.uniform(18.0, 46.0), rng.uniform(-70.0, 42.0), rng.uniform(-2.0, 48.0))
        radii = size * np.exp(0.2 * rng.standard_normal(3))
        rim = rng.uniform(2.0, 13.0) if kind in ("tumour", "haemorrhage") and rng.random() < 0.75 else 0.0
        lesions.append(Lesion(kind, centre, (float(radii[0]), float(radii[1]), float(radii[2])), rim))
    return tuple(lesions)
