"""Scores many pairs in parallel, keeps each when it is done, and lists those that are refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from medtranslate.checkpoint import describe, find_model
from medtranslate.config import EvaluateSettings, plain
from medtranslate.errors import InputRefused, Interrupted, ModelRefused, Unreadable
from medtranslate.evaluation.averages import mean_scores, representative_cases, summarise
from medtranslate.evaluation.evaluate_pair import LIBRARIES, score_paths, versions
from medtranslate.records import Cohort, Evaluation, from_json, to_json
from medtranslate.records.places import record_of
from medtranslate.report import Pictures, case_place, write_case
from medtranslate.runtime import Journal, cores, crew, journal, progress
from medtranslate.runtime.worker_pool import Serve

Paths = Mapping[str, Path]
"""The files of a pair by role."""
_Scored = Evaluation | str | Exception
"""Scores of a pair, the reason of a refusal, or what ends the run."""
WORTH_SECONDS = 10.0
"""Work for one process below which starting several is not worth it."""
_LOST = "each process that scored it was ended from outside, for its memory perhaps; give fewer --workers"
UNTOLD = ("overwrite", "workers", "subjects", "table")
"""Settings that change no score."""


def score_folders(
    settings: EvaluateSettings, pairs: Mapping[str, Paths], folder: Path, *, quiet: bool
) -> tuple[Cohort, dict[str, Pictures]]:
    """Score each pair, and write its page into `folder`, which is there.

    Of the arrays, those of the best, the median and the worst by MAE are handed over.

    Raises:
        InputRefused: not one pair could be scored.
        Interrupted: Ctrl-C; what is done is kept for the same command.
    """
    path, pages = journal_path(settings.out), pages_beside(settings.out)
    with journal(path) as kept:
        keys = {name: _key(settings, paths) for name, paths in pairs.items()}
        found = {
            name: known
            for name, key in keys.items()
            if (known := _known(kept, key)) and case_place(pages, name).is_file()
        }
        left = {name: paths for name, paths in pairs.items() if name not in found}
        failed: dict[str, str] = {}
        try:
            with (
                progress(len(pairs), "pair", "evaluate", done=len(found), quiet=quiet) as bar,
                closing(_each(settings, pages, left)) as results,
            ):
                for name, result in results:
                    if isinstance(result, Evaluation):
                        kept.keep(keys[name], to_json(result))
                        found[name] = result
                    else:
                        failed[name] = result
                    bar.update()
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; {len(found)} of {len(pairs)} pairs are kept in {path}, and the same command"
                " goes on from there"
            ) from None
    for name in found:
        place = case_place(folder, name)
        place.parent.mkdir(exist_ok=True)
        shutil.copy(case_place(pages, name), place)
    failed = {name: failed[name] for name in pairs if name in failed}  # pairs end in any order
    if not found:
        name, reason = next(iter(failed.items()))
        raise InputRefused(f"none of {len(pairs)} pairs could be scored; the first, {name}: {reason}")
    cohort = _cohort(settings, [found[name] for name in pairs if name in found], failed)
    wanted = representative_cases(cohort.items)
    return cohort, {name: score_paths(settings, pairs[name], name)[1] for name in wanted}


def _cohort(settings: EvaluateSettings, items: list[Evaluation], failed: Mapping[str, str]) -> Cohort:
    """Average the results; name the pairs that are in no mean."""
    shared = summarise(items)
    unmasked = [item.unmasked for item in items if item.unmasked]
    lost = [f"not scored and in no mean: {name} ({reason})" for name, reason in failed.items()]
    return Cohort(
        **shared | {"warnings": [*lost, *shared["warnings"]]},
        unmasked=mean_scores(unmasked) if unmasked else None,
        failed=dict(failed),
        settings=plain(settings),
    )


def journal_path(out: Path) -> Path:
    """Where finished pairs are kept while an evaluation into `out` is not: beside it."""
    return out.with_name(f"{out.name}.pairs.jsonl")


def pages_beside(out: Path) -> Path:
    """Where the pages of finished pairs are kept meanwhile, beside the journal."""
    return out.with_name(f"{out.name}.pairs.pages")


def forget(out: Path, cohort: Cohort) -> None:
    """Remove what was kept beside `out` for going on; nothing that is not ours."""
    journal_path(out).unlink(missing_ok=True)
    places = [case_place(pages_beside(out), item.name) for item in cohort.items]
    for place in places:
        place.unlink(missing_ok=True)
    with suppress(OSError):
        places[0].parent.rmdir()
        pages_beside(out).rmdir()


def _each(
    settings: EvaluateSettings, pages: Path, left: Mapping[str, Paths]
) -> Generator[tuple[str, Evaluation | str], None, None]:
    """Results by name, as they come; by default in several processes if the first says it is worth it."""
    waiting, workers = list(left.items()), settings.workers
    if workers is None and waiting:
        started, first = time.monotonic(), waiting.pop(0)
        yield first[0], _attempt(settings, pages, first)
        if len(waiting) * (time.monotonic() - started) < WORTH_SECONDS:
            workers = 1
    workers = min(workers or cores(), len(waiting))
    if workers <= 1:
        yield from ((pair[0], _attempt(settings, pages, pair)) for pair in waiting)
        return
    with closing(crew(partial(_begin, settings, pages), iter(waiting), workers)) as results:
        for (name, _), result in results:
            if isinstance(result, Exception):
                raise result
            yield name, result or _LOST


def _begin(settings: EvaluateSettings, pages: Path, number: int) -> Serve[tuple[str, Paths], _Scored]:
    """Begin a process that scores pairs."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of torch, if a mean image needs it

    def serve(pairs: Iterable[tuple[str, Paths]]) -> Iterator[_Scored]:
        for pair in pairs:
            try:
                yield _attempt(settings, pages, pair)
            except Exception as error:  # which the parent raises
                yield error

    return serve


def _attempt(settings: EvaluateSettings, pages: Path, pair: tuple[str, Paths]) -> Evaluation | str:
    """Score a pair and write its page, or give the reason of a refusal."""
    name, paths = pair
    try:
        result, pictures = score_paths(settings, paths, name)
    except InputRefused as reason:
        return str(reason)
    write_case(result, pictures, pages)
    return result


def _known(kept: Journal, key: str) -> Evaluation | None:
    """Read a result that was kept, if it is one of this version."""
    with suppress(Unreadable):
        return from_json(Evaluation, kept.done[key], str(kept.path)) if key in kept.done else None
    return None


def _key(settings: EvaluateSettings, paths: Paths) -> str:
    """Digest of all that the scores of a pair depend on: its files, records, model, settings, versions."""
    files = dict(paths) | {"record": record_of(paths["prediction"]), "model": record_of(settings.prediction)}
    files |= {"densities": settings.densities} if settings.densities else {}
    model = ""
    if settings.model:
        with suppress(ModelRefused):
            model = describe(find_model(settings.model)).sha256
    told = {
        "files": {role: _digest(path) for role, path in files.items()},
        "model": model,
        "settings": {key: value for key, value in plain(settings).items() if key not in UNTOLD},
        "versions": versions(LIBRARIES),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
