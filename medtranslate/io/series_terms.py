"""Series descriptions that cannot name a patient.

Staff type SeriesDescription (0008,103E) by hand, and PS3.15 Table E.1-1 has it cleaned or removed. A
description is kept only if each of its words is a term of the list below, a short number or a kernel.
"""

from __future__ import annotations

import re

MOST_LETTERS = 64
"""Length of an LO value, PS3.5."""

_TERMS = frozenset(  # English, German, French and Spanish scanners
    """
    2d 3d adc angio arterial ax axi axial b0 bold bone bones brain bravo c ce cerebral cerebro
    cisternography cm contrast contraste cor coro coronal crane craneo cranial cranio cranium crâne
    ct cta cube dark deep delayed diff diffusion dir dixon dual dwi echo enhanced ep ep2d epi fa
    fast fat fatsat ffe fgre fiesta fin fine fl flair flash fluid fov fs fse fspgr gadolinium gd ge
    gr gradient grappa gre hd head helical hirn hr in inv inversion iq ir iso isotropic kernel km
    knochen kopf loc localizer lung mag mdc mean medium min mip mixed mm mp2rage mpr mprage mr mra
    mri mrt nativ native nc neck no non normal obl oblique of opp opposed orbit orbits out over pd
    pdw perfusion pha phase plain plane planning plus post pre prep propeller prot protocol pw qsm
    quick rec reco recon reformat repeat res research routine rt rtp sag sagittal sans sb scan
    schadel schaedel schädel scout se sense seq sequence sinus skull slab slice slices smooth soft
    space spair spc spgr spin spir spiral standard std ste stealth stir survey swan swi t1 t1w t2
    t2w tf tfe tfl thick thin time tir tirm tof tra trace trans transversal transverse tse turbo u
    ueber uncorrected und vasc vein venous vibe view vista vol volume w water weichteil weighted
    whole wi window with without wo x y z
    """.split()  # noqa: SIM905  # a list of 200 quoted words is hard to read
)
_NUMBER = re.compile(r"\d{1,3}(mm|cm|hu|st|nd|deg)?|[bpt]\d{1,4}|[hbjuq][a-z]?\d{2}[a-z]?", re.ASCII)
_WORD = re.compile(r"[^\W_]+")


def plain_description(text: str) -> str | None:
    """Return a series description on one line if each of its words is a known term; None otherwise.

    Numbers have at most three digits, as birthdays and record numbers have more. The list leaves out terms
    that are also names (sharp, short, low).
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    words = [word.lower() for word in _WORD.findall(line)]
    known = all(word in _TERMS or _NUMBER.fullmatch(word) for word in words)
    digits = sum(letter.isdigit() for letter in line)
    return line[:MOST_LETTERS] if words and known and digits <= 8 else None
