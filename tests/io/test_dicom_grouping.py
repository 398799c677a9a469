"""Which images of one SeriesInstanceUID are one volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel as nib
import numpy as np
import pytest
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from medtranslate.cli import invoke
from medtranslate.data.items import list_items as list_training_items
from medtranslate.errors import GeometryRefused, SeriesRefused, SettingsError, UsageError
from medtranslate.io import Volume, read_volume, write_volume
from medtranslate.io.dicom_acquisitions import differing_values, tell_apart
from medtranslate.io.inventory import list_items
from medtranslate.records import Derivation

HEIGHTS = [3.0 * index for index in range(5)]
BETWEEN = [height + 1.5 for height in HEIGHTS]


def slices_of(volume: Volume) -> NDArray[np.float32]:
    """Values as `put_slices` gives them."""
    return volume.values.T


# By the name that --select takes: keyword, values of two acquisitions, and what selects the second.
APART = {
    "echo": ({"EchoNumbers": 1}, {"EchoNumbers": 2}, "echo=2"),
    "te": ({"EchoTime": "20"}, {"EchoTime": "90"}, "te=90.0"),
    "time-point": ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}, "time-point=2"),
    "b-value": ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}, "b-value=1000"),
    "ti": ({}, {"InversionTime": "150"}, "ti=150"),
    "flip-angle": ({"FlipAngle": "3"}, {"FlipAngle": "15"}, "flip-angle=15"),
    "kvp": ({"KVP": "80"}, {"KVP": "140"}, "kvp=140"),
    "energy": ({}, {"MonoenergeticEnergyEquivalent": 40.0}, "energy=40"),
    "kernel": ({"ConvolutionKernel": "H31s"}, {"ConvolutionKernel": ["Br64", "3"]}, "kernel=br64/3"),
    "image-type": (
        {"ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]},
        "image-type=p",
    ),
    "contrast": ({}, {"ContrastBolusAgent": "IODINE, 300"}, "contrast=iodine  300"),
    "acquisition": ({"AcquisitionNumber": 4}, {"AcquisitionNumber": 5}, "acquisition=5"),
    "trigger": ({"TriggerTime": "100"}, {"TriggerTime": "640"}, "trigger=640"),
    "stack": ({"StackID": "1"}, {"StackID": "2"}, "stack=2"),
}


@pytest.mark.parametrize("name", APART)
def test_slices_of_two_acquisitions_between_each_other_are_refused_and_one_can_be_taken(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, name: str
) -> None:
    one, other, chosen = APART[name]
    put_slices(tmp_path, HEIGHTS, **one)
    pixels = put_slices(tmp_path, BETWEEN, **other)
    with pytest.raises(
        SeriesRefused, match=rf"2 acquisitions.*{next(iter(other))} \(.*--select \"?{name}="
    ) as refusal:
        read_volume(tmp_path)
    assert "CANARY" not in str(refusal.value)
    volume = read_volume(tmp_path, select=chosen)
    assert np.array_equal(slices_of(volume), pixels)
    assert volume.affine[2, 3] == BETWEEN[0]
    assert volume.meta.select == chosen


@pytest.mark.parametrize("shift", [0, 0.02, 0.9, 1.5, 2.1, 6, -4.5])
@pytest.mark.parametrize("name", ["te", "acquisition"])
def test_two_acquisitions_are_told_apart_wherever_the_second_lies(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, shift: float, name: str
) -> None:
    one, other, chosen = APART[name]
    put_slices(tmp_path, HEIGHTS, "ct" if name == "acquisition" else "mr", **one)
    pixels = put_slices(
        tmp_path, [height + shift for height in HEIGHTS], "ct" if name == "acquisition" else "mr", **other
    )
    with pytest.raises(SeriesRefused, match=f"--select {name}="):
        read_volume(tmp_path)
    assert np.array_equal(slices_of(read_volume(tmp_path, select=chosen)), pixels)


VARYING = {
    "acquisitions that follow each other": {"AcquisitionNumber": lambda index: index // 2},
    "an acquisition for each slice": {"AcquisitionNumber": lambda index: 12 - index},
    "slices that were taken in turns": {"AcquisitionNumber": lambda index: 1 + index % 2},
    "a trigger for each slice": {"TriggerTime": lambda index: f"{40 * index}"},
    "a trigger that comes back": {"TriggerTime": lambda index: f"{100 * (index % 4)}"},
    "a kernel for the base": {"ConvolutionKernel": lambda index: "H60s" if index < 5 else "H31s"},
    "an energy for the base": {"KVP": lambda index: "140" if index < 5 else "120"},
    "an energy for the base between neck and vertex": {"KVP": lambda i: "140" if 4 <= i < 8 else "120"},
    "kernels in blocks that come back": {
        "ConvolutionKernel": lambda index: "H60s" if index // 3 % 2 else "H31s"
    },
    "echo times that hardly differ": {"EchoTime": lambda index: f"{4.6 + 0.004 * (index % 3):.4f}"},
    "numbers written otherwise": {"EchoTime": lambda index: "4.60" if index % 2 else "4.6"},
    "an energy that a slice lacks": {"KVP": lambda index: None if index == 4 else "120"},
    "exposure and time": {
        "XRayTubeCurrent": lambda index: index % 2,
        "AcquisitionTime": lambda index: f"10{index:02}00",
    },
    "numbers that begin anew": {"InstanceNumber": lambda index: 1 + index % 6},
}


@pytest.mark.parametrize("case", VARYING)
def test_what_varies_within_a_good_series_does_not_split_it(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, case: str
) -> None:
    heights = [3.0 * index for index in range(12)]
    pixels = put_slices(tmp_path, heights, "ct", **VARYING[case])
    volume = read_volume(tmp_path)
    assert np.array_equal(slices_of(volume), pixels)
    assert volume.meta.slices is None


FILLING = {  # places of a block, and which of 0, 3, ... 33 mm the others lack
    "a slice in the place of another": ([9.0], [9.0]),
    "two slices in the place of others": ([9.0, 12.0], [9.0, 12.0]),
    "a block half a gap off": ([7.5, 10.5, 13.5], [9.0, 12.0]),
    "a block within the usual gap": ([3.75, 4.5, 5.25], []),
    "a block on the slice at its end": ([6.0, 9.0, 12.0], [9.0, 12.0]),
}


@pytest.mark.parametrize("case", FILLING)
def test_what_is_no_block_of_the_same_scan_is_told_apart(case: str) -> None:
    block, lacking = FILLING[case]
    others = [3.0 * index for index in range(12) if 3.0 * index not in lacking]
    planes = [header_of({"EchoTime": "20"})] * len(others) + [header_of({"EchoTime": "90"})] * len(block)
    told = tell_apart(differing_values(planes), np.array([*others, *block]), [3.0] * len(planes))
    assert "te" in told


IN_ALL = [(name, one, other) for name, (one, other, _) in APART.items()]


@given(
    st.lists(st.integers(2, 6), min_size=2, max_size=5),
    st.floats(0.5, 5),
    st.sampled_from(IN_ALL),
    st.randoms(use_true_random=False),
)
def test_blocks_along_a_scan_are_never_told_apart(
    lengths: Any, gap: Any, acquisitions: Any, random: Any
) -> None:
    """Whatever the attribute, as long as no slice of one value lies among those of another."""
    _, one, other = acquisitions
    blocks = [values for length, values in zip(lengths, (one, other), strict=False) for _ in range(length)]
    slices = [(gap * index, header_of(values)) for index, values in enumerate(blocks)]
    random.shuffle(slices)
    heights, planes = zip(*slices, strict=True)
    differing = differing_values(planes)
    assert differing
    assert tell_apart(differing, np.array(heights), [gap] * len(heights)) == {}


@given(st.integers(3, 9), st.floats(-1, 1), st.floats(0.5, 5), st.sampled_from(IN_ALL))
def test_stacks_among_each_other_are_always_told_apart(
    count: Any, shift: Any, gap: Any, acquisitions: Any
) -> None:
    name, one, other = acquisitions
    planes = [header_of(one)] * count + [header_of(other)] * count
    places = gap * np.arange(count)
    heights = np.concatenate([places, places + shift * gap])
    told = tell_apart(differing_values(planes), heights, [gap] * (2 * count))
    assert told[name][0] != told[name][-1]


def header_of(values: dict[str, Any]) -> Dataset:
    header = Dataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize("thickness", [2.4, None])
def test_acquisitions_of_slices_with_gaps_are_told_apart(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, thickness: float | None
) -> None:
    for number, heights in enumerate((HEIGHTS, BETWEEN)):
        put_slices(tmp_path, heights, AcquisitionNumber=number, SliceThickness=thickness)
    with pytest.raises(SeriesRefused, match="--select acquisition=0"):
        read_volume(tmp_path)


def test_blocks_that_share_a_place_at_their_border_are_no_acquisitions(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    put_slices(tmp_path, HEIGHTS, "ct", KVP="140")
    put_slices(tmp_path, [12.0 + height for height in HEIGHTS], "ct", KVP="120")
    with pytest.raises(
        GeometryRefused, match=r"lie at the same position \(0.0000 mm apart\); keep one of them"
    ):
        read_volume(tmp_path)


def test_acquisitions_that_differ_in_two_ways_are_taken_by_both(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    pixels = {}
    for echo in (1, 2):
        for kind in ("M", "P"):
            shown = ["ORIGINAL", "PRIMARY", kind, "ND"]
            pixels[echo, kind] = put_slices(tmp_path, HEIGHTS, EchoNumbers=echo, ImageType=shown)
    with pytest.raises(SeriesRefused, match="image-type"):
        read_volume(tmp_path, select="echo=2")
    assert np.array_equal(slices_of(read_volume(tmp_path, select="echo=2,image-type=p")), pixels[2, "P"])
    items = list_items(tmp_path)
    assert [item.select for item in items] == [
        f"echo={echo},image-type={kind}/ND" for echo in (1, 2) for kind in ("M", "P")
    ]
    for item, expected in zip(items, pixels.values(), strict=True):
        assert np.array_equal(slices_of(read_volume(tmp_path, select=item.select)), expected)
        assert (item.count, item.size, item.refused) == (5, (8, 6, 5), "")


@pytest.mark.parametrize(
    ("chosen", "kind", "said"),
    [
        ("echo=3", SeriesRefused, "no echo=3 to --select; it has echo=1, echo=2"),
        ("echo", SettingsError, "write NAME=VALUE with a NAME of stack, echo"),
        ("size=3", SettingsError, "write NAME=VALUE"),
    ],
)
def test_a_selection_that_means_nothing_is_refused(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, chosen: str, kind: Any, said: str
) -> None:
    put_slices(tmp_path, HEIGHTS, EchoNumbers=1)
    put_slices(tmp_path, HEIGHTS, EchoNumbers=2)
    with pytest.raises(kind, match=said):
        read_volume(tmp_path, select=chosen)


def test_of_many_acquisitions_some_are_named_and_none_is_mixed_up(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    pixels = [put_slices(tmp_path, HEIGHTS, AcquisitionNumber=12345670 + number) for number in range(9)]
    with pytest.raises(
        SeriesRefused, match=r"of 9 .*12345675, 3 more\).* or --select acquisition=12345672 \("
    ):
        read_volume(tmp_path)
    with pytest.raises(SeriesRefused, match=r"acquisition=12345675, 3 more$"):
        read_volume(tmp_path, select="acquisition=7")
    found = read_volume(tmp_path, select="acquisition=12345678")
    assert np.array_equal(slices_of(found), pixels[8])
    assert "--select acquisition=12345678 takes 5 of 45 images" in found.meta.warnings
    assert len(list_items(tmp_path)) == 9
    for number in range(9, 25):
        put_slices(tmp_path, HEIGHTS, AcquisitionNumber=12345670 + number)
    with pytest.raises(SeriesRefused, match=r"of 25 .*acquisition=12345672$"):  # `info` does not list so many
        read_volume(tmp_path)
    (item,) = list_items(tmp_path)
    assert "of 25 acquisitions" in item.refused


def test_a_selection_of_what_is_no_dicom_is_refused(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    write_volume(make_volume(), tmp_path / "a.nii")
    with pytest.raises(UsageError, match="leave --select away"):
        read_volume(tmp_path / "a.nii", select="echo=1")


def test_an_echo_of_two_is_what_dcm2niix_makes_of_it(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    """Proton density and T2 in one series, as old head protocols have them."""
    series, oracle = tmp_path / "series", tmp_path / "oracle"
    oracle.mkdir()
    for echo, time in ((1, "20"), (2, "90")):
        put_slices(
            series,
            HEIGHTS,
            EchoNumbers=echo,
            EchoTime=time,
            RepetitionTime="2500",
            Manufacturer="SIEMENS",
            SeriesNumber=3,
            InstanceNumber=lambda index, echo=echo: 2 * index + echo,
        )
    dcm2niix.main(
        ["-z", "n", "-b", "n", "-o", str(oracle), "-f", "echo_%e", str(series)], capture_output=True
    )
    for echo in (1, 2):
        (file,) = oracle.glob(f"echo_{echo}*.nii")
        expected = nib.as_closest_canonical(nib.load(file))
        assert (
            invoke(["convert", str(series), str(tmp_path / f"{echo}.nii"), "--select", f"echo={echo}"]) == 0
        )
        got = nib.as_closest_canonical(nib.load(tmp_path / f"{echo}.nii"))
        assert np.array_equal(got.get_fdata(), expected.get_fdata())
        assert np.allclose(got.affine, expected.affine, atol=1e-4)


def test_a_derived_series_is_made_from_the_slices_that_were_taken(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, made: Callable[..., Derivation]
) -> None:
    for echo in (1, 2):
        put_slices(tmp_path / "series", HEIGHTS, EchoNumbers=echo)
    source = read_volume(tmp_path / "series", select="echo=2")
    write_volume(source, tmp_path / "out", like=source, derivation=made("ct"))
    taken = [dcmread(path).SOPInstanceUID for path in sorted((tmp_path / "series").iterdir())][5:]
    derived = [dcmread(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [header.SourceImageSequence[0].ReferencedSOPInstanceUID for header in derived] == taken


def test_the_table_lists_acquisitions(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kernel in ("H31s", "H70h"):
        put_slices(tmp_path, HEIGHTS, "ct", ConvolutionKernel=kernel)
    assert invoke(["info", str(tmp_path)]) == 0
    _, soft, sharp = capsys.readouterr().out.splitlines()
    assert soft.split()[:4] == ["...1.2.2", "kernel=H31s", "ct", "5"]
    assert sharp.split()[:4] == ["...1.2.2", "kernel=H70h", "ct", "5"]


def enhanced(path, groups):
    """An enhanced MR with a frame for each group: its height, and values of functional groups."""
    first = path.parent / "plain"
    header = dcmread(next(iter(sorted(first.iterdir()))))
    pixels = np.random.default_rng(0).integers(0, 1000, (len(groups), 6, 8)).astype("<i2")
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    shared, header.NumberOfFrames, header.PixelData = Dataset(), len(groups), pixels.tobytes()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [Dataset()], [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing, shared.PixelMeasuresSequence[0].SliceThickness = [2, 2], 3
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.SharedFunctionalGroupsSequence, header.PerFrameFunctionalGroupsSequence = [shared], []
    for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(header, keyword)
    for height, sequences in groups:
        frame = Dataset()
        frame.PlanePositionSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = [-8, -6, height]
        for sequence, values in sequences.items():
            item = Dataset()
            for keyword, value in values.items():
                setattr(item, keyword, value)
            setattr(frame, sequence, [item])
        header.PerFrameFunctionalGroupsSequence.append(frame)
    header.save_as(path, enforce_file_format=True)
    return pixels


FRAMES = {
    "stacks that lie apart": ("StackID", "stack=2", 85, [("FrameContentSequence", "StackID", "1", "2")]),
    "stacks at one place": ("StackID", "stack=2", 0, [("FrameContentSequence", "StackID", "1", "2")]),
    "time points": (
        "TemporalPositionIndex",
        "time-point=2",
        0,
        [("FrameContentSequence", "TemporalPositionIndex", 1, 2)],
    ),
    "echoes": ("EffectiveEchoTime", "te=90", 1.5, [("MREchoSequence", "EffectiveEchoTime", 20.0, 90.0)]),
    "diffusion": (
        "DiffusionBValue",
        "b-value=1000",
        0,
        [("MRDiffusionSequence", "DiffusionBValue", 0.0, 1000.0)],
    ),
}


@pytest.mark.parametrize("case", FRAMES)
def test_acquisitions_in_an_enhanced_image_are_named_and_one_can_be_taken(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, made: Callable[..., Derivation], case: str
) -> None:
    keyword, chosen, shift, differing = FRAMES[case]
    put_slices(tmp_path / "plain", [0])
    groups = [
        (height + shift * part, {sequence: {name: values[part]} for sequence, name, *values in differing})
        for height in HEIGHTS
        for part in (0, 1)
    ]
    path = tmp_path / "enhanced.dcm"
    pixels = enhanced(path, groups)
    with pytest.raises(
        SeriesRefused, match=rf"frame 1 and .*frame 2 are of 2 .*{keyword} \(.*--select {chosen[:-1]}"
    ):
        read_volume(path)
    volume = read_volume(path, select=chosen)
    assert np.array_equal(slices_of(volume), pixels[1::2])
    assert [item.select for item in list_items(path)][1] == chosen
    write_volume(volume, tmp_path / "out", like=volume, derivation=made("ct"))
    derived = dcmread(tmp_path / "out" / "IM0003.dcm")
    assert derived.SourceImageSequence[0].ReferencedFrameNumber == 6
    arguments = [
        "convert",
        str(path),
        str(tmp_path / "clean"),
        "--format",
        "dicom",
        "--deidentify",
        "--select",
        chosen,
    ]
    assert invoke(arguments) == 2  # The file would hold the other frames, too.
    assert not (tmp_path / "clean").exists()


def test_frames_that_highdicom_made_of_slices_are_told_apart(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    """Its legacy conversion keeps what has no functional group among unassigned attributes."""
    plain = {"PositionReferenceIndicator": "", "ContentDate": "20200102", "ContentTime": "101112"}
    plain |= dict.fromkeys(("StudyID", "ReferringPhysicianName", "PatientSex", "AccessionNumber"), "")
    plain |= dict.fromkeys(("StudyDate", "AcquisitionDate"), "20200102")
    plain |= dict.fromkeys(("StudyTime", "AcquisitionTime"), "101112")
    plain |= {"Manufacturer": "X", "WindowCenter": 500, "WindowWidth": 1000}
    for half, time in enumerate(("20", "90")):
        numbered = {"InstanceNumber": lambda index, half=half: 1 + 5 * half + index}
        pixels = put_slices(tmp_path / "plain", HEIGHTS, EchoTime=time, **numbered, **plain)
    slices = [dcmread(path) for path in sorted((tmp_path / "plain").iterdir())]
    whole = LegacyConvertedEnhancedMRImage(slices, generate_uid(), 1, generate_uid(), 1)
    whole.save_as(tmp_path / "whole.dcm")
    with pytest.raises(SeriesRefused, match=r"EchoTime \(20, 90\); take one with --select te=20"):
        read_volume(tmp_path / "whole.dcm")
    assert np.array_equal(slices_of(read_volume(tmp_path / "whole.dcm", select="te=90")), pixels)


def test_stacks_of_frames_that_join_end_to_end_are_one_volume(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    put_slices(tmp_path / "plain", [0])
    groups = [(3.0 * index, {"FrameContentSequence": {"StackID": str(1 + index // 4)}}) for index in range(8)]
    pixels = enhanced(tmp_path / "enhanced.dcm", groups)
    assert np.array_equal(slices_of(read_volume(tmp_path / "enhanced.dcm")), pixels)


NOBODY = {"PatientID": "", "PatientName": "", "PatientBirthDate": ""}
PEOPLE = {
    "another name": ({}, {"PatientName": "DOE^ANN"}, "PatientName"),
    "another birth date": ({}, {"PatientBirthDate": "19500101"}, "PatientBirthDate"),
    "another number": ({}, {"PatientID": "T2"}, "PatientID"),
    "names without a number": ({"PatientID": ""}, {"PatientID": "", "PatientName": "DOE^ANN"}, "PatientName"),
    "somebody and nobody": ({}, NOBODY, "PatientID"),
    "nothing in common": (NOBODY | {"PatientID": "T1"}, NOBODY | {"PatientName": "DOE^ANN"}, "PatientID"),
    "two scripts of one name": (
        {"PatientName": "YAMADA^TARO=山田^太郎", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientName": "YAMADA^TARO=山本^太郎", "SpecificCharacterSet": "ISO_IR 192"},
        "PatientName",
    ),
}
SAME_PERSON = {
    "padding and case": ({"PatientName": "Doe^Ann"}, {"PatientName": " DOE ^ ANN ^^^ "}),
    "another character set": (
        {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100"},
        {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 192"},
    ),
    "a script more": (
        {"PatientName": "YAMADA^TARO"},
        {"PatientName": "YAMADA^TARO=山田^太郎", "SpecificCharacterSet": "ISO_IR 192"},
    ),
    "no birth date": ({}, {"PatientBirthDate": ""}),
    "no name": ({}, {"PatientName": ""}),
    "no number": ({}, {"PatientID": ""}),
    "nobody": (NOBODY, NOBODY),
}


@pytest.mark.parametrize("case", PEOPLE)
def test_slices_of_two_people_are_refused_and_nobody_is_named(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, case: str
) -> None:
    one, other, said = PEOPLE[case]
    put_slices(tmp_path, HEIGHTS[::2], **one)
    put_slices(tmp_path, HEIGHTS[1::2], **other)
    with pytest.raises(SeriesRefused, match=rf"differ in {said}; separate them") as refusal:
        read_volume(tmp_path)
    names = {*one.values(), *other.values(), "CANARY", "1901"} - {""}
    assert not any(name in str(refusal.value) for name in names)


@pytest.mark.parametrize("case", SAME_PERSON)
def test_one_person_may_be_written_in_two_ways(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, case: str
) -> None:
    for half, values in enumerate(SAME_PERSON[case]):
        numbered = {"InstanceNumber": lambda index, half=half: 2 * index + half}
        put_slices(tmp_path, HEIGHTS[half::2], **numbered, **values)
    assert read_volume(tmp_path).shape[2] == 5


def test_names_are_compared_with_those_of_all_slices(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    """The first slice has no name, so two that have one agree with it."""
    put_slices(tmp_path, HEIGHTS[:1], PatientName="")
    put_slices(tmp_path, HEIGHTS[1:3])
    put_slices(tmp_path, HEIGHTS[3:], PatientName="DOE^ANN")
    with pytest.raises(SeriesRefused, match="differ in PatientName"):
        read_volume(tmp_path)


def test_two_stacks_of_one_folder_that_only_their_numbers_tell_apart_are_refused(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    put_slices(tmp_path, HEIGHTS)
    put_slices(tmp_path, BETWEEN)
    with pytest.raises(SeriesRefused, match="InstanceNumbers repeat and alternate, so 2 series share one"):
        read_volume(tmp_path)


@pytest.mark.parametrize(("first", "is_one"), [(6, True), (8, True), (100, False)])
def test_numbers_that_jump_and_alternate_are_of_two_stacks(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, first: int, is_one: bool
) -> None:
    """Halves of one scan are numbered one after the other; a few numbers may be lacking."""
    put_slices(tmp_path, HEIGHTS, InstanceNumber=lambda index: 1 + index)
    put_slices(tmp_path, BETWEEN, InstanceNumber=lambda index: first + index)
    if is_one:
        assert read_volume(tmp_path).shape[2] == len(HEIGHTS) + len(BETWEEN)
        return
    with pytest.raises(SeriesRefused, match=r"InstanceNumbers run from 1 to 5 and from 100 to .* alternate"):
        read_volume(tmp_path)


@pytest.mark.parametrize("shift", [0.02, 0.1])
def test_two_stacks_that_lie_nearly_at_one_place_lack_no_slice(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, shift: float
) -> None:
    for start in (0, shift):
        put_slices(tmp_path, [height + start for height in HEIGHTS])
    with pytest.raises(
        GeometryRefused, match=rf"almost at the same position \({shift:.4f} mm apart, usual is"
    ):
        read_volume(tmp_path)


def later(index):
    """Numbers that go on where another folder's end."""
    return 6 + index


