"""Calibrates the uncertainty of a model on pairs whose true translation is known.

The spread of posterior samples is smaller than the errors, and limits that a network estimates are those of
its training slices. On some pairs curves are fitted to the spread (`metrics.fit_calibration`), or factors to
the limits (`metrics.fit_factors`); on the others, of other subjects, they are tested.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtranslate.checkpoint import Model, describe, find_model, load_model, save_calibration
from medtranslate.checkpoint.description import FILES, SHIPPED
from medtranslate.config import CalibrateSettings, Modality
from medtranslate.device import choose_device
from medtranslate.errors import OutputExists, UsageError
from medtranslate.evaluation.calibration_pairs import choose_held_out, find_pairs, read_pair
from medtranslate.io import Volume
from medtranslate.metrics import (
    Range,
    Voxels,
    calibrated,
    coverage,
    enclosed,
    fit_calibration,
    fit_factors,
    head_mask,
)
from medtranslate.modality import OTHER
from medtranslate.records import Calibration, CalibrationReport, CalibrationTest, Coverage
from medtranslate.runtime import check_free, progress, require_apart, whole_output
from medtranslate.translation import as_spoken, pass_gate, sample_volume
from medtranslate.translation.contrast import told_like
from medtranslate.translation.uncertainty import DRAWS, least_bone

VOXELS = 2**18
"""Voxels of a pair that are used at most, drawn at random, so that memory holds many large pairs."""

APART = 1.5
"""Factor by which error limits of normal errors are too small or too large if a warning is given.

Then 73 or 99 % of the errors lie within limits that shall hold 90 %. Shares are compared, not means, because
the largest errors rule every mean of errors with heavy tails.
"""

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """Translated values of voxels [N], deviations or limits, and absolute errors, on the range [-1, 1].

    `enclosed` says whether bone encloses a voxel in its slice.
    """

    made: Values
    spread: Values
    errors: Values
    enclosed: Voxels


def calibrate(settings: CalibrateSettings, *, quiet: bool = False) -> CalibrationReport:
    """Fit and test the calibration of a model, and write it into the model or a copy of it.

    Raises:
        ModelRefused: there is no such model.
        InputRefused: pairs are missing, too few, on different grids, or refused by the model's input gate.
        OutputExists: `settings.out` is there, or the model is calibrated already, and `overwrite` is not set.
        UsageError: the model ships with medtranslate and `settings.out` is not given.
    """
    folder = find_model(settings.model)
    directions: Sequence[Modality] = (settings.to,) if settings.to else ("ct", "mr")
    if settings.samples is None and not describe(folder).network.limits:
        settings = replace(settings, samples=DRAWS)
    _check_target(folder, directions, settings)
    pairs = find_pairs(settings.pairs)
    held = choose_held_out(pairs, settings)
    model = uncalibrated(load_model(str(folder), choose_device(settings.device)))
    found: dict[tuple[Modality, str], Measured] = {}
    with progress(len(pairs) * len(directions), "direction", "calibrate", quiet=quiet) as bar:
        for pair in pairs:
            volumes = read_pair(pair)
            for to in directions:
                found[to, pair.name] = measure(volumes, model, to, settings)
                bar.update()
    on = settings.on or f"{len(pairs) - len(held)} pairs from {settings.pairs.resolve().name}"
    curves: dict[Modality, Calibration] = {}
    tests: dict[Modality, CalibrationTest] = {}
    for to in directions:
        fitted = _join(found[to, pair.name] for pair in pairs if pair.name not in held)
        tested = _join(found[to, pair.name] for pair in pairs if pair.name in held)
        about = (on, settings.share, fitted.enclosed)
        curves[to] = (
            fit_calibration(fitted.made, fitted.spread, fitted.errors, *about)
            if settings.samples
            else fit_factors(fitted.spread, fitted.errors, *about)
        )
        tests[to] = CalibrationTest(
            voxels=(len(fitted.errors), len(tested.errors)),
            before=_coverage(tested.spread, tested.errors, None if settings.samples else curves[to].share),
            after=_coverage(
                calibrated(tested.made, tested.spread, curves[to], tested.enclosed),
                tested.errors,
                curves[to].share,
            ),
        )
    _write(folder, curves, settings)
    return CalibrationReport(
        model=model.description.name,
        sha256=model.description.sha256,
        output=str(settings.out or folder),
        on=on,
        pairs=(len(pairs) - len(held), len(held)),
        samples=settings.samples or 0,
        seed=settings.seed,
        directions=tests,
        warnings=[warning for to, test in tests.items() for warning in _warn(to, test)],
    )


def _check_target(folder: Path, directions: Iterable[Modality], settings: CalibrateSettings) -> None:
    """Refuse before the work begins what could not be written after it."""
    if settings.out:
        require_apart([settings.out], [settings.pairs, folder])
        check_free(settings.out, overwrite=settings.overwrite)
        return
    if folder.resolve().parent == SHIPPED.resolve():
        raise UsageError(f"{folder.name}: ships with medtranslate and stays as it is; give --out for a copy")
    known = [side for side in directions if side in describe(folder).curves(settings.samples)]
    if known and not settings.overwrite:
        raise OutputExists(
            f"{folder}: is calibrated already (to {' and '.join(known)}); give --overwrite to replace that,"
            " or --out for a copy"
        )


def uncalibrated(model: Model) -> Model:
    """Return the model with the spread of its samples, and its limits, as they are."""
    plain = replace(model.description, calibration={}, limits={})
    return Model(plain, model.generators, model.means, model.precision, model.gate)


def measure(
    volumes: Mapping[Modality, Volume], model: Model, to: Modality, settings: CalibrateSettings
) -> Measured:
    """Translate one volume of a pair, and compare its uncertainty with the errors in the head.

    Without samples the uncertainty is the limit that the model estimates.

    Errors are those on the scale of the model's output: CT inside its window, MR by its percentile. A model
    that can meet the contrast of an MR is asked for that of the true one; else the error would be that of
    another contrast. Limits and samples are those of axial slices, and so is the translation.
    """
    network, model = model.description.network, model.axial()
    if to == "mr" and network.told and network.seen:
        model = told_like(model, volumes["mr"])
    source, truth = volumes[OTHER[to]], as_spoken(volumes[to], to, model)
    made = sample_volume(source, model, to, samples=settings.samples or 0, seed=settings.seed, limits=True)
    pass_gate(made.record, source.where, force=settings.force)
    assert made.uncertainty is not None
    ends = {side: _range(volumes[side], model, side) for side in (to, OTHER[to])}
    shown = as_spoken(source, OTHER[to], model)
    mask = head_mask([truth.values, shown.values], [ends[to], ends[OTHER[to]]])
    scale = model.description.scale
    lower, upper = made.framed.output_ends(to, scale)
    step = (upper - lower) / 2
    values, spread = made.volume.values[mask], made.uncertainty.values[mask]
    errors = np.abs(values - truth.values[mask])
    some = np.arange(len(errors))
    if len(errors) > VOXELS:
        some = np.random.default_rng(settings.seed).choice(len(errors), VOXELS, replace=False)
    bone = made.framed.in_units(np.array([least_bone(scale)], np.float32), "ct", scale)
    shows = made.volume if to == "ct" else shown
    within = enclosed((shows.values > bone).T).T[mask]
    return Measured((values[some] - lower) / step - 1, spread[some] / step, errors[some] / step, within[some])


def _range(volume: Volume, model: Model, side: Modality) -> Range:
    """Give the lowest and the highest value that the model's output can have."""
    return (0.0, 255.0) if volume.is_picture else model.info(side).output_range


