from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from medtranslate.config import EvaluateSettings, TranslateSettings
from medtranslate.evaluation import evaluate
from medtranslate.io import Volume, list_volumes, read_volume, write_volume
from medtranslate.phantom import study
from medtranslate.records import Cohort
from medtranslate.report import Sheet, draw, own_slices, three_planes, thumbnail
from medtranslate.translation import translate
from medtranslate.translation.burn import burn_in


@pytest.fixture(scope="module")
def head():
    return study(910_000, size=40, spacing=6.0)


@pytest.fixture
def settings(small_model, tmp_path):
    def make(source, output, **more):
        given = {"to": "ct", "model": str(small_model), **more}
        return TranslateSettings(input=tmp_path / source, output=tmp_path / output, **given)

    return make


def test_planes_have_the_patients_sides_and_a_scale_of_millimetres():
    source = np.zeros((4, 6, 10), np.float32)
    source[0, 0, 9] = 1  # right, front, top
    axial, coronal, sagittal = three_planes((source, source), ((0, 1), (0, 1)), (3, 2, 1), (0, 0, 9))
    for view, size in ((axial, (12, 12)), (coronal, (10, 12)), (sagittal, (10, 12))):
        assert view.source[0, 0] == 255
        assert view.source.sum() == 255
        assert view.size_mm == size
    assert (axial.left, coronal.left, sagittal.left) == ("R", "R", "A")
    sheet = Sheet((axial, coronal, sagittal), "above", "below", "remark")
    drawn = np.asarray(draw(sheet))
    assert drawn.shape[1] > 3 * 280
    assert drawn.max() == 255
    assert thumbnail(sheet).size == (2 * 112, 112)


def test_slices_that_are_no_grid_are_shown_as_they_are():
    source = np.zeros((3, 5, 2), np.float32)
    source[2, 0, 1] = 1
    first, second = own_slices((source, source), ((0, 1), (0, 1)), (1, 1, 7), [0, 1])
    assert second.source[0, 2] == 255
    assert (first.name, second.name) == ("slice 1 of 2", "slice 2 of 2")
    assert second.size_mm == (5, 3)


def test_a_preview_lies_beside_the_output_and_is_no_input(head, settings, tmp_path):
    write_volume(head.mr, tmp_path / "in" / "mr.nii.gz")
    translate(settings("in/mr.nii.gz", "out/ct.nii.gz"), quiet=True)
    with Image.open(tmp_path / "out" / "ct.preview.png") as sheet:
        assert min(sheet.size) > 500
    assert [path.name for path in list_volumes(tmp_path / "out")] == ["ct.nii.gz"]
    translate(settings("in/mr.nii.gz", "bare/ct.nii.gz", preview=False), quiet=True)
    translate(settings("in/mr.nii.gz", "nobody/ct.nii.gz", deidentify=True), quiet=True)
    translate(settings("in/mr.nii.gz", "asked/ct.nii.gz", deidentify=True, preview=True), quiet=True)
    found = {
        folder: (tmp_path / folder / "ct.preview.png").exists() for folder in ("bare", "nobody", "asked")
    }
    assert found == {"bare": False, "nobody": False, "asked": True}


def test_a_folder_of_translations_pairs_with_its_references(head, settings, tmp_path):
    for name, seed in (("a", 0), ("b.c", 1)):
        write_volume(head.mr.with_values(head.mr.values + 20 * seed), tmp_path / "mr" / f"{name}.nii.gz")
        write_volume(head.ct, tmp_path / "ct" / f"{name}.nii.gz")
        translate(settings(f"mr/{name}.nii.gz", f"made/{name}_synthetic-ct.nii.gz"), quiet=True)
    result = evaluate(
        EvaluateSettings(
            prediction=tmp_path / "made",
            reference=tmp_path / "ct",
            source=tmp_path / "mr",
            out=tmp_path / "scores",
            workers=1,
        ),
        quiet=True,
    )
    assert isinstance(result, Cohort)
    assert [item.name for item in result.items] == ["a", "b.c"]
    assert result.failed == {}


@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_words_are_upright_in_axial_slices_of_any_layout(flips):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    values = np.full((120, 100, 3), -20.0, np.float32)
    values[:60] = 50  # a head in the right half, so that the words go to the left
    expected = Volume(values.copy(), affine)
    burn_in(expected, "SYNTHETIC CT", (-20, 100), as_stored=True)
    turned = affine.copy()
    for axis in flips:
        turned[:3, 3] += turned[:3, axis] * (values.shape[axis] - 1)
        turned[:3, axis] *= -1
    made = Volume(np.flip(values, flips).copy(), turned)
    burn_in(made, "SYNTHETIC CT", (-20, 100), as_stored=False)
    assert np.array_equal(np.flip(made.values, flips), expected.values)
    changed = np.argwhere((expected.values != values).any(axis=2))
    assert changed[:, 0].min() >= 60
    assert changed[:, 1].max() < 30


@pytest.mark.parametrize("shape", [(8, 8), (20, 9), (40, 300), (512, 512)])
def test_words_fit_any_slice(shape):
    volume = Volume(np.zeros((*shape, 1), np.float32), np.eye(4))
    burn_in(volume, "SYNTHETIC MR", (0, 1000), as_stored=True)
    assert set(np.unique(volume.values)) == {0, 1000}
    assert (volume.values > 0).mean() < 0.6


def test_burnt_in_words_are_declared_and_recorded(head, settings, tmp_path):
    write_volume(head.mr, tmp_path / "mr")
    (plain,) = translate(settings("mr", "ct"), quiet=True)
    (record,) = translate(settings("mr", "burnt", burn_in=True), quiet=True)
    said = {name: dcmread(tmp_path / name / "IM0020.dcm").BurnedInAnnotation for name in ("ct", "burnt")}
    assert said == {"ct": "NO", "burnt": "YES"}
    assert not any("burnt" in warning for warning in plain.warnings)
    assert any("SYNTHETIC CT are burnt into a corner" in warning for warning in record.warnings)
    before, after = (read_volume(tmp_path / name).values for name in ("ct", "burnt"))
    changed = (before != after).any(axis=(0, 1))
    assert changed.all()
    assert 0 < (before != after).mean() < 0.4  # slices are small here
    translate(settings("mr", "burnt.nii.gz", burn_in=True), quiet=True)
    assert nib.load(tmp_path / "burnt.nii.gz").get_fdata().max() == 100
