from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medtranslate.errors import GeometryRefused, InputRefused
from medtranslate.evaluation import ScoringRules, score_pair
from medtranslate.io import Volume, read_volume
from medtranslate.phantom import study
from medtranslate.registration import moved, register

Matrix = NDArray[np.float64]
Head = tuple[Volume, Volume]

MOTIONS = [
    ((3.0, -2.0, 1.0), (2.0, -3.0, 1.0)),
    ((8.0, 0.0, -6.0), (12.0, -10.0, 9.0)),
    ((0.0, -10.0, 0.0), (0.0, 0.0, 20.0)),
    ((-6.0, 5.0, 6.0), (-11.0, 11.0, 11.0)),
]


@pytest.fixture(scope="module")
def head() -> Head:
    """MR and CT of a phantom head."""
    made = study(910_001, size=48, spacing=5.3)
    return made.mr, made.ct


def centre(volume: Volume) -> Matrix:
    middle = [*((n - 1) / 2 for n in volume.shape), 1.0]
    return (volume.affine @ middle)[:3]


def displaced(volume: Volume, degrees: tuple[float, ...], mm: tuple[float, ...]) -> tuple[Volume, Matrix]:
    """A volume turned about its centre and shifted (its affine alone), and the motion in RAS."""
    motion, about = np.eye(4), centre(volume)
    motion[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    motion[:3, 3] = about - motion[:3, :3] @ about + mm
    return replace(volume, affine=motion @ volume.affine), motion


def cut(volume: Volume, part: object) -> Volume:
    """A part of a volume, at the place where its first voxel was."""
    return Volume(volume.values[part], volume.affine, volume.meta)  # type: ignore[call-overload]


def apart(found: Matrix, true: Matrix, where: Matrix) -> tuple[float, float]:
    """Degrees and, at `where`, millimetres between two motions."""
    rest = np.linalg.inv(true) @ found
    angle = np.degrees(np.arccos(np.clip((np.trace(rest[:3, :3]) - 1) / 2, -1, 1)))
    return float(angle), float(np.linalg.norm((rest @ [*where, 1.0])[:3] - where))


@pytest.mark.parametrize(("degrees", "mm"), MOTIONS[1:2])
def test_a_known_motion_is_found_across_modalities(
    head: Head, degrees: tuple[float, ...], mm: tuple[float, ...]
) -> None:
    mr, ct = head
    reference, motion = displaced(ct, degrees, mm)
    found = register(reference, mr, "source")
    angle, distance = apart(np.array(found.matrix), motion, centre(mr))
    assert angle < 0.5
    assert distance < 0.5
    assert found.applied
    assert found.rotation_degrees == pytest.approx(
        np.linalg.norm(Rotation.from_euler("xyz", degrees, True).as_rotvec(True)), abs=0.5
    )
    assert found.translation_mm == pytest.approx(np.linalg.norm(mm), abs=0.5)
    assert found.mutual_information["after"] > found.mutual_information["before"]
    np.testing.assert_allclose(moved(reference, found).affine, ct.affine, atol=1.5)
    assert register(reference, mr, "source") == found


@pytest.mark.slow
@pytest.mark.parametrize(("degrees", "mm"), MOTIONS)
def test_a_template_is_brought_back_to_where_it_was(
    shared_data: Path, degrees: tuple[float, ...], mm: tuple[float, ...]
) -> None:
    """CT to CT by the known motion; CT to T1 to where the unmoved CT is brought, whatever fits them best."""
    ct, t1 = (
        read_volume(shared_data / "nifti" / f"{name}.nii.gz") for name in ("ct-template-hu", "t1-template")
    )
    reference, motion = displaced(ct, degrees, mm)
    same = np.array(register(reference, ct, "prediction").matrix)
    assert max(apart(same, motion, centre(ct))) < 0.5
    across, rest = (np.array(register(volume, t1, "source").matrix) for volume in (reference, ct))
    assert max(apart(across, motion @ rest, centre(ct))) < 1.0


def test_what_lies_right_stays_where_it_is(head: Head) -> None:
    mr, ct = head
    found = register(ct, mr, "source")
    assert not found.applied
    assert (found.rotation_degrees, found.translation_mm, found.overlap) == (0.0, 0.0, 1.0)
    plain = score_pair(ct, ct, source=mr)
    result = score_pair(ct, ct, ScoringRules(register="rigid"), source=mr)
    assert result.volume == plain.volume
    assert result.registration == found
    assert "left where its header says" in result.reference[0]


def test_scores_of_a_reference_that_is_brought_back(head: Head) -> None:
    mr, ct = head
    fake = ct.with_values(ct.values + 5.0)
    reference, _ = displaced(ct, (4.0, 0.0, 3.0), (6.0, -5.0, 8.0))
    where_the_header_says = score_pair(fake, reference, ScoringRules(resample_reference=True), source=mr)
    result = score_pair(fake, reference, ScoringRules(register="rigid"), source=mr, mask=None)
    assert result.volume["mae"] < 0.3 * where_the_header_says.volume["mae"]
    assert result.registration is not None
    assert result.registration.target == "source"
    assert "moved rigidly to the source: rotation" in result.reference[0]
    assert result.mask is not None
    alone = score_pair(fake, reference, ScoringRules(register="rigid"))
    assert any("where the prediction as a whole is misplaced" in text for text in alone.warnings)
    assert any("it does not reach are not scored" in text for text in result.reference)


def test_a_mask_moves_with_the_reference_whose_grid_it_has(head: Head) -> None:
    _, ct = head
    whole, _ = displaced(cut(ct, np.s_[3:45]), (0.0, 0.0, 5.0), (8.0, 0.0, 0.0))
    body = whole.with_values(whole.values > -500)
    given = score_pair(ct, whole, ScoringRules(register="rigid"), mask=body)
    assert given.mask is not None
    assert given.mask.share == pytest.approx(float((ct.values > -500).mean()), rel=0.02)


class TestRefused:
    def test_noise(self, head: Head) -> None:
        _, ct = head
        noise = np.random.default_rng(0).normal(size=ct.shape)
        with pytest.raises(InputRefused, match=r"not believed, .*\(rotation .* mutual information"):
            register(ct.with_values(noise), ct, "prediction")

    @pytest.mark.parametrize("degrees", [40.0, pytest.param(180.0, marks=pytest.mark.slow)])
    def test_a_head_that_no_scanner_holds_like_that(self, head: Head, degrees: float) -> None:
        mr, ct = head
        over, _ = displaced(ct, (degrees, 0.0, 0.0), (0.0, 0.0, 0.0))
        with pytest.raises(
            InputRefused, match=rf"not believed, more than 30 degrees \(rotation {degrees:.0f}"
        ):
            register(over, mr, "source")

    def test_a_constant(self, head: Head) -> None:
        _, ct = head
        flat = ct.with_values(np.full(ct.shape, 7.0))
        with pytest.raises(InputRefused, match=r"reference \(in memory\): is 7 everywhere"):
            register(flat, ct, "prediction")

    def test_pictures_and_thin_slabs(self, head: Head) -> None:
        _, ct = head
        with pytest.raises(GeometryRefused, match=r"48 x 48 x 3 voxels are too thin"):
            register(cut(ct, np.s_[..., 20:23]), ct, "prediction")
        picture = ct.with_meta(levels=255)
        with pytest.raises(GeometryRefused, match="a picture has no place in millimetres"):
            register(picture, ct, "prediction")
