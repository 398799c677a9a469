"""Lists the commands whose outputs are compared: name -> arguments, paths from the working folder.

A command NAME writes below `out/NAME`; later ones read what earlier ones wrote.
"""

from __future__ import annotations

FORMS = {
    "nifti": "in/ct.nii.gz",
    "mha": "in/ct.mha",
    "nrrd": "in/ct.nrrd",
    "mgz": "in/ct.mgz",
    "dicom": "in/ct-series",
}
"""A CT in each format that holds volumes."""

TARGETS = {"nifti": "x.nii.gz", "mha": "x.mha", "nrrd": "x.nrrd", "mgz": "x.mgz", "dicom": "series"}
"""Output by format."""

PHANTOM = "--model phantom --seed 3 --batch 8"


def commands(real: bool) -> dict[str, list[str]]:
    """List every command line by name; `real` adds those on real images, which lie below `in/real`."""
    lines = {
        **_making(),
        **_looking(),
        **_converting(),
        **_translating(),
        **_scoring(),
        **_reporting(),
        **_refusing(),
        **(_on_real_images() if real else {}),
    }
    return {name: line.split() for name, line in lines.items()}


def _making() -> dict[str, str]:
    return {
        "phantom-dicom": "phantom out/phantom-dicom/x --seed 900001 --format dicom --size 64 --spacing 3.6",
        "phantom-nifti": "phantom out/phantom-nifti/x --seed 900002 --size 64 --spacing 3.6 --contrast t2",
    }


def _looking() -> dict[str, str]:
    named = {
        "everything": "in",
        "ct-series": "in/ct-series",
        "ct-tilted": "in/ct-tilted",
        "two-volumes": "in/two-volumes.nii.gz --volume 2",
        "pictures": "in/mr-pictures",
        "short": "in/short.nii.gz",
    }
    return {
        "version": "--version",
        "help": "--help",
        "help-translate": "translate --help",
        **{f"info-{name}": f"info {arguments}" for name, arguments in named.items()},
        "info-everything-json": "info in --json",
        "models-list": "models list",
        "models-list-json": "models list --json",
        "models-show": "models show brain-2d",
        "models-show-json": "models show phantom --json",
    }


def _converting() -> dict[str, str]:
    lines = {}
    for source, path in FORMS.items():
        for target, name in TARGETS.items():
            said = " --format dicom" if target == "dicom" else ""
            said += " --modality ct" if said and source != "dicom" else ""
            lines[f"{source}-to-{target}"] = f"convert {path} out/{source}-to-{target}/{name}{said}"
    others = {
        "mr-oblique-to-dicom": "in/mr-oblique.nii {}/series --format dicom --modality mr",
        "mr-oblique-to-mha": "in/mr-oblique.nii {}/x.mha --json",
        "sagittal-to-nifti": "in/mr-sagittal {}/x.nii.gz",
        "tilted-to-nifti": "in/ct-tilted {}/x.nii.gz",
        "tilted-to-nifti-regrid": "in/ct-tilted {}/x.nii.gz --regrid",
        "uneven-to-nifti": "in/ct-uneven {}/x.nii.gz",
        "uneven-to-nifti-regrid": "in/ct-uneven {}/x.nii.gz --regrid",
        "uneven-to-dicom": "in/ct-uneven {}/series --format dicom",
        "dicom-deidentified": "in/ct-series {}/series --format dicom --deidentify",
        "volume-2": "in/two-volumes.nii.gz {}/x.nii --volume 2",
        "series-of-two": "in/two-series {}/x.nii.gz --series 1.2.826.0.1.3680043.8.498.6.2000",
        "to-pictures": "in/ct-series {}/pictures --format png --window 40 80",
        "to-pictures-range": "in/mr.nii.gz {}/pictures --format png --range 0 700",
        "stack": "in/mr-pictures {}/x.nii.gz --stack --spacing 1.2 1.2 6",
    }
    return lines | {name: "convert " + text.format(f"out/{name}") for name, text in others.items()}


