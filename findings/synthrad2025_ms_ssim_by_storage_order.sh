#!/usr/bin/env bash
# The published evaluation code of SynthRAD2025 (github.com/SynthRAD2025/evaluation, commit 17cac47) gives one prediction
# eight MS-SSIM values, by the end at which each axis of the array begins: between scales it keeps voxels 0, 2, 4, ... of
# each axis, which are others from the other end where a length is even. MAE and PSNR stay the same.
#
# So a score depends on whether a file was stored as LPS or RAS, in about the fifth decimal: enough to move close entries,
# and to make a reimplementation that first turns volumes to one orientation look wrong.
#
#     bash findings/synthrad2025_ms_ssim_by_storage_order.sh
#
# Fails if the behaviour changes. Needs python3 with venv, git, GitHub (or EVALUATION=a clone of it), and a package index.
set -euo pipefail
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
source=${EVALUATION:-https://github.com/SynthRAD2025/evaluation}
git clone --quiet --no-checkout --filter=blob:none "$source" "$box/evaluation"
git -C "$box/evaluation" show 17cac47b6288fcb66c5818c9d50eb9534d613fa2:image_metrics.py > "$box/image_metrics.py"
python3 -m venv "$box/venv"
"$box/venv/bin/pip" install --quiet SimpleITK==2.5.7 numpy==2.2.6 scipy==1.15.3 scikit-image==0.25.2
cd "$box"
PYTHONPATH=$box "$box/venv/bin/python" - <<'PYTHON'
import itertools
import sys

import numpy as np
from image_metrics import ImageMetrics

shape = (100, 104, 98)
z, y, x = np.meshgrid(*(np.linspace(-1.3, 1.3, length) for length in shape), indexing="ij")
radius = np.sqrt(x * x + y * y + z * z)
random = np.random.default_rng(0)
tissue = 40 + 60 * np.sin(5 * x) * np.cos(4 * y) + random.normal(0, 15, shape)
truth = np.where(radius < 0.85, tissue, np.where(radius < 1, 1100.0, -1000.0))
prediction = truth + random.normal(20, 80, shape) + 200 * (radius < 1) * np.sin(7 * z)
mask = (radius < 1.15).astype(np.uint8)
scores = []
for ends in itertools.product((1, -1), repeat=3):
    flip = tuple(slice(None, None, end) for end in ends)
    scores.append(ImageMetrics().score_patient(truth[flip].copy(), prediction[flip].copy(), mask[flip].copy()))
    print(f"axes stored {ends}: MS-SSIM {scores[-1]['ms_ssim']:.8f}, MAE {scores[-1]['mae']:.6f}")
different = len({round(score["ms_ssim"], 9) for score in scores})
values = [score["ms_ssim"] for score in scores]
print(f"{different} MS-SSIM values of one volume, {max(values) - min(values):.2e} apart")
seen = different == 8 and np.ptp([score["mae"] for score in scores]) < 1e-9
print("as described" if seen else "the behaviour has changed")
sys.exit(not seen)
PYTHON
