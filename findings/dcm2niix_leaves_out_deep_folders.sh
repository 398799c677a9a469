#!/usr/bin/env bash
# dcm2niix 1.0.20260724 looks into folders down to the fifth level below the one that it is given (`-d`, at most 9). What
# lies deeper is left out: it says "Found 8 DICOM file(s)" of 12, prints no warning, and ends with 0, as the rest was converted.
#
# A download of a public collection has manifest/collection/patient/study/series: one folder around it, and a study that
# lies deeper than the others is missing from the cohort.
#
#     bash findings/dcm2niix_leaves_out_deep_folders.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" dcm2niix==1.0.20260724 pydicom==3.0.2 numpy==2.2.6
python - <<'PYTHON'
import subprocess
from pathlib import Path

import numpy as np
from valid_dicom import series, settle

heights = [[0, 0, 3 * index] for index in range(4)]
for depth in (4, 5, 6):
    folder = Path("all", *"abcdef"[:depth])
    series(folder, heights, [np.full((8, 8), 100, "<u2")] * 4, SeriesDescription=f"depth{depth}")
found = {}
for option in ([], ["-d", "9"]):
    out = Path("out" + "".join(option))
    out.mkdir()
    command = ["dcm2niix", *option, "-f", "%d", "-o", str(out), "all"]
    ended = subprocess.run(command, capture_output=True, text=True)
    told = next(line for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("Found"))
    names = sorted(path.stem for path in out.glob("*.nii"))
    found[" ".join(option)] = ended.returncode, told, names
    print(f"dcm2niix {' '.join(option)}: ended with {ended.returncode}; {told}; {', '.join(names)}")
settle(
    found
    == {
        "": (0, "Found 8 DICOM file(s)", ["depth4", "depth5"]),
        "-d 9": (0, "Found 12 DICOM file(s)", ["depth4", "depth5", "depth6"]),
    }
)
PYTHON
