"""Models of bodies that are no heads, and masks that the user gives."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, ornt_transform
from PIL import Image

import medtranslate as mt
from medtranslate import cli, phantom
from medtranslate.checkpoint import describe, facts, load_model
from medtranslate.config import TrainSettings, TranslateSettings, build
from medtranslate.errors import GeometryRefused, InputRefused, MedtranslateError, SettingsError, UsageError
from medtranslate.gate import fit as gate_fit
from medtranslate.gate.judge import judge
from medtranslate.io import Meta, Volume, read_volume, write_volume
from medtranslate.networks import KINDS
from medtranslate.records import NO_HEAD, Translation
from medtranslate.training import batches, fit, loop, validation
from medtranslate.translation import translate

AFFINE = np.diag([-8.0, -8.0, 8.0, 1.0])
SMALL = {"size": 32, "channels": [8, 16], "latent_channels": 4, "discriminator_channels": [8, 8, 8]}
HU = {"fat": -100.0, "muscle": 50.0, "bone": 700.0}
T1 = {"fat": 900.0, "muscle": 400.0, "bone": 80.0}


def body(seed: int, values: dict[str, float], air: float) -> Volume:
    """Draw a trunk with a vertebra, and an arm on either side that touches nothing."""
    rng = np.random.default_rng(seed)
    x, y, _ = np.mgrid[-1:1:48j, -1:1:48j, -1:1:6j]
    wide, deep = rng.uniform(0.45, 0.55), rng.uniform(0.35, 0.45)
    trunk = (x / wide) ** 2 + (y / deep) ** 2
    arms = ((np.abs(x) - 0.8) / 0.12) ** 2 + (y / 0.15) ** 2
    image = np.full(x.shape, air)
    image[(trunk < 1) | (arms < 1)] = values["fat"]
    image[(trunk < 0.7) | (arms < 0.5)] = values["muscle"]
    image[(x / 0.12) ** 2 + ((y - 0.15) / 0.12) ** 2 < 1] = values["bone"]
    noise = rng.normal(0, 5, image.shape)
    return Volume(image + noise if air < 0 else np.abs(image + noise), AFFINE)


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `ct`, `mr` and `pictures` (CT without known HU) of different bodies."""
    root = tmp_path_factory.mktemp("bodies")
    for seed in range(3):
        write_volume(body(seed, HU, -1000.0), root / "ct" / f"{seed}.nii.gz")
        write_volume(body(10 + seed, T1, 0.0), root / "mr" / f"{seed}.nii.gz")
    (root / "pictures").mkdir()
    for seed in range(4):
        grey = np.clip((body(seed, HU, -1000.0).values[..., 3] + 160) / 400, 0, 1) * 255
        Image.fromarray(grey.astype(np.uint8)).save(root / "pictures" / f"{seed}.png")
    return root


@pytest.fixture
def values(bodies: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        **{"ct": str(bodies / "ct"), "mr": str(bodies / "mr"), "out": tmp_path / "run", "anatomy": "other"},
        **{"images": 8, "every": 8, "batch": 4, "pool": 4, "workers": 0, "gate": 0, "network": SMALL},
        **{"precision": "float32", "scale": {"ct_window": [-160.0, 240.0]}},
    }


def quick(patch: pytest.MonkeyPatch) -> None:
    """Make short runs in which nobody can draw a digital head."""
    patch.setattr(batches, "MEAN_SLICES", 4)
    patch.setattr(validation, "VALIDATION_SLICES", 4)
    for name, value in {"MOST": 12, "PHANTOMS": 12, "MADE": 4}.items():
        patch.setattr(gate_fit, name, value)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a digital head was drawn")

    patch.setattr(phantom, "slices", refuse)
    patch.setattr(phantom, "study", refuse)


