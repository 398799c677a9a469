#!/usr/bin/env bash
# platipy 0.7.2, how much of an organ receives a dose. `imaging.dose.metric.calculate_v_receiving_dose` and its
# `_for_labels`, with `relative=False`, multiply the percentage by the volume and do not divide by 100. So each volume
# "in cc" is 100 times what it is: 64 ml for 0.64 ml here, as much as the whole cord.
#
# `imaging.dose.dvh.calculate_dvh_for_labels` with `max_dose` leaves out the voxels of a higher dose, and counts the
# rest as the whole organ. So a tumour of which nine tenths have 60 Gy has a D50 of 5 Gy and a V20 of 0 ml, beside the
# right mean. Nothing is raised or printed. Without `max_dose`, that function and `calculate_v_x` are right, and so is
# `relative=True`.
#
# The docstrings say "as volume in cc", and "the maximum dose of the DVH". The package's tests try neither.
#
# Limits for an organ are in ml where its hot part counts, such as 0.1 ml of the cord. A good plan is refused, or a
# limit that is learned from such numbers lets a hundredfold volume pass.
#
#     bash findings/platipy_counts_cubic_centimetres_a_hundredfold.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" SimpleITK==2.5.7 pydicom==2.4.5 numpy==1.26.4 scipy==1.16.3 pandas==2.3.3 matplotlib==3.10.8 \
    scikit-image==0.25.2
pip install --quiet --no-compile --disable-pip-version-check --no-deps platipy==0.7.2
unset PYTHONWARNINGS  # box.sh hides all; here Python's own choice counts
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SimpleITK
from platipy.imaging.dose.dvh import calculate_d_x, calculate_dvh_for_labels, calculate_v_x
from platipy.imaging.dose.metric import calculate_v_receiving_dose, calculate_v_receiving_dose_for_labels
from valid_dicom import settle

spacing = 4, 2, 2  # z, y, x


def image(values):
    """Return an array as an image of SimpleITK."""
    made = SimpleITK.GetImageFromArray(values)
    made.SetSpacing(spacing[::-1])
    return made


def ml(mask):
    """Return the volume of a mask."""
    return round(float(mask.sum() * np.prod(spacing) / 1000), 3)


dose, cord, tumour = np.full((40, 60, 60), 5.0), np.zeros((40, 60, 60), np.uint8), np.zeros((40, 60, 60), np.uint8)
cord[:, 40:50, 25:35], tumour[10:30, 10:30, 20:40] = 1, 1
dose[10:20, 40:42, 25:27], dose[12:30, 10:30, 20:40] = 50, 60
masks = {"cord": image(cord), "tumour": image(tumour)}
dose = image(dose)
hot = SimpleITK.GetArrayFromImage(dose)
true = ml((cord > 0) & (hot >= 45))
as_cc = calculate_v_receiving_dose(dose, masks["cord"], 45, relative=False)
in_table = calculate_v_receiving_dose_for_labels(dose, masks, 45, relative=False).set_index("label")["V45"]["cord"]
percent = calculate_v_receiving_dose(dose, masks["cord"], 45)
by_dvh = calculate_v_x(calculate_dvh_for_labels(dose, masks), 45, "cord")["V45"][0]
seen = {"cord": [round(float(number), 3) for number in (as_cc, in_table, percent, by_dvh)]}
print(f"platipy {version('platipy')}, cord of {ml(cord):g} ml, {true:g} ml of it at 45 Gy or more:")
print("  calculate_v_receiving_dose in cc: {:g}, in its table {:g}, in percent {:g}; calculate_v_x: {:g}".format(*seen["cord"]))

share = round(float((hot[tumour > 0] >= 20).mean()), 3)
print(f"tumour of {ml(tumour):g} ml, {share:.0%} of it at 60 Gy, the rest at 5 Gy:")
for name, most in {"without max_dose": None, "max_dose=70": 70, "max_dose=50": 50}.items():
    dvh = calculate_dvh_for_labels(dose, masks, max_dose=most)
    mean = dvh.set_index("label")["mean"]["tumour"]
    d50, v20 = calculate_d_x(dvh, 50, "tumour")["D50"][0], calculate_v_x(dvh, 20, "tumour")["V20"][0]
    seen[name] = [round(float(number), 2) for number in (d50, v20, mean)]
    print("  {}: D50 {:g} Gy, V20 {:g} ml, mean {:g} Gy".format(name, *seen[name]))
said = Path("errors.txt").read_text()
print(f"errors and warnings: {said!r}")
settle(
    not said
    and seen
    == {
        "cord": [64, 64, 1, 0.64],
        "without max_dose": [60, 115.2, 54.5],
        "max_dose=70": [60.04, 115.2, 54.5],
        "max_dose=50": [5.05, 0, 54.5],
    }
)
PYTHON
