"""Runs the rigid registration, rejects implausible motions, applies the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.geometry import Floats, swap_lps_ras
from medtranslate.io import Volume
from medtranslate.metrics import require_finite
from medtranslate.records import Registration
from medtranslate.registration.search import find_motion

MOST_DEGREES = 30.0
"""Largest plausible rotation between two scans of a patient."""
LEAST_GAIN = 0.005
"""Least gain of mutual information, in nats; below it a motion is no better than the headers."""
LEAST_INFORMATION = 0.05
"""Least mutual information, in nats: somewhat more than that of unrelated images."""
LEAST_OVERLAP = 0.25
"""Least share of the smaller volume that lies in the other."""
LEAST_SLICES = 8
"""Minimum voxels per axis; with fewer, three rotations cannot be estimated."""


def register(reference: Volume, target: Volume, role: Literal["source", "prediction"]) -> Registration:
    """Find the rigid motion that brings a reference to the place of the target.

    Maximises Mattes' mutual information (Mattes et al., IEEE TMI 22(1), 2003) over three rotations and
    three translations, from coarse to fine. It starts at the motion with the most mutual information of
    coarse images: by the headers, centre on centre, or the centres of mass on each other with one of several
    rotations. Samples are drawn by a fixed seed, on one thread, so that the same files give the same motion.

    Args:
        reference: [1, X, Y, Z], RAS+ affine, any modality.
        target: likewise, on its own grid.
        role: role of the target, such as source.

    Raises:
        GeometryRefused: one of them is a picture, too thin, or no regular grid.
        InputRefused: one of them is constant, or no plausible motion is found; gives the best one.
    """
    volumes = {"reference": reference, role: target}
    for name, volume in volumes.items():
        _check(volume, f"{name} ({volume.name})")
    try:
        motion, before, after = find_motion(target, reference)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputRefused(
            f"{_both(volumes)}: could not be registered ({reason}); align them first"
        ) from None
    applied = before is None or after - before >= LEAST_GAIN
    matrix = swap_lps_ras(motion) @ np.diag([-1.0, -1.0, 1.0, 1.0]) if applied else np.eye(4)
    rotation = float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
    centre = target.affine @ [*((n - 1) / 2 for n in target.shape), 1.0]
    overlap = _overlap(target, reference, matrix)
    found = Registration(
        target=role,
        matrix=tuple((a, b, c, d) for a, b, c, d in matrix.tolist()),
        rotation_degrees=rotation,
        translation_mm=float(np.linalg.norm((matrix @ centre - centre)[:3])),
        mutual_information={"after": max(after, before or 0.0)}
        | ({} if before is None else {"before": before}),
        overlap=overlap,
        applied=applied,
    )
    _require_plausible(found, min(1.0, _litres(reference) / _litres(target)), _both(volumes))
    return found


def moved(volume: Volume, registration: Registration) -> Volume:
    """Move a volume at the reference's place by the motion of the reference."""
    return replace(volume, affine=np.linalg.inv(np.array(registration.matrix)) @ volume.affine)


def _check(volume: Volume, what: str) -> None:
    volume.require_grid(what)
    if volume.is_picture:
        raise GeometryRefused(f"{what}: a picture has no place in millimetres; leave --register out")
    if min(volume.shape) < LEAST_SLICES:
        sides = " x ".join(map(str, volume.shape))
        raise GeometryRefused(
            f"{what}: {sides} voxels are too thin to be turned in space, {LEAST_SLICES} along each axis are"
            " needed; leave --register out"
        )
    require_finite(volume.values, what)
    lowest = float(volume.values.min())
    if lowest == volume.values.max():
        raise InputRefused(f"{what}: is {lowest:g} everywhere, which lies nowhere; give an image")


def _require_plausible(found: Registration, possible: float, both: str) -> None:
    information = found.mutual_information["after"]
    said = (
        f"rotation {found.rotation_degrees:.1f} degrees, translation {found.translation_mm:.1f} mm, overlap"
        f" {found.overlap:.0%}, mutual information {information:.3f}"
    )
    wrong = {
        f"more than {MOST_DEGREES:g} degrees": found.rotation_degrees > MOST_DEGREES,
        "hardly any overlap": found.overlap < LEAST_OVERLAP * possible,
        "nothing in common but chance": information < LEAST_INFORMATION,
    }
    for reason, holds in wrong.items():
        if holds:
            raise InputRefused(
                f"{both}: registration is not believed, {reason} ({said}); check that they show the same"
                " patient, or align them first"
            )


def _overlap(target: Volume, reference: Volume, matrix: Floats) -> float:
    """Compute the share of the target's voxels in the moved reference's field of view."""
    steps = [np.arange(0, n, max(1, n // 64)) for n in target.shape]
    indices = np.stack([*np.meshgrid(*steps, indexing="ij"), np.ones([len(s) for s in steps])], axis=-1)
    onto = np.linalg.inv(reference.affine) @ matrix @ target.affine
    places = (indices @ onto.T)[..., :3]
    inside = (places >= -0.5) & (places <= np.array(reference.shape) - 0.5)
    return float(inside.all(axis=-1).mean())


def _litres(volume: Volume) -> float:
    return volume.values.size * abs(float(np.linalg.det(volume.affine[:3, :3]))) / 1e6


def _both(volumes: dict[str, Volume]) -> str:
    return " and ".join(f"{name} ({volume.name})" for name, volume in volumes.items())
