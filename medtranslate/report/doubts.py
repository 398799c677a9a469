"""Doubts about a translation, in sentences, and the measures behind them."""

from __future__ import annotations

from collections.abc import Sequence

from medtranslate.records import Evaluation, Translation

DOUBTFUL = "Doubtful"
"""Title of the box that a page begins with."""
MOST_DOUBTS = 20
"""Most doubts that a page or the console lists; records hold all."""


def say_doubts(record: Translation | None) -> list[str]:
    """Give the reasons why a translation is doubtful, a sentence each; those of the source come first."""
    if record is None or not record.doubts:
        return []
    reasons = []
    if (gate := record.gate) and gate.verdict in ("warn", "refuse"):
        how = "refused the source, and --force passed it" if gate.forced else "doubts the source"
        reasons = [f"The model's input gate {how}: {'; '.join(gate.reasons)}."]
    own = record.plausibility.doubts if record.plausibility else []
    return [*reasons, *(f"{text[:1].upper()}{text[1:].removesuffix('.')}." for text in own)]


def evaluation_doubts(item: Evaluation) -> list[str]:
    """Give the reasons why a score may mean nothing: those of the prediction, then of its translation."""
    return [*item.suspicions, *say_doubts(item.translation)]


def doubts_of(items: Sequence[Evaluation | Translation]) -> list[str]:
    """List the doubts of one item; for several, their number, then the doubts of each by its name."""
    reasons = {
        item.name if isinstance(item, Evaluation) else item.output: evaluation_doubts(item)
        if isinstance(item, Evaluation)
        else say_doubts(item)
        for item in items
    }
    doubtful = {name: texts for name, texts in reasons.items() if texts}
    if len(items) == 1:
        return [text for texts in doubtful.values() for text in texts]
    listed = [f"{name}: {' '.join(texts)}" for name, texts in doubtful.items()]
    return [f"{len(doubtful)} of {len(items)} translations are doubtful.", *listed] if doubtful else []


def measures(record: Translation | None) -> list[tuple[str, str]]:
    """List the measures that need no reference, as terms and values with units."""
    plausibility = record.plausibility if record else None
    if record is None or plausibility is None:
        return []
    unit = record.model.unit
    rows = (
        ("Replaced by air outside the head", plausibility.air_ml, "{} ml"),
        ("Bone left outside the head", plausibility.bone_outside_ml, "{} ml"),
        ("Loose bone inside the skull", plausibility.bone_inside_ml, "{} ml"),
        ("Loose bone inside the skull", plausibility.bone_inside_cm2, "{} cm²"),
        ("Fluid inside the skull", plausibility.fluid, f"{{}} {unit} on average"),
        ("Brain", plausibility.brain, f"{{}} {unit} (median)"),
        ("Black inside the skull", _percent(plausibility.black), "{} % of the brain"),
        ("Skull closed", _percent(plausibility.closed), "{} % of its ring"),
    )
    found = [(term, text.format(_few_digits(value))) for term, value, text in rows if value is not None]
    if record.window:
        black, white = record.window
        found.append(("Window of the CT picture", f"black {black:g} HU, white {white:g} HU"))
    return found


def _few_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
