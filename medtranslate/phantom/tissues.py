"""Tissues as data, and their values in CT and MR.

CT values are in HU. MR intensities follow from proton density, T1 and T2 by the signal equations of
spin echo and inversion recovery (Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004, ch. 14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medtranslate.config import Contrast, StreamContrast

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Relaxation times are for 1.5 T. [k]: Kwan et al., IEEE TMI 18 (1999) 1085, as BrainWeb lists them. [b]:
    de Bazelaire et al., Radiology 230 (2004) 652, measured at 3 T, T1 shortened by 6 to 10 % for 1.5 T. The
    T1 of CSF is near that of water at body temperature, 4200 to 4500 ms. The others are estimates of our
    own; a head varies every value by some per cent. CT values are rounded from textbook ranges: grey matter
    30 to 45 HU, white matter 20 to 35, CSF 0 to 15, clotted blood 50 to 80, fat -60 to -120.

    Attributes:
        label: value in label volumes.
        hu: mean CT value; `hu_sd`: its standard deviation between heads.
        pd: proton density, water = 1.
        t1: longitudinal relaxation time in ms; `t2`: the transverse one.
    """

    name: str
    label: int
    hu: float
    hu_sd: float
    pd: float
    t1: float
    t2: float


TISSUES: tuple[Tissue, ...] = (
    Tissue("air", 0, -1000, 0, 0.0, 1000, 10),
    Tissue("skin", 1, 35, 12, 0.72, 700, 45),
    Tissue("fat", 2, -95, 8, 0.95, 343, 65),  # b
    Tissue("muscle", 3, 58, 5, 0.80, 1008, 44),
    Tissue("cortical bone", 4, 1350, 180, 0.05, 400, 8),
    Tissue("diploe", 5, 520, 130, 0.50, 480, 49),  # b
    Tissue("csf", 6, 7, 3, 1.00, 4300, 329),  # k for T2
    Tissue("grey matter", 7, 38, 2, 0.86, 833, 83),  # k
    Tissue("white matter", 8, 29, 2, 0.77, 500, 70),  # k
    Tissue("deep nuclei", 9, 37, 2, 0.83, 720, 77),
    Tissue("pallidum", 10, 37, 3, 0.79, 600, 65),
    Tissue("brainstem", 11, 31, 2, 0.79, 590, 74),
    Tissue("cerebellar cortex", 12, 38, 2, 0.86, 850, 82),
    Tissue("dura", 13, 55, 8, 0.55, 900, 40),
    Tissue("venous blood", 14, 52, 6, 0.85, 1441, 110),
    Tissue("arterial blood", 15, 42, 5, 0.25, 1441, 30),  # flow void: little signal
    Tissue("vitreous", 16, 9, 3, 0.98, 3000, 500),
    Tissue("lens", 17, 85, 15, 0.70, 1100, 40),
    Tissue("sclera", 18, 45, 8, 0.60, 900, 45),
    Tissue("optic nerve", 19, 33, 4, 0.79, 815, 77),
    Tissue("mucosa", 20, 38, 8, 0.90, 1100, 110),
    Tissue("gland", 21, 5, 20, 0.88, 600, 75),
    Tissue("marrow", 22, 280, 80, 0.70, 549, 49),  # b
    Tissue("tooth", 23, 2100, 250, 0.02, 400, 5),
    Tissue("calcification", 24, 210, 90, 0.30, 700, 30),
    Tissue("tumour", 25, 41, 7, 0.92, 1250, 125),
    Tissue("oedema", 26, 20, 4, 0.93, 1150, 140),
    Tissue("haemorrhage", 27, 67, 7, 0.80, 900, 40),  # some days old: deoxyhaemoglobin
    Tissue("infarct", 28, 19, 4, 0.94, 1200, 150),
)
"""All tissues; the index is the label."""

LABEL: dict[str, int] = {tissue.name: tissue.label for tissue in TISSUES}
"""Label of each tissue's name."""


@dataclass(frozen=True)
class Protocol:
    """Times of a sequence in ms; `ti` is None for a spin echo, else the inversion time."""

    tr: float
    te: float
    ti: float | None = None


