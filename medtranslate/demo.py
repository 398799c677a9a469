"""Demonstration: a phantom study, its translation, its evaluation."""

from __future__ import annotations

import shutil
from dataclasses import replace

from medtranslate import phantom
from medtranslate.config import DemoSettings, EvaluateSettings, PhantomSettings, TranslateSettings, plain
from medtranslate.evaluation import evaluate_into
from medtranslate.records import Evaluation, write_result
from medtranslate.runtime import whole_output
from medtranslate.translation import translate

FIELD_MM = 256.0
"""Side of a cube around a whole head."""


def run_demo(settings: DemoSettings, *, quiet: bool = False) -> Evaluation:
    """Make an MR series of a phantom head, translate it to CT, score it against the head's own CT.

    `settings.out` gets study/mr and study/ct (DICOM), ct (the translation), evaluation, report.html.

    Raises:
        OutputExists: the folder exists and `overwrite` is not set, or it is not a demo's.
    """
    out = settings.out
    with whole_output(out, overwrite=settings.overwrite, folder=True) as folder:
        phantom.write_study(
            PhantomSettings(
                out=folder / "study",
                seed=settings.seed,
                size=settings.size,
                spacing=FIELD_MM / settings.size,
                format="dicom",
            )
        )
        # The records name the final places of the files.
        translation = TranslateSettings(
            input=out / "study" / "mr",
            output=out / "ct",
            to="ct",
            model=settings.model,
            device=settings.device,
        )
        (record,) = translate(
            replace(translation, input=folder / "study" / "mr", output=folder / "ct"), quiet=quiet
        )
        write_result(replace(record, settings=plain(translation)), folder / "ct" / "translation.json")
        evaluation = EvaluateSettings(
            prediction=out / "ct",
            reference=out / "study" / "ct",
            source=out / "study" / "mr",
            out=out / "evaluation",
        )
        paths = {
            "prediction": folder / "ct",
            "reference": folder / "study" / "ct",
            "source": folder / "study" / "mr",
        }
        (folder / "evaluation").mkdir()
        result = evaluate_into(folder / "evaluation", evaluation, paths, quiet=quiet)
        shutil.copy(folder / "evaluation" / "report.html", folder / "report.html")
    assert isinstance(result, Evaluation)
    return result
