from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.data import MetaTensor
from torch import from_numpy

import medtranslate as mt
from medtranslate.checkpoint import load_model, save_model
from medtranslate.errors import GeometryRefused, InputRefused, OutputExists, SettingsError, UsageError
from medtranslate.io import Volume
from medtranslate.model import Generators
from medtranslate.phantom import Study

NAMES = [
    "Volume",
    "__version__",
    "convert",
    "digital_head",
    "errors",
    "load",
    "models",
    "read",
    "score",
    "train",
    "translate",
    "view",
    "write",
]


@pytest.fixture(scope="module")
def head() -> Study:
    return mt.digital_head(910_003, size=40, spacing=6.0)


@pytest.fixture(scope="module")
def model(small_model: Path) -> Path:
    return small_model


def test_the_package_offers_these_names_and_each_is_there_with_a_docstring() -> None:
    assert sorted(mt.__all__) == NAMES
    for name in NAMES:
        part = getattr(mt, name)
        assert name == "__version__" or inspect.getdoc(part)
    assert set(NAMES) <= set(dir(mt))
    with pytest.raises(AttributeError, match="no attribute 'manager'"):
        mt.manager  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    check = "import sys, medtranslate; print({'numpy', 'pydantic', 'torch', 'monai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_images_of_all_libraries_give_the_same_translation(head: Study, model: Path, tmp_path: Path) -> None:
    translator = mt.load(model, to="ct")
    path = tmp_path / "mr.nii.gz"
    mt.write(head.mr, path)
    values, affine = head.mr.values, head.mr.affine
    images = {
        "volume": (head.mr, {}),
        "path": (path, {}),
        "text": (str(path), {}),
        "nibabel": (nib.load(path), {}),
        "array": (values, {"affine": affine}),
        "metatensor": (MetaTensor(from_numpy(values.copy())[None], affine=from_numpy(affine.copy())), {}),
    }
    made = {
        name: mt.translate(image, to="ct", model=translator, **reading)
        for name, (image, reading) in images.items()
    }
    for name, translated in made.items():
        assert isinstance(translated.volume, Volume), name
        assert np.array_equal(translated.volume.values, made["volume"].volume.values), name
        assert np.array_equal(translated.volume.affine, affine), name
        assert translated.record.source.digest, name
    assert made["volume"].volume.meta.modality == "ct"
    assert made["volume"].source is head.mr or np.array_equal(made["volume"].source.values, values)


def test_numpy_takes_a_volume_as_its_values(head: Study) -> None:
    assert np.array_equal(np.asarray(head.mr), head.mr.values)
    assert np.mean(head.mr) == pytest.approx(head.mr.values.mean())
    without_channel = MetaTensor(from_numpy(head.mr.values.copy()), affine=from_numpy(head.mr.affine.copy()))
    assert np.array_equal(mt.read(without_channel).affine, head.mr.affine)


def test_what_is_written_is_what_the_command_writes(head: Study, model: Path, tmp_path: Path) -> None:
    mt.write(head.mr, tmp_path / "mr.nii.gz")
    made = mt.translate(tmp_path / "mr.nii.gz", to="ct", model=model)
    assert mt.write(made, tmp_path / "ours.nii.gz") == tmp_path / "ours.nii.gz"
    command = ["translate", "mr.nii.gz", "theirs.nii.gz", "--to", "ct", "--model", str(model), "--quiet"]
    subprocess.run([sys.executable, "-m", "medtranslate", *command], cwd=tmp_path, check=True)
    assert (tmp_path / "ours.nii.gz").read_bytes() == (tmp_path / "theirs.nii.gz").read_bytes()
    for name in ("translation.json", "preview.png"):
        assert (tmp_path / f"ours.{name}").is_file()
    with pytest.raises(OutputExists):
        mt.write(made, tmp_path / "ours.nii.gz")


def test_scores_are_those_of_arrays(head: Study) -> None:
    prediction = head.ct.with_values(head.ct.values + 10)
    result = mt.score(prediction, head.ct)
    assert result.volume["mae"] == pytest.approx(10, abs=1e-3)
    assert result.unit == "HU"


