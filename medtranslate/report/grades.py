"""Grades of a translation, good, fair or poor, and their limits.

docs/metrics.md gives the reasons for the limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtranslate.metrics import PROFILES, Grading, score_info
from medtranslate.records import Cycle, Evaluation, Scores
from medtranslate.report.wording import SEES_THE_REFERENCE, say_mae, say_score, score_names, short

GAIN = 0.25
"""Least share by which the MAE of a good translation is below that of the best baseline."""


@dataclass(frozen=True)
class Verdict:
    """Summary of scores.

    Attributes:
        kind: good, fair, poor, or unknown without a baseline.
        headline: of the page.
        sentence: the scores beside those of the baselines.
        rule: the limits of the grades; empty without a grade.
    """

    kind: str
    headline: str
    sentence: str
    rule: str = ""


def judge(
    scores: Scores, baselines: Mapping[str, Scores], first: Evaluation, *, doubtful: bool = False
) -> Verdict:
    """Grade scores by comparison with all baselines but the one that uses the reference.

    Args:
        scores: of a pair, or the mean of several.
        baselines: scores by the name of the baseline.
        first: result with unit, profile and clipping of all.
        doubtful: a translation is doubtful, and then never good.
    """
    nothing = {name: base for name, base in baselines.items() if name != SEES_THE_REFERENCE and "mae" in base}
    profile = PROFILES.get(first.profile)
    grading = profile.grading if profile else None
    near = scores.get(grading.score) if grading else None
    unlike = grading is not None and near is not None and near < grading.poor_below
    rule = say_rule(grading) if grading else ""
    alike = _alike(scores, first)
    if "mae" not in scores or not nothing:
        without = "A comparison with doing nothing needs the source (--source)."
        if unlike:
            return Verdict("poor", f"Poor: unlike the reference ({alike})", without, rule)
        return Verdict("unknown", "Nothing to compare with", without)
    best = min(nothing, key=lambda name: nothing[name]["mae"])
    least = nothing[best]["mae"]
    sentence = _beside(scores, nothing, baselines.get(SEES_THE_REFERENCE), first)
    wins = [verdict for base in nothing.values() for verdict in _wins(scores, base)]
    if scores["mae"] >= least:
        headline = "Poor: not better than doing nothing"
        return Verdict("poor", headline + (" in its error" if any(wins) else ""), sentence, rule)
    if unlike:
        return Verdict(
            "poor", f"Poor: less error than doing nothing, but unlike the reference ({alike})", sentence, rule
        )
    if not all(wins):
        return Verdict("fair", "Fair: better than doing nothing in some scores only", sentence, rule)
    gain = f"{1 - scores['mae'] / least:.0%} less error than the {best}, {alike}"
    good = scores["mae"] <= (1 - GAIN) * least and near is not None and grading and near >= grading.good_from
    if good and not doubtful:
        return Verdict("good", f"Good: {gain}", sentence, rule)
    return Verdict("fair", f"Fair: better than doing nothing ({gain})", sentence, rule)


def say_rule(limits: Grading) -> str:
    """Describe the limits of a profile's grades."""
    name = score_info(limits.score).title
    return (
        f"Good takes a mean absolute error at least {GAIN:.0%} below the best baseline's, {name} of"
        f" {limits.good_from:g} or more, no score worse than a baseline's, and no doubt. Poor is an error no"
        f" lower than the best baseline's, or {name} below {limits.poor_below:g}. A baseline that sees the"
        " reference does not count."
    )


def judge_cycle(result: Cycle) -> Verdict:
    """Describe the score of a round trip, and why it does not grade the translation."""
    scores, first = result.mean, result.items[0]
    copied = result.baselines.get("untranslated", {})
    way = " → ".join(name.upper() for name in result.path)
    return Verdict(
        "unknown",
        f"{way}: {say_mae(scores.get('mae'), first, 'mean absolute error')}",
        f"SSIM {short(scores, 'ssim')}. Networks that only copied their input would reach"
        f" {short(copied, 'mae')} {first.unit}; the score says {result.meaning}. Score translations against"
        " real pairs where there are any, and repeat this test with --noise.",
    )


def _alike(scores: Scores, first: Evaluation) -> str:
    """Describe the score on which the grade depends; without one, the last score of the profile."""
    profile = PROFILES.get(first.profile)
    name = profile.grading.score if profile and profile.grading else score_names([first])[-1]
    return f"{score_info(name).title} {short(scores, name)}"


def _beside(scores: Scores, nothing: Mapping[str, Scores], matched: Scores | None, first: Evaluation) -> str:
    """Describe each score beside those of the baselines, in one sentence."""
    against = " and ".join(f"{short(base, 'mae')} for the {name}" for name, base in nothing.items())
    sentence = f"{say_mae(scores.get('mae'), first, 'Mean absolute error')}, against {against}"
    for name in score_names([first]):
        if name == "mae":
            continue
        sentence += f"; {say_score(scores, name, first)}, against "
        sentence += " and ".join(short(base, name) for base in nothing.values())
    if matched:
        reached = all(_wins(scores, matched))
        sentence += (
            f". It {'betters' if reached else 'does not better'} a histogram match"
            f" ({short(matched, 'mae')} {first.unit}), which has seen the reference"
        )
    return sentence + "."


def _wins(scores: Scores, base: Scores) -> list[bool]:
    """Compare each score that both have and that has a better direction."""
    better = {name: score_info(name).better for name in scores if name in base}
    return [
        scores[name] < base[name] if way == "lower" else scores[name] > base[name]
        for name, way in better.items()
        if way
    ]
