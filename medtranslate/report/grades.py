"""Good, fair or poor: the grade of a translation, and the limits that it follows from.

docs/metrics.md says what the limits rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtranslate.records import Cycle, Evaluation, Scores
from medtranslate.report.wording import SEES_THE_REFERENCE, number, say_mae, similarity, similarity_name

GAIN = 0.25
"""Share by which a good translation's MAE is below that of the best baseline, at least."""
SIMILARITY: Mapping[str, tuple[float, float]] = {
    "image": (0.45, 0.7),
    "synthrad2023": (0.75, 0.85),
    "synthrad2025": (0.85, 0.9),
}
"""SSIM, or MS-SSIM, by profile: below the first a translation is poor, from the second on it can be good."""


@dataclass(frozen=True)
class Verdict:
    """What scores come to.

    Attributes:
        kind: good, fair, poor, or unknown where nothing says.
        headline: of the page.
        sentence: the scores beside those of doing nothing.
        rule: the limits that the grade follows from; empty without a grade.
    """

    kind: str
    headline: str
    sentence: str
    rule: str = ""


def judge(
    scores: Scores, baselines: Mapping[str, Scores], first: Evaluation, *, doubtful: bool = False
) -> Verdict:
    """The grade of scores beside those of doing nothing (every baseline but the one that sees the reference).

    Args:
        scores: of a pair, or the mean of several.
        baselines: likewise, by name.
        first: result that says unit, profile and clipping of all.
        doubtful: whether there is reason to doubt a translation, which is then never good.
    """
    nothing = {
        name: base for name, base in baselines.items() if name != SEES_THE_REFERENCE and base.mae is not None
    }
    near = similarity(scores)
    poor_below, good_from = SIMILARITY.get(first.profile, (0.0, 2.0))
    unlike = near is not None and near < poor_below
    name, rule = similarity_name(scores), say_rule(first.profile, similarity_name(scores))
    alike = f"{name} {number(near, '.3f')}"
    if scores.mae is None or not nothing:
        without = "Whether this is better than doing nothing can't be said without the source (--source)."
        if unlike:
            return Verdict("poor", f"Poor: unlike the reference ({alike})", without, rule)
        return Verdict("unknown", "Nothing to compare with", without)
    best = min(nothing, key=lambda name: nothing[name].mae or 0.0)
    least = nothing[best].mae or 0.0
    sentence = _beside(scores, nothing, baselines.get(SEES_THE_REFERENCE), first)
    wins = [verdict for base in nothing.values() for verdict in _wins(scores, base)]
    if scores.mae >= least:
        headline = "Poor: not better than doing nothing"
        return Verdict("poor", headline + (" in its error" if any(wins) else ""), sentence, rule)
    if unlike:
        return Verdict(
            "poor", f"Poor: less error than doing nothing, but unlike the reference ({alike})", sentence, rule
        )
    if not all(wins):
        return Verdict("fair", "Fair: better than doing nothing in some scores only", sentence, rule)
    gain = f"{1 - scores.mae / least:.0%} less error than the {best}, {alike}"
    good = scores.mae <= (1 - GAIN) * least and near is not None and near >= good_from
    if good and not doubtful:
        return Verdict("good", f"Good: {gain}", sentence, rule)
    return Verdict("fair", f"Fair: better than doing nothing ({gain})", sentence, rule)


def say_rule(profile: str, name: str) -> str:
    """The limits of a profile, in words; empty for a profile that has none."""
    if profile not in SIMILARITY:
        return ""
    poor_below, good_from = SIMILARITY[profile]
    return (
        f"Good takes a mean absolute error at least {GAIN:.0%} below the best baseline's, {name} of"
        f" {good_from:g} or more, no score worse than a baseline's, and no doubt. Poor is an error no lower"
        f" than the best baseline's, or {name} below {poor_below:g}. A baseline that sees the reference does"
        " not count."
    )


def judge_cycle(result: Cycle) -> Verdict:
    """The score of a round trip, and why it is no verdict on the translation."""
    scores, first = result.mean, result.items[0]
    copied = result.baselines.get("untranslated", Scores())
    way = " → ".join(name.upper() for name in result.path)
    return Verdict(
        "unknown",
        f"{way}: {say_mae(scores.mae, first, 'mean absolute error')}",
        f"SSIM {number(scores.ssim, '.3f')}. Networks that only copied their input would reach"
        f" {number(copied.mae)} {first.unit}; the score says {result.meaning}. Score translations against"
        " real pairs where there are any, and repeat this test with --noise.",
    )


def _beside(scores: Scores, nothing: Mapping[str, Scores], matched: Scores | None, first: Evaluation) -> str:
    """The scores, each beside those of doing nothing, as a sentence."""
    against = " and ".join(f"{number(base.mae)} for the {name}" for name, base in nothing.items())
    sentence = f"{say_mae(scores.mae, first, 'Mean absolute error')}, against {against}"
    sentence += f"; PSNR {number(scores.psnr, '.1f')} dB, against "
    sentence += " and ".join(number(base.psnr, ".1f") for base in nothing.values())
    sentence += f"; {similarity_name(scores)} {number(similarity(scores), '.3f')}, against "
    sentence += " and ".join(number(similarity(base), ".3f") for base in nothing.values())
    if matched:
        reached = all(_wins(scores, matched))
        sentence += (
            f". It {'betters' if reached else 'does not better'} a histogram match"
            f" ({number(matched.mae)} {first.unit}), which has seen the reference"
        )
    return sentence + "."


def _wins(scores: Scores, base: Scores) -> list[bool]:
    """One verdict per score that both have: lower MAE, higher PSNR, higher SSIM or MS-SSIM."""
    pairs = ((base.mae, scores.mae), (scores.psnr, base.psnr), (similarity(scores), similarity(base)))
    return [larger > smaller for larger, smaller in pairs if larger is not None and smaller is not None]
