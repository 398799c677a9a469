"""The shortest way to see everything work: a phantom study, its translation, its evaluation."""

from __future__ import annotations

import shutil

from medtranslate import phantom
from medtranslate.config import DemoSettings, EvaluateSettings, PhantomSettings, TranslateSettings
from medtranslate.evaluation import evaluate
from medtranslate.jobs import check_free
from medtranslate.result import Result
from medtranslate.translation import translate

FIELD_MM = 256.0
"""Side of the cube that holds a whole head."""


def run_demo(settings: DemoSettings, *, quiet: bool = False) -> Result:
    """Make an MR series of a phantom head, translate it to CT, score it against the head's own CT.

    `settings.out` gets study/mr and study/ct (DICOM), ct (the translation), evaluation, report.html.

    Raises:
        OutputExists: the folder is there and `overwrite` is not set, or it is not a demo's.
    """
    out = settings.out
    check_free(out, overwrite=settings.overwrite)
    shutil.rmtree(out, ignore_errors=True)
    try:
        phantom.write_study(
            PhantomSettings(
                out=out / "study",
                seed=settings.seed,
                size=settings.size,
                spacing=FIELD_MM / settings.size,
                format="dicom",
            )
        )
        translate(
            TranslateSettings(
                input=out / "study" / "mr",
                output=out / "ct",
                to="ct",
                model=settings.model,
                device=settings.device,
            ),
            quiet=quiet,
        )
        result = evaluate(
            EvaluateSettings(
                prediction=out / "ct",
                reference=out / "study" / "ct",
                source=out / "study" / "mr",
                out=out / "evaluation",
            ),
            quiet=quiet,
        )
        shutil.copy(out / "evaluation" / "report.html", out / "report.html")
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    assert isinstance(result, Result)
    return result
