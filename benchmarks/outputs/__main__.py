"""Runs the commands in a checkout, or compares two manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.outputs.compare import compare
from benchmarks.outputs.manifest import run


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outputs")
    parts = parser.add_subparsers(dest="part", required=True)
    running = parts.add_parser("run", help="run the commands in a checkout and write a manifest")
    running.add_argument("checkout", type=Path)
    running.add_argument("manifest", type=Path)
    running.add_argument("--work", type=Path, help="folder for inputs and outputs, made anew")
    running.add_argument("--data", type=Path, help="folder of real images: adds commands on them")
    running.add_argument("--only", default="", help="run what has this in its name, and nothing else")
    comparing = parts.add_parser("compare", help="list what differs between two manifests")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--ignore", default="", help="pattern of differences that are expected")
    options = parser.parse_args()
    if options.part == "compare":
        raise SystemExit(compare(options.before, options.after, options.ignore))
    work = options.work or options.manifest.with_suffix("")
    run(options.checkout, options.manifest, work, options.data, options.only)


if __name__ == "__main__":
    main()
