"""Heads cut from label maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from scipy import ndimage

from medtranslate.config import NetworkSettings, ScaleSettings, TrainSettings
from medtranslate.data import frame_pairs
from medtranslate.errors import InputRefused, SettingsError
from medtranslate.phantom import LABEL, TISSUES, TOLD, read_label_map, slices
from medtranslate.phantom.label_cuts import USUAL, draw_cut, paint_cut
from medtranslate.phantom.label_maps import DEPTHS, PARTS, STEP_MM, TABLES, LabelMap, divide, read_table
from medtranslate.training.synthetic_pairs import read_maps

NAMES = {0: "air", 1: "soft tissue", 2: "skull", 3: "csf", 4: "grey matter", 5: "white matter"}
RADII = {5: 34, 4: 44, 3: 50, 2: 58, 1: 70}
"""Radius in mm of the ball that each label ends with: white matter inside, soft tissue outside."""


@pytest.fixture(scope="module")
def shells(tmp_path_factory) -> Path:
    """A head of nested balls, 2 mm, in LPS order, with a loose piece beside it and a speck in its brain."""
    folder = tmp_path_factory.mktemp("labels")
    places = np.indices((80, 80, 80)) * 2.0
    radius = np.sqrt(((places - 80.0) ** 2).sum(axis=0))
    labels = np.zeros((80, 80, 80), np.uint8)
    for label, limit in sorted(RADII.items(), key=lambda pair: -pair[1]):
        labels[radius < limit] = label
    labels[2:5, 2:5, 2:5] = 1
    labels[45, 40, 40] = 2
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / "shells.nii.gz")
    (folder / "shells.yaml").write_text(yaml.safe_dump({"tissues": NAMES}))
    return folder / "shells.nii.gz"


def test_depths_are_those_of_the_anatomy(shells):
    head = read_label_map(shells)
    kind, depth = np.divmod(head.codes, DEPTHS)
    ray = np.arange(80 // 2, 80)  # from the middle outward, along one axis
    along, mm = kind[ray, 40, 40], depth[ray, 40, 40] * STEP_MM
    radius = np.abs(ray * 2.0 - 80.0 + 2.0)  # canonical order turns the first axis round
    parts = {part: len(TISSUES) + index for index, part in enumerate(PARTS)}
    soft, skull, white = (along == parts[name] for name in ("soft tissue", "skull", "white matter"))
    assert soft.any()
    np.testing.assert_allclose(mm[soft], 70 - radius[soft], atol=2.5)  # from the air
    np.testing.assert_allclose(mm[skull], np.minimum(58 - radius, radius - 50)[skull], atol=2.5)
    white &= radius > 24  # nearer to the fluid around than to the speck, which became fluid
    np.testing.assert_allclose(mm[white], 44 - radius[white], atol=2.5)


def test_air_in_the_brain_of_a_map_is_fluid(shells):
    solid = read_label_map(shells)
    kinds = (solid.codes // DEPTHS).astype(np.uint8)
    kinds[28:31, 30:36, 36:39] = LABEL["air"]  # in white matter
    kinds[36:40, 12:14, 36:40] = LABEL["air"]  # a sinus in the skull
    again = divide(kinds, solid.spacing).codes // DEPTHS
    assert (again[28:31, 30:36, 36:39] == LABEL["csf"]).all()
    assert (again[36:40, 12:14, 36:40] == LABEL["air"]).all()


def test_loose_pieces_and_specks_of_bone_are_removed(shells):
    kind = read_label_map(shells).codes // DEPTHS
    assert not kind[-6:, -6:, :6].any()
    skull = len(TISSUES) + PARTS.index("skull")
    inside = np.sqrt(((np.indices(kind.shape) - 40.0) ** 2).sum(axis=0)) < 20
    assert not (kind[inside] == skull).any()


def test_bone_at_the_skin_is_skin_and_loose_bone_in_soft_tissue_is_soft(shells):
    kinds = (read_label_map(shells).codes // DEPTHS).astype(np.uint8)
    soft, skull = (len(TISSUES) + PARTS.index(name) for name in ("soft tissue", "skull"))
    radius = np.sqrt(((np.indices(kinds.shape) - 39.5) ** 2).sum(axis=0)) * 2.0
    below = np.arange(kinds.shape[2]) < 20
    shell = ndimage.binary_dilation(kinds == 0) & (kinds == soft) & below
    kinds[shell] = skull
    kinds[39:42, 39:42, 8:10] = skull  # loose, 4 mm below the skin of the neck
    kinds[40, 39, 71:] = 0  # a hole as narrow as an ear's goes to the skull
    again = divide(kinds, np.full(3, 2.0, np.float32), face=False).codes // DEPTHS
    assert shell.sum() > 1000
    assert (again[shell] == soft).all()
    assert (again[39:42, 39:42, 8:10] == soft).all()
    assert (again[(kinds == skull) & (radius < 60)] == soft).mean() < 0.01  # walls between cells of air


@pytest.fixture(scope="module")
def solid() -> LabelMap:
    """A head of 2 mm whose skull fills nose, sinuses and mastoids, as those of maps from MR do."""
    middle = np.array([90, 120, 132]).reshape(3, 1, 1, 1)
    x, y, z = (np.indices((90, 110, 110)) * 2.0 - middle).astype(np.float32)
    kinds = np.zeros(x.shape, np.uint8)
    soft, skull, _, white = (len(TISSUES) + index for index in range(len(PARTS)))
    kinds[(x / 88) ** 2 + ((y + 10) / 108) ** 2 < 1] = soft
    cerebrum = (x / 70) ** 2 + ((y + 16) / 88) ** 2 + (z / 78) ** 2
    base = (z < 0) & (z > -92) & ((x / 80) ** 2 + ((y + 14) / 100) ** 2 < 1)
    kinds[base | (cerebrum < 1.2)] = skull
    kinds[(cerebrum < 1) & ((z > -12) | (y < -44))] = white
    kinds[z > 80] = 0
    return divide(kinds, np.array([2.0, 2.0, 2.0], np.float32))


def at(head: LabelMap, *mm: float) -> int:
    """Kind of tissue at a place of the standard head in `solid`."""
    x, y, z = (round(zero + value / 2) for zero, value in zip((45, 60, 66), mm, strict=True))
    return int(head.codes[x, y, z] // DEPTHS)


def test_sinuses_that_a_map_takes_for_bone_are_air_within_a_shell_of_bone(solid):
    skull = len(TISSUES) + PARTS.index("skull")
    for place in [(8, 8, -40), (20, 40, -40), (30, 44, -60)]:  # sphenoid, beside the ethmoid, maxillary
        assert at(solid, *place) == LABEL["air"], place
    for place in [(0, -20, -60), (30, -24, -46), (50, 60, -20)]:  # clivus, petrous bone, cheek
        assert at(solid, *place) == skull, place


def test_mastoids_are_cells_of_air_between_walls_of_bone(solid):
    kind = solid.codes // DEPTHS
    skull = len(TISSUES) + PARTS.index("skull")
    for side in (slice(70, 80), slice(11, 21)):  # 50 to 68 mm to each side
        cells = kind[side, 44:53, 38:46]
        assert 0.35 < (cells == LABEL["air"]).mean() < 0.75
        assert (cells == skull).any()


def test_a_hollow_nose_has_sheets_from_front_to_back_with_slits_of_air_between(solid):
    nose = (solid.codes // DEPTHS)[40:51, 69:99, 33:45]  # 10 mm to each side, 18 to 78 mm to the front
    assert 0.3 < (nose == LABEL["air"]).mean() < 0.5
    assert 0.4 < (nose == LABEL["mucosa"]).mean() < 0.6
    assert 0.02 < (nose == LABEL["cortical bone"]).mean() < 0.2
    across, along = ((np.diff(nose == LABEL["air"], axis=axis) != 0).mean() for axis in (0, 1))
    assert across > 3 * along
    ethmoid = (solid.codes // DEPTHS)[40:51, 68:90, 48:56]
    assert 0.5 < (ethmoid == LABEL["air"]).mean() < 0.8
    assert (ethmoid == LABEL["mucosa"]).any()


@pytest.mark.parametrize("named", ["muscle", "soft tissue"])
def test_a_sinus_in_soft_tissue_has_a_thin_wall_of_bone_but_for_a_map_with_an_mr(solid, named):
    kinds = (solid.codes // DEPTHS).astype(np.uint8)
    tissue = LABEL[named] if named in LABEL else len(TISSUES) + PARTS.index(named)
    kinds[50:80, 70:95, 22:50] = tissue
    distance = np.linalg.norm(np.moveaxis(np.indices(kinds.shape), 0, -1) - (60, 82, 36), axis=-1) * 2
    kinds[distance < 8] = LABEL["air"]
    kinds[45, 60, 90] = LABEL["vitreous"]  # a map that knows its eyes
    walled, bare = (divide(kinds, solid.spacing, face=face).codes // DEPTHS for face in (True, False))
    near, far = (distance >= 8) & (distance < 9.5), (distance > 13) & (distance < 18)
    assert (walled[near] == LABEL["cortical bone"]).mean() > 0.6
    assert (walled[far] == tissue).mean() == (bare[far] == tissue).mean() > 0.9
    assert (bare[near] == tissue).all()
    assert (bare[distance < 8] == LABEL["air"]).all()
    assert (walled[distance < 8] == LABEL["air"]).all()


def test_a_map_without_cheek_bones_gets_those_of_the_standard_head(solid):
    kinds = (solid.codes // DEPTHS).astype(np.uint8)
    soft, skull = (len(TISSUES) + PARTS.index(name) for name in ("soft tissue", "skull"))
    kinds[:, 59:, 22:52] = np.where(kinds[:, 59:, 22:52] == skull, soft, kinds[:, 59:, 22:52])
    faced, bare = (divide(kinds, solid.spacing, face=face) for face in (True, False))
    for x in (-50, 50):
        assert TISSUES[at(faced, x, 42, -50)].name in ("diploe", "cortical bone")  # cheek bone
        assert at(bare, x, 42, -50) == soft
        assert at(faced, x, 42, -70) == soft
    # The first map knows its cheeks.
    assert at(solid, 50, 42, -70) == skull


def test_a_map_without_eyes_gets_them_in_soft_tissue_alone(solid):
    kinds = (solid.codes // DEPTHS).astype(np.uint8)
    soft, skull = (len(TISSUES) + PARTS.index(name) for name in ("soft tissue", "skull"))
    x, y, z = (np.indices(kinds.shape) - np.array([45, 60, 66]).reshape(3, 1, 1, 1)) * 2.0
    orbit = (np.abs(np.abs(x) - 32) < 20) & (y > 20) & (np.abs(z + 37) < 20)
    kinds[orbit] = soft
    kinds[orbit & (y > 64)] = skull
    seeing, bare = (divide(kinds, solid.spacing, face=face) for face in (True, False))
    for side in (-32, 32):
        assert at(seeing, side, 56, -37) == LABEL["vitreous"]
        assert at(bare, side, 56, -37) == soft
    there, before = seeing.codes // DEPTHS, bare.codes // DEPTHS
    bone = orbit & (y > 64) & (before == skull)
    assert bone.sum() > 1000
    assert (there[bone] == skull).all()
    assert (there[~orbit] == before[~orbit]).mean() > 0.99  # a hollow nose is filled
    # A map that knows one eye keeps it, and gets no other.
    kinds[45 + 16, 88, 66 - 18] = LABEL["vitreous"]
    assert (divide(kinds, solid.spacing).codes // DEPTHS == LABEL["vitreous"]).sum() == 1


def test_nuclei_are_laid_into_white_matter_at_both_sides_and_into_nothing_else(solid):
    for x in (-19, 19):
        assert at(solid, x, -2, -1) == LABEL["pallidum"]
        assert at(solid, x * 1.4, 2, 1) == LABEL["deep nuclei"]
    white = len(TISSUES) + PARTS.index("white matter")
    assert at(solid, 19, 40, -1) == at(solid, 19, -60, -1) == white
    assert at(solid, 0, -2, 20) == white


def test_a_map_that_knows_its_nuclei_keeps_them(solid):
    kinds = (solid.codes // DEPTHS).astype(np.uint8)
    nuclei = np.isin(kinds, [LABEL["pallidum"], LABEL["deep nuclei"]])
    kinds[nuclei] = len(TISSUES) + PARTS.index("white matter")
    kinds[45, 70, 66] = LABEL["pallidum"]
    again = divide(kinds, solid.spacing).codes // DEPTHS
    assert np.argwhere(again == LABEL["pallidum"]).tolist() == [[45, 70, 66]]


@pytest.mark.parametrize("shown", [np.s_[:, :, 66:], np.s_[45:, :, :], np.s_[:, :, 100:], np.s_[45:46]])
def test_a_map_of_a_part_of_a_head_is_read(solid, shown):
    kinds = np.zeros_like(solid.codes, np.uint8)
    kinds[shown] = (solid.codes // DEPTHS)[shown]
    again = divide(kinds, solid.spacing).codes // DEPTHS
    assert (again > 0).sum() > 0.99 * (kinds > 0).sum()  # pieces that were cut loose are gone


def test_a_cut_has_every_layer_and_the_values_of_its_tissues(shells):
    head = read_label_map(shells)
    values = np.stack([np.array([tissue.hu for tissue in TISSUES], np.float32)] * 2)
    found = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        cut = draw_cut(head, rng, 96, lesions=False)
        (hu, other), inside, _ = paint_cut(head, cut, values, rng, planes=1)
        np.testing.assert_array_equal(hu, other)
        assert inside[hu > -1000].all()
        found |= set(np.unique(hu))
    expected = (
        "air",
        "skin",
        "fat",
        "muscle",
        "cortical bone",
        "diploe",
        "csf",
        "grey matter",
        "white matter",
        "deep nuclei",
        "pallidum",
    )
    assert found == {TISSUES[LABEL[name]].hu for name in expected}


def test_fat_lies_in_sheets_between_muscles_and_is_thicker_in_places(shells):
    head, kinds = read_label_map(shells), np.arange(len(TISSUES), dtype=np.float32)[None]
    sheets, less = [], []
    for seed in range(24):
        cut = draw_cut(head, np.random.default_rng(seed), 192, lesions=False)
        usual = replace(cut, variant=np.full_like(cut.variant, USUAL))
        (here,), (plain,) = (
            paint_cut(head, each, kinds, np.random.default_rng(seed), planes=1)[0] for each in (cut, usual)
        )
        fat, muscle = LABEL["fat"], LABEL["muscle"]
        more = (here == fat) & (plain == muscle)
        sheets.append((more & ~ndimage.binary_opening(more, np.ones((5, 5)))).sum() / (plain == muscle).sum())
        less.append(((here == muscle) & (plain == fat)).sum() / (plain == fat).sum())
        assert ((here == LABEL["skin"]) == (plain == LABEL["skin"])).all()
    assert np.median(sheets) > 0.04
    assert np.median(less) > 0.02


def test_bone_and_fluid_are_added_beneath_the_skull_as_thick_as_is_said_and_nowhere_else(shells):
    head = read_label_map(shells)
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(np.arange(0, 80, 0.5), np.arange(0, 80, 0.5), indexing="ij")
    middle = replace(
        draw_cut(head, rng, 160, lesions=False),
        voxels=np.stack([rows, columns, np.full(rows.shape, 40.0)]).astype(np.float32),
        step=np.zeros(3, np.float32),
        variant=np.zeros(rows.shape, np.int64),
    )
    kinds = [["cortical bone", "diploe"], ["csf"], ["grey matter", "white matter"]]
    marked = np.stack([np.isin(np.arange(len(TISSUES)), [LABEL[n] for n in names]) for names in kinds])

    def painted(added):
        cut = replace(middle, added=added)
        return paint_cut(head, cut, marked.astype(np.float32), np.random.default_rng(1), planes=1)[0] > 0

    bone, fluid, brain = painted((0.0, 0.0))
    thicker, less, same = painted((3.0, 0.0))
    assert (thicker >= bone).all()
    assert (fluid | bone)[thicker].all()  # the fluid of the shells is 6 mm wide
    assert (same == brain).all()
    # Rings of 58 to 47 and of 58 to 50 mm.
    assert thicker.sum() / bone.sum() == pytest.approx((58**2 - 47**2) / (58**2 - 50**2), rel=0.08)
    kept, wide, narrow = painted((0.0, 10.0))
    assert (kept == bone).all()
    assert (wide | narrow)[fluid | brain].all()
    # The skull begins at 50 mm; voxels have 2 mm.
    assert np.sqrt(narrow.sum() / np.pi) == pytest.approx(50 - 10, abs=1.5)
    assert np.sqrt(brain.sum() / np.pi) > 41.5
    assert less.sum() < fluid.sum() < wide.sum()


def test_the_planes_below_and_above_a_cut_are_painted_beside_it(shells):
    """Of a ball, the plane that lies nearer to the middle shows the larger disc."""
    made = slices(
        4, 12, 64, contrast="t1", wanted="t2", lesions=False, maps=[read_label_map(shells)], neighbours=1
    )
    assert made.ct.shape == made.mr.shape == made.wanted.shape == (12, 3, 64, 64)
    assert made.head.shape == (12, 1, 64, 64)
    beside = (made.ct[:, :1] != made.ct).any(dim=(1, 2, 3))
    assert 2 <= int(beside.sum()) <= 10  # the others stand for their own neighbours, as pictures do
    middle, below, above = (made.ct[beside] > -300).float().sum(dim=(2, 3)).unbind(1)
    for own, lower, upper in zip(middle.tolist(), below.tolist(), above.tolist(), strict=True):
        assert min(lower, upper) - 60 < own < max(lower, upper) + 60
    assert ((below - above).abs() > 30).any()
    again = slices(4, 12, 64, contrast="t1", wanted="t2", lesions=False, maps=[read_label_map(shells)])
    shown = [(each > -300).float().sum(dim=(1, 2, 3)) for each in (made.ct[:, :1], again.ct)]
    assert (shown[0] - shown[1]).abs().max() < 30  # the cut is the same; its noise is not


def test_no_cut_shows_fat_alone_which_a_brain_window_hides(tmp_path):
    places = np.indices((60, 60, 60)) * 2.5
    ball = ((places - 75.0) ** 2).sum(axis=0) < 65.0**2
    labels = np.where(ball, np.where(places[2] > 80.0, 2, 1), 0).astype(np.uint8)  # the upper half is fat
    nibabel.save(nibabel.Nifti1Image(labels, np.diag([2.5, 2.5, 2.5, 1.0])), tmp_path / "fat.nii.gz")
    (tmp_path / "fat.yaml").write_text(yaml.safe_dump({"tissues": {0: "air", 1: "white matter", 2: "fat"}}))
    made = slices(1, 24, 64, contrast="t1", wanted="t2", maps=[read_label_map(tmp_path / "fat.nii.gz")])
    network = NetworkSettings(size=64, channels=(32, 64))
    ct, *_ = frame_pairs(made, network, ScaleSettings())  # refuses what shows no head
    assert len(ct) == 24


def test_lesions_lie_in_the_brain(shells):
    head = read_label_map(shells)
    marked = np.zeros((1, len(TISSUES)), np.float32)
    marked[0, [LABEL[name] for name in ("tumour", "oedema", "haemorrhage", "infarct", "calcification")]] = 1
    brain = np.zeros((1, len(TISSUES)), np.float32)
    brain[0, [LABEL[name] for name in ("grey matter", "white matter", "deep nuclei", "pallidum")]] = 1
    shown = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cut = draw_cut(head, rng, 64)
        if not cut.lesions:
            continue
        values = np.concatenate([marked, brain])
        painted, _, covered = paint_cut(head, cut, values, np.random.default_rng(1), planes=1)
        beside, *_ = paint_cut(
            head,
            type(cut)(**{**vars(cut), "lesions": ()}),
            values,
            np.random.default_rng(1),
            planes=1,
        )
        assert not beside[0].any()
        assert (beside[1][painted[0] > 0] > 0).all()
        assert covered.max() <= 1  # also where a bleeding lies in its oedema
        np.testing.assert_array_equal(covered > 0, (painted != beside).any(axis=0))
        shown += bool(painted[0].any())
    assert shown


def test_slices_of_maps_follow_from_their_seed_and_say_their_contrast(shells):
    maps = [read_label_map(shells)]
    first, again, other = (slices(seed, 2, 64, contrast="t2", maps=maps) for seed in (5, 5, 6))
    assert (first.ct == again.ct).all()
    assert (first.mr == again.mr).all()
    assert not (first.ct == other.ct).all()
    assert first.told is not None
    told = dict(zip(TOLD, first.told[0, -1].tolist(), strict=True))
    fluid = (first.ct[0] > 0) & (first.ct[0] < 12)
    assert float(first.mr[0][fluid].median()) == pytest.approx((told["csf"] + 1) * 500, abs=150)


def test_every_table_that_ships_names_known_tissues():
    tables = sorted(TABLES.glob("*.yaml"))
    assert len(tables) == 7
    for table in tables:
        assert read_table(Path("any.nii"), table)[0] == "air"


def test_the_table_of_samseg_names_both_sides_alike():
    """Numbers of samseg's atlas; each structure of the left has one of the right."""
    sides = {2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 18: 54, 26: 58}
    sides |= {28: 60, 30: 62, 31: 63}
    single = {0, 14, 15, 16, 24, 72, 77, 80, 85, 99, 165, 258, 259}
    table = read_table(Path("samseg-any.mgz"))
    assert table.keys() == single | sides.keys() | set(sides.values())
    assert all(table[left] == table[right] for left, right in sides.items())


