from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.inferers import SliceInferer
from PIL import Image
from pydicom import dcmread
from pydicom.uid import ParametricMapStorage
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medtranslate.checkpoint import load_model
from medtranslate.config import TranslateSettings
from medtranslate.errors import (
    GeometryRefused,
    InputRefused,
    OutputExists,
    SeriesRefused,
    Unreadable,
    UsageError,
)
from medtranslate.io import Meta, Volume, read_volume, write_volume
from medtranslate.phantom import study
from medtranslate.records import SYNTHETIC, Translation, read_result
from medtranslate.translation import seams, translate, translate_volume


@pytest.fixture(scope="module")
def head():
    """A phantom head of 40^3 voxels at 6 mm."""
    return study(910_000, size=40, spacing=6.0)


@pytest.fixture
def model(small_model):
    return load_model(str(small_model))


def settings(small_model, tmp_path, source, output, to="ct", **more):
    return TranslateSettings(input=source, output=tmp_path / output, to=to, model=str(small_model), **more)


def rotated(volume: Volume, order: tuple[int, int, int], flips: tuple[int, ...]) -> Volume:
    """The same image in another array layout."""
    values, affine = volume.values.transpose(order), volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, list(order)]
    for axis in flips:
        values = np.flip(values, axis)
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(values), affine, Meta(modality="mr"))


@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), ()), ((2, 0, 1), (0, 2)), ((1, 2, 0), (1,))])
def test_the_translation_does_not_depend_on_the_array_layout(head, model, order, flips):
    expected, _ = translate_volume(head.mr, model, "ct")
    source = rotated(head.mr, order, flips)
    made, _ = translate_volume(source, model, "ct")
    assert np.array_equal(made.affine, source.affine)
    assert np.array_equal(rotated(expected, order, flips).values, made.values)


def test_batches_of_any_size_give_the_same(head, model):
    whole, _ = translate_volume(head.mr, model, "ct", batch=64)
    single, _ = translate_volume(head.mr, model, "ct", batch=1)
    np.testing.assert_allclose(whole.values, single.values, atol=1e-3, rtol=0)


def test_the_target_scale_is_the_models_and_air_stays_air(head, model):
    for to, source, (lower, upper) in (("ct", head.mr, (-20, 100)), ("mr", head.ct, (0, 1000))):
        made, done = translate_volume(source, model, to)
        assert lower <= made.values.min()
        assert made.values.max() <= upper
        assert made.values[0, 0, 0] == pytest.approx(lower)
        assert done.model.output_range == (lower, upper)
    doubled = head.mr.with_values(head.mr.values * 2)
    np.testing.assert_allclose(
        translate_volume(doubled, model, "ct")[0].values,
        translate_volume(head.mr, model, "ct")[0].values,
        rtol=1e-5,
        atol=1e-4,
    )


def test_nifti_keeps_affine_shape_and_orientation(head, small_model, tmp_path):
    source = tmp_path / "mr.nii.gz"
    write_volume(rotated(head.mr, (2, 0, 1), (1,)), source)
    (done,) = translate(settings(small_model, tmp_path, source, "ct.nii.gz"), quiet=True)
    before, after = nib.load(source), nib.load(tmp_path / "ct.nii.gz")
    assert before.shape == after.shape
    assert np.array_equal(before.affine, after.affine)
    assert nib.aff2axcodes(before.affine) == nib.aff2axcodes(after.affine)
    assert read_result(Translation, tmp_path / "ct.translation.json") == done
    assert done.warnings[-1] == "CT values are limited to -20 to 100 HU: windowed, not for dose"


def test_an_output_without_suffix_is_a_folder_in_which_the_name_says_what_it_is(head, small_model, tmp_path):
    write_volume(head.mr, tmp_path / "mr.nii.gz")
    translate(settings(small_model, tmp_path, tmp_path / "mr.nii.gz", "out"), quiet=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("mr_synthetic-ct.nii.gz", "translation.json", "preview.png")
    }


def test_a_dicom_series_becomes_one_on_its_own_grid_and_modality_is_checked(head, small_model, tmp_path):
    write_volume(head.mr, tmp_path / "mr")
    translate(settings(small_model, tmp_path, tmp_path / "mr", "ct"), quiet=True)
    before, after = read_volume(tmp_path / "mr"), read_volume(tmp_path / "ct")
    np.testing.assert_allclose(before.affine, after.affine, atol=1e-4, rtol=0)
    assert after.meta.modality == "ct"
    assert (tmp_path / "ct" / "translation.json").is_file()
    assert (tmp_path / "ct" / "preview.png").is_file()
    with pytest.raises(InputRefused, match="mr"):
        translate(settings(small_model, tmp_path, tmp_path / "mr", "wrong", to="mr"), quiet=True)
    shutil.copytree(tmp_path / "ct", tmp_path / "mr" / "more", ignore=shutil.ignore_patterns("*.json"))
    with pytest.raises(SeriesRefused):
        translate(settings(small_model, tmp_path, tmp_path / "mr", "two"), quiet=True)
    assert not (tmp_path / "two").exists()


