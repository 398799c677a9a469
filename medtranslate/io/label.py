"""Label of a translation in the header of formats without patient and study."""

from __future__ import annotations

from dataclasses import dataclass

from medtranslate.io.volume import Volume
from medtranslate.records import Derivation


@dataclass(frozen=True)
class Label:
    """Description of an image in plain ASCII.

    Attributes:
        title: in 15 characters at most.
        text: in one line; the model's name is at its end, where short fields cut.
        range: values to show from black to white.
    """

    title: str
    text: str
    range: tuple[float, float]

    @property
    def fields(self) -> dict[str, str]:
        """Keys and values for headers that take any."""
        low, high = self.range
        return {"Description": self.text, "DisplayRange": f"{low:g} {high:g}"}


_SYNTHETIC = "SYNTHETIC "


def says_synthetic(text: str) -> bool:
    """Tell if the text of a header is the label of a translation."""
    return text.startswith(_SYNTHETIC)


def label(volume: Volume, derivation: Derivation) -> Label:
    """Label a translation, or the map of its standard deviations."""
    what, model = f"{_SYNTHETIC}{derivation.model.to.upper()}", derivation.model
    grey = volume.is_picture
    if derivation.uncertainty:
        unit = "grey levels" if grey else model.unit
        text = f"Uncertainty ({unit}) of a {what}, not for diagnosis; model {model.name}"
        return Label("Uncertainty", text, (0.0, float(volume.values.max())))
    doubtful = ", DOUBTFUL," if derivation.doubts else ""
    text = f"{what}{doubtful} from {derivation.source.upper()}, not for diagnosis; model {model.name}"
    return Label(what, text, (0.0, 255.0) if grey else model.output_range)
