from __future__ import annotations

import hashlib
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.spatial.distance import mahalanobis

from medtranslate import cli
from medtranslate.batch import run_batch
from medtranslate.checkpoint import load_model, save_gate
from medtranslate.config import (
    BatchSettings,
    NetworkSettings,
    ScaleSettings,
    TranslateSettings,
)
from medtranslate.data.phantom_slices import PhantomSlices
from medtranslate.errors import InputRefused, ModelRefused
from medtranslate.gate import fit, judge, look
from medtranslate.gate.brain import cut_out
from medtranslate.gate.fit import fit_gate
from medtranslate.gate.heads import bare_heads, other_views
from medtranslate.gate.negatives import WRONG, offered, turned
from medtranslate.gate.scans import SCANS
from medtranslate.io import Meta, Volume, write_volume
from medtranslate.networks import KINDS, MODALITIES, SliceGate
from medtranslate.phantom import HELD_OUT, LABEL, study
from medtranslate.records import Cycle, GateVerdict, Translation, read_result
from medtranslate.transforms import scale_ct
from medtranslate.translation import translate, translate_volume

LETS_ALL, LETS_NONE = (-1e9, -1e9), (1e9, 1e9)


def lenient(model) -> SliceGate:
    """An untrained gate that has nothing against anything."""
    torch.manual_seed(1)
    gate = SliceGate(model.description.network)
    gate.limits[:] = torch.tensor(LETS_ALL)
    gate.reach[:] = torch.tensor(LETS_NONE)
    gate.whiten[:] = torch.eye(gate.whiten.shape[1])
    torch.nn.init.zeros_(gate.classifier[-1].weight)
    gate.classifier[-1].bias.data = torch.tensor([0.0, 0.0, -5.0, -5.0, -5.0])
    return gate.eval().requires_grad_(False)


@pytest.fixture
def folder(small_model, tmp_path):
    """A model whose gate lets everything pass."""
    copy = shutil.copytree(small_model, tmp_path / "model")
    save_gate(copy, lenient(load_model(str(copy))))
    return copy


def change(folder, **values):
    """The gate of a model with other limits."""
    gate = load_model(str(folder)).gate
    for name, ends in values.items():
        getattr(gate, name)[:] = torch.tensor(ends)
    save_gate(folder, gate)


@pytest.fixture(scope="module")
def head():
    return study(910_000, size=40, spacing=6.0)


@pytest.fixture
def mr(head, tmp_path):
    write_volume(head.mr, tmp_path / "mr.nii.gz")
    return tmp_path / "mr.nii.gz"