def _translating() -> dict[str, str]:
    others = {
        "picture-to-ct": "in/mr.png {}/x.png --to ct --force",
        "picture-to-mr": "in/ct.png {}/x.png --to mr --force",
        "jpeg-to-ct-json": "in/mr.jpg {}/x.png --to ct --force --json",
        "pictures-to-ct": "in/mr-pictures {}/pictures --to ct --force",
        "pictures-to-mr": "in/ct-pictures {}/pictures --to mr --force --burn-in",
        "nifti-to-ct": f"in/mr.nii.gz {{}}/x.nii.gz --to ct --report {{}}/report {PHANTOM}",
        "nifti-to-ct-scored": (
            f"out/phantom-nifti/x/mr.nii.gz {{}}/x.nii.gz --to ct --samples 4 --uncertainty {{}}/sd.nii.gz"
            f" --reference out/phantom-nifti/x/ct.nii.gz --report {{}}/report {PHANTOM}"
        ),
        "brain-to-ct": "out/phantom-nifti/x/mr.nii.gz {}/x.nii.gz --to ct --force",
        "mha-to-mr": f"in/ct.mha {{}}/x.mha --to mr --no-preview {PHANTOM}",
        "mha-to-dicom": f"in/ct.mha {{}}/series --to mr --format dicom {PHANTOM}",
        "dicom-to-ct": (
            f"out/phantom-dicom/x/mr {{}}/series --to ct --uncertainty {{}}/sd.dcm --report {{}}/report"
            f" {PHANTOM}"
        ),
        "dicom-to-mr": f"in/ct-series {{}}/series --to mr --burn-in --compress {PHANTOM}",
        "dicom-to-nifti": f"in/ct-series {{}}/x.nii.gz --to mr {PHANTOM}",
        "dicom-sagittal-to-ct": f"in/mr-sagittal {{}}/series --to ct {PHANTOM}",
        "dicom-tilted-to-mr": f"in/ct-tilted {{}}/series --to mr {PHANTOM}",
        "dicom-tilted-regrid": f"in/ct-tilted {{}}/x.nrrd --to mr --regrid {PHANTOM}",
        "dicom-uneven-to-mr": f"in/ct-uneven {{}}/series --to mr {PHANTOM}",
        "dicom-private": f"in/mr-series {{}}/series --to ct --deidentify {PHANTOM}",
        "oblique-to-ct": f"in/mr-oblique.nii {{}}/x.nii --to ct {PHANTOM}",
        "stack-to-ct": f"in/mr-pictures {{}}/x.nii.gz --to ct --stack --spacing 1.2 1.2 6 --force {PHANTOM}",
        "refused-by-gate": "in/mr.nii.gz {}/x.nii.gz --to ct",
    }
    lines = {name: "translate " + text.format(*[f"out/{name}"] * 3) for name, text in others.items()}
    return lines | {
        "batch": "batch in/mr-pictures out/batch/x --to ct --force --workers 1",
        "batch-again": "batch in/mr-pictures out/batch/x --to ct --force --workers 1",
        "batch-volumes": "batch in/predictions out/batch-volumes/x --to mr --model phantom --workers 1",
        "batch-refused": (
            "batch in/predictions out/batch-refused/x --to mr --model phantom --format dicom --workers 1"
        ),
    }


