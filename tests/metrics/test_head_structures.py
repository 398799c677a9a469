from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medtranslate.metrics import body_outline, bone_of, compare_vaults, find_middle, vault, ventricles
from medtranslate.metrics.head_structures import Middle, Spacing

SPACING = (2.0, 2.0, 2.5)
SHAPE = (100, 110, 92)
VENTRICLES_ML = 2 * 4 / 3 * np.pi * 8 * 22 * 10 / 1000


def ellipsoid(radii: Spacing, centre: Spacing = (0, 0, 0)) -> NDArray[np.bool_]:
    """Voxels within radii in mm around the middle of the grid, or a place beside it."""
    places = [
        (np.arange(n) - (n - 1) / 2) * length - middle
        for n, length, middle in zip(SHAPE, SPACING, centre, strict=True)
    ]
    x, y, z = np.meshgrid(*places, indexing="ij", sparse=True)
    return (x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2 < 1


def head(thickness: float = 8.0, fluid: float = 8.0) -> NDArray[np.float32]:
    """A round head: 85 mm to the outside of the skull, 5 mm of scalp, two ventricles."""
    ct = np.full(SHAPE, -1000, np.float32)
    ct[ellipsoid((90, 90, 90))] = 30
    ct[ellipsoid((85, 85, 85))] = 1200
    ct[ellipsoid((85 - thickness,) * 3)] = 33
    for side in (-12, 12):
        ct[ellipsoid((8, 22, 10), (side, 0, 20))] = fluid
    return ct


def middle_of(ct: NDArray[np.float32]) -> tuple[Middle, NDArray[np.bool_]]:
    body = body_outline(ct)
    middle = find_middle(bone_of(ct, body, 200), body, SPACING)
    assert isinstance(middle, Middle)
    return middle, body


@pytest.mark.parametrize("thickness", [6.0, 8.0, 12.0])
def test_the_vault_is_as_thick_as_it_was_made(thickness: float) -> None:
    ct = head(thickness)
    middle, body = middle_of(ct)
    found = vault(ct, body, middle, SPACING, 616)  # halfway between brain and bone
    assert np.isfinite(found).all()
    assert np.mean(found) == pytest.approx(thickness, abs=0.6)


def test_vaults_are_compared_ray_by_ray() -> None:
    thick, thin = (head(thickness) for thickness in (10.0, 7.0))
    middle, body = middle_of(thick)
    rays = [vault(ct, body, middle, SPACING, 616) for ct in (thin, thick)]
    found = compare_vaults(*rays)
    assert isinstance(found, dict)
    assert found["reference"] - found["prediction"] == pytest.approx(3.0, abs=0.3)
    assert found["difference"] == pytest.approx(3.0, abs=0.3)


def test_an_open_vault_has_no_thickness() -> None:
    ct = head()
    middle, body = middle_of(ct)
    lost = ct.copy()
    lost[:, :60][lost[:, :60] > 200] = 30
    rays = vault(ct, body, middle, SPACING, 616)
    assert "of the prediction closes" in str(compare_vaults(vault(lost, body, middle, SPACING, 616), rays))
    cut = ct[..., :60]  # without the vertex
    assert "of the reference closes" in str(
        compare_vaults(rays, vault(cut, body[..., :60], middle, SPACING, 616))
    )


@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_ventricles_have_the_volume_they_were_made_with(noise: float) -> None:
    ct = head() + np.random.default_rng(0).normal(0, noise, SHAPE).astype(np.float32)
    middle, body = middle_of(ct)
    assert ventricles(ct, body, middle, SPACING) == pytest.approx(VENTRICLES_ML, rel=0.1)


def test_ventricles_as_bright_as_brain_are_none() -> None:
    ct = head(fluid=33)
    middle, body = middle_of(ct)
    assert ventricles(ct, body, middle, SPACING) == 0.0


def test_no_head_has_no_middle() -> None:
    ct = head()
    body = body_outline(ct)
    bone = bone_of(ct, body, 200)
    assert "has no bone" in str(find_middle(np.zeros_like(bone), body, SPACING))
    assert "less than 80 mm" in str(find_middle(bone[..., 60:], body[..., 60:], SPACING))