def test_a_translation_brings_source_uncertainty_and_record_into_its_score(head: Study, model: Path) -> None:
    made = mt.translate(head.mr, to="ct", model=model, samples=2)
    result = mt.score(made, head.ct)
    assert result.translation is not None
    assert result.coverage is not None
    assert "source copied" in result.baselines


@pytest.mark.parametrize("limits", [False, True])
def test_an_uncertainty_needs_no_number_of_samples(
    head: Study, model: Path, tmp_path: Path, limits: bool
) -> None:
    """A model that estimates its own error limits gives these, another one the spread of 16 samples."""
    if limits:
        known = load_model(str(model))
        network = replace(known.description.network, limits=True)
        described = {"name": "limited", "summary": "Random.", "network": network}
        save_model(tmp_path, Generators(network), known.means, scale=known.description.scale, **described)
    made = mt.translate(head.mr, to="ct", model=tmp_path if limits else model, uncertainty=True)
    assert made.record.uncertainty is not None
    assert made.record.uncertainty.samples == (0 if limits else 16)
    result = mt.score(made, head.ct)
    assert result.coverage is not None


def test_wrong_images_are_refused_with_one_sentence(head: Study, model: Path, tmp_path: Path) -> None:
    values = head.mr.values
    with pytest.raises(UsageError, match="give affine="):
        mt.read(values)
    with pytest.raises(UsageError, match="has its own"):
        mt.read(head.mr, affine=np.eye(4))
    with pytest.raises(UsageError, match="in memory"):
        mt.read(head.mr, series="1.2")
    with pytest.raises(GeometryRefused, match="three axes"):
        mt.read(values[None, None], affine=np.eye(4))
    with pytest.raises(GeometryRefused, match="no volume"):
        mt.read(values, affine=np.diag([1.0, 1.0, 0.0, 1.0]))
    broken = values.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputRefused, match="1 of 64000 voxels are NaN"):
        mt.read(broken, affine=np.eye(4))
    with pytest.raises(InputRefused, match="is mr, not ct"):
        mt.translate(head.mr, to="mr", model=model)
    with pytest.raises(SettingsError, match="load it anew"):
        mt.translate(head.ct, to="mr", model=mt.load(model, to="ct"))
    with pytest.raises(mt.errors.Unreadable, match="does not exist"):
        mt.read(tmp_path / "none.nii")
    with pytest.raises(SettingsError, match="stepps: no setting"):
        mt.train(ct="phantom", mr="phantom", out=tmp_path / "run", stepps=1)


def test_models_at_hand_are_listed() -> None:
    assert {"brain-2d", "phantom"} <= {model.name for model in mt.models()}


def test_files_are_converted(head: Study, tmp_path: Path) -> None:
    mt.write(head.ct, tmp_path / "ct.nii.gz")
    done = mt.convert(tmp_path / "ct.nii.gz", tmp_path / "ct.mha")
    assert done.format == "mha"
    assert np.array_equal(mt.read(tmp_path / "ct.mha").values, head.ct.values)


def test_names_stay_functions_when_all_modules_are_imported() -> None:
    for module in pkgutil.walk_packages(mt.__path__, "medtranslate."):
        if module.name != "medtranslate.__main__":
            importlib.import_module(module.name)
    for name in set(NAMES) - {"__version__", "errors"}:
        assert callable(getattr(mt, name)), name


def test_a_view_is_a_page_that_a_notebook_shows_and_a_file_keeps(
    head: Study, model: Path, tmp_path: Path
) -> None:
    made = mt.translate(head.mr, to="ct", model=model)
    alone, pair = mt.view(made), mt.view(made, head.ct)
    assert alone._repr_html_().startswith('<iframe srcdoc="&lt;!')
    assert alone.save(tmp_path / "view.html").read_text() == alone.page
    assert "Mean absolute error" in pair.page
    assert "http://" not in pair.page.replace("http://www.w3.org", "")
    with pytest.raises(TypeError, match="a prediction and its reference"):
        mt.view(head.mr)
