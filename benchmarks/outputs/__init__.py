"""Compares what two checkouts of medtranslate write and say for the same commands.

    python -m benchmarks.outputs run CHECKOUT MANIFEST [--data DIR] [--work DIR]
    python -m benchmarks.outputs compare MANIFEST MANIFEST [--ignore PATTERN]

`run` makes small inputs (`inputs`), runs the commands of `commands` in one process that imports medtranslate
from CHECKOUT, and writes a SHA-256 of each output, of stdout and of stderr into MANIFEST. Outputs stay in the
folder `--work` (default: beside the manifest), where `compare` reads them to say by how much they differ.

Only the command line is used, so any two checkouts can be compared. Times, paths and random UIDs are replaced
by placeholders first (`canonical`).
"""
