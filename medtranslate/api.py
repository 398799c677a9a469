"""Functions of `import medtranslate`: volumes in, volumes and records out.

An image is given as a path, a `Volume`, a MONAI `MetaTensor`, a nibabel image, or an array with its affine.
"""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from medtranslate import io
from medtranslate.config import (
    PATIENTS,
    Contrast,
    ConvertSettings,
    PhantomContrast,
    Planes,
    Precision,
    ProfileName,
    TrainSettings,
    TranslateSettings,
    build,
)
from medtranslate.errors import SettingsError, UsageError
from medtranslate.io import Volume
from medtranslate.io.in_memory import as_volume
from medtranslate.modality import OTHER, Modality
from medtranslate.records import Conversion, Evaluation, Translation

if TYPE_CHECKING:
    from medtranslate.checkpoint.description import Description
    from medtranslate.phantom import Study
    from medtranslate.translation import Translated, Translator

Image = Any
"""A path, `Volume`, `MetaTensor` [1, X, Y, Z], nibabel image, or array [X, Y, Z] with `affine`."""


def read(
    image: Image,
    *,
    modality: Modality | None = None,
    affine: ArrayLike | None = None,
    series: str | None = None,
    select: str | None = None,
    volume: int | None = None,
    regrid: bool = False,
    spacing: tuple[float, float, float] | None = None,
    nan_to: float | None = None,
) -> Volume:
    """Read a file or folder of any format, or take an image that is in memory.

    Args:
        image: a path, `Volume`, MONAI `MetaTensor` [1, X, Y, Z], nibabel image, or array [X, Y, Z].
        modality: "ct" or "mr", where the image does not say it; DICOM does, and has to agree.
        affine: [4, 4], array index to RAS+ mm; arrays need it.
        series, volume: SeriesInstanceUID, or number from 1, of the one to take of several.
        select: NAME=VALUE of an acquisition, such as "echo=2", where a series holds several.
        regrid: resample tilted, uneven or sheared slices onto a regular grid.
        spacing: take a folder of pictures as one volume; mm between columns, rows and pictures.
        nan_to: value for voxels that are NaN; without it they are refused.

    Raises:
        InputRefused: damaged, unknown, of another modality, or not finite; or one of its kinds.
        UsageError: an option does not fit the image.
    """
    options: dict[str, Any] = {"series": series, "select": select, "volume": volume, "nan_to": nan_to}
    options |= {"regular": regrid or None, "stack": spacing}
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(image, str | PathLike):
        return io.read_volume(Path(image), modality=modality, **given)
    if given:
        raise UsageError(f"{', '.join(given)}: for paths; this image is in memory")
    taken = as_volume(image, affine, modality)
    return taken.with_meta(digest=taken.meta.digest or io.digest_of(taken))


def load(
    model: str | PathLike[str] = PATIENTS,
    *,
    to: Modality,
    contrast: Contrast | None = None,
    like: str | PathLike[str] | None = None,
    uncertainty: bool = False,
    samples: int = 0,
    seed: int = 0,
    window: tuple[float, float] | None = None,
    planes: Planes | None = None,
    batch: int | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    force: bool = False,
) -> Translator:
    """Load a model for many images: `load(...).translate(read(...))`, or `translate(..., model=load(...))`.

    Args:
        model, to: name of a model at hand, or the folder of one; modality to make.
        contrast, like: t1, t1c, t2, flair or pd, or a file with an MR whose contrast is to be met.
        uncertainty: map it, too: the error limit that the model estimates, or else the spread of 16 samples.
        samples, seed: draws of the posterior to take its spread, 0 or at least 2, and their seed.
        window: level and width in HU of CT pictures, read or made (default: the model's).
        planes: 1, axial slices alone, or 3 (default: 3 for volumes, where the model knows them).
        batch, device, precision: slices per pass; auto, cpu, cuda or cuda:N; auto, float32 or bfloat16.
        force: translate what the model's gate refuses, too; the record says so.

    Raises:
        ModelRefused, RunFailed: the model or the device is not there.
    """
    from medtranslate.translation import open_translator

    chosen: dict[str, Any] = {"to": to, "model": str(model), "contrast": contrast, "like": like}
    chosen |= {"uncertainty": "." if uncertainty else None, "samples": samples or None, "seed": seed}
    chosen |= {"window": window, "planes": planes, "batch": batch, "device": device, "precision": precision}
    return open_translator(build(TranslateSettings, chosen | {"force": force, "input": ".", "output": "."}))


def translate(
    image: Image,
    *,
    to: Modality,
    model: str | PathLike[str] | Translator = PATIENTS,
    contrast: Contrast | None = None,
    uncertainty: bool = False,
    samples: int = 0,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    mask: Image | None = None,
    **reading: Any,
) -> Translated:
    """Translate one image into the other modality; nothing is written.

    Args:
        image: as `read` takes it.
        to: as of `load`, like the arguments that follow; a loaded model has its own.
        mask: on the grid of `image`; outside its voxels above 0 the translation is air.
        reading: further keywords of `read`.

    Returns:
        `volume` and `uncertainty` (None if not asked for) on the grid of `source`, and the `record`.

    Raises:
        InputRefused: the image can't be read, has no head, or is refused by the model's gate.
    """
    from medtranslate.translation import Translator

    asked: dict[str, Any] = {"uncertainty": uncertainty, "samples": samples, "seed": seed}
    if not isinstance(model, Translator):
        model = load(model, to=to, contrast=contrast, device=device, force=force, **asked)
    elif model.to != to:
        raise SettingsError(f"to={to!r}: this model was loaded for to={model.to!r}; load it anew")
    source = read(image, modality=OTHER[to], **reading)
    return model.translate(source, None if mask is None else read(mask))


