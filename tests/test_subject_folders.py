"""Folders of subjects, as the SynthRAD challenges hand them out, are trained on, translated and scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medtranslate.batch import run_batch
from medtranslate.config import BatchSettings, EvaluateSettings, TrainSettings, build
from medtranslate.evaluation import evaluate
from medtranslate.io import read_volume, write_volume
from medtranslate.phantom import study
from medtranslate.records import Cohort
from medtranslate.training import fit

SUBJECTS = ("1BA001", "1BA005", "1BB012", "1BC002", "1BC016")


@pytest.mark.slow
def test_five_subjects_go_the_whole_way_without_a_file_renamed(tmp_path: Path) -> None:
    data = tmp_path / "Task1" / "brain"
    for seed, subject in enumerate(SUBJECTS):
        head = study(seed, size=48, spacing=5)
        (data / subject).mkdir(parents=True)
        mask = head.labels.with_values((head.labels.values > 0).astype(np.float32))
        for name, volume in {"ct": head.ct, "mr": head.mr, "mask": mask}.items():
            write_volume(volume, data / subject / f"{name}.nii.gz")
    network = {"size": 32, "channels": (8, 8), "discriminator_channels": (8, 8)}
    run = {"images": 16, "batch": 4, "every": 8, "workers": 0, "gate": 0, "device": "cpu", "val_share": 0.2}
    scale = {"ct_window": (-1024, 3071)}
    sources = {"ct": str(data), "mr": str(data), "out": tmp_path / "run"}
    fit(build(TrainSettings, {**sources, **run, "network": network, "scale": scale}), quiet=True)
    batch = run_batch(
        BatchSettings(
            source=data,
            out=tmp_path / "made",
            to="ct",
            model=str(tmp_path / "run" / "model"),
            workers=1,
            device="cpu",
        ),
        quiet=True,
    )
    outputs = [f"{subject}/mr_synthetic-ct.nii.gz" for subject in SUBJECTS]
    assert [item.output for item in batch.items] == outputs
    assert not batch.of("failed")
    cohort = evaluate(
        EvaluateSettings(
            prediction=tmp_path / "made",
            reference=data,
            mask=data,
            source=data,
            profile="synthrad2023",
            out=tmp_path / "scores",
            workers=1,
        ),
        quiet=True,
    )
    assert isinstance(cohort, Cohort)
    assert [item.name for item in cohort.items] == list(SUBJECTS)
    for item, output in zip(cohort.items, outputs, strict=True):
        files = (
            tmp_path / "made" / output,
            *(data / item.name / f"{name}.nii.gz" for name in ("ct", "mask")),
        )
        made, true, mask = (read_volume(file).values for file in files)
        assert item.volume["mae"] == pytest.approx(np.abs(made - true)[mask > 0].mean(), rel=1e-5)