def test_maps_of_samseg_are_taken_as_it_writes_them(tmp_path, shells):
    """It writes `.mgz` with whole numbers of 32 bits."""
    image = nibabel.load(shells)
    labels = np.asarray(image.dataobj)
    theirs = np.array([0, 258, 165, 24, 3, 41], np.int32)[labels]
    nibabel.save(nibabel.MGHImage(theirs, image.affine), tmp_path / "samseg-head7.mgz")
    (found,) = read_maps(TrainSettings(ct="ct", mr="mr", out=tmp_path, anchor_labels=tmp_path))
    np.testing.assert_array_equal(found.codes, read_label_map(shells).codes)


def test_a_folder_without_label_maps_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no map")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputRefused, match="holds no label map"):
            read_maps(TrainSettings(ct="ct", mr="mr", out=tmp_path, anchor_labels=folder))


def test_the_public_maps_are_read_with_the_tables_that_ship(shared_data):
    for path in sorted((shared_data / "heads" / "labels").glob("*.nii.gz"))[:2]:
        head = read_label_map(path)
        made = slices(1, 1, 128, contrast="t1", maps=[head])
        assert (made.ct > 300).float().mean() > 0.02
        assert 0.1 < made.head.float().mean() < 0.9


@pytest.mark.parametrize(
    ("table", "error", "says"),
    [
        (None, SettingsError, "no table of its labels"),
        ("tissues: {0: air, 1: sofa}", SettingsError, "unknown tissues sofa"),
        ("tissues: [air]", SettingsError, "no table of labels"),
        ("tissues: {0: air}", InputRefused, "lacks the labels 1"),
    ],
)
def test_a_map_without_its_whole_table_is_refused(tmp_path, table, error, says):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6, 2:6, 2:6] = 1
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / "head.nii")
    if table:
        (tmp_path / "head.yaml").write_text(table)
    with pytest.raises(error, match=says):
        read_label_map(tmp_path / "head.nii")


def test_what_is_no_map_is_refused(tmp_path):
    (tmp_path / "head.yaml").write_text("tissues: {0: air}")
    (tmp_path / "head.nii").write_bytes(b"no image")
    with pytest.raises(InputRefused, match=r"head\.nii"):
        read_label_map(tmp_path / "head.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2), np.uint8), np.eye(4)), tmp_path / "head.nii")
    with pytest.raises(InputRefused, match="volumes"):
        read_label_map(tmp_path / "head.nii")
