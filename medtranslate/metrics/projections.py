"""Projections of CT along parallel beams: water-equivalent path length, and radiographs.

Both are sums along an axis of the grid. They take the place of a dose calculation: a proton's range and a
photon's attenuation depend on the path length, and a radiograph is what a patient's position is checked with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from medtranslate.errors import InputRefused
from medtranslate.metrics.arrays import Values, Voxels
from medtranslate.records import Beam, Densities, PathLength

Floats = npt.NDArray[np.float64]
Spacing = tuple[float, float, float]

BEAMS: dict[Beam, int] = {"front": 1, "side": 0}
"""Axis of a volume [X, Y, Z] in the layout LPS along which a beam runs, from its first voxel on."""

SCHNEIDER = Densities(
    name="Schneider",
    hu=(-999.0, -741.0, -77.0, 0.0, 43.0, 282.0, 999.0, 1524.0),
    density=(0.001, 0.258, 0.951, 1.0, 1.040, 1.149, 1.517, 1.781),
)
"""Air, lung, adipose tissue, water, muscle, spongiosa, cranium and cortical bone.

The method is the stoichiometric calibration of Schneider, Pedroni and Lomax, "The calibration of CT
Hounsfield units for radiotherapy treatment planning", Phys Med Biol 41, 1996. With the mass fraction w, the
number Z and the mass A of each element, HU = 1000 (rho S / S_water - 1), S = sum w / A (Z + k1 Z^2.86 + k2
Z^4.62). The relative electron density is rho sum(w Z / A), divided by that of water. The coefficients k1 =
1.24e-3 and k2 = 3.06e-5 (120 kV) are those of Schneider, Bortfeld and Schlegel, Phys Med Biol 45, 2000. The
compositions are those of ICRU Report 44, and of Woodard and White, Br J Radiol 59, 1986, for spongiosa and
cranium.
"""

WATER_PER_MM = 0.0206
"""Linear attenuation of water for photons of 60 keV in 1/mm (Hubbell and Seltzer, NISTIR 5632, 1995)."""

AIR_REACH, BONE_REACH = -900.0, 1000.0
"""HU that a table of densities has to include."""
WATER_DENSITY = (0.9, 1.1)
"""Density of water, 0 HU, in a table of the right unit."""
MOST_AIR = 0.15
"""Largest density of the first knot, which is air."""
SLAB = 16
"""Slices of a slab."""


def check_densities(table: Densities, where: str) -> None:
    """Refuse a table that does not give relative electron densities of CT in HU.

    Args:
        table: to check.
        where: its name in the message.

    Raises:
        InputRefused: fewer than two knots, a number that is not finite, HU that do not ascend, densities that
            fall or do not rise at all, no air or no bone, or water that is not near 1.
    """
    hu, density = (np.asarray(column, np.float64) for column in (table.hu, table.density))
    if len(hu) < 2 or not (np.isfinite(hu).all() and np.isfinite(density).all()):
        raise InputRefused(
            f"{where}: a table of densities has two rows or more, all of finite numbers; mend it"
        )
    _check_rises(hu, density, where)
    if hu[0] > AIR_REACH or hu[-1] < BONE_REACH:
        raise InputRefused(
            f"{where}: it reaches from {hu[0]:g} to {hu[-1]:g} HU; give densities from air"
            f" ({AIR_REACH:g} HU or less) to bone ({BONE_REACH:g} HU or more)"
        )
    water = float(np.interp(0.0, hu, density))
    if not (WATER_DENSITY[0] <= water <= WATER_DENSITY[1] and 0 <= density[0] <= MOST_AIR):
        raise InputRefused(
            f"{where}: the density is {water:g} at 0 HU and {density[0]:g} at {hu[0]:g} HU; relative to water"
            " it is 1 and about 0; divide by the electron density of water, and count HU from water"
        )


def _check_rises(hu: Floats, density: Floats, where: str) -> None:
    """Demand HU that ascend, and densities that do not fall."""
    steps = zip(np.diff(hu), np.diff(density), strict=True)
    for row, (along, up) in enumerate(steps):
        if along <= 0 or up < 0:
            raise InputRefused(
                f"{where}: HU have to ascend and densities must not fall, but {hu[row + 1]:g} HU with density"
                f" {density[row + 1]:g} follow {hu[row]:g} HU with {density[row]:g}; sort or mend the rows"
            )


def relative_density(values: Values, table: Densities) -> Floats:
    """Look up relative electron densities, linear between knots.

    Below the first knot its density holds; above the last the line through the last two goes on.

    Args:
        values: HU, of any shape.
        table: as `check_densities` accepts it.
    """
    found: Floats = np.interp(values, table.hu, table.density)
    beyond = values > table.hu[-1]
    if beyond.any():
        slope = (table.density[-1] - table.density[-2]) / (table.hu[-1] - table.hu[-2])
        found[beyond] += slope * (values[beyond] - table.hu[-1])
    return found


def path_maps(
    volume: Values, mask: Voxels, spacing_mm: Spacing, table: Densities = SCHNEIDER
) -> dict[Beam, Floats]:
    """Compute the water-equivalent path length in mm of each ray of each beam inside the mask.

    It is the sum over the ray's voxels of relative electron density times length: the radiological path of
    Siddon, "Fast calculation of the exact radiological path for a three-dimensional CT array", Med Phys 12,
    1985. For protons, the table has to hold relative stopping powers.

    Args:
        volume: HU [X, Y, Z] in the layout LPS.
        mask: [X, Y, Z]; voxels outside do not count.
        spacing_mm: along x, y and z.
        table: relative electron densities.

    Returns:
        The maps, [X, Z] from the front, [Y, Z] from the side.
    """
    return _projected(lambda hu, inside: relative_density(hu, table) * inside, volume, mask, spacing_mm)


def radiographs(volume: Values, spacing_mm: Spacing) -> dict[Beam, Floats]:
    """Compute digitally reconstructed radiographs of parallel beams, as line integrals of attenuation.

    The linear attenuation follows from the definition of HU, mu = mu_water (1 + HU / 1000), at least 0. The
    transmitted share of the beam is exp(-integral).

    Args:
        volume: HU [X, Y, Z] in the layout LPS.
        spacing_mm: along x, y and z.

    Returns:
        The line integrals, without unit, [X, Z] from the front, [Y, Z] from the side.
    """

    def attenuation(hu: Values, _: Voxels) -> Floats:
        found: Floats = np.maximum(hu, -1000.0).astype(np.float64)
        found += 1000.0
        found *= WATER_PER_MM / 1000
        return found

    return _projected(attenuation, volume, np.broadcast_to(np.True_, volume.shape), spacing_mm)


def path_length(prediction: Floats, reference: Floats, crossing: Voxels) -> PathLength | None:
    """Compare maps of path lengths over the rays that cross the body; None without any.

    Args:
        prediction: map in mm.
        reference: likewise, of the same beam.
        crossing: rays that count, in the shape of the maps.
    """
    if not crossing.any():
        return None
    ours, theirs = prediction[crossing], reference[crossing]
    errors = ours - theirs
    return PathLength(
        reference_mm=float(theirs.mean()),
        mean_mm=float(errors.mean()),
        sd_mm=float(errors.std()),
        rays=int(errors.size),
    )


def _projected(
    of_voxels: Callable[[Values, Voxels], Floats], volume: Values, mask: Voxels, spacing_mm: Spacing
) -> dict[Beam, Floats]:
    """Sum a function of HU and mask along each beam, times the voxels' length, in slabs of little memory."""
    parts: dict[Beam, list[Floats]] = {beam: [] for beam in BEAMS}
    for start in range(0, volume.shape[2], SLAB):
        slab = np.s_[..., start : start + SLAB]
        values = of_voxels(volume[slab], mask[slab])
        for beam, axis in BEAMS.items():
            parts[beam].append(values.sum(axis=axis))
    return {beam: np.concatenate(parts[beam], axis=1) * spacing_mm[axis] for beam, axis in BEAMS.items()}
