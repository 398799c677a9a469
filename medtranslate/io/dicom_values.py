"""Pixel values by the headers of a series: scale, padding, and the measured quantity.

Reading and `medtranslate info` share `check_values`, so that what one calls readable the other reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from medtranslate.errors import InputRefused, SeriesRefused
from medtranslate.io.dicom_files import file_of, refusing_damage
from medtranslate.io.dicom_pixels import check_pixels
from medtranslate.io.dicom_series import name_of, numbers_of, text_of
from medtranslate.io.volume import Meta

CT_UNITS = {
    "OD": "optical density",
    "MGML": "mg/ml of a material",
    "Z_EFF": "effective atomic number",
    "ED": "electron density",
    "EDW": "electron density relative to water",
    "HU_MOD": "modified HU",
    "PCT": "per cent",
}
"""RescaleType that is no HU (PS3.3 C.11.1.1.2). US, unspecified, is none of them."""
_HU = ("hounsfield", "houndsfield")
"""How RescaleType begins, in any case, that spells HU out; a series of a GE Revolution EVO has the second."""
CT_MAPS = {
    "EFF_ATOMIC_NUM": "effective atomic number",
    "ELECTRON_DENSITY": "electron density",
    **dict.fromkeys(("MAT_SPECIFIC", "MAT_FRACTIONAL"), "amount of a material"),
    **dict.fromkeys(("MAT_REMOVED", "MAT_MODIFIED", "MAT_VALUE_BASED"), "HU changed by material"),
    **dict.fromkeys(("SUBTRACTION", "DIVISION", "STD_DEVIATION", "QUANTITY"), "computed contrast"),
    **dict.fromkeys(("CBF", "CBV", "MTT", "TTP", "TMAX"), "perfusion map"),
}
"""ImageType from value 3 on, whatever RescaleType says: multi-energy (PS3.3 C.8.15.2.1.1.5; VMI is in HU),
derived pixel contrast (C.8.16.1.4), and the usual names of perfusion maps."""
MR_MAPS = {
    **dict.fromkeys(("P", "PHASE", "PHASE SUBTRACT"), "phase"),
    **dict.fromkeys(("I", "IMAGINARY"), "imaginary part"),
    "VELOCITY": "velocity",
    **dict.fromkeys(("ADC", "EADC", "FA", "TENSOR"), "diffusion map"),
    **dict.fromkeys(("CBF", "CBV", "MTT", "TTP", "TMAX"), "perfusion map"),
    **dict.fromkeys(("RELCBF", "RELCBV", "RELMTT", "RCBF", "RCBV", "RMTT"), "perfusion map"),
    **dict.fromkeys(("MODULUS SUBTRACT", "SUBTRACTION", "STD DEVIATION"), "computed contrast"),
}
"""ImageType from value 3 on (PS3.3 C.8.3.1.1.1 and C.8.13.3.1.1, makers' names), blanks for underscores;
beside these whatever ends in MAP (PHASE MAP, VELOCITY MAP, T1 MAP, B0 MAP). Real parts are signal, no map."""
_COMPONENTS = {"PHASE": "phase", "IMAGINARY": "imaginary part"}
"""ComplexImageComponent (PS3.3 C.8.13.3.1.2) that is no magnitude."""
_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit")


@dataclass(frozen=True)
class Values:
    """Conversion of a plane's pixels to values.

    Attributes:
        slope, intercept: PS3.3 C.11.1.1.2.
        padding: lowest and highest pixel that is no image (PS3.3 C.7.5.1.1.2), or None.
    """

    slope: float
    intercept: float
    padding: tuple[int, int] | None


@dataclass(frozen=True)
class Checked:
    """Facts about the values of a series' planes, from their headers.

    Attributes:
        values: of each plane.
        codings: names of the transfer syntaxes.
        measures: what the values are, as a sentence, where they are neither HU nor MR signal; else None.
        notes: sentences for the user, `measures` among them.
    """

    values: list[Values]
    codings: list[str]
    measures: str | None
    notes: list[str]


def check_values(planes: Sequence[FileDataset]) -> Checked:
    """Check all that reading needs beside the geometry, from headers alone.

    Raises:
        Unreadable: pixels that are not all there, or that no decoder is there for.
        SeriesRefused, GeometryRefused: no scale.
    """
    images = {str(file_of(plane)): plane for plane in planes}.values()
    codings, longer = dict[str, None](), list[int]()
    for image in images:
        with refusing_damage(name_of(image)):
            syntax, extra = check_pixels(image)
            codings[syntax.name] = None
            longer += [extra] if extra else []
    values, maps, units = list[Values](), dict[str, None](), dict[str, None]()
    for plane in planes:
        with refusing_damage(name_of(plane)):
            values.append(Values(*_scale(plane), _padding(plane)))
            units[_unit_of(plane)] = None
            maps |= dict.fromkeys(_maps(plane))
    first, notes = planes[0], []
    measures = next(iter(maps), None)
    if first.Modality == "CT" and units.keys() - {"HU"} - CT_UNITS.keys():
        notes.append(f"RescaleType is {' and '.join(units)}, not HU: CT numbers are not certain")
    if measures:
        notes.append(measures)
    if first.PhotometricInterpretation == "MONOCHROME1" and first.Modality == "MR":
        notes.append("MONOCHROME1 (meant to be shown inverted): values kept as stored")
    if longer:
        notes.append(
            f"{len(longer)} of {len(images)} files hold more bytes than their image (up to {max(longer)}):"
            " the image is taken from the start"
        )
    return Checked(values, list(codings), measures, notes)


def require_signal(meta: Meta) -> None:
    """Refuse a volume to a network if its header says that it is neither a CT in HU nor MR signal.

    Args:
        meta: of the volume.

    Raises:
        InputRefused: says what it is.
    """
    if meta.measures:
        raise InputRefused(
            f"{meta.path}: {meta.measures}; give a series of HU or of magnitudes (`convert` takes this one)"
        )


def is_padding(
    pixels: NDArray[np.integer], stored: NDArray[np.integer], padding: tuple[int, int]
) -> NDArray[np.bool_]:
    """Find pixels of padding, before or after the bits beyond BitsStored were dropped.

    Scanners give padding that BitsStored cannot hold, and some a negative one as if it had no sign.
    """
    low, high = np.sort(np.array(padding, np.int64).astype(pixels.dtype))
    found: NDArray[np.bool_] = (pixels >= low) & (pixels <= high)
    if stored is not pixels:
        found |= (stored >= low) & (stored <= high)
    return found


def _unit_of(plane: FileDataset) -> str:
    """Read RescaleType; HU where it is missing or spelt out."""
    unit = text_of(plane, "RescaleType").strip()
    return "HU" if unit.casefold().startswith(_HU) else unit or "HU"


def _scale(plane: FileDataset) -> tuple[float, float]:
    """Slope and intercept; an MR may lack one or both, a CT without them is not in HU."""
    slope = intercept = 0.0
    if plane.Modality == "CT" or _given(plane, "RescaleIntercept"):
        (intercept,) = numbers_of(plane, "RescaleIntercept", 1)
    if plane.Modality == "CT" or _given(plane, "RescaleSlope"):
        (slope,) = numbers_of(plane, "RescaleSlope", 1)
    else:
        slope = 1.0
    if slope == 0:
        raise SeriesRefused(f"{name_of(plane)}: RescaleSlope is 0, all values are lost; export it again")
    return slope, intercept


def _given(plane: FileDataset, keyword: str) -> bool:
    """Return True for a decimal that is present and not empty."""
    value = plane.get_item(keyword).value if keyword in plane else None
    return value is not None and bool(value.strip(b" \0") if isinstance(value, bytes) else str(value))


def _padding(plane: FileDataset) -> tuple[int, int] | None:
    value, limit = (plane.get(keyword) for keyword in _PADDING)
    if value is None:
        return None
    return int(value), int(value if limit is None else limit)


def _maps(plane: FileDataset) -> Iterable[str]:
    """Yield the statements that a plane's values are no HU, or no MR signal."""
    kinds = plane.get("ImageType")
    terms = [kinds] if isinstance(kinds, str) else list(kinds or [])
    if plane.Modality == "CT":
        unit = text_of(plane, "RescaleType").strip()
        if unit in CT_UNITS:
            yield f"RescaleType says {unit} ({CT_UNITS[unit]}), no HU"
        for term in terms[2:]:
            if (name := term.strip().upper()) in CT_MAPS:
                yield f"ImageType says {name} ({CT_MAPS[name]}), no HU"
        return
    for term in terms[2:]:
        name = term.strip().upper().replace("_", " ")
        if name in MR_MAPS or name.endswith(" MAP"):
            yield f"ImageType says {name} ({MR_MAPS.get(name, 'a map')}), no MR signal"
    component = text_of(plane, "ComplexImageComponent").strip()
    if component in _COMPONENTS:
        yield f"ComplexImageComponent says {component} ({_COMPONENTS[component]}), no MR signal"