PROTOCOLS: dict[str, Protocol] = {
    "t1": Protocol(tr=2000.0, te=3.5, ti=1000.0),
    "t2": Protocol(tr=4500.0, te=95.0),
    "flair": Protocol(tr=9000.0, te=110.0, ti=2500.0),
}
"""Sequences of `study`, typical of 1.5 T."""

CONTRASTS: dict[Contrast, Protocol] = {
    "t1": PROTOCOLS["t1"],
    "t1c": PROTOCOLS["t1"],
    "t2": PROTOCOLS["t2"],
    "flair": PROTOCOLS["flair"],
    "pd": Protocol(tr=3000.0, te=20.0),
}
"""Sequences that a translated MR can be asked for; t1c is after contrast agent."""

_CLINICAL: tuple[tuple[float, Protocol, Protocol], ...] = (
    (0.18, Protocol(400.0, 8.0), Protocol(750.0, 18.0)),
    (0.16, Protocol(1800.0, 2.5, 850.0), Protocol(2400.0, 5.0, 1100.0)),
    (0.28, Protocol(3000.0, 75.0), Protocol(6000.0, 120.0)),
    (0.22, Protocol(7000.0, 80.0, 2150.0), Protocol(10000.0, 130.0, 2600.0)),
    (0.16, Protocol(2000.0, 12.0), Protocol(4000.0, 35.0)),
)
"""Share, lowest and highest times: T1 spin echo, T1 inversion recovery, T2, FLAIR, PD."""


def signal(protocol: Protocol, pd: Floats, t1: Floats, t2: Floats) -> Floats:
    """Compute the magnitude of the steady-state signal; PD = 1, fully relaxed, gives 1.

    Spin echo: PD (1 - exp(-TR/T1)) exp(-TE/T2).
    Inversion recovery: PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2).
    """
    recovered = 1.0 - np.exp(-protocol.tr / t1)
    if protocol.ti is not None:
        recovered = np.abs(1.0 - 2.0 * np.exp(-protocol.ti / t1) + np.exp(-protocol.tr / t1))
    magnitude: Floats = (pd * recovered * np.exp(-protocol.te / t2)).astype(np.float32)
    return magnitude


def column(name: Literal["hu", "hu_sd", "pd", "t1", "t2"]) -> Floats:
    """List one property of every tissue, by label."""
    return np.array([getattr(tissue, name) for tissue in TISSUES], np.float32)


def ct_values(rng: np.random.Generator) -> Floats:
    """Draw the HU of every tissue in one head."""
    shared = rng.normal(0.0, 1.5)
    values: Floats = column("hu") + column("hu_sd") * rng.standard_normal(len(TISSUES)).clip(-2, 2)
    values[1:] += shared
    return values.astype(np.float32)


def mr_values(rng: np.random.Generator, contrast: StreamContrast) -> Floats:
    """Draw the intensity of every tissue in one MR, 0 to 1000.

    Args:
        rng: source of the tissue parameters' jitter and, for "physics", of the sequence.
        contrast: a sequence of `PROTOCOLS`; "physics" for a clinical sequence drawn at random;
            "random" for intensities without a sequence; cortical bone and air alone stay dark;
            "both" for either at random.
    """
    if contrast == "both":
        contrast = "random" if rng.random() < 0.5 else "physics"
    if contrast == "random":
        return _random_values(rng)
    protocol = _draw_protocol(rng) if contrast == "physics" else PROTOCOLS[contrast]
    jitter = np.exp(0.06 * rng.standard_normal((3, len(TISSUES)))).astype(np.float32)
    t1 = column("t1") * jitter[0]
    if contrast == "physics" and protocol.te < 20 and rng.random() < 0.35:
        t1[ENHANCING] *= rng.uniform(0.2, 0.5)
    t2 = column("t2") * jitter[2]
    if contrast == "physics" and protocol.te > _TRAIN_MS:
        t2[_FATTY] *= rng.uniform(1.0, 3.0)
    if contrast == "physics":
        t1[_BLED] *= rng.uniform(0.22, 0.42) if rng.random() < 0.5 else rng.uniform(0.9, 1.2)
        t2[_BLED] *= rng.uniform(0.7, 1.3)
        t2 = with_iron(t2, rng.random())
    values = signal(protocol, column("pd") * jitter[1], t1, t2)
    if contrast == "physics" and (protocol.ti is None or protocol.te > _TRAIN_MS):  # the others are 3D
        values[_SATURATED] *= rng.uniform(_LEAST_SATURATED, 1.0)
        if rng.random() < _YELLOW:
            values[_MARROW] += rng.random() * (values[LABEL["fat"]] - values[_MARROW])
    values *= 1000.0 / values.max()
    return values


