"""Regions that a page exported, as DICOM SR; numbers against scikit-image's shapes and NumPy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom import dcmread
from skimage.draw import ellipse, polygon2mask

from medtranslate.config import ReportSettings, TranslateSettings
from medtranslate.errors import InputRefused, Unreadable, UsageError
from medtranslate.evaluation import render
from medtranslate.geometry import swap_lps_ras
from medtranslate.io import read_volume, write_volume
from medtranslate.io.layout import to_axial
from medtranslate.phantom import study
from medtranslate.translation import translate

KINDS = {
    "rectangle": {
        "kind": "rectangle",
        "plane": "axial",
        "slices": [16, 16],
        "points": [[10, 12], [17.5, 20]],
    },
    "ellipse": {
        "kind": "ellipse",
        "plane": "axial",
        "slices": [15, 15],
        "points": [[9.5, 8.5], [22.5, 15.5]],
    },
    "freehand": {
        "kind": "freehand",
        "plane": "axial",
        "slices": [14, 14],
        "points": [[8.2, 8.3], [25.1, 10.6], [17.7, 16.2], [22.4, 25.9], [9.6, 20.3]],
    },
    "coronal": {"kind": "rectangle", "plane": "coronal", "slices": [17, 17], "points": [[8, 9], [21, 16]]},
    "slab": {"kind": "rectangle", "plane": "axial", "slices": [10, 12], "points": [[10, 10], [20, 20]]},
}


@pytest.fixture(scope="module")
def made(small_model, tmp_path_factory):
    """An MR series and its translation, both DICOM."""
    folder = tmp_path_factory.mktemp("regions")
    write_volume(study(910_011, size=32, spacing=7.0).mr, folder / "mr", format="dicom")
    translate(
        TranslateSettings(input=folder / "mr", output=folder / "ct", to="ct", model=str(small_model)),
        quiet=True,
    )
    return folder


@pytest.fixture
def write(made, tmp_path):
    """Write the SR of regions, and return it with its notes."""

    def write(*regions, view=("dicom",), deidentify=False, **changes):
        digest = json.loads((made / "ct" / "translation.json").read_text())["source"]["digest"]
        given = {
            "schema": "medtranslate/regions/1",
            "shape": [32, 32, 32],
            "digest": digest,
            "comment": "",
            "regions": [{"name": "", **region} for region in regions],
        }
        (tmp_path / "regions.json").write_text(json.dumps({**given, **changes}))
        done = render(
            ReportSettings(
                result=made / "ct",
                out=tmp_path / "out",
                view=view,
                regions=tmp_path / "regions.json",
                deidentify=deidentify,
                overwrite=True,
            )
        )
        return srread(tmp_path / "out" / "dicom" / "regions.dcm"), done.notes

    return write


def numbers(group):
    found = {}
    for measurement in group.get_measurements():
        name = measurement.derivation.meaning if measurement.derivation else measurement.name.meaning
        found[name.split()[0]] = measurement.value
    return found


def slices_of(folder):
    return {dcmread(path).SOPInstanceUID: dcmread(path) for path in folder.glob("*.dcm")}


def marked(kind):
    """Voxels of a region, by scikit-image; each array is [down, across]."""
    inside = np.zeros((32, 32), bool)
    points = np.array(KINDS[kind]["points"])
    if kind == "freehand":
        return polygon2mask((32, 32), points[:, ::-1])
    if kind == "ellipse":
        middle, radius = points.mean(axis=0), np.ptp(points, axis=0) / 2
        inside[ellipse(middle[1], middle[0], radius[1], radius[0], shape=(32, 32))] = True
    else:
        (a, b), (c, d) = np.ceil(points[0]).astype(int), np.floor(points[1]).astype(int)
        inside[b : d + 1, a : c + 1] = True
    return inside


@pytest.mark.parametrize("kind", ["rectangle", "ellipse", "freehand"])
def test_a_region_has_the_numbers_of_its_voxels_and_refers_to_their_slice(kind, write, made):
    report, notes = write(KINDS[kind])
    assert notes == []
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 2
    for group, name in zip(groups, ("mr", "ct"), strict=True):
        axial = to_axial(read_volume(made / name))
        values = axial.values[..., KINDS[kind]["slices"][0]].T[marked(kind)].astype(float)
        found = numbers(group)
        assert found["Mean"] == pytest.approx(values.mean(), rel=1e-5, abs=1e-4)
        assert found["Standard"] == pytest.approx(values.std(), rel=1e-5, abs=1e-4)
        assert found["Minimum"] == pytest.approx(values.min(), rel=1e-5, abs=1e-4)
        assert found["Maximum"] == pytest.approx(values.max(), rel=1e-5, abs=1e-4)
        sizes = np.ptp(np.array(KINDS[kind]["points"]), axis=0)
        if kind != "freehand":
            share = np.pi / 4 if kind == "ellipse" else 1
            assert found["Area"] == pytest.approx(sizes.prod() * share * 49, rel=1e-4)
        item = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        image = slices_of(made / name)[item.ReferencedSOPInstanceUID]
        if kind == "rectangle":
            corners = [(*point, KINDS[kind]["slices"][0]) for point in KINDS[kind]["points"]]
            lps = swap_lps_ras(axial.affine)
            expected = np.array(corners) @ lps[:3, :3].T + lps[:3, 3]
            assert np.allclose(in_patient(image, group.roi.value[[0, 2]]), expected, atol=0.01)


def in_patient(image, points):
    """Place pixel coordinates of an SR, whose origin is a pixel's corner, by the headers of a slice."""
    along = np.reshape(image.ImageOrientationPatient, (2, 3)).astype(float)
    down, across = map(float, image.PixelSpacing)
    return np.array(image.ImagePositionPatient, float) + (points - 0.5) * (across, down) @ along


