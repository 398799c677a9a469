#!/usr/bin/env bash
# MONAI 1.6.1, `monai.bundle.load` with a network: of the file of weights it takes what has the network's names and
# shapes, and leaves the rest of the network as it was. Weights of DataParallel have `module.` in front of their names; a
# checkpoint of a training has the weights under a key. Then no name fits: the network comes back untrained, without a
# warning. A line of the log, at level INFO, says "0 of 82 variables". torch's `load_state_dict` raises in both cases.
#
# An untrained network makes an image of the right size, too.
#
#     bash findings/monai_bundle_load_returns_untrained_networks.sh
#
# Fails if the behaviour changes. Needs python3 with venv, and a package index.
. "$(dirname "$0")/box.sh" monai==1.6.1 torch==2.13.0 numpy==2.2.6 pydicom==3.0.2
python - 2> errors.txt <<'PYTHON' || { cat errors.txt; exit 1; }
import warnings
from pathlib import Path

import torch
from monai.bundle import load
from monai.networks.nets import BasicUNet
from valid_dicom import settle


def network() -> BasicUNet:
    return BasicUNet(spatial_dims=2, in_channels=1, out_channels=1, features=(8,) * 6).eval()


torch.manual_seed(0)
trained, image = network(), torch.rand(1, 1, 32, 32)
weights = trained.state_dict()
file = Path("bundles", "heads", "models", "model.pt")
file.parent.mkdir(parents=True)
found = {}
for name, saved in {
    "weights": weights,
    "weights of DataParallel": torch.nn.DataParallel(trained).state_dict(),
    "checkpoint": {"model": weights, "epoch": 3},
}.items():
    torch.save(saved, file)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        loaded = load("heads", bundle_dir="bundles", model=network()).eval()
    ours = [each for each in warned if "weight" in str(each.message) or "model" in str(each.message)]
    try:
        network().load_state_dict(saved)
        strict = "loads"
    except RuntimeError:
        strict = "raises"
    same = all(torch.equal(value.cpu(), weights[key]) for key, value in loaded.state_dict().items())
    with torch.no_grad():
        off = float((loaded.cpu()(image) - trained(image)).abs().max())
    found[name] = same, off > 0.01, len(ours), strict
    print(f"{name}: trained {same}, output off by {off:.2g}, {len(ours)} warnings; load_state_dict {strict}")
settle(
    found
    == {
        "weights": (True, False, 0, "loads"),
        "weights of DataParallel": (False, True, 0, "raises"),
        "checkpoint": (False, True, 0, "raises"),
    }
)
PYTHON