def with_iron(t2: Floats, amount: float) -> Floats:
    """Shorten the T2 of the deep nuclei.

    Args:
        t2: of every tissue, by label.
        amount: from none (0) to that of old age (1).
    """
    shorter = np.ones(len(TISSUES), np.float32)
    for name, share in _IRON.items():
        shorter[LABEL[name]] -= amount * share
    return t2 * shorter


ENHANCING = [LABEL[name] for name in ("venous blood", "dura", "mucosa", "tumour")]
"""Tissues that take up contrast agent."""

_FATTY, _TRAIN_MS = [LABEL[name] for name in ("fat", "diploe", "marrow")], 60.0
"""Fat decays more slowly in echo trains, by which long echo times are measured (Henkelman et al., "Why fat is
bright in RARE and fast spin-echo imaging", JMRI 2 (1992) 533); the factor of up to three is an estimate."""
_SATURATED, _LEAST_SATURATED = [LABEL["muscle"], LABEL["skin"]], 0.5
"""Pulses for other slices saturate what is bound to proteins, most of all in muscle (Dixon et al.,
"Incidental magnetization transfer contrast in standard multislice imaging", MRI 8 (1990) 417). The factor is
relative to brain: in pictures of T1 (`told`) muscle has 0.46 of its signal, else 0.6 to 0.7."""
_MARROW, _YELLOW = [LABEL["diploe"], LABEL["marrow"]], 0.6
"""Share of heads whose marrow is brighter, up to fat: in T1 it is so from the age of 8 to 12 on (Simonson,
Kao, "Normal childhood developmental patterns in skull bone marrow by MR imaging", Pediatric Radiology 22
(1992) 556). In thick slices of the vertex no dark bone then parts brain from scalp."""
_BLED = LABEL["haemorrhage"]
"""A bleeding that is dense in CT is dark in T2 for some two weeks. In T1 it is as grey matter at first, and
bright from the third day on, when methaemoglobin forms (Bradley, Radiology 189 (1993) 15). The relaxation
times are estimates of our own."""

_IRON = {"pallidum": 0.45, "deep nuclei": 0.2}
"""Largest share by which iron shortens the T2 of nuclei, estimates of our own. Iron grows with age, and is
densest in the pallidum (Hallgren and Sourander, J. Neurochemistry 3 (1958) 41)."""

NUCLEI = tuple(_IRON)
"""Nuclei of the deep brain."""

_BETWEEN = {
    "deep nuclei": 0.7,
    "pallidum": 0.4,
    "brainstem": 0.25,
    "cerebellar cortex": 1.05,
    "optic nerve": 0.2,
}
"""Position of a tissue between white (0) and grey matter (1)."""


def _draw_protocol(rng: np.random.Generator) -> Protocol:
    kind = rng.choice(len(_CLINICAL), p=[share for share, _, _ in _CLINICAL])
    _, low, high = _CLINICAL[kind]
    ti = None if low.ti is None or high.ti is None else rng.uniform(low.ti, high.ti)
    return Protocol(rng.uniform(low.tr, high.tr), rng.uniform(low.te, high.te), ti)


def _random_values(rng: np.random.Generator) -> Floats:
    values = rng.uniform(40.0, 1000.0, len(TISSUES)).astype(np.float32)
    grey, white = values[LABEL["grey matter"]], values[LABEL["white matter"]]
    for name, share in _BETWEEN.items():
        values[LABEL[name]] = white + share * (grey - white) + rng.normal(0.0, 20.0)
    for name in ("diploe", "marrow"):
        values[LABEL[name]] = values[LABEL["fat"]] * rng.uniform(0.3, 1.0)
    values[LABEL["vitreous"]] = values[LABEL["csf"]] * rng.uniform(0.8, 1.1)
    for name in ("cortical bone", "tooth"):
        values[LABEL[name]] = rng.uniform(0.0, 90.0)
    values[LABEL["air"]] = 0.0
    return values.clip(0.0, 1000.0)