UNNUMBERED = {"InstanceNumber": None}
NEXT = [15 + height for height in HEIGHTS]
OTHER_STUDY = {"StudyInstanceUID": "1.2.9", "InstanceNumber": later}
APART_IN_FOLDERS = {
    "half a gap apart": (HEIGHTS, {}, BETWEEN, {}, "not one stack"),
    "at the same places": (HEIGHTS, {}, HEIGHTS, {"InstanceNumber": later}, "not one stack"),
    "end to end, each counted from one": (
        HEIGHTS,
        {},
        NEXT,
        {},
        "not one stack",
    ),
    "of two studies": (
        HEIGHTS,
        {},
        BETWEEN,
        OTHER_STUDY,
        "StudyInstanceUID",
    ),
    "counted on, between each other": (HEIGHTS, {}, BETWEEN, {"InstanceNumber": later}, "does not tell"),
    "without numbers, between each other": (HEIGHTS, UNNUMBERED, BETWEEN, UNNUMBERED, "does not tell"),
}
JOINED_IN_FOLDERS = {
    "end to end": (HEIGHTS[:3], {}, HEIGHTS[3:], {"InstanceNumber": later}),
    "end to end without numbers": (HEIGHTS[:3], UNNUMBERED, HEIGHTS[3:], UNNUMBERED),
    "in turns": (
        HEIGHTS,
        {"InstanceNumber": lambda index: 2 * index},
        BETWEEN,
        {"InstanceNumber": lambda index: 2 * index + 1},
    ),
    "in turns, counted down": (
        HEIGHTS,
        {"InstanceNumber": lambda index: 20 - 2 * index},
        BETWEEN,
        {"InstanceNumber": lambda index: 19 - 2 * index},
    ),
    "in any way, without numbers": ([0, 3, 12, 15], UNNUMBERED, [6, 9, 18], UNNUMBERED),
}


