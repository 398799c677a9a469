"""Label maps that have the real MR of the same head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

from medtranslate.config import TrainSettings
from medtranslate.errors import InputRefused
from medtranslate.phantom import LABEL, TISSUES, TOLD, read_labelled_head, slices
from medtranslate.phantom.label_cuts import draw_cut, paint_cut
from medtranslate.phantom.label_maps import DEPTHS
from medtranslate.training.synthetic_pairs import read_maps

NAMES = {0: "air", 1: "soft tissue", 2: "skull", 3: "csf", 4: "grey matter", 5: "white matter"}
RADII = {5: 34, 4: 44, 3: 50, 2: 58, 1: 70}
SIGNAL = {5: 500.0, 4: 400.0, 3: 60.0, 0: 5.0}
"""Signal of the labels that are one tissue; fat and diploe are the right half of soft tissue and skull."""

FAT, MUSCLE, DIPLOE, CORTICAL = 900.0, 300.0, 350.0, 20.0


def _saved(values: np.ndarray, path: Path, spacing: float = 2.0) -> None:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([spacing, spacing, spacing, 1.0])), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A head of nested balls on whose right soft tissue is fat, and bone is diploe; a neck beyond the map."""
    folder = tmp_path_factory.mktemp("labels")
    places = np.indices((80, 80, 80)) * 2.0
    radius = np.sqrt(((places - 80.0) ** 2).sum(axis=0))
    labels, mr = np.zeros((80, 80, 80), np.uint8), np.zeros((80, 80, 80), np.float32)
    for label, limit in sorted(RADII.items(), key=lambda pair: -pair[1]):
        labels[radius < limit] = label
    for label, signal in SIGNAL.items():
        mr[labels == label] = signal
    right = places[0] > 80.0
    for label, (bright, dark) in {1: (FAT, MUSCLE), 2: (DIPLOE, CORTICAL)}.items():
        mr[labels == label] = np.where(right, bright, dark)[labels == label]
    mr[30:50, 30:50, :6] = MUSCLE
    _saved(labels, folder / "head.nii.gz")
    _saved(mr, folder / "mr" / "head.nii.gz")
    (folder / "head.yaml").write_text(yaml.safe_dump({"tissues": NAMES}))
    return folder


def test_fat_and_diploe_lie_where_the_mr_is_bright(folder):
    kinds = read_labelled_head(folder / "head.nii.gz").codes // DEPTHS
    right, left = kinds[70, 40, 40], kinds[9, 40, 40]
    assert (TISSUES[right].name, TISSUES[left].name) == ("fat", "muscle")
    assert (TISSUES[kinds[66, 40, 40]].name, TISSUES[kinds[13, 40, 40]].name) == ("diploe", "cortical bone")


def test_tissue_beyond_the_map_is_no_air(folder):
    kinds = read_labelled_head(folder / "head.nii.gz").codes // DEPTHS
    assert TISSUES[kinds[40, 40, 2]].name == "muscle"
    assert not kinds[2:8, 2:8, 40].any()


def test_the_brightness_that_is_told_is_that_of_the_mr(folder):
    told = read_labelled_head(folder / "head.nii.gz").told
    known = dict(zip(TOLD, (told + 1) * FAT / 2, strict=True))
    expected = {
        "fat": FAT,
        "muscle": MUSCLE,
        "diploe": DIPLOE,
        "csf": 60,
        "grey matter": 400,
        "white matter": 500,
    }
    assert {name: known[name] for name in expected} == pytest.approx(expected, rel=1e-3)


def test_a_cut_shows_the_mr_itself_beside_what_is_painted_of_the_same_places(folder):
    head = read_labelled_head(folder / "head.nii.gz")
    hu = np.array([tissue.hu for tissue in TISSUES], np.float32)
    compared = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        cut = draw_cut(head, rng, 96)
        values = np.stack([hu, 2 * hu, np.full_like(hu, 777)])
        (ct, painted, mr), *_ = paint_cut(head, cut, values, rng, planes=1, own=True)
        np.testing.assert_array_equal(painted, 2 * ct)
        for name, signal in (("fat", FAT), ("cortical bone", CORTICAL), ("white matter", 500.0)):
            shown = mr[ct == TISSUES[LABEL[name]].hu]
            np.testing.assert_allclose(shown, signal * 1000 / FAT, rtol=1e-3)
            compared |= {name} if len(shown) else set()
    assert len(compared) == 3


