"""Runs command lines of medtranslate one after the other in this process.

Run as a file, with the checkout as PYTHONPATH: it must not import `benchmarks`, which a checkout has, too. It
reads a JSON object of argument lists by name from stdin, and writes `logs/NAME.{out,err}` for each, and
`codes.json`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Run the commands in the working folder."""
    from medtranslate.__main__ import main as medtranslate

    logs, told = Path("logs"), os.dup(2)
    logs.mkdir()
    ends: dict[str, dict[str, float]] = {}
    for name, arguments in json.load(sys.stdin).items():
        Path("out", name).mkdir(parents=True)
        sys.argv = ["medtranslate", *arguments]
        started = time.monotonic()
        with (logs / f"{name}.out").open("wb") as out, (logs / f"{name}.err").open("wb") as err:
            # Descriptors, not sys.stdout: worker processes inherit them.
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            try:
                code = medtranslate()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            sys.stdout.flush()
            sys.stderr.flush()
        ends[name] = {"exit": code, "seconds": round(time.monotonic() - started, 2)}
        os.write(told, f"{ends[name]['seconds']:7.1f} s  exit {code}  {name}\n".encode())
    Path("codes.json").write_text(json.dumps(ends), encoding="utf-8")


if __name__ == "__main__":
    main()
