"""Images of a set that cannot be used: how many it may hold, and blank pictures, which are no damage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medtranslate.errors import InputRefused
from medtranslate.io import Volume
from medtranslate.runtime import one_line, whole_output

TOLERATED = 0.05
"""Share of a set's images that may be unusable; with more, the set is not what the user thinks it is."""

_SHOWN = 5

_BLANK_SPAN = 2 / 255
"""Largest span of a blank picture's grey values, as a share of black to white: JPEG rounds by as much."""


def is_blank(volume: Volume) -> bool:
    """Tell whether an image is one slice of one grey value, as slices above and below a head are.

    A volume of one value is damage, not a blank slice.
    """
    span = float(np.ptp(volume.values))
    return volume.shape[2] == 1 and span <= _BLANK_SPAN * (volume.meta.levels or 0)


def check_failures(failures: Sequence[str], total: int, where: str, out: Path) -> None:
    """Refuse a set of which more than `TOLERATED` is unusable, or all.

    The message names the first of them; where there are more, all are written into a text file beside `out`.

    Args:
        failures: a sentence for each unusable image.
        total: images, unusable ones included, blank ones not.
        where: origin of the set, for the message.
        out: output of the command.

    Raises:
        InputRefused: names the first of them, and the list.
    """
    if len(failures) <= TOLERATED * total and (len(failures) < total or not failures):
        return
    more = ""
    if len(failures) > _SHOWN:
        listed = out.with_name(f"{out.name}.refused.txt")
        with whole_output(listed, overwrite=True, folder=False) as path:
            path.write_text("".join(f"{one_line(reason)}\n" for reason in failures), encoding="utf-8")
        more = f"; and {len(failures) - _SHOWN} more, all listed in {listed}"
    raise InputRefused(
        f"{where}: {len(failures)} of {total} images cannot be used, more than {TOLERATED:.0%}; take them out"
        f" or mend them: {'; '.join(failures[:_SHOWN])}{more}"
    )
