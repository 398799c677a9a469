"""Heads cut from a CT in HU, whose bone, fat and air are known."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from medtranslate.errors import InputRefused
from medtranslate.phantom import LABEL, TISSUES, read_label_map, read_labelled_head, slices, study
from medtranslate.phantom.ct_map import tissues_of
from medtranslate.phantom.label_maps import DEPTHS, PARTS

SIZE, STEP_MM = 112, 2.2
BONE = ("cortical bone", "diploe", "marrow", "tooth")
BRAIN = ("grey matter", "white matter", "deep nuclei", "pallidum", "brainstem", "cerebellar cortex")


NUMBERS = {part: len(TISSUES) + index for index, part in enumerate(PARTS)}


@pytest.fixture(scope="module")
def made():
    return study(5, size=SIZE, spacing=STEP_MM)


@pytest.fixture(scope="module")
def truth(made):
    return made.labels.values.astype(int)


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    """CT of a digital head, with a headrest behind it and loose plastic beside it."""
    path = tmp_path_factory.mktemp("ct") / "head.nii.gz"
    values = made.ct.values.copy()
    values[30:80, :3] = -100.0
    values[4:9, 50:60, 50:60] = 300.0
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), made.ct.affine), path)
    return path


@pytest.fixture(scope="module")
def head(path):
    return read_label_map(path)


def overlap(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture(scope="module")
def found(path):
    hu = np.asarray(nibabel.load(path).dataobj, np.float32)
    return tissues_of(hu, np.full(3, STEP_MM, np.float32), NUMBERS)


@pytest.mark.parametrize(
    ("kinds", "tissues", "least"),
    [
        ([NUMBERS["skull"], LABEL["tooth"]], BONE, 0.8),
        ([NUMBERS["grey matter"], NUMBERS["white matter"]], BRAIN, 0.75),
        ([LABEL["csf"]], ("csf",), 0.5),
        ([LABEL["fat"]], ("fat",), 0.7),
        ([LABEL["air"]], ("air",), 0.98),
    ],
)
def test_tissues_are_those_of_the_head(found, truth, kinds, tissues, least):
    true = np.isin(truth, [LABEL[name] for name in tissues])
    assert overlap(np.isin(found, kinds), true) > least


def test_no_air_is_added_to_its_bone(head, found):
    places = np.argwhere(found > 0)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    inner = (slice(at, at + size) for at, size in zip(np.minimum(low, 3), high - low, strict=True))
    kept = (head.codes // DEPTHS)[tuple(inner)]
    bone = found[tuple(map(slice, low, high))] == NUMBERS["skull"]
    assert (kept[bone] == NUMBERS["skull"]).mean() > 0.999  # a tip of bone may be loose


def test_what_lies_beside_the_head_is_removed(head, path):
    field = np.array(nibabel.load(path).shape)
    assert (np.array(head.codes.shape) < field).all()  # cropped to the head
    assert ndimage.label(head.codes // DEPTHS > 0)[1] == 1


def test_its_cuts_have_any_contrast_and_lesions_as_those_of_maps(head):
    made = slices(3, 12, 64, contrast="t1", wanted="t2", maps=[head], neighbours=1, volumes=1.0)
    assert (made.ct > 300).flatten(1).any(dim=1).float().mean() > 0.8
    assert made.lesion.amax(dim=(1, 2, 3)).max() > 0.9
    assert (made.mr != made.wanted[:, :1]).any()


@pytest.mark.parametrize(
    ("values", "spacing", "says"),
    [
        (np.full((16, 16, 16), -1000.0), (1.0, 1.0, 5.0), "5 mm long.* at most 3 mm"),
        (np.full((16, 16, 16), -1000.0), (1.0, 1.0, 1.0), "no head"),
    ],
)
def test_thick_slices_and_empty_ones_are_refused(tmp_path, values, spacing, says):
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), np.diag([*spacing, 1])), tmp_path / "c.nii.gz")
    with pytest.raises(InputRefused, match=says):
        read_label_map(tmp_path / "c.nii.gz")


def test_an_mr_beside_a_ct_is_refused(made, tmp_path):
    (tmp_path / "mr").mkdir()
    for side, folder in ((made.ct, tmp_path), (made.mr, tmp_path / "mr")):
        nibabel.save(nibabel.Nifti1Image(side.values.astype(np.int16), side.affine), folder / "p.nii.gz")
    with pytest.raises(InputRefused, match="lies beside a CT"):
        read_labelled_head(tmp_path / "p.nii.gz")