def _join(several: Iterable[Measured]) -> Measured:
    every = list(several)
    return Measured(
        *(np.concatenate([getattr(one, part.name) for one in every]) for part in fields(Measured))
    )


def _coverage(values: NDArray[np.floating], errors: Values, share: float | None = None) -> Coverage:
    found = coverage(values.astype(np.float32), errors, np.ones(errors.shape, np.bool_), share)
    assert found is not None
    return found


def _write(folder: Path, curves: Mapping[Modality, Calibration], settings: CalibrateSettings) -> None:
    """Put the curves into the model, or into a copy of it that appears whole."""
    kept = describe(folder).curves(settings.samples) | dict(curves)
    target = settings.out
    if target is None:
        save_calibration(folder, kept, settings.samples)
        return
    with whole_output(target, overwrite=settings.overwrite, folder=True) as fresh:
        for name in FILES:
            if (folder / name).is_file():
                shutil.copy(folder / name, fresh / name)
        save_calibration(fresh, kept, settings.samples)


def _warn(to: Modality, test: CalibrationTest) -> list[str]:
    from scipy.stats import norm  # slow to load

    share, found = test.after.expected[0], test.after.within_1_sd
    deviations = norm.ppf((1 + share) / 2)
    low, high = (1 - 2 * norm.sf(deviations * factor) for factor in (1 / APART, APART))
    if low <= found <= high:
        return []
    return [
        f"to {to}: the {share:.0%} error limit holds {found:.0%} of the errors of the held-out pairs; the"
        " pairs may be too few, or differ much from each other"
    ]