def test_pictures_keep_sizes_and_their_names_say_what_they_are(head, small_model, tmp_path):
    (tmp_path / "in").mkdir()
    for name, size in (("a2.png", (50, 40)), ("a10.jpg", (64, 80))):
        grey = head.mr.values[:, :, 22].T[::-1, ::-1] / 4
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).resize(size).save(tmp_path / "in" / name)
    done = translate(settings(small_model, tmp_path, tmp_path / "in", "out"), quiet=True)
    assert isinstance(done, list)
    assert [item.output for item in done] == ["a2_synthetic-ct.png", "a10_synthetic-ct.jpg"]
    for path in (tmp_path / "in").iterdir():
        made_path = tmp_path / "out" / f"{path.stem}_synthetic-ct{path.suffix}"
        with Image.open(made_path) as made, Image.open(path) as given:
            assert made.size == given.size
            assert made.mode == "L"
            assert "SYNTHETIC CT, DOUBTFUL, from MR, not for diagnosis" in str(made.info)
    again = settings(small_model, tmp_path, tmp_path / "in", "out", overwrite=True)
    assert len(translate(again, quiet=True)) == 2
    with pytest.raises(UsageError, match="folder of pictures"):
        translate(settings(small_model, tmp_path, tmp_path / "in", "out.nii.gz"), quiet=True)


def test_pictures_share_passes_and_one_that_is_refused_leaves_nothing(head, small_model, tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(7):
        grey = head.mr.values[:, :, 17 + index].T[::-1, ::-1] / 4
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / f"a{index}.png")
    for batch in (1, 3, 64):
        given = {"batch": batch, "precision": "float32"}
        done = translate(settings(small_model, tmp_path, tmp_path / "in", f"by-{batch}", **given), quiet=True)
        assert [item.output for item in done] == [f"a{index}_synthetic-ct.png" for index in range(7)]
        assert {item.precision for item in done} == {"float32"}
    for index in range(7):
        name = f"a{index}_synthetic-ct.png"
        one, *others = (np.asarray(Image.open(tmp_path / f"by-{n}" / name)) for n in (1, 3, 64))
        assert all(np.abs(one.astype(int) - other).max() <= 1 for other in others)
        assert one.std() > 0
    (tmp_path / "in" / "a5.png").write_bytes((tmp_path / "in" / "a5.png").read_bytes()[:200])
    with pytest.raises(Unreadable, match=r"a5\.png"):
        translate(settings(small_model, tmp_path, tmp_path / "in", "none", batch=2), quiet=True)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "by-1", "by-3", "by-64"}


def test_a_stack_is_translated_as_one_volume_into_pictures_or_a_file(head, small_model, tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(15, 25):
        grey = head.mr.values[:, :, index].T[::-1, ::-1] / 4
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / f"a{index}.png")
    given = {"stack": True, "spacing": (6.0, 6.0, 5.0)}
    (done,) = translate(settings(small_model, tmp_path, tmp_path / "in", "out", **given), quiet=True)
    assert done.source.spacing_mm == (6, 6, 5)
    assert any("given by hand" in warning for warning in done.warnings)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *(f"a{index}_synthetic-ct.png" for index in range(15, 25)),
        "translation.json",
    }
    translate(settings(small_model, tmp_path, tmp_path / "in", "out.mha", **given), quiet=True)
    volume, pictures = read_volume(tmp_path / "out.mha"), read_volume(tmp_path / "out", stack=(6, 6, 5))
    assert np.allclose(volume.affine, pictures.affine)
    assert np.abs(volume.values - pictures.values).max() <= 0.501
    with pytest.raises(UsageError, match="--stack and --spacing"):
        translate(settings(small_model, tmp_path, tmp_path / "in", "o", stack=True), quiet=True)


def test_the_passes_are_those_of_monais_slice_inferer(head, model):
    passed = []
    generator = model.translator("ct")
    generator.register_forward_hook(lambda _, given, made: passed.append((given[0], made.image)))
    translate_volume(head.mr, model, "ct", batch=5)
    framed, made = (torch.cat(parts) for parts in zip(*passed, strict=True))
    inferer = SliceInferer(roi_size=framed.shape[2:], sw_batch_size=4, spatial_dim=2)
    with torch.inference_mode():
        volume = inferer(to_volume(framed), lambda slices: generator(slices).image)
    assert len(framed) > 10
    assert made.std() > 0
    torch.testing.assert_close(to_volume(made), volume, atol=1e-5, rtol=0)


