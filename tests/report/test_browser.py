"""Pages in Chromium, made of real images: scrolled, windowed, clicked, and their numbers read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from medtranslate.config import TranslateSettings
from medtranslate.evaluation.translate_and_score import translate_and_score
from medtranslate.io import read_volume
from medtranslate.io.layout import to_axial

pytest.importorskip("selenium.webdriver", reason="`make test-browser` installs selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

if TYPE_CHECKING:
    from conftest import Browser

pytestmark = pytest.mark.browser


def translated(folder: Path, source: Path, **more: object) -> Path:
    """The page of a translation by the model that ships, its output beside it."""
    report = folder / "report"
    output = folder / ("made" if source.is_dir() and "mr-t1" not in source.name else "made.nii.gz")
    settings = TranslateSettings(
        input=source,
        output=output,
        to="ct",
        model="phantom",
        report=report,
        **more,  # type: ignore[arg-type]
    )
    translate_and_score(settings, quiet=True)
    return report / "report.html"


@pytest.fixture(scope="module")
def template(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = shared_data / "nifti"
    folder = tmp_path_factory.mktemp("template")
    reference = images / "ct-template-hu.nii.gz"
    return translated(folder, images / "t1-template.nii.gz", reference=reference, samples=2)


@pytest.fixture(scope="module")
def siemens(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siemens")
    shutil.unpack_archive(shared_data / "dicom" / "mr-t1-sagittal-siemens.tar.xz", folder, filter="data")
    return translated(folder, folder / "mr-t1-sagittal-siemens", samples=2)


@pytest.fixture(scope="module")
def pairs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    names = sorted(path.name for path in (shared_data / "paired-ct-mr" / "CT").iterdir())[::5][:20]
    for kind in ("CT", "MRI"):
        (folder / kind).mkdir()
        for name in names:
            shutil.copy(shared_data / "paired-ct-mr" / kind / name, folder / kind / name)
    return translated(folder, folder / "MRI", reference=folder / "CT")


def axial(path: Path, modality: str) -> np.ndarray:
    return to_axial(read_volume(path, modality=modality)).values


def test_a_scored_volume(template: Path, shared_data: Path, browser: Browser) -> None:
    browser.open(template)
    arrays = {
        "source": axial(shared_data / "nifti" / "t1-template.nii.gz", "mr"),
        "translation": axial(template.parents[1] / "made.nii.gz", "ct"),
        "reference": axial(shared_data / "nifti" / "ct-template-hu.nii.gz", "ct"),
    }
    for across, down in ((0.5, 0.5), (0.3, 0.62), (0.52, 0.09), (0.97, 0.03)):
        browser.click("translation", across, down)
        voxel = browser.voxel()
        assert voxel[0] == pytest.approx(across * 91, abs=2)
        assert voxel[1] == pytest.approx(down * 109, abs=2)
        for name, array in arrays.items():
            step = {"source": 1.0, "translation": 0.05, "reference": 1.0}[name]
            assert browser.value(name) == pytest.approx(float(array[voxel]), abs=0.501 * step + 0.005)
    browser.click("translation", 0.52, 0.09)
    voxel = browser.voxel()
    clipped = float(arrays["reference"][voxel].clip(-20, 100))
    assert browser.value("error") == pytest.approx(float(arrays["translation"][voxel]) - clipped, abs=1)
    assert browser.complaints() == []


def test_slices_are_scrolled_by_wheel_keys_slider_and_drag(template: Path, browser: Browser) -> None:
    browser.open(template)
    start = browser.slice()
    frame = browser.frame("source")
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", frame)
    before = browser.driver.execute_script("return scrollY")
    pictures = {name: browser.grey(name) for name in ("source", "translation", "reference", "error")}
    origin = ScrollOrigin.from_element(frame)
    ActionChains(browser.driver).scroll_from_origin(origin, 0, 120).perform()
    assert browser.slice() == start - 3
    assert browser.driver.execute_script("return scrollY") == before
    assert all(browser.grey(name) != value for name, value in pictures.items())
    panes = browser.find("#panes")
    panes.send_keys(Keys.ARROW_UP)
    panes.send_keys(Keys.PAGE_DOWN)
    assert browser.slice() == start - 12
    panes.send_keys(Keys.END)
    assert browser.slice() == 90
    browser.find("#slice").send_keys(Keys.ARROW_LEFT)
    assert browser.slice() == 89
    ActionChains(browser.driver).drag_and_drop_by_offset(frame, 0, 60).perform()
    assert browser.slice() < 80
    panes.send_keys("c")
    browser.drawn()
    assert browser.frame("reference", "coronal").is_displayed()
    assert not browser.frame("reference").is_displayed()
    panes.send_keys("t")
    browser.drawn()
    assert (
        sum(frame.is_displayed() for frame in browser.driver.find_elements(By.CSS_SELECTOR, ".frame")) == 15
    )
    assert browser.complaints() == []


def test_windows_are_chosen_typed_and_dragged(template: Path, browser: Browser) -> None:
    browser.open(template)
    preset = Select(browser.find("#preset-target"))
    assert [option.text for option in preset.options][:4] == ["scored range", "brain", "soft tissue", "bone"]
    first, source = browser.grey("reference"), browser.grey("source")
    preset.select_by_visible_text("bone")
    bone = browser.grey("reference")
    assert bone < first
    assert browser.grey("source") == source
    assert browser.find("#width-target").get_property("value") == "2000"
    browser.find("#width-target").send_keys(Keys.CONTROL + "a" + Keys.NULL, "400", Keys.TAB)
    assert browser.grey("reference") != bone
    assert browser.find("#width-target").get_property("value") == "400"
    assert preset.first_selected_option.text == "own"
    browser.find('input[name="drag"][value="window"] + span').click()
    frame = browser.frame("translation")
    ActionChains(browser.driver).drag_and_drop_by_offset(frame, 80, 0).perform()
    browser.drawn()
    assert float(browser.find("#width-target").get_property("value")) > 500
    whole = browser.grey("error")
    browser.find("#limit-error").send_keys(Keys.CONTROL + "a" + Keys.NULL, "10", Keys.TAB)
    assert browser.grey("error") > whole
    assert browser.complaints() == []


def test_a_click_on_a_curve_or_a_worst_slice_leads_there(template: Path, browser: Browser) -> None:
    browser.open(template)
    chart = browser.find("svg.jumps")
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    places = [float(x) for x in chart.get_attribute("data-places").split()]
    slices = [int(k) for k in chart.get_attribute("data-slices").split()]
    wide = 420 + 72  # of the view box, which begins at -52
    for k in (10, 60):
        x = (places[k] + 52) / wide - 0.5
        ActionChains(browser.driver).move_to_element_with_offset(
            chart, round(x * chart.size["width"]), 0
        ).click().perform()
        assert browser.slice() == pytest.approx(slices[k], abs=1)
    worst = browser.find("button[data-slice]")
    worst.click()
    assert browser.slice() == int(worst.get_attribute("data-slice"))
    chart.send_keys(Keys.ARROW_RIGHT)
    assert browser.slice() == int(worst.get_attribute("data-slice")) + 1
    assert chart.get_attribute("aria-valuenow") == str(browser.slice())
    assert browser.complaints() == []


def test_a_volume_without_reference(siemens: Path, browser: Browser) -> None:
    assert siemens.stat().st_size < 25e6
    browser.open(siemens)
    source = axial(siemens.parents[1] / "mr-t1-sagittal-siemens", "mr")
    browser.click("source", 0.4, 0.45)
    assert browser.value("source") == source[browser.voxel()]
    start = browser.slice()
    browser.find("#panes").send_keys(Keys.PAGE_UP)
    assert browser.slice() == start + 10
    assert not browser.driver.find_elements(By.CSS_SELECTOR, '[data-value="error"]')
    assert "Not scored" in browser.find(".verdict:not(.doubtful)").text
    assert browser.find("#cross").text.startswith("Crosshair at ")
    assert browser.complaints() == []


def test_a_cohort_and_its_cases(pairs: Path, browser: Browser) -> None:
    browser.open(pairs)
    rows = browser.driver.find_elements(By.CSS_SELECTOR, "table.items tbody tr")
    assert len(rows) == 20
    heading = browser.find("table.items thead th:nth-child(2) button")
    heading.click()

    def maes() -> list[float]:
        cells = browser.driver.find_elements(By.CSS_SELECTOR, "table.items tbody tr td:nth-child(2)")
        return [float(cell.text) for cell in cells]

    assert maes() == sorted(maes())
    heading.click()
    assert maes() == sorted(maes(), reverse=True)
    link = browser.find("table.items tbody a")
    name = link.text
    browser.driver.execute_script("arguments[0].click()", link)
    browser.wait(lambda: browser.driver.find_elements(By.CSS_SELECTOR, "#viewer[data-ready]"))
    assert browser.find("h1").text == name
    browser.click("reference", 0.5, 0.4)
    picture = axial(next((pairs.parents[1] / "CT").glob(f"{name}.*")), "ct")
    assert browser.value("reference") == picture[browser.voxel()]
    browser.find("header a").click()
    browser.wait(lambda: browser.find("h1").text == "20 pairs")
    assert browser.complaints() == []


def test_a_phone(template: Path, pairs: Path, open_browser: Callable[..., Browser]) -> None:
    phone = open_browser(width=420, height=850)
    for page in (pairs, template):
        phone.open(page)
        assert phone.driver.execute_script("return document.documentElement.scrollWidth") <= 420
    start = phone.slice()
    frame = phone.frame("translation")
    phone.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", frame)
    box = phone.driver.execute_script("return arguments[0].getBoundingClientRect().toJSON()", frame)
    x, y = box["x"] + 30, box["y"] + 60
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        *(("touchMove", [{"x": x + step, "y": y}]) for step in range(6, 90, 6)),
        ("touchEnd", []),
    ):
        phone.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert phone.slice() > start
    assert phone.complaints() == []
