"""Work of a reader in Chromium: regions against NumPy, comparisons, zoom, slabs, files, print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from medtranslate.records import Evaluation, SliceScores
from medtranslate.report import VIEWS, Pictures, viewer

pytest.importorskip("selenium.webdriver", reason="`make test-browser` installs selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

if TYPE_CHECKING:
    from conftest import Browser

pytestmark = pytest.mark.browser

SHAPE = (60, 48, 14)
SPACING = (1.0, 1.5, 3.0)
WINDOW = (-20.0, 100.0)
AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}


def arrays() -> dict[str, Any]:
    """Whole numbers, which the page holds exactly, smooth enough to have edges."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    inside = x**2 + y**2 + z**2 / 2 < 0.8
    noise = np.random.default_rng(3).integers(-8, 9, SHAPE)
    truth = np.where(inside, 40 + 30 * x + noise, -15).round().astype(np.float32)
    made = np.where(inside, 38 + 20 * x + 10 * y, -20).round().astype(np.float32)
    source = np.where(inside, 500 - 200 * y + 5 * noise, 10).round().astype(np.float32)
    return {"source": source, "translation": made, "reference": truth, "mask": inside}


def page(folder: Path, name: str = "head") -> Path:
    held = arrays()
    found = Pictures(
        *(held["translation"], held["reference"], held["mask"], WINDOW, SPACING),
        source=held["source"],
        source_range=(0.0, 800.0),
        affine=np.diag([-1.0, -1.5, 3.0, 1.0]),
    )
    result = Evaluation(
        profile="image",
        unit="HU",
        name=name,
        volume={"mae": 12.0, "psnr": 20.0, "ssim": 0.8},
        baselines={"source copied": {"mae": 30.5, "psnr": 12.0, "ssim": 0.5}},
        data_range=WINDOW,
        slices=[SliceScores(index=k, position_mm=3.0 * k, scores={"mae": 10.0 + k}) for k in range(14)],
    )
    VIEWS["html"](result, {name: found}, folder)
    return folder / "report.html"


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Browser:
    browser.open(page(tmp_path))
    board(browser)
    return browser


def board(browser: Browser) -> None:
    browser.driver.execute_script("document.getElementById('board').scrollIntoView()")


def drag(browser: Browser, image: str, plane: str, *places: tuple[float, float]) -> None:
    """Press at the first place of a pane, in shares of its sides, and release at the last."""
    browser.drawn()
    frame = browser.frame(image, plane)
    chain = ActionChains(browser.driver, duration=10)
    for k, (x, y) in enumerate(places):
        right, down = ((share - 0.5) * frame.size[side] for share, side in ((x, "width"), (y, "height")))
        chain.move_to_element_with_offset(frame, round(right), round(down))
        if k == 0:
            chain.click_and_hold()
    chain.release().perform()
    browser.drawn()


def exported(browser: Browser) -> dict[str, Any]:
    return json.loads(browser.downloaded("#save-regions").read_text(encoding="utf-8"))


def inside(region: dict[str, Any], shape: tuple[int, int, int] = SHAPE) -> Any:
    """The voxels of a region [X, Y, Z], by NumPy and matplotlib."""
    across, down, through = AXES[region["plane"]]
    u, v = np.meshgrid(np.arange(shape[across]), np.arange(shape[down]), indexing="ij")
    (a, b), (c, d) = region["points"][:2]
    if region["kind"] == "rectangle":
        flat = (u >= min(a, c)) & (u <= max(a, c)) & (v >= min(b, d)) & (v <= max(b, d))
    elif region["kind"] == "ellipse":
        flat = ((u - (a + c) / 2) / ((c - a) / 2)) ** 2 + ((v - (b + d) / 2) / ((d - b) / 2)) ** 2 <= 1
    else:
        centres = np.stack([u.ravel(), v.ravel()], axis=1)
        flat = (
            Outline([*region["points"], region["points"][0]], closed=True)
            .contains_points(centres)
            .reshape(u.shape)
        )
    found = np.zeros([shape[across], shape[down], shape[through]], bool)
    found[..., region["slices"][0] : region["slices"][1] + 1] = flat[..., None]
    return np.moveaxis(found, (0, 1, 2), (across, down, through))


def agree(region: dict[str, Any], images: dict[str, Any]) -> None:
    """The numbers of a region are NumPy's."""
    held, chosen = region["measured"], inside(region)
    assert held["voxels"] == chosen.sum()
    for name, array in images.items():
        values = array[chosen & images["mask"]] if name == "error" else array[chosen]
        if name == "mask":
            continue
        found = held["images"][name]
        assert found["count"] == values.size
        expected = [float(f(values.astype(np.float64))) for f in (np.mean, np.std, np.min, np.max)]
        assert [found[key] for key in ("mean", "sd", "low", "high")] == pytest.approx(expected, abs=1e-9)


