from __future__ import annotations

from dataclasses import astuple, replace
from multiprocessing import active_children

import pytest
import torch

from medtranslate.data import open_sources
from medtranslate.errors import InputRefused
from medtranslate.training import batches as batches_module
from medtranslate.training.batches import batches, seeds, side_at, worker_count

CPU = torch.device("cpu")


def shown(settings, steps: range, process: int = 0) -> list[tuple[torch.Tensor, ...]]:
    sources = open_sources(settings, quiet=True).sources
    made = [astuple(batch) for batch in batches(settings, sources, steps, process, CPU)]
    return [tuple(part for part in batch if part is not None) for batch in made]


def test_what_a_step_is_shown_does_not_depend_on_who_draws_it_and_when(settings):
    whole = shown(replace(settings, workers=0), range(4))
    ahead = shown(replace(settings, workers=2), range(4))
    later = shown(settings, range(2, 4))
    for one, other in zip(whole + whole[2:], ahead + later, strict=True):
        assert all(map(torch.equal, one, other))


def test_steps_and_processes_are_shown_slices_of_their_own(settings):
    steps = [*shown(settings, range(2)), *shown(settings, range(1), process=1)]
    for part in range(5):
        assert not any(torch.equal(steps[a][part], steps[b][part]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert (
        len({word for step in range(50) for process in range(4) for word in seeds(1, step, process)}) == 1000
    )


def test_what_the_anchor_leaves_out_changes_its_slices_alone(settings):
    settings = replace(settings, anchor_rendered=0.0)
    whole = shown(settings, range(3))
    for change in ({"anchor_lesions": False}, {"anchor_skull_base": False}):
        poorer = shown(replace(settings, **change), range(3))
        for one, other in zip(whole, poorer, strict=True):
            assert all(map(torch.equal, one[:2], other[:2]))
        assert any(not torch.equal(one[2], other[2]) for one, other in zip(whole, poorer, strict=True))


def test_slices_are_small_in_the_first_nine_tenths(settings):
    growing = replace(
        settings, images=80, smaller=(32, 48), network=replace(settings.network, size=64), unpaired=False
    )
    sides = [side_at(growing, step) for step in range(20)]
    assert sides == [32] * 9 + [48] * 9 + [64] * 2
    assert [side_at(replace(growing, smaller=()), step) for step in (0, 19)] == [64, 64]
    for step in (0, 9, 18):
        ((ct, *_),) = shown(growing, range(step, step + 1))
        assert ct.shape[-2:] == (sides[step],) * 2
    ((unpaired, *_),) = shown(replace(growing, unpaired=True), range(1))
    assert unpaired.shape[-2:] == (32, 32)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_refused_while_drawing_ends_the_run_with_its_own_sentence(
    settings, workers, monkeypatch
):
    def refuse(*_):
        raise InputRefused("head.png: no head found")

    monkeypatch.setattr(batches_module.Drawn, "_draw", refuse)
    with pytest.raises(InputRefused, match=r"^head.png: no head found$"):
        shown(replace(settings, workers=workers), range(2))
    assert not active_children()


def test_each_slice_comes_as_it_is_and_augmented(settings):
    ((ct, *_),) = shown(replace(settings, batch=6), range(1))
    as_they_are, moved = ct.chunk(2)
    (still,) = shown(replace(settings, batch=3, augment=replace(settings.augment, copy_each=False)), range(1))
    torch.testing.assert_close(as_they_are, still[0])
    assert all((a - b).abs().mean() > 0.01 for a, b in zip(as_they_are, moved, strict=True))


def test_mr_that_shall_agree_comes_alone_and_shown_otherwise(settings):
    alone = replace(settings, unpaired=False, loss=replace(settings.loss, agreement=1.0))
    (batch,) = batches(alone, open_sources(alone, quiet=True).sources, range(1), 0, CPU)
    mr, otherwise = batch.mr, batch.mr_otherwise
    assert batch.ct is None
    assert mr.shape == otherwise.shape
    assert not torch.allclose(mr, otherwise)
    # Anatomy stays in its place: a change of gain and gamma keeps most of the order of the voxels.
    for one, other in zip(mr, otherwise, strict=True):
        assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.7


@pytest.mark.parametrize(("workers", "device", "expected"), [(0, "cuda", 0), (3, "cpu", 3), (None, "cpu", 1)])
def test_as_many_draw_ahead_as_is_said(settings, workers, device, expected):
    assert worker_count(replace(settings, workers=workers), torch.device(device)) == expected


def test_beside_a_gpu_several_draw_ahead(settings, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert worker_count(settings, torch.device("cuda")) == 8
    assert worker_count(replace(settings, devices=4), torch.device("cuda")) == 3
