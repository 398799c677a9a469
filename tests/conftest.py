from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medtranslate import plugins
from medtranslate.config import NetworkSettings, ScaleSettings

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

PutSlices = Callable[..., NDArray[np.int16]]

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images beside the repository; absent in a stranger's clone."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real images are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of the size that the test names (`indirect`), such as "64k"."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(mount)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not mount a tmpfs: {done.stderr!r}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


SMALL = NetworkSettings(size=32, channels=(8, 16), latent_channels=4, discriminator_channels=(8, 8, 8))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained model, small and with the same weights in every run."""
    # Imported here, so that tests of what needs no network start fast.
    import torch

    from medtranslate.checkpoint import save_model
    from medtranslate.model import Generators

    folder = tmp_path_factory.mktemp("small-model")
    torch.manual_seed(0)
    save_model(
        folder,
        Generators(SMALL),
        {"ct": torch.zeros(1, 32, 32), "mr": torch.zeros(1, 32, 32)},
        name="small",
        summary="untrained, for tests",
        network=SMALL,
        scale=ScaleSettings(),
        training={},
    )
    return folder


@pytest.fixture(scope="session")
def put_slices() -> PutSlices:
    """Write a file for each height into a folder: put_slices(folder, [0, 3, 6], EchoTime=20).

    Values may be functions of the index. Unless told all files have one SeriesInstanceUID, study and person.
    Returns the pixels, [slices, rows, columns].
    """

    def put(
        folder: Path, heights: Sequence[float], modality: str = "mr", **values: object
    ) -> NDArray[np.int16]:
        folder.mkdir(parents=True, exist_ok=True)
        before = len(list(folder.iterdir()))
        pixels = np.random.default_rng(before).integers(0, 1000, (len(heights), 6, 8)).astype("<i2")
        for index, height in enumerate(heights):
            header, meta = Dataset(), FileMetaDataset()
            header.file_meta, meta.TransferSyntaxUID = meta, ExplicitVRLittleEndian
            header.SOPClassUID = CTImageStorage if modality == "ct" else MRImageStorage
            header.Modality, header.InstanceNumber = modality.upper(), index + 1
            header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = (
                "1.2.1",
                "1.2.2",
                "1.2.3",
            )
            header.SOPInstanceUID = generate_uid()
            header.PatientName, header.PatientID, header.PatientBirthDate = (
                "CANARY^NAME",
                "CANARY",
                "19010203",
            )
            header.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
            header.SliceThickness, header.PixelSpacing = 3, [2, 2]
            header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            header.ImagePositionPatient = [-8, -6, round(height, 4)]
            header.Rows, header.Columns, header.SamplesPerPixel = 6, 8, 1
            header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 1
            header.BitsAllocated = header.BitsStored = 16
            header.HighBit = 15
            if modality == "ct":
                header.RescaleSlope, header.RescaleIntercept = 1, 0
            header.add_new("PixelData", "OW", pixels[index].tobytes())
            for keyword, value in values.items():
                setattr(header, keyword, value(index) if callable(value) else value)
            header.save_as(folder / f"{before + index:03}.dcm", enforce_file_format=True)
        return pixels

    return put


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a package with entry points onto the path: install("far", "losses", {"x": "far:x"}, "x = 1")."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def put(package: str, kind: str, entries: Mapping[str, str], code: str = "") -> None:
        folder = site / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"[medtranslate.{kind}]", *(f"{name} = {place}" for name, place in entries.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
        (site / f"{package}.py").write_text(code)
        plugins.found.cache_clear()

    yield put
    plugins.found.cache_clear()