def test_a_region_across_the_slices_lies_in_space(write, made):
    report, _ = write(KINDS["coronal"])
    group = report.content.get_planar_roi_measurement_groups()[0]
    axial = to_axial(read_volume(made / "mr"))
    assert numbers(group)["Mean"] == pytest.approx(axial.values[8:22, 17, 9:17].mean(), rel=1e-5)
    corners = np.array([(8, 17, 9), (21, 17, 9), (21, 17, 16), (8, 17, 16)]) + 0.0
    lps = swap_lps_ras(axial.affine)
    assert np.allclose(group.roi.value[:4], corners @ lps[:3, :3].T + lps[:3, 3], atol=1e-3)
    assert group.roi.frame_of_reference_uid == next(iter(slices_of(made / "mr").values())).FrameOfReferenceUID


def test_a_slab_is_measured_slice_by_slice_with_one_tracking_uid(write):
    report, _ = write(KINDS["slab"])
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 6
    assert len({group.tracking_uid for group in groups[:3]}) == 1


def test_the_object_is_valid_and_joins_the_study(write, made, tmp_path):
    write({**KINDS["rectangle"], "name": "Miller's caudate"}, *KINDS.values())
    path = tmp_path / "out" / "dicom" / "regions.dcm"
    command = [str(Path(sys.executable).parent / "dciodvfy"), "-new", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert "Comprehensive3DSR" in lines
    assert [line for line in lines if line.startswith("Error")] == []
    source = next(iter(slices_of(made / "mr").values()))
    assert dcmread(path).StudyInstanceUID == source.StudyInstanceUID
    assert b"1 Miller's caudate" in path.read_bytes()
    write({**KINDS["rectangle"], "name": "Miller's caudate"}, deidentify=True)
    assert b"Miller" not in path.read_bytes()


def test_lengths_are_left_out_with_a_note(write):
    line = {"kind": "distance", "plane": "axial", "slices": [3, 3], "points": [[1, 1], [5, 5]]}
    report, notes = write(line, KINDS["ellipse"])
    assert len(report.content.get_planar_roi_measurement_groups()) == 2
    assert notes == ["regions: 1 distances and angles are left out; an SR of regions has areas"]
    with pytest.raises(InputRefused, match="lie in 0 slices"):
        write(line)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"schema": "medtranslate/regions/2"}, Unreadable, "its schema is 'medtranslate/regions/2'"),
        ({"digest": "0" * 64}, InputRefused, "are of another image"),
        ({"digest": None}, InputRefused, "are of another image"),
        ({"shape": [32, 32, 40]}, InputRefused, "of an image of"),
        ({"regions": [{**KINDS["slab"], "slices": [30, 32]}]}, InputRefused, "slices 30 to 32, outside"),
        ({"regions": [{**KINDS["slab"], "points": [[0, 0], [32, 3]]}]}, InputRefused, r"\(32, 3\) outside"),
        ({"regions": [{**KINDS["slab"], "points": [[0, 0]] * 3}]}, InputRefused, "has 3 points"),
        ({"regions": [{**KINDS["slab"], "points": [[0, 0], [float("nan"), 3]]}]}, Unreadable, "finite"),
        ({"regions": [{**KINDS["slab"], "kind": "sphere"}]}, Unreadable, "of this version"),
        ({"regions": "none"}, Unreadable, "of this version"),
        ({"regions": [KINDS["slab"]] * 501}, Unreadable, "at most 500"),
    ],
)
def test_regions_that_do_not_fit_are_refused_in_one_line(changes, error, words, write, tmp_path):
    with pytest.raises(error, match=words) as refusal:
        write(**changes)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_regions_need_the_view_that_writes_them(write):
    with pytest.raises(UsageError, match="--regions: the view dicom"):
        write(KINDS["slab"], view=("html",))
