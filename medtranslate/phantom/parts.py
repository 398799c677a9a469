"""The parts of a head as data.

Coordinates are millimetres of a standard head: x to the right, y to the front, z up (RAS+), origin at
the anterior commissure, sizes close to the MNI152 average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Point = tuple[float, float, float]
Group = Literal["", "ventricle", "sinus", "cistern"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Part:
    """A tube with elliptic section between two points; an ellipsoid where they coincide.

    Attributes:
        tissue: tissue of the inside.
        start: one end of its axis, in mm; `end` is the other.
        radii: radii along x, y, z, in mm, at the start; `taper` times as large at the end.
        both: also mirrored to the other side (x negated).
        wall: tissue and thickness in mm of a layer around it.
        cells: distance in mm between the walls that divide it into cells.
        group: parts of one group vary in size together: ventricles, sinuses, cisterns.
    """

    tissue: str
    start: Point
    end: Point
    radii: Point
    taper: float = 1.0
    both: bool = True
    wall: tuple[str, float] | None = None
    cells: float = 0.0
    group: Group = ""


def blob(
    tissue: str,
    centre: Point,
    radii: Point,
    both: bool = True,
    *,
    wall: tuple[str, float] | None = None,
    cells: float = 0.0,
    group: Group = "",
) -> Part:
    """Make an ellipsoid."""
    return Part(tissue, centre, centre, radii, 1.0, both, wall, cells, group)


BONE = ("cortical bone", 1.8)
THIN = ("cortical bone", 1.2)

FACE: tuple[Part, ...] = (
    blob("fat", (30, 44, -38), (26, 28, 21)),
    # masticatory and neck muscles, glands
    blob("fat", (50, 28, -62), (12, 24, 22)),
    blob("gland", (60, -4, -72), (9, 14, 20)),
    Part("fat", (0, -70, -75), (0, -80, -140), (9, 9, 9), 1.2, False),
    Part("fat", (35, -20, -80), (36, -24, -140), (5, 8, 8), 1.2),
    Part("muscle", (54, -36, -66), (48, -22, -140), (7, 10, 10), 1.1, True, ("fat", 1.6)),
    Part("muscle", (16, -68, -68), (17, -80, -140), (14, 12, 10), 1.1),
    Part("muscle", (36, -58, -64), (33, -66, -140), (10, 12, 10), 1.1),
    Part("muscle", (56, 22, -60), (50, 10, -104), (6, 14, 10), 1.0, True, ("fat", 1.6)),
    Part("muscle", (46, 12, -40), (50, 22, -66), (7, 16, 9), 1.0),
    Part("muscle", (34, 18, -56), (42, 6, -84), (7, 14, 9), 1.0),
    # cervical spine
    Part("diploe", (0, -30, -84), (0, -34, -150), (11, 9, 9), 1.0, False, BONE),
    Part("diploe", (0, -24, -76), (0, -26, -90), (5, 5, 5), 1.0, False, BONE),
    Part("diploe", (16, -34, -70), (20, -38, -82), (7, 10, 6), 1.0, True, BONE),
    Part("diploe", (20, -38, -84), (14, -66, -86), (3.5, 4, 5), 1.0, True, BONE),
    Part("diploe", (22, -40, -84), (36, -40, -86), (4, 5, 5), 1.0, True, BONE),
    Part("diploe", (15, -38, -100), (8, -70, -112), (4, 5, 9), 1.0, True, BONE),
    Part("csf", (0, -46, -62), (0, -52, -150), (11, 9.5, 10), 0.95, False, ("dura", 1.0)),
    Part("arterial blood", (26, -40, -86), (24, -38, -140), (2, 2, 2)),
    Part("arterial blood", (33, -15, -72), (34, -20, -140), (3, 3, 3)),
    Part("venous blood", (38, -23, -66), (40, -27, -140), (4, 4.5, 4)),
    # mandible, teeth, tongue
    Part("diploe", (52, 2, -54), (49, 8, -96), (3, 9, 6), 1.2, True, BONE),
    Part("diploe", (50, 18, -58), (48, 14, -96), (2.5, 6, 6), 1.2, True, BONE),
    Part("diploe", (48, 6, -104), (30, 50, -112), (4.5, 6, 9), 1.0, True, BONE),
    Part("diploe", (30, 50, -112), (0, 70, -114), (5.5, 5.5, 9), 1.0, True, BONE),
    blob("muscle", (0, 38, -98), (24, 32, 17), False),
    Part("muscle", (12, 20, -112), (8, 56, -118), (10, 10, 8), 1.0),
    Part("diploe", (29, 32, -82), (24, 58, -83), (5.5, 6, 7), 1.0, True, BONE),
    Part("diploe", (24, 58, -83), (0, 73, -83), (5.5, 5.5, 7), 1.0, True, BONE),
    Part("tooth", (28, 32, -93), (23, 57, -93), (3.8, 4, 5.5), 1.0, True),
    Part("tooth", (23, 57, -93), (0, 72, -93), (3.2, 3.2, 5.5), 1.0, True),
    Part("tooth", (27, 32, -102), (21, 55, -102), (3.6, 4, 5), 1.0, True),
    Part("tooth", (21, 55, -102), (0, 68, -102), (3, 3, 5), 1.0, True),
    Part("cortical bone", (0, 26, -76), (0, 66, -77), (26, 8, 1.8), 1.0, False),
    # airway behind nose and tongue
    Part("air", (0, 4, -58), (0, -4, -84), (10, 8, 8), 0.8, False, ("mucosa", 3.0)),
    Part("air", (0, -4, -84), (0, 0, -150), (9, 6, 8), 1.0, False, ("mucosa", 2.5)),
    # cheek bones and orbital rim
    Part("diploe", (46, 54, -50), (62, 26, -50), (4, 4, 5), 0.7, True, BONE),
    Part("cortical bone", (62, 26, -50), (66, -4, -48), (2.6, 4, 4)),
    Part("diploe", (46, 56, -52), (32, 62, -60), (5, 5, 7), 1.0, True, BONE),
    Part("diploe", (48, 58, -48), (52, 58, -18), (3, 4, 4), 1.0, True, BONE),
    Part("cortical bone", (47, 52, -36), (34, 28, -34), (2.2, 3, 13)),
    Part("cortical bone", (36, 72, -20), (12, 78, -22), (8, 4, 4)),
    Part("cortical bone", (6, 80, -24), (9, 76, -52), (4, 4, 4)),
    # pterygoid plates, hard floor of the middle fossa
    Part("cortical bone", (18, 16, -46), (19, 12, -74), (2, 6, 5)),
    # maxillary sinus, nose
    blob("air", (30, 44, -62), (14, 17, 16), wall=THIN, group="sinus"),
    Part("air", (6, 24, -54), (6, 76, -56), (5.5, 8, 17), 0.75, True, ("mucosa", 1.5)),
    Part("mucosa", (8, 28, -62), (8, 66, -64), (3, 4, 4.5)),
    Part("mucosa", (8, 30, -50), (8, 60, -50), (2.6, 4, 4.5)),
    Part("cortical bone", (0, 20, -52), (0, 72, -56), (1.0, 6, 17), 1.0, False),
    Part("air", (6, 80, -66), (7, 92, -70), (4, 6, 4)),
    # outer ear
    blob("skin", (79, -30, -36), (3, 15, 27)),
    blob("skin", (76, -18, -44), (6, 5, 9)),
)
"""Parts below and in front of the skull, painted before it."""

ORBIT: tuple[Part, ...] = (
    # fat, muscles, nerve, globe
    Part("fat", (33, 56, -37), (15, 24, -30), (17, 14, 17), 0.4, True, THIN),
    Part("gland", (43, 63, -28), (41, 60, -27), (5, 7, 5)),
    Part("muscle", (20.5, 55, -37), (14, 26, -31), (2.0, 4, 4.5), 0.7),
    Part("muscle", (45, 53, -37), (18, 26, -31), (1.9, 4, 4.5), 0.7),
    Part("muscle", (32, 55, -24), (17, 28, -28), (4.5, 3, 2.2), 0.7),
    Part("muscle", (32, 55, -50), (17, 28, -34), (4.5, 3, 2.2), 0.7),
    Part("csf", (31, 46, -37), (13, 24, -30), (3.2, 3.2, 3.2)),
    Part("optic nerve", (31.5, 46, -37), (8, 14, -25), (2.0, 2.0, 2.0)),
    blob("vitreous", (32.5, 56.5, -37), (11.4, 11.4, 11.4), wall=("sclera", 1.3)),
    blob("lens", (33, 65.6, -37), (4.6, 2.1, 4.6)),
)
"""Parts of the orbits, painted over the base of the skull."""

BASE: tuple[Part, ...] = (
    # central base: clivus, petrous and mastoid bone, sphenoid wings
    Part("marrow", (0, -4, -44), (0, -22, -66), (13, 6, 6), 1.0, False, BONE),
    Part("cortical bone", (14, -12, -42), (58, -34, -40), (9, 9, 8.5), 1.25),
    Part("diploe", (18, -14, -44), (26, -18, -45), (3, 3, 3)),
    Part("diploe", (22, -60, -62), (16, -36, -68), (7, 7, 5), 1.0, True, BONE),
    blob("diploe", (55, -30, -52), (10, 13, 17), wall=BONE),
    blob("air", (55, -32, -50), (11, 15, 18), cells=6.0, group="sinus"),
    Part("air", (84, -24, -42), (50, -22, -42), (3.6, 3.6, 3.6)),
    blob("air", (45, -20, -40), (3, 5, 6)),
    blob("csf", (30, -21, -39), (7, 2.4, 2.2)),
    blob("csf", (40, -17, -40), (3.0, 2.2, 2.0)),
    Part("diploe", (10, 19, -26), (50, 26, -16), (4, 4.5, 5), 1.0, True, THIN),
    Part("diploe", (20, 12, -46), (56, 10, -48), (4, 6, 2.5), 1.0, True, THIN),
    # sphenoid and ethmoid sinus
    blob("air", (7.5, 13, -44), (8, 11, 9), wall=THIN, group="sinus"),
    Part("air", (7.5, 24, -36), (7.5, 58, -38), (6.5, 7, 10), 1.0, True, THIN, 8.0, "sinus"),
    *ORBIT,
    # frontal sinus
    blob("air", (9, 72, -17), (9, 4.5, 8), wall=THIN, group="sinus"),
    Part("air", (10, 72, -12), (22, 67, -8), (6, 3.2, 7), 0.7, True, THIN, 0.0, "sinus"),
    blob("mucosa", (0, 3, -36), (6, 4.5, 4.5), False),
)
"""Parts of the base of the skull, painted after the vault's bone and before the brain."""