def test_what_is_refused_leaves_nothing_and_ends_with_3(folder, mr, tmp_path, capsys):
    change(folder, reach=(-1.0, -1.0))
    given = ["translate", str(mr), str(tmp_path / "ct.nii.gz"), "--to", "ct", "--model", str(folder)]
    assert cli.invoke([*given, "--quiet"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert [line.startswith("error:") for line in said] == [True]
    assert "input gate of small" in said[0]
    assert "--force" in said[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "mr.nii.gz"]


def test_force_goes_past_and_is_recorded_and_reported(folder, mr, tmp_path, capsys):
    change(folder, reach=(-1.0, -1.0))
    out, page = tmp_path / "ct.nii.gz", tmp_path / "page"
    given = ["translate", str(mr), str(out), "--to", "ct", "--model", str(folder), "--report", str(page)]
    assert cli.invoke([*given, "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["gate"]["verdict"] == "refuse"
    assert told["gate"]["forced"] is True
    assert told["settings"]["force"] is True
    record = read_result(Translation, tmp_path / "ct.translation.json")
    assert record.gate is not None
    assert record.gate.forced
    assert any("by force" in text for text in record.warnings)
    text = (page / "report.html").read_text(encoding="utf-8")
    assert record.gate.reasons[0] in text
    assert "refused, and passed by force" in text


def test_a_cycle_of_what_is_refused_ends_with_3_unless_forced(folder, mr, tmp_path, capsys):
    change(folder, reach=(-1.0, -1.0))
    out = tmp_path / "there-and-back"
    given = ["cycle", str(mr), "--from", "mr", "--out", str(out), "--model", str(folder), "--quiet"]
    assert cli.invoke(given) == 3
    said = capsys.readouterr().err
    assert "mr.nii.gz: refused by the input gate of small" in said
    assert not out.exists()
    assert cli.invoke([*given, "--force"]) == 0
    found = read_result(Cycle, out / "result.json")
    (item,) = found.items
    assert item.translation is not None
    assert (item.translation.gate.verdict, item.translation.gate.forced) == ("refuse", True)
    assert any("by force" in text for text in found.warnings)
    assert "passed by force" in (out / "report.html").read_text(encoding="utf-8")


def test_a_cycle_is_judged_by_its_source_and_not_by_the_image_between(folder, mr, tmp_path):
    """The reach of CT, which is what the image between is offered as, refuses everything."""
    gate = load_model(str(folder)).gate
    gate.reach[MODALITIES.index("ct")] = -1.0
    save_gate(folder, gate)
    out = tmp_path / "out"
    assert cli.invoke(["cycle", str(mr), "--from", "mr", "--out", str(out), "--model", str(folder)]) == 0
    assert read_result(Cycle, out / "result.json").items[0].translation.gate.verdict == "pass"


def test_a_batch_fails_what_is_refused_and_doubts_what_is_warned_of(folder, mr, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(mr, tmp_path / "in")

    def batch(name):
        settings = BatchSettings(
            source=tmp_path / "in",
            out=tmp_path / name,
            to="ct",
            model=str(folder),
            device="cpu",
            workers=1,
        )
        return run_batch(settings, quiet=True).items[0]

    change(folder, reach=(-1.0, -1.0))
    refused = batch("refused")
    assert refused.state == "failed"
    assert "refused by the input gate of small" in refused.reason
    assert not (tmp_path / "refused" / refused.output).exists()
    change(folder, reach=(-1.0, 1e9))
    doubted = batch("doubted")
    assert any("the model's input gate doubts this input" in text for text in doubted.warnings)
    record = read_result(Translation, next((tmp_path / "doubted").rglob("*translation.json")))
    assert record.gate.reasons
    assert record.doubts[: len(record.gate.reasons)] == record.gate.reasons


def test_a_doubt_is_a_warning_and_a_pass_is_none(folder, mr, tmp_path):
    def made(name):
        settings = TranslateSettings(input=mr, output=tmp_path / name, to="ct", model=str(folder))
        (done,) = translate(settings, quiet=True)
        assert done.gate is not None
        return done.gate, [text for text in done.warnings if "input gate" in text]

    passed, silent = made("passed.nii.gz")
    assert (passed.verdict, passed.reasons, silent) == ("pass", [], [])
    change(folder, reach=(-1.0, 1e9))
    doubted, warned = made("doubted.nii.gz")
    assert (doubted.verdict, doubted.forced, len(warned)) == ("warn", False, 1)
    assert doubted.limits is not None
    assert doubted.scores is not None
    assert doubted.scores["distance"] > doubted.limits["distance"][0]


def test_a_model_without_a_gate_says_that_nothing_was_judged(small_model, head):
    _, record = translate_volume(head.mr, load_model(str(small_model)), "ct")
    reasons = ["the model has no gate: the input was not checked"]
    assert record.gate == GateVerdict(verdict="none", reasons=reasons)


def test_pictures_are_judged_one_by_one(folder, head, tmp_path):
    (tmp_path / "in").mkdir()
    for index, height in enumerate((14, 20, 26)):
        grey = head.mr.values[:, :, height].T[::-1, ::-1] / 4
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / f"{index}.png")
    settings = TranslateSettings(
        input=tmp_path / "in", output=tmp_path / "out", to="ct", model=str(folder), overwrite=True
    )
    distances = [item.gate.scores["distance"] for item in translate(settings, quiet=True)]
    assert len(set(distances)) == 3
    odd = int(np.argmax(distances))
    change(folder, reach=(1e9, float(np.sort(distances)[1:].mean())))
    change(folder, reach=(float(np.sort(distances)[1:].mean()),) * 2)
    with pytest.raises(InputRefused, match=rf"{odd}\.png.*distance"):
        translate(settings, quiet=True)


@pytest.mark.parametrize(
    ("modality", "ends", "verdict"),
    [
        ("ct", (-1000, 1500), "pass"),
        ("ct", (0, 1500), "refuse"),
        ("mr", (0, 900), "pass"),
        ("mr", (-1024, 3000), "refuse"),
        ("mr", (-3, 4), "warn"),
        ("mr", (-10, 900), "pass"),
    ],
)
def test_values_that_a_modality_cannot_have_are_seen(small_model, modality, ends, verdict):
    model = load_model(str(small_model))
    gate = lenient(model)
    framed = torch.rand(3, 1, 32, 32) * 2 - 1
    seen = look(gate, framed, torch.zeros(3, 4, 8, 8), modality)
    volume = Volume(np.linspace(*ends, 60).reshape(5, 4, 3), np.eye(4))
    assert judge([seen], gate, volume, modality).verdict == verdict
    assert judge([seen], gate, volume.with_meta(levels=255), modality).verdict == "pass"


def test_slices_that_show_little_have_no_say(small_model):
    gate = lenient(load_model(str(small_model)))
    gate.reach[:] = torch.tensor((2.0, 3.0))
    framed = torch.full((5, 1, 32, 32), -1.0)
    framed[:2] = 1.0
    framed[2:, :, :4] = 1.0
    latent = torch.zeros(5, 4, 8, 8)
    latent[2:] = 10.0
    source = Volume(np.linspace(0, 9, 8).reshape(2, 2, 2), np.eye(4))
    found = judge([look(gate, framed, latent, "mr")], gate, source, "mr")
    assert (found.verdict, found.slices) == ("pass", 2)


def test_the_distance_is_mahalanobis_over_the_root_of_the_length():
    rng = torch.Generator().manual_seed(0)
    vectors = torch.randn(400, 64, generator=rng) @ torch.randn(64, 64, generator=rng) + 3
    gate = SliceGate(NetworkSettings(size=32, latent_channels=4))
    centre, whiten = fit.fitted(vectors)
    gate.centre[0], gate.whiten[0] = centre, whiten
    covariance = np.cov(vectors.numpy().T, bias=True)
    covariance = (1 - fit.SHRUNK) * covariance + fit.SHRUNK * np.diag(covariance).mean() * np.eye(64)
    inverse = np.linalg.inv(covariance)
    for latent in torch.randn(5, 64, generator=rng) * 9:
        wanted = mahalanobis(latent.numpy(), vectors.mean(dim=0).numpy(), inverse) / 8
        assert float(gate.distance_of(latent[None], "ct")) == pytest.approx(wanted, rel=1e-3)


def test_a_mirror_image_is_judged_alike_and_turning_is_told_by_comparison(small_model):
    torch.manual_seed(1)
    gate = SliceGate(load_model(str(small_model)).description.network).eval().requires_grad_(False)
    framed = torch.rand(4, 1, 32, 32) * 2 - 1
    assert torch.allclose(gate.ratios(framed, "ct"), gate.ratios(framed.flip(3), "ct"), atol=1e-5)
    # Of the four ways round one at most looks more upright than all others.
    ways = [gate.ratios(framed.rot90(way, (2, 3)), "ct")[:, KINDS.index("turned")] for way in range(4)]
    assert ((torch.stack(ways) > 1e-5).sum(dim=0) <= 1).all()


def test_a_gate_comes_back_as_it_was_saved_and_altered_it_is_refused(folder, tmp_path):
    gate = load_model(str(folder)).gate
    assert gate is not None
    save_gate(folder, gate)
    again = load_model(str(folder)).gate
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in gate.state_dict().items())
    path = folder / "gate.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelRefused, match="altered"):
        load_model(str(folder))
    path.unlink()
    with pytest.raises(ModelRefused, match="cannot be read"):
        load_model(str(folder))


def test_a_gate_of_other_weights_is_refused(folder):
    path = folder / "gate.safetensors"
    save_file(load_file(path), path, metadata={"weights": "0" * 64})
    known = json.loads((folder / "model.json").read_text())
    known["gate"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(known))
    with pytest.raises(ModelRefused, match="other weights"):
        load_model(str(folder))


@pytest.mark.parametrize("kind", WRONG | SCANS["mr"])
def test_wrong_kinds_are_pictures_and_differ_from_what_they_were_made_of(kind):
    slices = PhantomSlices(3, 3, "mr", "t1", NetworkSettings(size=32), ScaleSettings()).fixed(6)
    make = (WRONG | SCANS["mr"])[kind]
    made = make(slices, torch.Generator().manual_seed(0))
    again = make(slices, torch.Generator().manual_seed(0))
    assert made.shape == slices.shape
    assert torch.equal(made, again)
    assert made.amin() >= -1.001
    assert made.amax() <= 1.001
    assert ((made - slices).abs().mean(dim=(1, 2, 3)) > 0.01).all()


@pytest.mark.parametrize("kind", [*WRONG, *SCANS["mr"]])
@pytest.mark.parametrize("grey", [-1.0, 0.3])
def test_what_shows_nothing_is_no_error_to_a_maker(kind, grey):
    """Sources may hold slices without a head."""
    made = (WRONG | SCANS["mr"])[kind](torch.full((2, 1, 32, 32), grey), torch.Generator().manual_seed(0))
    assert made.shape == (2, 1, 32, 32)
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_brain_is_cut_out_of_a_slice_whose_tissues_are_known(modality):
    made = study(910_007, size=72, spacing=3.0)
    values = torch.from_numpy((made.ct if modality == "ct" else made.mr).values)
    unit = scale_ct(values, (-20, 100) if modality == "ct" else (0, 1000))
    inner = [LABEL[name] for name in ("grey matter", "white matter", "deep nuclei", "csf")]
    outer = [LABEL[name] for name in ("skin", "fat", "muscle", "cortical bone", "diploe")]
    for z in range(42, 52, 3):
        brain = cut_out(unit[:, :, z].contiguous(), np.random.default_rng(z)).brain
        labels = made.labels.values[:, :, z]
        assert (brain & np.isin(labels, inner)).sum() > 0.5 * np.isin(labels, inner).sum()
        assert (brain & np.isin(labels, outer)).sum() < 0.1 * brain.sum()


@pytest.mark.parametrize("modality", MODALITIES)
def test_digital_heads_can_be_had_without_their_skull(modality):
    scale, size = ScaleSettings(), 64
    whole = other_views(modality, 6, size, scale, 910_010)
    bare = bare_heads(modality, 6, size, scale, 910_010)
    assert whole.shape == bare.shape == (6, 1, size, size)
    shown = [float((pictures > -0.8).float().mean()) for pictures in (whole, bare)]
    assert 0.1 < shown[1] < shown[0]
    if modality == "ct":
        assert float((bare > 0.95).float().mean()) < 0.05 * shown[1]


@pytest.fixture
def quick(monkeypatch):
    """A fit of seconds: it learns little, but goes all the way."""
    for name, value in {"MOST": 24, "PHANTOMS": 12, "MADE": 4}.items():
        monkeypatch.setattr(fit, name, value)


def test_the_same_seed_gives_the_same_gate_and_other_random_numbers_are_left_alone(
    small_model, quick, capsys
):
    model = load_model(str(small_model))
    known = model.description

    def fitted(quiet):
        torch.rand(1)
        before = torch.get_rng_state()
        gate = fit_gate({}, model.generators, known.network, known.scale, steps=2, quiet=quiet)
        assert torch.equal(before, torch.get_rng_state())
        return gate.state_dict()

    first = fitted(quiet=True)
    assert capsys.readouterr().err == ""
    second = fitted(quiet=False)
    said = re.findall(r"(.+): ([0-9]+) of ([0-9]+) \w+s,", capsys.readouterr().err)
    ended = {what for what, done, total in said if done == total}
    assert ended == {"slices for the gate", "fitting the gate", "limits of the gate"}
    assert all(int(done) <= int(total) for _, done, total in said)
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert torch.isfinite(torch.cat([value.flatten() for value in first.values()])).all()


def test_a_fit_can_begin_with_another_gate(small_model, quick):
    model = load_model(str(small_model))
    known = model.description
    began = lenient(model)
    gate = fit_gate({}, model.generators, known.network, known.scale, steps=2, start=began)
    anew = fit_gate({}, model.generators, known.network, known.scale, steps=2)
    apart = [
        float((one.classifier[0].conv.weight - began.classifier[0].conv.weight).abs().max())
        for one in (gate, anew)
    ]
    # A step moves a weight by about the rate at most.
    assert apart[0] < 2 * fit.RATE < apart[1]


@pytest.mark.slow
def test_a_gate_fitted_on_digital_heads_tells_them_from_what_they_are_not(monkeypatch):
    for name, value in {"MOST": 300, "PHANTOMS": 300, "MADE": 80}.items():
        monkeypatch.setattr(fit, name, value)
    model = load_model("phantom")
    network, scale = model.description.network, model.description.scale
    gate = fit_gate({}, model.generators, network, scale, steps=700)
    generator = torch.Generator().manual_seed(5)

    def refused(slices, modality):
        encoder = model.translator("mr" if modality == "ct" else "ct")
        with torch.inference_mode():
            seen = look(gate, slices, encoder.encode(slices).mean, modality)
        picture = Volume(np.zeros((1, 1, 1)), np.eye(4), Meta(levels=255))
        verdicts = [judge([one[None]], gate, picture, modality).verdict for one in seen]
        return verdicts.count("refuse") / len(verdicts)

    right = {
        which: PhantomSlices(HELD_OUT - 7, HELD_OUT - 7, which, "both", network, scale).fixed(60)
        for which in MODALITIES
    }
    for which, other in (("ct", "mr"), ("mr", "ct")):
        assert refused(right[which], which) < 0.05
        assert refused(offered(right[other], which, network, scale), which) > 0.9
        assert refused(offered(turned(right[which], generator), which, network, scale), which) > 0.6
        views = other_views(which, 20, network.size, scale, HELD_OUT - 50)
        assert refused(offered(views, which, network, scale), which) > 0.7
        for kind in ("noise", "shapes", "blocks", "inverted"):
            made = WRONG[kind](right[which], generator)
            assert refused(offered(made, which, network, scale), which) > 0.8, kind


def test_the_median_of_several_slices_is_held_to_a_closer_limit(small_model):
    gate = lenient(load_model(str(small_model)))
    gate.classifier[-1].bias.data[KINDS.index("other")] = 2.0
    source = Volume(np.linspace(0, 9, 8).reshape(2, 2, 2), np.eye(4))
    for count, verdict in ((1, "pass"), (12, "refuse")):
        seen = look(gate, torch.ones(count, 1, 32, 32), torch.zeros(count, 4, 8, 8), "mr")
        found = judge([seen], gate, source, "mr")
        assert found.verdict == verdict
        assert found.looks_like == ("other" if count > 1 else "mr")