def to_volume(slices: torch.Tensor) -> torch.Tensor:
    """Slices [N, 1, S, S] as [1, 1, S, S, N]."""
    return slices.permute(1, 2, 3, 0)[None]


def test_an_existing_output_is_refused_and_kept(head, small_model, tmp_path):
    write_volume(head.mr, tmp_path / "mr.nii.gz")
    for name in ("ct.nii.gz", "ct.translation.json"):
        (tmp_path / name).write_text("precious")
        with pytest.raises(OutputExists, match="--overwrite"):
            translate(settings(small_model, tmp_path, tmp_path / "mr.nii.gz", "ct.nii.gz"), quiet=True)
        assert (tmp_path / name).read_text() == "precious"
        (tmp_path / name).unlink()
    translate(
        settings(small_model, tmp_path, tmp_path / "mr.nii.gz", "ct.nii.gz", overwrite=True), quiet=True
    )


def test_the_input_is_never_replaced(head, small_model, tmp_path):
    write_volume(head.mr, tmp_path / "study" / "mr")
    for output in ("study/mr", "study"):
        with pytest.raises(UsageError, match="holds the input"):
            translate(
                settings(small_model, tmp_path, tmp_path / "study" / "mr", output, overwrite=True), quiet=True
            )
    write_volume(head.ct, tmp_path / "study" / "ct")
    with pytest.raises(OutputExists, match="did not write"):
        translate(
            settings(small_model, tmp_path, tmp_path / "study" / "mr", "study/ct", overwrite=True), quiet=True
        )


