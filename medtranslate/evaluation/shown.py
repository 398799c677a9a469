"""A translation without a reference, laid out for drawing."""

from __future__ import annotations

from medtranslate.io import Volume
from medtranslate.io.layout import to_axial
from medtranslate.metrics import INVENTED, head_mask, percentile_range, shown_range, shows
from medtranslate.modality import OTHER, UNITS
from medtranslate.report import Shown
from medtranslate.translation import Translated

GREY = (0.0, 255.0)


def shown_of(made: Translated, written: Volume | None = None) -> Shown:
    """Lay a translation out for drawing; the source opens with the range that the model sees of it.

    Args:
        written: the translation as its file holds it (default: as it is in memory).
    """
    source, model = made.source, made.record.model
    grey = source.is_picture
    axial, translation = to_axial(source), to_axial(written or made.volume).values
    seen = to_axial(made.framed.on_source(made.framed.unit())).values
    range = GREY if grey else model.output_range
    unit, source_unit = ("grey levels",) * 2 if grey else (model.unit, UNITS[OTHER[model.to]])
    mask = head_mask([seen, translation], [(-1.0, 1.0), range]) | shows(translation, range, INVENTED)
    # An MR is stretched over what the head shows: its own scale is arbitrary.
    arbitrary = model.to == "ct" and not grey and mask.any()
    return Shown(
        source=axial.values,
        translation=translation,
        uncertainty=None if made.uncertainty is None else to_axial(made.uncertainty).values,
        mask=mask,
        source_range=percentile_range(axial.values, mask)
        if arbitrary
        else shown_range(made.framed.ends, source_unit),
        range=shown_range(range, unit),
        spacing_mm=axial.spacing,
        source_unit=source_unit,
        unit=unit,
        affine=None if grey else axial.affine,
        regular=source.meta.slices is None,
    )
