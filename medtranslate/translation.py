"""Volume to volume, slice by slice.

    volume --axial layout--> normalise --frame--> generator --frame back--> target scale --layout back-->

Memory holds the source, its normalised copy and the output; slices pass through the network in
batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from monai.data import MetaTensor
from torch import Tensor

from medtranslate.checkpoint import Model, load_model
from medtranslate.config import Modality, TranslateSettings, plain
from medtranslate.device import choose_device
from medtranslate.errors import UsageError
from medtranslate.geometry import require_grid
from medtranslate.io import FORMATS, detect_format, list_pictures, read_volume, write_volume
from medtranslate.jobs import progress, whole_output
from medtranslate.result import Derivation, Source, Translation, write_result
from medtranslate.transforms import (
    AIR,
    VISIBLE,
    denormalise,
    find_frame,
    from_axial,
    from_slices,
    into_frame,
    isolate,
    normalise,
    onto_slices,
    origin,
    out_of_frame,
    pixel_mm,
    to_axial,
    to_slices,
    upright,
)

OTHER: dict[Modality, Modality] = {"ct": "mr", "mr": "ct"}


def translate(settings: TranslateSettings, *, quiet: bool = False) -> Translation | list[Translation]:
    """Translate one volume, or each picture of a folder, and write it with its record.

    A folder gets `translation.json` inside; a file `x.nii.gz` gets `x.translation.json` beside it.

    Raises:
        InputRefused: the input or the model is refused; nothing is written.
        OutputExists: the output is there and `overwrite` is not set.
        UsageError: the output is the input, or a folder around it.
    """
    if settings.input.resolve().is_relative_to(settings.output.resolve()):
        raise UsageError(f"{settings.output}: is or holds the input; name another output")
    model = load_model(settings.model, choose_device(settings.device))
    found = detect_format(settings.input)
    if settings.input.is_dir() and found == "png":
        return _translate_pictures(settings, model, quiet)
    as_folder = not settings.output.suffix
    chosen = settings.format or (found if as_folder else None)
    if settings.regrid and chosen == "dicom":
        raise UsageError("--regrid: a DICOM series keeps its own slices; name an output such as out.nii.gz")
    source = read_volume(
        settings.input, series=settings.series, modality=OTHER[settings.to], regular=settings.regrid
    )
    if chosen != "dicom":
        require_grid(source.meta, str(settings.input))
    with ExitStack() as outputs:

        def whole(path: Path, *, folder: bool = False) -> Path:
            return outputs.enter_context(whole_output(path, overwrite=settings.overwrite, folder=folder))

        fresh = whole(settings.output, folder=as_folder)
        if as_folder:
            record = fresh / "translation.json"
            target = fresh if chosen == "dicom" else fresh / _name_in(settings.input, chosen or found)
        else:
            record, target = whole(record_beside(settings.output)), fresh
        with progress(source.shape[3], "slice", f"translating to {settings.to}", quiet=quiet) as bar:
            made, done = translate_volume(source, model, settings.to, settings.batch, advance=bar.update)
            bar.update(source.shape[3] - bar.n)
        write_volume(
            made,
            target,
            like=source,
            derivation=Derivation(model=model.info(settings.to), source=OTHER[settings.to]),
            format=chosen,
            overwrite=True,
        )
        done = replace(done, output=settings.output.name, settings=plain(settings))
        write_result(done, record)
    return done


def translate_volume(
    source: MetaTensor,
    model: Model,
    to: Modality,
    batch: int = 16,
    *,
    advance: Callable[[int], object] = lambda slices: None,
) -> tuple[MetaTensor, Translation]:
    """The posterior mean's translation of a volume, on the source's own grid and array layout.

    Axial slices that show nothing stay air (CT: the window's lower end; MR: zero of its range), and
    so does what lies outside the frame around the head.

    Args:
        source: [1, X, Y, Z] in physical units, RAS+ affine. If it is far from the patient's axes it is
            resampled along them for the network, and the translation back (`transforms.upright`).
        batch: slices per pass.
        advance: called with the number of slices that are done.

    Returns:
        The translation in HU or the model's MR range (a picture: grey values 0 to 255), and its record.

    Raises:
        InputRefused: no head is found.
    """
    started = time.monotonic()
    scale, network = model.description.scale, model.description.network
    level = upright(source)
    axial = to_axial(level)
    unit, saturated = normalise(axial, OTHER[to], scale)
    slices = to_slices(unit)
    frame, head = find_frame(slices, OTHER[to], network.margin, pixel_mm(axial), origin(source))
    slices = isolate(slices, head)
    generator = model.translator(to)
    device = next(generator.parameters()).device
    shown = ((slices > 2 * VISIBLE - 1).flatten(1).any(dim=1)).nonzero().flatten()
    made = torch.full_like(slices, AIR, memory_format=torch.contiguous_format)
    with torch.inference_mode():
        for places in shown.split(batch):
            framed = into_frame(slices[places], frame, network.size).to(device)
            image = generator(framed.contiguous()).image.cpu()
            made[places] = out_of_frame(image, frame, (slices.shape[2], slices.shape[3])).clamp(-1, 1)
            advance(len(places))
    values = _grey(made) if "levels" in source.meta else denormalise(made, to, scale)
    volume = MetaTensor(
        from_slices(values), meta={**axial.meta, "modality": to}, applied_operations=axial.applied_operations
    )
    done = Translation(
        source=describe(source),
        model=model.info(to),
        output="",
        saturated=saturated,
        seams={"source": seams(unit), "output": seams(from_slices(made))} if source.shape[3] > 2 else None,
        seconds=round(time.monotonic() - started, 3),
        warnings=[*level.meta.get("warnings", []), *_windowed(to, model)],
    )
    return onto_slices(from_axial(volume), source), done


def seams(unit: Tensor) -> float:
    """Jumps between slices: mean |v(z-1) - 2 v(z) + v(z+1)| over visible voxels, as a share of the range.

    Args:
        unit: [1, X, Y, Z] in [-1, 1], axial layout.
    """
    middle = unit[..., 1:-1]
    jumps = (unit[..., :-2] - 2 * middle + unit[..., 2:]).abs()
    visible = middle > 2 * VISIBLE - 1
    return float(jumps[visible].mean() / 2) if visible.any() else 0.0


def describe(volume: MetaTensor) -> Source:
    """What a record says of a volume that was read."""
    _, columns, rows, slices = volume.shape
    first, second, third = (float(length) for length in volume.pixdim)
    return Source(
        digest=volume.meta.get("digest"),
        format=volume.meta.get("format"),
        modality=volume.meta.get("modality"),
        shape=(columns, rows, slices),
        spacing_mm=(first, second, third),
        affine=tuple(tuple(row) for row in volume.affine.tolist()),
    )


def record_beside(output: Path) -> Path:
    """`x.translation.json` for a file x.nii.gz, x.png, ..."""
    return output.with_name(f"{_stem(output)}.translation.json")


def _translate_pictures(settings: TranslateSettings, model: Model, quiet: bool) -> list[Translation]:
    pictures = list_pictures(settings.input)
    if settings.output.suffix or settings.format not in (None, "png"):
        raise UsageError(
            f"{settings.output}: a folder of pictures becomes a folder of pictures;"
            " name a folder, and give no --format"
        )
    done = []
    with (
        whole_output(settings.output, overwrite=settings.overwrite, folder=True) as fresh,
        progress(len(pictures), "picture", f"translating to {settings.to}", quiet=quiet) as bar,
    ):
        for path in pictures:
            source = read_volume(path, modality=OTHER[settings.to])
            made, one = translate_volume(source, model, settings.to)
            write_volume(made, fresh / path.name, like=source, format="png")
            one = replace(one, output=path.name, settings=plain(settings))
            write_result(one, record_beside(fresh / path.name))
            done.append(one)
            bar.update()
    return done


def _grey(values: Tensor) -> Tensor:
    return (values + 1) * 127.5


def _name_in(path: Path, format: str) -> str:
    """Name of the one file in an output folder: the input's, with its own suffix where that fits."""
    suffixes = FORMATS[format].suffixes
    fits = any(path.name.lower().endswith(suffix) for suffix in suffixes if suffix)
    return path.name if fits and path.is_file() else f"{_stem(path)}{suffixes[-1]}"


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _windowed(to: Modality, model: Model) -> list[str]:
    lower, upper = model.description.scale.ct_window
    if to == "mr" or (lower <= -1000 and upper >= 1000):
        return []
    return [f"CT values are limited to {lower:g} to {upper:g} HU: windowed, not for dose"]
