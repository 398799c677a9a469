"""Scores in a line, for people."""

from __future__ import annotations

from medtranslate.result import Cohort, Cycle, Result, Scores


def lines(result: Result | Cohort | Cycle) -> list[str]:
    """The scores of a result and of doing nothing; of a cohort, their means."""
    if isinstance(result, Result):
        title, scores, unit = f"profile {result.profile}", result.volume, result.unit
    else:
        first = result.items[0] if result.items else None
        title, scores, unit = f"mean of {len(result.items)}", result.mean, first.unit if first else ""
    if isinstance(result, Cycle):
        title = f"{' to '.join(result.path)}, {title}"
    return [_line(name, row, unit) for name, row in {title: scores, **result.baselines}.items()]


def _line(name: str, scores: Scores, unit: str) -> str:
    cells = [
        "MAE -" if scores.mae is None else f"MAE {scores.mae:.2f} {unit}",
        "PSNR -" if scores.psnr is None else f"PSNR {scores.psnr:.2f} dB",
        "SSIM -" if scores.ssim is None else f"SSIM {scores.ssim:.3f}",
    ]
    return f"{name}: " + ", ".join(cells)
