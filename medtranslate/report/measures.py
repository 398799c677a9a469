"""Secondary measures (bias, histograms, seams, coverage) and provenance, as terms and values."""

from __future__ import annotations

from medtranslate.records import Coverage, Evaluation, Registration
from medtranslate.report.wording import about_translation, clipping, number


def secondary_measures(result: Evaluation) -> list[tuple[str, str]]:
    """List bias, distance of the histograms, seams, and coverage of the uncertainty, if measured."""
    unit, rows = result.unit, []
    values = f"; values {clipping(result)}" if result.clipped else ""
    if agreement := result.agreement:
        low, high = agreement.limits
        limits = f"limits of agreement {number(low)} to {number(high)} {unit}"
        rows = [
            (
                "Bias",
                f"{number(agreement.bias)} {unit}; {limits} (Bland–Altman, 1.96 standard deviations){values}",
            ),
            ("Histograms", f"{number(agreement.wasserstein)} {unit} apart (Wasserstein distance){values}"),
        ]
    if result.seams:
        jumps = ", ".join(f"{name} {share:.1%}" for name, share in result.seams.items())
        rows.append(("Seams", f"mean jump between neighbouring slices, of the range: {jumps}"))
    if result.coverage:
        rows.append(("Uncertainty", _covered(result.coverage, unit) + values))
    elif result.translation:
        rows += [pair for pair in about_translation(result.translation) if pair[0] != "Seams"]
    return rows


def inputs(item: Evaluation) -> list[tuple[str, str]]:
    """List the registration, the digests of the inputs, and the versions of the software."""
    rows = [("Registration", _registered(item.registration))] if item.registration else []
    if item.provenance:
        kept = {role: source.digest for role, source in item.provenance.inputs.items() if source.digest}
        if item.translation and kept.get("source") == item.translation.source.digest:
            kept.pop("source", None)  # in the translation's own record
        named = {"source": "Source of the scores"} if item.translation else {}
        rows += [
            (f"{named.get(role, role.capitalize())} digest", f"SHA-256 {digest}")
            for role, digest in kept.items()
        ]
        versions = item.provenance.versions.items()
        rows.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions)))
    return rows


def _covered(coverage: Coverage, unit: str) -> str:
    one, two = coverage.expected
    if coverage.share:
        text = (
            f"{coverage.within_1_sd:.0%} of the errors lie within the error limit ({one:.0%} is right),"
            f" {coverage.within_2_sd:.0%} within twice it; it is {number(coverage.mean_sd)} {unit} on average"
        )
        return text + _correlated(coverage)
    text = (
        f"{coverage.within_1_sd:.0%} of the errors lie within one standard deviation ({one:.0%} for normal"
        f" errors), {coverage.within_2_sd:.0%} within two ({two:.0%}); the deviations are"
        f" {number(coverage.mean_sd)} {unit} on average"
    )
    if coverage.rms_ratio is not None:
        text += f"; errors are {number(coverage.rms_ratio)} times as large as the deviations"
    return text + _correlated(coverage)


def _correlated(coverage: Coverage) -> str:
    return "" if coverage.correlation is None else f"; rank correlation {coverage.correlation:.2f}"


def _registered(motion: Registration) -> str:
    if not motion.applied:
        return "rigid, not applied: it brought no gain in mutual information"
    gain = " to ".join(f"{value:.3f}" for value in motion.mutual_information.values())
    return (
        f"rigid, onto the {motion.target}: turned by {motion.rotation_degrees:.2f} degrees, moved by"
        f" {motion.translation_mm:.2f} mm; mutual information {gain}; it reaches {motion.overlap:.1%} of the"
        " voxels"
    )