def _scoring() -> dict[str, str]:
    pair = "evaluate in/predictions/case0.nii.gz in/references/case0.nii.gz"
    folders = "evaluate in/predictions in/references"
    others = {
        "pair-image": f"{pair} --modality ct",
        "pair-image-json": f"{pair} --modality ct --json --unmasked",
        "pair-synthrad2023": f"{pair} --modality ct --profile synthrad2023 --mask in/mask.nii.gz",
        "pair-synthrad2025": f"{pair} --modality ct --profile synthrad2025 --source in/mr.nii.gz",
        "pair-uncertainty": f"{pair} --modality ct --uncertainty in/sd.nii.gz --range -1000 1500",
        "pair-rigid": "evaluate in/predictions/case0.nii.gz in/moved.nii.gz --modality ct --register rigid",
        "pair-resampled": "evaluate in/ct.nii.gz in/moved.nii.gz --modality ct --resample-reference",
        "pair-other-grid": "evaluate in/ct.nii.gz in/moved.nii.gz --modality ct",
        "pair-recorded": (
            "evaluate out/dicom-to-ct/series out/phantom-dicom/x/ct --source out/phantom-dicom/x/mr"
        ),
        "folders": f"{folders} --modality ct --workers 1",
        "folders-profile": f"{folders} --modality ct --profile synthrad2023 --workers 1",
        "pictures": "evaluate out/pictures-to-ct/pictures in/ct-pictures --source in/mr-pictures --workers 1",
    }
    lines = {f"evaluate-{name}": f"{text} --out out/evaluate-{name}/x" for name, text in others.items()}
    cycles = {
        "cycle-volume": f"cycle in/mr.nii.gz --from mr --noise 0.02 {PHANTOM}",
        "cycle-pictures": "cycle in/ct-pictures --from ct --force",
    }
    return lines | {name: f"{text} --out out/{name}/x" for name, text in cycles.items()}


def _reporting() -> dict[str, str]:
    others = {
        "pair": "out/evaluate-pair-synthrad2025/x --view html,csv,pdf,json",
        "folders": "out/evaluate-folders/x --view html,csv,pdf",
        "translation": "out/nifti-to-ct/x.translation.json --view html,pdf",
        "study": "out/evaluate-pair-recorded/x --view dicom,html --source out/phantom-dicom/x/mr",
    }
    return {f"report-{name}": f"report {text} --out out/report-{name}/x" for name, text in others.items()}


def _refusing() -> dict[str, str]:
    others = {
        "missing": "translate in/nothing.nii.gz {}/x.nii.gz --to ct",
        "text-as-picture": "translate in/text.png {}/x.png --to ct",
        "short-file": "convert in/short.nii.gz {}/x.nrrd",
        "nan": "translate in/nan.nii.gz {}/x.nii.gz --to mr",
        "two-series": "convert in/two-series {}/x.nii.gz",
        "missing-slice": "translate in/gap {}/x --to mr",
        "wrong-modality": "translate in/ct-series {}/x --to ct",
        "empty": "translate in/empty {}/x --to ct",
        "no-modality": "convert in/ct.nii.gz {}/series --format dicom",
        "no-format": "convert in/ct.nii.gz {}/series",
        "output-exists": "convert in/ct.nii.gz out/nifti-to-mha/x.mha",
        "onto-input": "convert in/ct.nii.gz in/ct.nii.gz --overwrite",
        "unknown-model": "translate in/mr.png {}/x.png --to ct --model nobody",
        "unknown-option": "translate in/mr.png {}/x.png --to ct --nothing",
        "bad-value": "translate in/mr.png {}/x.png --to pet",
        "run-yaml": "run in/settings.yaml",
        "no-device": "translate in/mr.png {}/x.png --to ct --device cuda:7",
        "volume-of-many": "convert in/two-volumes.nii.gz {}/x.mha",
    }
    return {f"refuse-{name}": text.format(f"out/refuse-{name}") for name, text in others.items()}


def _on_real_images() -> dict[str, str]:
    others = {
        "info": "info in/real",
        "skull-to-nifti": "convert in/real/ct-skull-philips {}/x.nii.gz",
        "tilt-regrid": "convert in/real/ct-head-ge-tilt {}/x.nii.gz --regrid",
        "tilt-to-mr": "translate in/real/ct-head-ge-tilt {}/series --to mr",
        "t1-to-ct": "translate in/real/mr-t1-head.nii.gz {}/x.nii.gz --to ct --batch 16",
        "picture-to-ct": "translate in/real/mr.jpg {}/x.png --to ct",
        "picture-to-mr": "translate in/real/ct.png {}/x.png --to mr --report {}/report",
        "templates": (
            "evaluate in/real/ct-template-hu.nii.gz in/real/ct-template-hu.nii.gz --modality ct"
            " --source in/real/t1-template.nii.gz --out {}/x"
        ),
    }
    return {f"real-{name}": text.format(*[f"out/real-{name}"] * 2) for name, text in others.items()}
