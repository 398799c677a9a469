"""`python -m medtranslate` is the command `medtranslate`."""

import sys

from medtranslate.cli import main

if __name__ == "__main__":
    sys.exit(main())
