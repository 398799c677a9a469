"""Writes a MONAI bundle (MONAI Bundle Specification, docs.monai.io/en/stable/mb_specification.html).

configs/metadata.json   what the network takes and gives
configs/inference.json  reads, frames, translates and writes the files of a folder
models/                 the model's own files, whose digests are checked when the configuration is run
models/model.pt         the same weights as a state dictionary, for MONAI's loaders; never read here
docs/README.md          how to run it, and the model's card
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import torch

from medtranslate import __version__
from medtranslate.checkpoint import FILES, Model, read_card
from medtranslate.config import Contrast, plain
from medtranslate.export.index import copy_files

SPECIFICATION = "https://project-monai.github.io/schema/meta_schema_20240725.json"
"""Schema of metadata.json."""

_PARTS = "medtranslate.export.monai_parts"

_PIXELS = 2**18
"""Pixels of a pass, a suitable number for a CPU."""


def write_bundle(model: Model, folder: Path, out: Path) -> None:
    """Write the files of a bundle into an empty folder.

    Args:
        folder: of the model.
    """
    for name in ("configs", "models", "docs"):
        (out / name).mkdir()
    copy_files(folder, out / "models", (name for name in FILES if name != "log.csv"))
    weights = {name: value.half() for name, value in model.generators.state_dict().items()}
    torch.save(weights, out / "models" / "model.pt")
    for name, values in (("metadata", _metadata(model)), ("inference", _inference(model))):
        text = json.dumps(values, indent=2)
        (out / "configs" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    card = read_card(str(folder))
    (out / "docs" / "README.md").write_text(_readme(model) + card, encoding="utf-8")


def _metadata(model: Model) -> dict[str, Any]:
    known = model.description
    side, channels = known.network.size, known.network.shown
    slices = {
        "type": "image",
        "format": "magnitude",
        "spatial_shape": [side, side],
        "dtype": "float32",
        "value_range": [-1, 1],
        "is_patch_data": False,
    }
    return {
        "schema": SPECIFICATION,
        "version": __version__,
        "changelog": {__version__: f"exported from the model {known.name}, SHA-256 {known.sha256}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {
            "medtranslate": __version__,
            "pytorch-ignite": "0.5",
            "fire": "0.7",
        },
        "name": known.name,
        "task": "Translation between CT and MR of the same anatomy, slice by slice",
        "description": known.summary,
        "authors": f"the authors of the model {known.name}",
        "copyright": f"licence of the weights: {known.licence or 'not stated'}; see models/notice.md",
        "intended_use": "Research only; not for diagnosis, dose or treatment",
        "data_type": "NIfTI, MetaImage, NRRD, MGH, DICOM",
        "network_data_format": {
            "inputs": {
                "image": {
                    **slices,
                    "modality": "MR, or CT where `to` is mr",
                    "num_channels": channels,
                    "channel_def": {str(number): "slice" for number in range(channels)},
                }
            },
            "outputs": {
                "pred": {
                    **slices,
                    "modality": "CT, or MR where `to` is mr",
                    "num_channels": 1,
                    "channel_def": {"0": "translation"},
                }
            },
        },
    }


def _inference(model: Model) -> dict[str, Any]:
    return {**_given(model), **_network(model), **_transforms(), **_engine(model.description.network.size)}


def _given(model: Model) -> dict[str, Any]:
    """Values that a user changes, by options of `monai.bundle run`."""
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "to": "ct",
        **({"contrast": model.contrast} if model.contrast else {}),
        "force": False,
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "dataset_dir": "$os.path.join(@bundle_root, 'data')",
        "pattern": "*.nii*",
        "output_dir": "$os.path.join(@bundle_root, 'eval')",
        "suffix": ".nii.gz",
        "overwrite": False,
    }


def _network(model: Model) -> dict[str, Any]:
    settings = plain(model.description.network)
    told = {"contrast": "@contrast"} if model.contrast else {}
    return {
        "model": {
            "_target_": "medtranslate.checkpoint.load_model",
            "name_or_folder": "$os.path.join(@bundle_root, 'models')",
            "device": "@device",
            **told,
        },
        "network_def": {
            "_target_": f"{_PARTS}.BundleNetwork",
            "settings": settings,
            "target": "@to",
            **told,
        },
        "network": "$@network_def.filled(@model)",
    }


def _transforms() -> dict[str, Any]:
    common = {"model": "@model", "target": "@to", "force": "@force"}
    reader = {
        "_target_": "medtranslate.transforms.VolumeReader",
        "modality": "$'mr' if @to == 'ct' else 'ct'",
    }
    before = [
        {"_target_": "LoadImaged", "keys": "image", "reader": reader},
        {"_target_": f"{_PARTS}.FrameSourced", "keys": "image", **common},
    ]
    places = {name: f"@{name}" for name in ("output_dir", "suffix", "overwrite")}
    after = [
        {"_target_": f"{_PARTS}.OntoSourced", "keys": "pred", "source": "image", **common},
        {"_target_": f"{_PARTS}.SaveTranslationd", "keys": "pred", **places},
    ]
    return {
        "preprocessing": {"_target_": "Compose", "transforms": before},
        "postprocessing": {"_target_": "Compose", "transforms": after},
    }


def _engine(side: int) -> dict[str, Any]:
    data = "$[{'image': path} for path in @datalist]"
    parts = ("device", "network", "inferer", "postprocessing")
    return {
        "datalist": "$sorted(glob.glob(os.path.join(@dataset_dir, @pattern)))",
        "dataset": {"_target_": "Dataset", "data": data, "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "SliceInferer",
            "roi_size": [side, side],
            "spatial_dim": 2,
            "sw_batch_size": max(1, _PIXELS // side**2),
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "val_data_loader": "@dataloader",
            **{name: f"@{name}" for name in parts},
        },
        "run": ["$@evaluator.run()"],
    }


def _readme(model: Model) -> str:
    names = ", ".join(get_args(Contrast))
    choice = f"`--contrast` chooses the contrast of the MR: {names}.\n\n" if model.contrast else ""
    return f"""# {model.description.name} as a MONAI bundle

Research use only; not for diagnosis, dose or treatment.

```text
pip install "medtranslate[bundle]"
python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json \\
    --bundle_root . --dataset_dir IN --output_dir OUT --to ct
```

It translates every `*.nii*` in IN (`--pattern` names others, `--to mr` translates CT) and writes a file and a
record for each. The voxels are those of `medtranslate translate --precision float32`; uncertainty and preview
need that command. The configuration uses classes of the package medtranslate, and checks the weights in
`models/` by their SHA-256. MONAI evaluates configurations as programs, so run only a bundle that you trust.

{choice}"""