def test_nothing_is_added_that_the_mr_does_not_show(folder):
    """No lesions, no thicker bone, no atrophy: every pixel has the tissue of its voxel."""
    head = read_labelled_head(folder / "head.nii.gz")
    labels = np.arange(len(TISSUES), dtype=np.float32)[None]
    shown = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cut = draw_cut(head, rng, 48)
        assert not cut.lesions
        still = replace(cut, voxels=np.rint(cut.voxels).astype(np.float32), step=np.zeros(3, np.float32))
        (painted,), *_ = paint_cut(head, still, labels, _NoSteps(), planes=1)
        places = still.voxels.astype(int)
        within = ((places >= 0) & (places < 80)).all(axis=0)
        voxels = head.codes[tuple(places.clip(0, 79))] // DEPTHS
        np.testing.assert_array_equal(painted, np.where(within, voxels, 0))
        shown |= set(np.unique(painted).astype(int))
    assert LABEL["white matter"] in shown


class _NoSteps(np.random.Generator):
    """Draws no steps between voxels."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.zeros(size)


def test_the_mr_that_is_wanted_is_real_and_the_one_that_is_translated_is_painted(folder):
    head = read_labelled_head(folder / "head.nii.gz")
    made = slices(3, 4, 64, contrast="t2", wanted="flair", maps=[head], neighbours=1)
    alone = slices(
        3, 4, 64, contrast="t2", maps=[replace(head, mr=None, told=None)], lesions=False, neighbours=1
    )
    assert made.told is not None
    assert made.wanted is not None
    assert alone.told is not None
    np.testing.assert_allclose(made.told[:, 1].numpy(), np.broadcast_to(head.told, (4, len(TOLD))))
    np.testing.assert_array_equal(made.told[:, 0].numpy(), alone.told[:, 0].numpy())
    white = (made.ct - 29).abs() < 1
    shown = float(made.wanted[white].median())
    assert shown == pytest.approx(500 * 1000 / FAT, rel=0.1)
    assert abs(float(made.mr[white].median()) - shown) > 60
    assert made.wanted.shape == (4, 3, 64, 64)


def test_an_mr_on_another_grid_is_refused(folder, tmp_path):
    for name in ("head.nii.gz", "head.yaml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    _saved(np.ones((80, 80, 80), np.float32), tmp_path / "mr" / "head.nii.gz", spacing=1.0)
    with pytest.raises(InputRefused, match="resample the map onto the MR"):
        read_labelled_head(tmp_path / "head.nii.gz")
    shifted = nibabel.Nifti1Image(np.ones((80, 80, 80), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    shifted.affine[0, 3] = 2.0
    nibabel.save(shifted, tmp_path / "mr" / "head.nii.gz")
    with pytest.raises(InputRefused, match="resample the map onto the MR"):
        read_labelled_head(tmp_path / "head.nii.gz")
    _saved(np.ones((80, 80, 79), np.float32), tmp_path / "mr" / "head.nii.gz")
    with pytest.raises(InputRefused, match="resample the map onto the MR"):
        read_labelled_head(tmp_path / "head.nii.gz")


def test_maps_with_and_without_an_mr_lie_in_one_folder(folder, tmp_path):
    settings = TrainSettings(ct="ct", mr="mr", out=tmp_path, anchor_labels=folder)
    (found,) = read_maps(settings)
    assert found.mr is not None
    for name in ("head.nii.gz", "head.yaml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (found,) = read_maps(TrainSettings(ct="ct", mr="mr", out=tmp_path, anchor_labels=tmp_path))
    assert found.mr is None