@pytest.fixture(scope="module")
def model(bodies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of bodies with its gate, in its run's folder."""
    out = tmp_path_factory.mktemp("run") / "run"
    given = {"ct": str(bodies / "ct"), "mr": str(bodies / "mr"), "out": out, "anatomy": "other", "gate": 2}
    short = {"images": 8, "every": 8, "batch": 4, "pool": 4, "workers": 0, "precision": "float32"}
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        settings = {**given, **short, "network": SMALL, "scale": {"ct_window": [-160.0, 240.0]}}
        fit(build(TrainSettings, settings), quiet=True)
    return out / "model"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_without_heads_frames_whole_slices_and_renders_its_anchor(model: Path) -> None:
    known = describe(model)
    assert (known.anatomy, known.network.frame) == ("other", "slice")
    assert known.gate
    assert float(rows(model.parent / "log.csv")[0]["anchor"]) > 0
    (scores,) = rows(model.parent / "validation.csv")
    assert {"cycle_ct", "cycle_mr", "likeness_ct", "linear_mr", "kl_ct"} <= scores.keys()
    assert not [name for name in scores if name.startswith(("phantom", "size", "bone"))]
    assert facts(str(model))["anatomy"] == "other"
    assert "framed to the head" not in (model / "card.md").read_text()


def test_pictures_without_hu_give_no_anchor_and_that_is_said(
    values: dict[str, Any], bodies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(loop, "fit_gates", None)  # with --gate 0 nothing is made for one
    done = fit(build(TrainSettings, {**values, "ct": str(bodies / "pictures")}), quiet=True)
    assert [text for text in done["warnings"] if "the run has no anchor" in text and "--picture-hu" in text]
    assert {float(row["anchor"]) for row in rows(values["out"] / "log.csv")} == {0.0}


def test_only_the_slices_in_hu_are_rendered_from(
    values: dict[str, Any], bodies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    mixed = tmp_path / "mixed.csv"
    paths = [bodies / "ct" / "0.nii.gz", *sorted((bodies / "pictures").iterdir())]
    mixed.write_text("path\n" + "".join(f"{path}\n" for path in paths))
    settings = build(TrainSettings, {**values, "ct": str(mixed)})
    opened = loop.open_sources(settings, quiet=True)
    assert len(opened.sources["ct"].in_hu) == 6  # type: ignore[attr-defined]
    assert "ct: the anchor is rendered from 6 of 10 slices, as the others are not in HU" in opened.warnings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ct": "phantom:0-9"}, "ct is phantom:0-9, which are digital heads"),
        ({"val_mr": "phantom:0-9"}, "val_mr is phantom:0-9"),
        ({"anchor_rendered": 0.5}, "anchor_rendered is 0.5"),
        ({"unpaired": False}, "--no-unpaired"),
        ({"keep_best": "phantom_ct"}, "scored on digital heads"),
        ({"from": "brain-2d", "network": {"frame": "head"}}, "anatomy is other, and the model's is head"),
    ],
)
def test_heads_where_there_are_none_are_refused_in_a_line(
    values: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        fit(build(TrainSettings, {**values, **wrong}), quiet=True)
    assert "\n" not in str(caught.value)
    assert not values["out"].exists()


def test_the_anatomy_of_a_parent_is_handed_on(
    model: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    given = ["train", "--from", str(model), "--ct", values["ct"], "--mr", values["mr"], "--gate", "0"]
    given += ["--images", "4", "--every", "4", "--batch", "4", "--workers", "0", "--out"]
    assert cli.invoke([*given, str(values["out"]), "--quiet"]) == 0
    assert describe(values["out"] / "model").anatomy == "other"
    other = values["out"].with_name("head")
    assert cli.invoke([*given, str(other), "--anatomy", "head"]) != 0
    assert "anatomy is head, and the model's is other" in capsys.readouterr().err
    assert not other.exists()


def test_models_without_the_entry_are_of_heads() -> None:
    folder = Path(phantom.__file__).parents[1] / "models" / "brain-2d"
    assert "anatomy" not in json.loads((folder / "model.json").read_text())
    assert describe(folder).anatomy == "head"


Made = Callable[..., Translation]


@pytest.fixture
def made(tmp_path: Path, small_model: Path) -> Made:
    def run(source: Path, output: str, **more: object) -> Translation:
        given = {"model": str(small_model), "device": "cpu", "to": "mr", "force": True}
        settings = TranslateSettings(input=source, output=tmp_path / output, **given | more)  # type: ignore[arg-type]
        (record,) = translate(settings, quiet=True)
        return record

    return run


def test_a_body_is_translated_whole_and_nothing_is_measured_as_in_a_head(
    model: Path, bodies: Path, tmp_path: Path, made: Made
) -> None:
    source = bodies / "ct" / "0.nii.gz"
    record = made(source, "mr.nii.gz", model=str(model), samples=2, uncertainty=tmp_path / "sd.nii.gz")
    assert record.plausibility is None
    assert NO_HEAD in record.warnings
    assert record.model.anatomy == "other"
    assert record.gate is not None
    assert set(record.gate.scores or {}) == {"mr", "turned", "other", "distance"}
    assert "head" not in " ".join(record.gate.reasons)
    # The posterior varies everywhere, so its spread tells that nothing was cleared: neither arms nor air.
    assert (read_volume(tmp_path / "sd.nii.gz").values[..., 1:-1] > 0).mean() > 0.99


def test_the_words_of_the_gate_are_of_the_models_anatomy(model: Path) -> None:
    gate = load_model(str(model)).gate
    assert gate is not None
    seen = torch.full((1, len(KINDS) + 2), 5.0)
    seen[0, KINDS.index("other")] = -50.0
    found = judge([seen], gate, Volume(np.zeros((1, 1, 1)), np.eye(4), Meta(levels=255)), "ct", "other")
    assert found.verdict == "refuse"
    (first, *_) = found.reasons
    assert first.startswith(
        "it looks less like an axial CT of what the model was trained on than like something"
    )


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("head") / "ct.nii.gz"
    write_volume(phantom.study(3, size=32, spacing=8).ct, path)
    return path


def cut(head: Path, path: Path, codes: str = "RAS", value: float = 1.0) -> tuple[Path, np.ndarray]:
    """Write a mask of the lower left part of a head in another array layout; give it in the head's own."""
    own = nib.load(head)
    inside = np.zeros(own.shape, np.float32)
    inside[:20, :, :15] = value
    mask = nib.Nifti1Image(inside, own.affine)
    turned = mask.as_reoriented(ornt_transform(nib.io_orientation(own.affine), axcodes2ornt(tuple(codes))))
    nib.save(turned, path)
    return path, inside > 0


@pytest.mark.parametrize("codes", ["RAS", "PSL", "IRA"])
def test_outside_a_mask_the_translation_is_air_whatever_the_masks_layout(
    head: Path, tmp_path: Path, made: Made, codes: str
) -> None:
    mask, inside = cut(head, tmp_path / "mask.nii.gz", codes)
    record = made(head, "cut.nii.gz", mask=mask, samples=2, uncertainty=tmp_path / "sd.nii.gz")
    made(head, "whole.nii.gz")
    cut_out, whole, spread = (
        nib.load(tmp_path / name).get_fdata() for name in ("cut.nii.gz", "whole.nii.gz", "sd.nii.gz")
    )
    assert np.array_equal(cut_out[inside], whole[inside])
    assert set(np.unique(cut_out[~inside])) == {0.0}
    assert (whole[~inside] > 0).any()
    assert spread[inside].any()
    assert not spread[~inside].any()
    share = f"{1 - inside.mean():.0%} of the voxels lie outside the mask that was given"
    assert any(share in warning for warning in record.warnings)


def test_outside_a_mask_a_ct_is_air_of_the_models_window(head: Path, tmp_path: Path, made: Made) -> None:
    mask, inside = cut(head, tmp_path / "mask.nii.gz")
    made(head, "ct.nii.gz", mask=mask, to="ct")
    assert set(np.unique(nib.load(tmp_path / "ct.nii.gz").get_fdata()[~inside])) == {-20.0}


def test_a_mask_in_memory_does_the_same(head: Path, tmp_path: Path, small_model: Path) -> None:
    path, inside = cut(head, tmp_path / "mask.nii.gz", "PSL")
    source = mt.read(head, modality="ct")
    done = mt.translate(source, to="mr", model=small_model, force=True, mask=nib.load(path))
    alone = mt.translate(source, to="mr", model=small_model, force=True)
    assert np.array_equal(done.volume.values, np.where(inside, alone.volume.values, 0))


def shifted(head: Path, path: Path) -> Path:
    own = nib.load(cut(head, path)[0])
    moved = own.affine.copy()
    moved[0, 3] += 2.0
    nib.save(nib.Nifti1Image(own.get_fdata(), moved), path)
    return path


def other_shape(head: Path, path: Path) -> Path:
    own = nib.load(cut(head, path)[0])
    nib.save(own.slicer[:-1], path)
    return path


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (shifted, GeometryRefused, "corners lie up to 2.000 mm"),
        (other_shape, GeometryRefused, "31 x 32 x 32 voxels"),
        (lambda head, path: cut(head, path, value=0.0)[0], InputRefused, "no voxel is above 0"),
        (lambda head, path: head, UsageError, "--mask"),
    ],
    ids=["moved", "cropped", "empty", "a folder of pictures"],
)
def test_masks_that_do_not_fit_are_refused_in_a_line(
    head: Path,
    tmp_path: Path,
    made: Made,
    bodies: Path,
    spoil: Callable[[Path, Path], Path],
    error: type[MedtranslateError],
    said: str,
) -> None:
    mask = spoil(head, tmp_path / "mask.nii.gz")
    source = bodies / "pictures" if error is UsageError else head
    with pytest.raises(error, match=said) as caught:
        made(source, "out" if error is UsageError else "out.nii.gz", mask=mask)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]
