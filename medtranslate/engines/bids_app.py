"""BIDS App: `bids-app BIDS_DIR OUTPUT_DIR participant|group`.

Arguments and levels are those of BIDS Apps (Gorgolewski et al. 2017, doi:10.1371/journal.pcbi.1005209), as
BIDS-Apps/example and fMRIPrep spell them. The level `participant` is a batch on the dataset, and may run for
several participants at the same time on one output; `group` then makes the pages of all participants.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from medtranslate.batch import bids, run_batch
from medtranslate.batch.folder import held, journals
from medtranslate.batch.overview import write_overview
from medtranslate.config import BatchSettings, BidsAppSettings, build, plain
from medtranslate.errors import InputRefused, Unreadable
from medtranslate.records import Batch, Outcome, from_json
from medtranslate.runtime import read_journal, warn

VALIDATOR = "bids-validator-deno"
_OF_THE_APP = ("bids_dir", "output_dir", "analysis_level", "skip_bids_validation")


def run_app(settings: BidsAppSettings, *, quiet: bool = False) -> Batch:
    """Run one level of the app.

    Raises:
        InputRefused: the folder holds no BIDS dataset, the validator finds errors, there is no image to
            translate, or `group` finds no results.
        UsageError: a participant or session is not there, or another run works on the same participant.
    """
    source = settings.bids_dir
    if not bids.is_dataset(source):
        raise Unreadable(f"{source}: holds no {bids.DESCRIPTION}; name the folder of a BIDS dataset")
    batch = batch_of(settings)
    if settings.analysis_level == "group":
        return summarise(batch)
    if not settings.skip_bids_validation:
        validate(source)
    return run_batch(batch, quiet=quiet)


def batch_of(settings: BidsAppSettings) -> BatchSettings:
    """Translate the app's settings into those of a batch."""
    values = {name: value for name, value in vars(settings).items() if name not in _OF_THE_APP}
    return build(BatchSettings, {**values, "source": settings.bids_dir, "out": settings.output_dir})


def validate(dataset: Path) -> None:
    """Run the BIDS validator on a dataset; warn if it is not installed.

    Raises:
        InputRefused: it finds errors; says how many, of which kinds, and where the first is.
    """
    beside = shutil.which(VALIDATOR, path=str(Path(sys.executable).parent))
    program = beside or shutil.which(VALIDATOR)
    if program is None:
        warn([f"{dataset}: not validated, for {VALIDATOR} is not installed; pip install {VALIDATOR}"])
        return
    command = [program, "--format", "json", "--ignoreWarnings", str(dataset.absolute())]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    errors = _errors(done.stdout)
    if not errors:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InputRefused(
            f"{dataset}: {VALIDATOR} ended with {done.returncode} ({last}); mend it, or give"
            " --skip-bids-validation"
        )
    kinds = ", ".join(dict.fromkeys(str(error.get("code")) for error in errors))
    place = str(errors[0].get("location", "")).lstrip("/")
    raise InputRefused(
        f"{dataset}: {VALIDATOR} finds {len(errors)} errors ({kinds}), the first in {place or 'the dataset'};"
        f" mend them (`{VALIDATOR} {dataset}` lists all), or give --skip-bids-validation"
    )


def _errors(report: str) -> list[dict[str, Any]]:
    """List the errors in a report of the validator; none if it can't be read."""
    try:
        issues = json.loads(report)["issues"]["issues"]
        return [issue for issue in issues if issue["severity"] == "error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def summarise(settings: BatchSettings) -> Batch:
    """Write summary.csv and overview.html of the results of all participants, or of the chosen ones.

    Raises:
        Unreadable: there are no results.
        UsageError: participants are still worked on.
    """
    out = settings.out
    found: dict[str, Outcome] = {}
    for path in journals(out):
        for name, value in read_journal(path).items():
            found[name] = from_json(Outcome, value, str(path))
    chosen = {f"sub-{label.strip().removeprefix('sub-')}" for label in settings.participant_label}
    items = [_as_it_is(found[name], out) for name in sorted(found)]
    items = [item for item in items if not chosen or item.name.partition("/")[0] in chosen]
    if not items:
        raise Unreadable(f"{out}: holds no results to summarise; run the level participant first")
    seconds = round(sum(item.seconds for item in items), 3)
    batch = Batch(items=items, seconds=seconds, settings=plain(settings))
    with held(replace(settings, participant_label=())):
        write_overview(batch, out)
    return batch


def _as_it_is(item: Outcome, out: Path) -> Outcome:
    """Report an output that was removed since it was made as failed."""
    if item.state == "failed" or (out / item.output).exists():
        return item
    return replace(
        item, state="failed", reason=f"{item.output}: is not there; run the level participant again"
    )
