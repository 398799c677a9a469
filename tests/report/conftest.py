"""A Chromium that opens pages, for tests marked `browser`."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

SWITCHES = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
)
OURS = ("file:", "data:", "about:", "blob:")


class Browser:
    """A Chromium of its own, whose console and requests are read."""

    def __init__(self, profile: Path, width: int = 1600, height: int = 1000) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for switch in (*SWITCHES, f"user-data-dir={profile}", f"window-size={width},{height}"):
            options.add_argument(f"--{switch}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.downloads = profile / "downloads"
        kept = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", kept)

    def open(self, page: Path) -> None:
        self.driver.get(page.resolve().as_uri())
        self.wait(lambda: not self.driver.find_elements("id", "opening"))

    def wait(self, done: Callable[[], object]) -> None:
        for _ in range(3000):  # a busy machine is slow
            if done():
                return
            time.sleep(0.05)
        raise TimeoutError(self.driver.find_element("tag name", "body").text[:400])

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def frame(self, image: str, plane: str = "axial") -> WebElement:
        return self.find(f'.pane[data-plane="{plane}"][data-image="{image}"] .frame')

    def value(self, image: str) -> float:
        text = self.find(f'.pane[data-plane="axial"] output[data-value="{image}"]').text
        return float(text.split()[0].replace("\u2212", "-"))

    def slice(self) -> int:
        self.drawn()
        return int(self.find("#slice").get_property("value"))

    def voxel(self) -> tuple[int, int, int]:
        self.drawn()
        x, y, z = re.search(r"voxel (\d+), (\d+), (\d+)", self.find("#cross").text).groups()
        return int(x), int(y), int(z)

    def drawn(self) -> None:
        """Wait for the frame after the next."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
        )

    def grey(self, image: str) -> float:
        """Mean red of a pane, as it is drawn."""
        self.drawn()
        return self.driver.execute_script(
            "const c = arguments[0].querySelector('canvas');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let sum = 0; for (let k = 0; k < d.length; k += 4) sum += d[k]; return sum / d.length * 4;",
            self.frame(image),
        )

    def click(self, image: str, across: float, down: float) -> None:
        frame = self.frame(image)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", frame)
        x, y = ((share - 0.5) * frame.size[side] for share, side in ((across, "width"), (down, "height")))
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).move_to_element_with_offset(frame, int(x), int(y)).click().perform()

    def downloaded(self, button: str) -> Path:
        """Press a button, and wait for the file that it gives; those of earlier calls are removed."""
        for old in self.downloads.glob("*"):
            old.unlink()
        self.find(button).click()

        def done() -> list[Path]:
            found = list(self.downloads.glob("*"))
            return [
                path for path in found if path.suffix in (".html", ".json", ".png") and path.stat().st_size
            ]

        self.wait(done)
        return done()[0]

    def pixels(self, image: str, plane: str = "axial") -> Any:
        """Red, green, blue of a pane [rows, columns, 3], as it is drawn."""
        import numpy as np

        self.drawn()
        width, height, data = self.driver.execute_script(
            "const c = arguments[0].querySelector('canvas');"
            "return [c.width, c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]];",
            self.frame(image, plane),
        )
        return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]

    def complaints(self) -> list[str]:
        """Errors of the console, and every request of a page that is not for the page itself."""
        said = [str(entry) for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"].startswith("file:")
        ]
        assert asked
        return said + [url for url in asked if not url.startswith(OURS)]


@pytest.fixture(scope="module")
def open_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Browser]]:
    """Start browsers of any size; all end with the module's tests."""
    pytest.importorskip("selenium", reason="`make test-browser` installs selenium")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs Chromium and its driver: `make test-browser` installs them")
    started: dict[tuple[int, int], Browser] = {}

    def start(width: int = 1600, height: int = 1000) -> Browser:
        if (width, height) not in started:
            started[width, height] = Browser(tmp_path_factory.mktemp("profile"), width, height)
        started[width, height].driver.get_log("browser")
        return started[width, height]

    yield start
    for browser in started.values():
        browser.driver.quit()


@pytest.fixture
def browser(open_browser: Callable[..., Browser]) -> Browser:
    return open_browser()