@pytest.mark.parametrize("case", APART_IN_FOLDERS)
def test_whole_stacks_in_folders_that_share_a_uid_are_never_joined(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, case: str
) -> None:
    one, numbered, other, changed, said = APART_IN_FOLDERS[case]
    expected = [
        put_slices(tmp_path / "sub-01", one, **numbered),
        put_slices(tmp_path / "sub-02", other, **changed),
    ]
    with pytest.raises(SeriesRefused, match=said):
        read_volume(tmp_path)
    assert [item.refused != "" for item in list_items(tmp_path)] == [True]
    items = list_training_items(tmp_path, "mr").items
    if said == "does not tell":
        assert [item.path for item in items] == [tmp_path]
    else:
        assert [item.path for item in items] == [tmp_path / "sub-01", tmp_path / "sub-02"]
    for name, pixels in zip(("sub-01", "sub-02"), expected, strict=True):
        assert np.array_equal(slices_of(read_volume(tmp_path / name)), pixels)


def test_training_keeps_subjects_apart_that_share_a_uid_and_holds_together_those_of_one_number(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path
) -> None:
    for number in range(4):
        put_slices(
            tmp_path / f"sub-{number}", BETWEEN if number % 2 else HEIGHTS, PatientID=f"T{number // 2}"
        )
    items = list_training_items(tmp_path, "mr").items
    assert [item.group for item in items] == ["T0", "T0", "T1", "T1"]


@pytest.mark.parametrize("case", JOINED_IN_FOLDERS)
def test_a_series_that_folders_share_out_is_one(
    put_slices: Callable[..., NDArray[np.int16]], tmp_path: Path, case: str
) -> None:
    one, numbered, other, changed = JOINED_IN_FOLDERS[case]
    pixels = np.concatenate(
        [put_slices(tmp_path / "a", one, **numbered), put_slices(tmp_path / "b", other, **changed)]
    )
    assert np.array_equal(slices_of(read_volume(tmp_path)), pixels[np.argsort([*one, *other])])
    assert [item.path for item in list_training_items(tmp_path, "mr").items] == [tmp_path]