def with_error() -> dict[str, Any]:
    held = arrays()
    return {**held, "error": held["translation"] - held["reference"]}


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_regions_have_the_numbers_of_numpy(plane: str, opened: Browser) -> None:
    panes = opened.find("#panes")
    panes.send_keys(plane[0])
    outline = [(0.3, 0.3), (0.5, 0.25), (0.72, 0.4), (0.6, 0.8), (0.35, 0.7), (0.42, 0.5)]
    for key, places in (("r", [(0.3, 0.35), (0.6, 0.7)]), ("e", [(0.7, 0.3), (0.25, 0.65)]), ("f", outline)):
        panes.send_keys(key)
        drag(opened, "translation", plane, *places)
    panes.send_keys("d")
    drag(opened, "source", plane, (0.2, 0.5), (0.8, 0.75))
    kept = exported(opened)
    assert [region["kind"] for region in kept["regions"]] == ["rectangle", "ellipse", "freehand", "distance"]
    for region in kept["regions"][:3]:
        agree(region, with_error())
    across, down, _ = AXES[plane]
    size = np.array([SHAPE[across], SHAPE[down]]) * (SPACING[across], SPACING[down])
    rectangle, ellipse, freehand, distance = (region["measured"] for region in kept["regions"])
    assert rectangle["area"] == pytest.approx(0.3 * 0.35 * size.prod(), rel=0.03)
    assert ellipse["area"] == pytest.approx(np.pi / 4 * 0.45 * 0.35 * size.prod(), rel=0.03)
    assert freehand["area"] == pytest.approx(freehand["voxels"] * SPACING[across] * SPACING[down], rel=0.08)
    assert distance["length"] == pytest.approx(np.hypot(*(size * (0.6, 0.25))), rel=0.02)
    table = opened.find("#region-table").text
    assert f"{rectangle['images']['reference']['mean']:.1f}" in table
    assert "voxels in steps of 1" in table
    assert opened.complaints() == []


def test_keys_alone_draw_an_angle_and_a_freehand_region(opened: Browser) -> None:
    panes = opened.find("#panes")

    def point(*moves: str) -> None:
        panes.send_keys(*moves, Keys.ENTER)

    panes.send_keys("g")
    point()
    point(*[Keys.ARROW_RIGHT] * 6)
    point(Keys.SHIFT, *[Keys.ARROW_DOWN] * 4, Keys.NULL)  # four rows
    panes.send_keys("f")
    point()
    point(*[Keys.ARROW_LEFT] * 9)
    point(Keys.SHIFT, *[Keys.ARROW_UP] * 5, Keys.NULL)
    panes.send_keys(Keys.ENTER)
    panes.send_keys("r", Keys.ENTER, Keys.ESCAPE)  # dropped
    angle, freehand = exported(opened)["regions"]
    assert angle["measured"]["angle"] == pytest.approx(90, abs=1e-6)
    assert freehand["measured"]["area"] == pytest.approx(9 * 5 * 1.5 / 2)
    assert freehand["measured"]["voxels"] > 10
    remove = opened.find('button[aria-label="Remove region 1"]')
    remove.send_keys(Keys.ENTER)
    opened.drawn()
    assert [region["kind"] for region in exported(opened)["regions"]] == ["freehand"]
    assert opened.complaints() == []


def test_a_slab_is_drawn_and_a_region_spans_it(opened: Browser) -> None:
    held = with_error()
    low, high = WINDOW
    opened.find("#slab-count").send_keys(Keys.CONTROL + "a" + Keys.NULL, "5", Keys.TAB)
    middle = opened.slice()
    slab = held["translation"][..., middle - 2 : middle + 3]
    for kind, collect in (("mean", np.mean), ("maximum", np.max), ("minimum", np.min)):
        Select(opened.find("#slab-kind")).select_by_visible_text(kind)
        grey = 255 * np.clip((collect(slab, axis=2) - low) / (high - low), 0, 1)
        assert np.abs(opened.pixels("translation")[..., 0].T - grey).max() <= 0.501
    opened.find("#panes").send_keys("r")
    drag(opened, "translation", "axial", (0.3, 0.35), (0.6, 0.7))
    (region,) = exported(opened)["regions"]
    assert region["slices"] == [middle - 2, middle + 2]
    agree(region, held)
    assert region["measured"]["volume"] == pytest.approx(region["measured"]["area"] * 5 * 3.0 / 1000)
    assert f"{kind} of 5 slices" in opened.find("#place").text


