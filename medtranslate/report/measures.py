"""What was measured beside the scores, and what it was measured on, as terms and their meaning."""

from __future__ import annotations

from medtranslate.records import Coverage, Evaluation, Registration
from medtranslate.report.wording import about_translation, clipping, number


def signs(result: Evaluation) -> list[tuple[str, str]]:
    """Bias, distance of the histograms, seams, and what the uncertainty was worth, as far as measured."""
    unit, found = result.unit, []
    values = f"; values {clipping(result)}" if result.clipped else ""
    if agreement := result.agreement:
        low, high = agreement.limits
        limits = f"limits of agreement {number(low)} to {number(high)} {unit}"
        found = [
            (
                "Bias",
                f"{number(agreement.bias)} {unit}; {limits} (Bland–Altman, 1.96 standard deviations){values}",
            ),
            ("Histograms", f"{number(agreement.wasserstein)} {unit} apart (Wasserstein distance){values}"),
        ]
    if result.seams:
        jumps = ", ".join(f"{name} {share:.1%}" for name, share in result.seams.items())
        found.append(("Seams", f"mean jump between neighbouring slices, of the range: {jumps}"))
    if result.coverage:
        found.append(("Uncertainty", _covered(result.coverage, unit) + values))
    elif result.translation:
        found += [pair for pair in about_translation(result.translation) if pair[0] != "Seams"]
    return found


def inputs(item: Evaluation) -> list[tuple[str, str]]:
    """How the reference was brought to its place, digests of what was compared, and what computed it."""
    found = [("Registration", _moved(item.registration))] if item.registration else []
    if item.provenance:
        kept = {role: source.digest for role, source in item.provenance.inputs.items() if source.digest}
        if item.translation and kept.get("source") == item.translation.source.digest:
            kept.pop("source", None)  # told by the translation's own record
        named = {"source": "Source of the scores"} if item.translation else {}
        found += [
            (f"{named.get(role, role.capitalize())} digest", f"SHA-256 {digest}")
            for role, digest in kept.items()
        ]
        versions = item.provenance.versions.items()
        found.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions)))
    return found


def _covered(found: Coverage, unit: str) -> str:
    one, two = found.expected
    text = (
        f"{found.within_1_sd:.0%} of the errors lie within one standard deviation ({one:.0%} for normal"
        f" errors), {found.within_2_sd:.0%} within two ({two:.0%}); the deviations are"
        f" {number(found.mean_sd)} {unit} on average"
    )
    if found.rms_ratio is not None:
        text += f"; errors are {number(found.rms_ratio)} times as large as the deviations"
    return text if found.correlation is None else f"{text}; rank correlation {found.correlation:.2f}"


def _moved(found: Registration) -> str:
    if not found.applied:
        return "rigid, not applied: it brought no gain in mutual information"
    gain = " to ".join(f"{value:.3f}" for value in found.mutual_information.values())
    return (
        f"rigid, onto the {found.target}: turned by {found.rotation_degrees:.2f} degrees, moved by"
        f" {found.translation_mm:.2f} mm; mutual information {gain}; it reaches {found.overlap:.1%} of the"
        " voxels"
    )
