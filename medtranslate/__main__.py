"""The command `medtranslate`, and `python -m medtranslate`."""

from __future__ import annotations

import gc
import sys

from medtranslate.interrupts import end_at_once


def main() -> int:
    """Entry point of the console script: ready for Ctrl-C before anything else is imported."""
    end_at_once()
    # Programs that are loaded are no garbage, and looking for it takes a fifth of the time of loading them.
    gc.disable()
    from medtranslate.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
