"""What speaks against a translation, in sentences, and the measures behind it."""

from __future__ import annotations

from collections.abc import Sequence

from medtranslate.records import Evaluation, Translation

DOUBTFUL = "Doubtful"
"""Title of the box that a page begins with."""


def say_doubts(record: Translation | None) -> list[str]:
    """Why a translation is doubtful, a sentence each; none where it is not. The source's come first."""
    if record is None or not record.doubts:
        return []
    said = []
    if (gate := record.gate) and gate.verdict in ("warn", "refuse"):
        how = "refused the source, and --force passed it" if gate.forced else "doubts the source"
        said = [f"The model's input gate {how}: {'; '.join(gate.reasons)}."]
    own = record.plausibility.doubts if record.plausibility else []
    return [*said, *(f"{text[:1].upper()}{text[1:].removesuffix('.')}." for text in own)]


def doubts_of(items: Sequence[Evaluation | Translation]) -> list[str]:
    """Doubts of one; of several how many are doubtful, and those of each by its name."""
    records = {
        item.name if isinstance(item, Evaluation) else item.output: item.translation
        if isinstance(item, Evaluation)
        else item
        for item in items
    }
    found = {name: said for name, record in records.items() if (said := say_doubts(record))}
    if len(items) == 1:
        return [text for said in found.values() for text in said]
    listed = [f"{name}: {' '.join(said)}" for name, said in found.items()]
    return [f"{len(found)} of {len(items)} translations are doubtful.", *listed] if found else []


def measures(record: Translation | None) -> list[tuple[str, str]]:
    """What was measured of a translation without a truth, in words and units, as far as it was."""
    found = record.plausibility if record else None
    if record is None or found is None:
        return []
    unit = record.model.unit
    told = (
        ("Replaced by air outside the head", found.air_ml, "{} ml"),
        ("Bone left outside the head", found.bone_outside_ml, "{} ml"),
        ("Loose bone inside the skull", found.bone_inside_ml, "{} ml"),
        ("Loose bone inside the skull", found.bone_inside_cm2, "{} cm²"),
        ("Fluid inside the skull", found.fluid, f"{{}} {unit} on average"),
        ("Brain", found.brain, f"{{}} {unit} (median)"),
        ("Black inside the skull", _percent(found.black), "{} % of the brain"),
        ("Skull closed", _percent(found.closed), "{} % of its ring"),
    )
    return [(term, text.format(_few_digits(value))) for term, value, text in told if value is not None]


def _few_digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
