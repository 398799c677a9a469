"""How many unusable images a set may hold."""

from __future__ import annotations

from collections.abc import Sequence

from medtranslate.errors import InputRefused

TOLERATED = 0.05
"""Share of a set's images that may be unusable; with more, the set is not what the user thinks it is."""

_SHOWN = 5


def check_failures(failures: Sequence[str], total: int, where: str) -> None:
    """Refuse a set of which more than `TOLERATED` is unusable, or all.

    Args:
        failures: a sentence for each unusable image.
        total: images, unusable ones included.

    Raises:
        InputRefused: names the first of them.
    """
    if len(failures) <= TOLERATED * total and len(failures) < total:
        return
    more = f"; and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    raise InputRefused(
        f"{where}: {len(failures)} of {total} images cannot be used, more than {TOLERATED:.0%}; take them out"
        f" or mend them: {'; '.join(failures[:_SHOWN])}{more}"
    )