def write(
    made: Volume | Translated,
    path: str | PathLike[str],
    *,
    like: Volume | None = None,
    format: str | None = None,
    overwrite: bool = False,
    deidentify: bool = False,
    burn_in: bool = False,
) -> Path:
    """Write a volume, or a translation with its record and preview, as the command `translate` does.

    Args:
        made: a volume, or what `translate` gave.
        path: its suffix decides the format; a path without one is a folder, of DICOM if the source is.
        like: volume on the same grid whose header and geometry are kept (a translation has its source).
        format, overwrite: key of `io.FORMATS`, where the path does not say it; replace an existing output.
        deidentify, burn_in: of a translation: leave out the patient; write SYNTHETIC into each slice.

    Returns:
        The path that was written.

    Raises:
        OutputExists: the output is there and `overwrite` is not set.
        UsageError: the format can't hold it.
        GeometryRefused: the volume does not fit the format, or `like`.
    """
    path = Path(path)
    if isinstance(made, Volume):
        if deidentify or burn_in:
            raise UsageError("deidentify and burn_in: for what `translate` gave, which has a source")
        io.write_volume(made, path, like=like, format=format, overwrite=overwrite)
        return path
    from medtranslate.translation import write_translated

    write_translated(made, path, format=format, overwrite=overwrite, deidentify=deidentify, burn_in=burn_in)
    return path


def score(
    prediction: Image,
    reference: Image,
    *,
    profile: ProfileName = "image",
    source: Image | None = None,
    mask: Image | None = None,
    uncertainty: Image | None = None,
    modality: Modality | None = None,
    register: Literal["none", "rigid"] = "none",
    resample_reference: bool = False,
    data_range: tuple[float, float] | None = None,
    densities: str | PathLike[str] | None = None,
) -> Evaluation:
    """Score a prediction against the truth.

    Args:
        prediction: as `read` takes it, or what `translate` gave, which brings source and uncertainty along.
        reference: the truth.
        profile: definition of the scores (docs/metrics.md).
        source: what was translated; adds its baselines.
        mask: voxels above 0 count (default: the profile's rule).
        uncertainty: of the prediction, standard deviations or error limits; adds how it fits the errors.
        modality: of prediction and reference, where they do not say it.
        register: "rigid" moves the reference onto the source or prediction first.
        resample_reference: bring reference and mask onto the prediction's grid where theirs differ.
        data_range: lowest and highest value that scores refer to.
        densities: CSV of hu,density for water-equivalent path lengths (default: Schneider's table).

    Raises:
        GeometryRefused: the grids differ.
        InputRefused: modalities differ, a volume is not finite or has no range, or densities do not rise.
    """
    from medtranslate.evaluation import ScoringRules, read_densities, score_pair

    volumes, record = scored_volumes(prediction, reference, modality, source, mask, uncertainty)
    rules = ScoringRules(profile=profile, data_range=data_range, register=register)
    rules = replace(rules, densities=read_densities(densities), resample_reference=resample_reference)
    return score_pair(**volumes, rules=rules, translation=record)


def scored_volumes(
    prediction: Image,
    reference: Image,
    modality: Modality | None = None,
    source: Image | None = None,
    mask: Image | None = None,
    uncertainty: Image | None = None,
) -> tuple[dict[str, Any], Translation | None]:
    """Read what is to be scored, by role; a translation brings its source, uncertainty and record along."""
    record = None
    if not isinstance(prediction, Volume) and hasattr(prediction, "record"):
        source = prediction.source if source is None else source
        uncertainty = prediction.uncertainty if uncertainty is None else uncertainty
        record, modality = prediction.record, modality or prediction.record.model.to
        prediction = prediction.volume
    given = {"source": source, "mask": mask, "uncertainty": uncertainty}
    scored = {"prediction": prediction, "reference": reference}
    volumes = {role: read(image, modality=modality) for role, image in scored.items()}
    return volumes | {role: read(image) for role, image in given.items() if image is not None}, record


def convert(input: str | PathLike[str], output: str | PathLike[str], **settings: Any) -> Conversion:
    """Write one volume in another format, with its record; keywords as the options of `convert`."""
    from medtranslate.conversion import convert

    return convert(build(ConvertSettings, {"input": input, "output": output, **settings}, "convert"))


def train(*, ct: str, mr: str, out: str | PathLike[str], quiet: bool = False, **settings: Any) -> Path:
    """Train a model into the folder `out`, and return the folder of the model.

    Keywords are the keys of a training YAML, nested ones as dicts; `parent` stands for `from`.
    """
    from medtranslate.checkpoint import inherit
    from medtranslate.training import fit

    values = inherit({"ct": ct, "mr": mr, "out": out, **settings})
    fit(build(TrainSettings, values, "train"), quiet=quiet)
    return Path(out) / "model"


def digital_head(
    seed: int = 900_000, *, size: int = 256, spacing: float = 1.0, contrast: PhantomContrast = "t1"
) -> Study:
    """Make a head whose truth is known: `ct`, `mr` and `labels` on one grid, and `lesions`.

    Args:
        seed: of head, tissues, lesions and noise; those of 900000 and above are never trained on.
        size, spacing: voxels along each axis, and their size in mm.
        contrast: of the MR.
    """
    from medtranslate.phantom import study

    return study(seed, size=size, spacing=spacing, contrast=contrast)


def models() -> list[Description]:
    """Models at hand: what each was trained on, its scale, range and licence."""
    from medtranslate.checkpoint.description import list_models

    return list_models()