def test_images_are_laid_over_each_other(opened: Browser) -> None:
    panes = opened.find("#panes")
    lower, upper = (opened.pixels(name)[..., 0].astype(int) for name in ("reference", "translation"))
    panes.send_keys("o")
    opened.drawn()
    assert not opened.frame("translation").is_displayed()

    def pair(amount: float | None = None) -> Any:
        if amount is not None:
            opened.driver.execute_script(
                "const a = document.getElementById('compare-amount'); a.value = arguments[0];"
                "a.dispatchEvent(new Event('input'));",
                amount,
            )
        return opened.pixels("pair").astype(int)

    for share in (0, 25, 100):
        mixed = lower + (upper - lower) * share / 100
        assert np.abs(pair(share)[..., 0] - mixed).max() <= 1
    panes.send_keys("o")  # blink
    seen = {"lower": False, "upper": False}

    def both() -> bool:
        now = pair()[..., 0]
        seen["lower"] |= bool((now == lower).all())
        seen["upper"] |= bool((now == upper).all())
        return all(seen.values())

    pair(0.4)
    opened.wait(both)
    panes.send_keys("o")  # checkerboard, squares of 60 mm / 6
    squares = pair(6)[..., 0]
    v, u = np.indices(squares.shape)
    odd = ((u + 0.5) // 10 + (1.5 * (v + 0.5)) // 10) % 2 == 1
    assert (squares == np.where(odd, upper, lower)).all()
    panes.send_keys("o")  # swipe
    swiped = pair(40)[..., 0]
    assert (swiped[:, :24] == upper[:, :24]).all()
    assert (swiped[:, 24:] == lower[:, 24:]).all()
    panes.send_keys("]")
    assert (pair()[:, 24:26, 0] == upper[:, 24:26]).all()
    panes.send_keys("o")  # edges
    marked = (pair(15) == (255, 209, 61)).all(axis=2)
    assert 40 < marked.sum() < 600
    outside = ~arrays()["mask"][..., opened.slice()].T
    assert not marked[
        outside & np.roll(outside, 2, 0) & np.roll(outside, -2, 0) & np.roll(outside, 2, 1)
    ].any()
    panes.send_keys("o")
    opened.drawn()
    assert opened.frame("translation").is_displayed()
    assert opened.complaints() == []


def test_zoom_keeps_the_voxel_under_the_pointer(opened: Browser) -> None:
    panes = opened.find("#panes")
    start = opened.voxel()
    panes.send_keys("+", "+", "+")
    opened.drawn()
    drawn = (
        "return document.querySelector('.pane[data-image=translation] canvas').getBoundingClientRect().width"
    )
    wide = opened.driver.execute_script(drawn)
    frame = opened.frame("translation")
    assert wide == pytest.approx(1.4**3 * frame.size["width"], rel=0.01)
    cross = opened.driver.execute_script(
        "const r = arguments[0].querySelector('.marks line').getBoundingClientRect();"
        "const f = arguments[0].getBoundingClientRect(); return (r.left + r.width / 2 - f.left) / f.width;",
        frame,
    )
    opened.click("translation", cross, 0.5)
    assert opened.voxel()[0] == start[0]
    board(opened)
    opened.driver.execute_script("document.querySelector('input[value=zoom]').click()")
    before = opened.pixels("translation")
    drag(opened, "translation", "axial", (0.5, 0.5), (0.6, 0.5))
    assert (opened.pixels("translation") == before).all()
    opened.click("translation", cross, 0.5)
    assert opened.voxel()[0] < start[0]
    opened.find("#zoom-fit").click()
    opened.drawn()
    assert opened.driver.execute_script(drawn) == pytest.approx(frame.size["width"], rel=0.01)


def test_a_saved_page_has_the_regions_and_the_comment(opened: Browser, tmp_path: Path) -> None:
    opened.find("#panes").send_keys("e")
    drag(opened, "translation", "axial", (0.3, 0.35), (0.6, 0.7))
    opened.find("#comment").send_keys("</script><!-- looks thin frontally")
    opened.find("#region-table input").send_keys("Thalamus", Keys.TAB)
    before = exported(opened)
    saved = opened.downloaded("#save-page")
    copied = tmp_path / "saved.html"
    copied.write_bytes(saved.read_bytes())
    opened.open(copied)
    assert exported(opened) == before
    assert before["regions"][0]["name"] == "Thalamus"
    assert opened.find("#comment").get_property("value") == "</script><!-- looks thin frontally"
    again = opened.downloaded("#save-page")
    assert again.read_bytes() == copied.read_bytes()
    assert opened.complaints() == []


def placed(**changes: object) -> dict[str, object]:
    region = {"kind": "rectangle", "plane": "axial", "slices": [3, 3], "points": [[1, 1], [7, 5]]}
    return {"regions": [region | changes]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "the file is no JSON"),
        ({"schema": "another/2", "regions": []}, "holds no regions of the form"),
        ({"shape": [9, 9, 9]}, "of an image of 9,9,9 voxels"),
        ({"digest": "0" * 64}, "are of another image"),
        (placed(points=[[1, 1], [70, 5]]), "region 1 has points outside"),
        (placed(points=[[1, 1], [None, 5]]), "region 1 has points outside"),
        (placed(points=[[1, 1]]), "region 1 does not have the points"),
        (placed(slices=[3, 14]), "region 1 lies in slices outside"),
        (placed(kind="toString"), "region 1 is no"),
        ({"regions": [None]}, "region 1 is no"),
    ],
)
def test_regions_from_elsewhere_are_refused_in_a_sentence(
    given: Any, said: str, opened: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "regions.json"
    good = {"schema": "medtranslate/regions/1", "shape": list(SHAPE), "regions": []}
    file.write_text(given if isinstance(given, str) else json.dumps(good | given))
    opened.find("#read-regions").send_keys(str(file))
    opened.wait(lambda: opened.find("#told").text)
    assert opened.find("#told").text.startswith("Not read: ")
    assert said in opened.find("#told").text
    assert exported(opened)["regions"] == []
    assert opened.complaints() == []


def test_regions_of_a_coarser_page_lie_where_they_were_drawn(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "MOST_VOXELS", 15_000)  # every second pixel
    browser.open(page(tmp_path))
    file = tmp_path / "regions.json"
    region = {"kind": "rectangle", "plane": "axial", "slices": [6, 6], "points": [[10, 8], [30.5, 21]]}
    file.write_text(
        json.dumps({"schema": "medtranslate/regions/1", "shape": list(SHAPE), "regions": [region]})
    )
    browser.find("#read-regions").send_keys(str(file))
    browser.wait(lambda: "1 regions were read" in browser.find("#told").text)
    (kept,) = exported(browser)["regions"]
    assert kept["points"] == region["points"]
    assert kept["measured"]["area"] == pytest.approx(20.5 * 13 * 1.5)
    coarse = arrays()["reference"][10:31:2, 8:22:2, 6]
    assert kept["measured"]["voxels"] == coarse.size
    assert kept["measured"]["images"]["reference"]["mean"] == pytest.approx(float(coarse.mean()), abs=1e-4)


def test_a_picture_is_saved_as_it_is_seen(opened: Browser) -> None:
    opened.find("#panes").send_keys("r")
    drag(opened, "translation", "axial", (0.3, 0.35), (0.6, 0.7))
    picture = np.asarray(Image.open(opened.downloaded("#save-picture")).convert("RGB")).astype(int)
    width = opened.find("#panes").size["width"]
    assert picture.shape[1] == pytest.approx(2 * width, abs=3)
    outline = (np.abs(picture - (255, 212, 121)).max(axis=2) < 12).sum()
    assert outline > 4 * 200  # in each of four images
    assert opened.complaints() == []


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_first_screen_has_the_verdict_and_the_planes(
    width: int, height: int, open_browser: Callable[..., Browser], tmp_path: Path
) -> None:
    screen = open_browser(width, height)
    screen.open(page(tmp_path))
    for part in ("h1", ".first .verdict h2", ".key-planes svg"):
        box = screen.driver.execute_script(
            "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", part
        )
        assert 0 <= box["top"] < box["bottom"] <= height
        assert 0 <= box["left"] < box["right"] <= width
    assert screen.driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert len(screen.driver.find_elements("css selector", ".key-planes image")) == 9
    screen.driver.find_elements("css selector", ".key-planes a")[3].send_keys(Keys.ENTER)
    screen.drawn()
    assert screen.find("#viewer").get_attribute("data-plane") == "coronal"
    assert screen.complaints() == []


def test_dark_and_print(open_browser: Callable[..., Browser], tmp_path: Path) -> None:
    opened = open_browser(1000, 800)
    opened.open(page(tmp_path))

    def colour() -> int:
        text = opened.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in text.strip("rgb()").split(",")[:3])

    def media(name: str, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        opened.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": name, "features": features})

    opened.find("#comment").send_keys("seen")
    media("screen", "dark")
    dark = colour()
    media("screen", "light")
    assert dark < 200 < colour()
    assert not opened.find(".signature").is_displayed()
    media("print", "dark")
    assert colour() == 3 * 255
    assert opened.find(".signature").is_displayed()
    assert opened.find("#comment-printed").text == "seen"
    assert not opened.find("#board").is_displayed()
    assert opened.find(".key-planes").is_displayed()