def test_an_interrupted_translation_leaves_nothing(head, small_model, tmp_path, monkeypatch):
    write_volume(head.mr, tmp_path / "mr.nii.gz")
    from medtranslate.translation import translator

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(translator, "write_result", interrupt)
    with pytest.raises(KeyboardInterrupt):
        translate(settings(small_model, tmp_path, tmp_path / "mr.nii.gz", "new/ct.nii.gz"), quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mr.nii.gz"]


def test_an_empty_volume_is_refused(small_model, tmp_path):
    blank = Volume(np.zeros((20, 20, 20), np.float32), np.eye(4))
    write_volume(blank, tmp_path / "blank.nii.gz")
    for to in ("ct", "mr"):
        with pytest.raises(InputRefused, match=r"blank\.nii\.gz"):
            translate(
                settings(small_model, tmp_path, tmp_path / "blank.nii.gz", "out.nii.gz", to=to), quiet=True
            )


@pytest.mark.parametrize("suffix", ["", ".nii.gz", ".nrrd", ".mha", ".png"])
def test_a_translation_of_a_translation_says_that_its_source_is_synthetic(
    head, small_model, tmp_path, suffix
):
    source = tmp_path / ("mr.png" if suffix == ".png" else "mr")
    if suffix == ".png":
        Image.fromarray(np.uint8(head.mr.values[:, ::-1, 20].T.clip(0, 1000) / 1000 * 255)).save(source)
    else:
        write_volume(head.mr, source)
    made, again = tmp_path / f"ct{suffix}", tmp_path / f"again{suffix or '.nii.gz'}"
    (first,) = translate(settings(small_model, tmp_path, source, made), quiet=True)
    (second,) = translate(settings(small_model, tmp_path, made, again, to="mr"), quiet=True)
    assert [SYNTHETIC in each.warnings for each in (first, second)] == [False, True]


def test_seams_of_a_ramp_are_zero_and_of_alternating_slices_are_not():
    ramp = np.linspace(-0.5, 0.5, 9, dtype=np.float32)[:, None, None] + np.zeros((9, 4, 4), np.float32)
    assert seams(ramp) == pytest.approx(0, abs=1e-6)
    zigzag = np.array([0.0, 0.4] * 4, np.float32)[:, None, None] + np.zeros((8, 4, 4), np.float32)
    assert seams(zigzag) == pytest.approx(0.4)


def test_real_volumes_come_back_on_their_own_grid(shared_data, small_model, tmp_path):
    source = shared_data / "nifti" / "mr-t1-head.nii.gz"
    translate(settings(small_model, tmp_path, source, "ct.nii.gz"), quiet=True)
    before, after = nib.load(source), nib.load(tmp_path / "ct.nii.gz")
    assert before.shape[:3] == after.shape
    assert np.allclose(before.affine, after.affine, atol=1e-6)


def tilt(folder, degrees):
    """Give each file of a DICOM series the same slice under another gantry tilt; gaps stay."""
    turned = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    for path in folder.iterdir():
        header = dcmread(path)
        cosines = np.reshape(header.ImageOrientationPatient, (2, 3)).astype(float) @ turned.T
        header.ImageOrientationPatient = [round(float(cosine), 9) for cosine in cosines.ravel()]
        header.save_as(path)


def test_tilted_slices_are_translated_each_on_its_own_place_and_regridded_for_nifti(
    head, small_model, tmp_path
):
    write_volume(head.mr, tmp_path / "in")
    tilt(tmp_path / "in", 12)
    given = small_model, tmp_path, tmp_path / "in"
    translate(settings(*given, "out"), quiet=True)
    pairs = [
        {
            str(header.ImagePositionPatient): header.ImageOrientationPatient
            for header in map(dcmread, folder.glob("*.dcm"))
        }
        for folder in (tmp_path / "in", tmp_path / "out")
    ]
    assert pairs[0] == pairs[1]
    made = read_volume(tmp_path / "out", modality="ct")
    assert "tilted by 12.0 degrees" in str(made.meta.slices)
    with pytest.raises(GeometryRefused, match="--regrid"):
        translate(settings(*given, "x.nii.gz"), quiet=True)
    with pytest.raises(GeometryRefused, match=r"tilted by 12\.0 degrees.*ends in \.dcm"):
        translate(settings(*given, "y", uncertainty=tmp_path / "x.nii.gz"), quiet=True)
    assert not (tmp_path / "x.nii.gz").exists()
    assert not (tmp_path / "y").exists()
    translate(settings(*given, "x.nii.gz", regrid=True), quiet=True)
    assert read_volume(tmp_path / "x.nii.gz").shape[2] == made.shape[2]
    with pytest.raises(UsageError, match="keeps its own slices"):
        translate(settings(*given, "out2", regrid=True), quiet=True)
    with pytest.raises(UsageError, match=r"ends in .*\.nrrd, .mgh, .mgz$"):
        translate(settings(*given, "z.nii.gz", regrid=True, uncertainty=tmp_path / "z.dcm"), quiet=True)


@pytest.mark.parametrize("deidentify", [False, True])
def test_the_spread_of_tilted_slices_is_a_map_of_the_patients_study(head, small_model, tmp_path, deidentify):
    write_volume(head.mr, tmp_path / "in")
    tilt(tmp_path / "in", 12)
    more = {"uncertainty": tmp_path / "sd.dcm", "samples": 2, "deidentify": deidentify}
    (record,) = translate(settings(small_model, tmp_path, tmp_path / "in", "out", **more), quiet=True)
    assert record.uncertainty.output == "sd.dcm"
    made, sources = dcmread(tmp_path / "sd.dcm"), [dcmread(path) for path in (tmp_path / "in").iterdir()]
    assert made.SOPClassUID == ParametricMapStorage
    assert (made.StudyInstanceUID == sources[0].StudyInstanceUID) != deidentify
    places = {
        str(frame.PlanePositionSequence[0].ImagePositionPatient)
        for frame in made.PerFrameFunctionalGroupsSequence
    }
    assert places == {str(source.ImagePositionPatient) for source in sources}
    assert made.pixel_array.shape == (40, 40, 40)
    assert made.pixel_array.min() == 0
    assert record.uncertainty.mean_std < made.pixel_array.max()


@pytest.mark.parametrize("degrees", [0.0, 50.0])
def test_far_oblique_volumes_are_translated_upright_and_come_back_on_their_own_grid(head, model, degrees):
    # The head itself stands still; its voxel grid is turned, about the axis from left to right.
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    source = head.mr
    centre = source.affine @ [*(np.array(source.shape) / 2 - 0.5), 1]
    move = np.eye(4)
    move[:3, 3] = centre[:3]
    affine = move @ turned @ np.linalg.inv(move) @ source.affine
    places = np.linalg.inv(source.affine) @ affine
    values = ndimage.affine_transform(source.values, places, order=1)
    oblique = Volume(values, affine, Meta(modality="mr"))
    made, record = translate_volume(oblique, model, "ct")
    assert (made.shape, made.meta.modality) == (oblique.shape, "ct")
    assert np.array_equal(made.affine, affine)
    assert any("resampled along the patient's axes" in text for text in record.warnings) == (degrees > 35)
    # What an upright head is translated to, seen on the same grid.
    upright, _ = translate_volume(source, model, "ct")
    expected = ndimage.affine_transform(upright.values, places, order=1, cval=float(upright.values.min()))
    apart = np.abs(made.values - expected).mean()

    assert apart < 0.2 * expected.std()


def test_a_deidentified_stack_does_not_keep_its_pictures_names(head, small_model, tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(1, 4):
        grey = head.mr.values[:, :, 18 + index].T[::-1, ::-1] / 4
        picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
        picture.save(tmp_path / "in" / f"DOE_JOHN_1957_{index}.png")
    given = {"stack": True, "spacing": (6.0, 6.0, 6.0), "deidentify": True}
    translate(settings(small_model, tmp_path, tmp_path / "in", "out", **given), quiet=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*(f"000{number}_synthetic-ct.png" for number in (1, 2, 3)), "translation.json"}
    assert "DOE" not in (tmp_path / "out" / "translation.json").read_text()