DEEP: tuple[Part, ...] = (
    # cisterns
    blob("csf", (0, -2, -22), (12, 11, 7), False, group="cistern"),
    Part("csf", (6, 4, -20), (30, 12, -16), (4, 4, 4), 0.8, True, None, 0.0, "cistern"),
    blob("csf", (0, -26, -14), (18, 15, 9), False, group="cistern"),
    Part("csf", (0, -14, -26), (0, -27, -56), (17, 8, 8), 0.8, False, None, 0.0, "cistern"),
    blob("csf", (0, -42, 1), (10, 7, 7), False, group="cistern"),
    Part("csf", (0, -42, -52), (0, -50, -74), (15, 11, 10), 0.9, False, None, 0.0, "cistern"),
    blob("csf", (0, -78, -57), (12, 11, 7), False, group="cistern"),
    blob("csf", (20, -28, -38), (10, 8, 6), group="cistern"),
    # medial temporal lobe
    Part("deep nuclei", (23, -5, -21), (27, -12, -22), (8, 8, 7)),
    Part("grey matter", (26, -14, -21), (27, -36, -6), (5, 6, 5), 0.7),
    # brainstem
    Part("brainstem", (9, -14, -8), (6, -20, -20), (6.5, 7, 7)),
    Part("brainstem", (0, -26, -6), (0, -28, -22), (13, 9, 8), 1.0, False),
    Part("brainstem", (0, -25, -26), (0, -29, -42), (16, 11, 9), 0.9, False),
    Part("white matter", (13, -33, -33), (22, -46, -36), (7, 8, 7)),
    Part("brainstem", (0, -36, -46), (0, -47, -72), (9.5, 8, 8), 0.75, False),
    Part("brainstem", (0, -47, -70), (0, -53, -150), (6.5, 4.8, 6), 0.95, False),
    blob("pallidum", (5, -20, -9), (3, 3, 3.5)),
    Part("pallidum", (6, -14, -11), (11, -18, -9), (2.5, 1.8, 3)),
    # deep nuclei
    Part("deep nuclei", (12, 19, 0), (14, 4, 15), (5, 7, 7), 0.75),
    Part("deep nuclei", (14, 4, 16), (18, -22, 21), (3.6, 5, 4), 0.5),
    Part("deep nuclei", (23, 14, 1), (30, -12, 2), (4.8, 6, 9), 0.75),
    Part("pallidum", (16, 4, -2), (22, -9, 0), (4, 4, 6)),
    Part("deep nuclei", (7, -9, 6), (14, -25, 7), (6.5, 7, 7.5), 1.2),
    # ventricles
    Part("csf", (6.5, 28, 2), (7.5, 6, 15), (4.2, 4.5, 6.5), 0.9, True, None, 0.0, "ventricle"),
    Part("csf", (7.5, 6, 17), (14, -30, 19), (5.2, 5, 5), 1.0, True, None, 0.0, "ventricle"),
    Part("csf", (15, -30, 18), (26, -43, 8), (5.5, 6, 8), 1.1, True, None, 0.0, "ventricle"),
    Part("csf", (26, -44, 8), (24, -70, 5), (4, 6, 6), 0.3, True, None, 0.0, "ventricle"),
    Part("csf", (28, -42, 0), (35, -26, -14), (3, 3, 3.4), 0.8, True, None, 0.0, "ventricle"),
    Part("csf", (35, -26, -14), (32, -8, -21), (2.6, 3, 2.6), 0.8, True, None, 0.0, "ventricle"),
    blob("csf", (0, -11, -1), (1.8, 14, 10), False, group="ventricle"),
    Part("csf", (0, -26, -5), (0, -37, -22), (1.3, 1.3, 1.3), 1.0, False),
    Part("csf", (0, -39, -26), (0, -45, -46), (5.5, 3.2, 5), 0.6, False, None, 0.0, "ventricle"),
    Part("csf", (0, -42, -34), (10, -44, -37), (3, 2.6, 3), 0.6, True),
    Part("white matter", (0, 20, 6), (0, -22, 15), (0.8, 6, 6), 1.0, False),
    blob("deep nuclei", (0, -12, 2), (4, 3, 3), False),
    # vessels and calcifications
    Part("arterial blood", (0, -12, -24), (0, -16, -46), (1.7, 1.7, 1.7), 1.0, False),
    Part("arterial blood", (12, 2, -36), (12, 2, -20), (2.3, 2.3, 2.3)),
    Part("arterial blood", (10, 2, -18), (38, 4, -14), (1.5, 1.5, 1.5), 0.7),
    Part("arterial blood", (4, 4, -18), (2, 30, -4), (1.2, 1.2, 1.2), 0.8),
    Part("arterial blood", (3, -16, -18), (22, -30, -8), (1.2, 1.2, 1.2), 0.8),
    Part("venous blood", (0, -40, 3), (0, -92, -14), (1.8, 2.2, 2.4), 1.3, False),
    Part("venous blood", (4, -98, -16), (56, -68, -24), (4, 4, 5), 0.9),
    Part("venous blood", (57, -62, -26), (40, -42, -52), (5, 5, 5), 0.9),
    blob("calcification", (0, -30, 3), (2.2, 2.6, 2.2), False),
    blob("calcification", (24, -43, 8), (2.0, 2.6, 3.0)),
)
"""Parts inside the brain, painted last."""

PARTS: dict[str, tuple[Part, ...]] = {"face": FACE, "base": BASE, "deep": DEEP}
