"""The documentation site, built as CI builds it and looked at in a browser: tables, pictures, search, narrowness."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from generator.loading.catalogue import shipped

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
PAGES = ["", "sites/", "adding-a-site/", "spec-reference/", "drift-review/", "contributing/"]
PAGES += [f"sites/{name}/" for name in shipped()]
WIDE, NARROW = 1280, 400


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Reader:
    """A browser that looks at the site."""

    driver: webdriver.Chrome
    base: str

    def open(
        self, page: str, *, width: int = WIDE, scheme: str = "light", script: bool = True
    ) -> None:
        """Open a page in a window of some width, in the colours that the system prefers."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.driver.get(self.base + page)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def shown(self, column: int) -> list[str]:
        """Return the cells of a column of the overview, of those sites that are shown."""
        rows = "[...document.querySelectorAll('.sites tbody tr')].filter(row => !row.hidden)"
        cells: list[str] = self.run(f"{rows}.map(row => row.cells[{column}].textContent.trim())")
        return cells

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return what was logged since the last call."""
        entries: list[dict[str, Any]] = self.driver.execute("getLog", {"type": kind})["value"]
        return entries

    def requests(self) -> list[str]:
        """Return the address of everything that was asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build the site, serve it on the loopback, and return its address."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """Start one browser for all tests."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(
        options=options, service=Service(shutil.which("chromedriver"))
    ) as started:
        yield started


@pytest.fixture
def reader(need: Callable[..., None], request: pytest.FixtureRequest) -> Reader:
    """A browser at the site; it is started only where there is one."""
    need("chromium", "chromedriver")
    found = Reader(request.getfixturevalue("driver"), request.getfixturevalue("address"))
    storage = {"origin": found.base.rstrip("/"), "storageTypes": "local_storage"}
    found.driver.execute_cdp_cmd("Storage.clearDataForOrigin", storage)
    found.log("browser")
    found.requests()
    return found


def test_the_overview_is_whole_without_javascript(reader: Reader) -> None:
    reader.open("sites/", script=False)
    assert [
        row.find_element(By.TAG_NAME, "a").text for row in reader.all(".sites tbody tr")
    ] == list(shipped())
    assert reader.all(".sites form, .sites th button") == []


def test_the_overview_sorts_by_each_column_both_ways(reader: Reader) -> None:
    reader.open("sites/")
    for column, button in enumerate(reader.all(".sites th button")):
        directions = ["ascending", "descending"] if column else ["descending", "ascending"]
        for direction in directions:
            button.click()
            assert reader.all(".sites th")[column].get_attribute("aria-sort") == direction
            cells = [cell.casefold() for cell in reader.shown(column)]
            filled = [cell for cell in cells if cell]
            assert cells == filled + [""] * (len(cells) - len(filled))
            before = "a.localeCompare(b, 'en', {numeric: true})"
            ordered = reader.run(f"arguments[0].toSorted((a, b) => {before})", filled)
            assert filled == (ordered if direction == "ascending" else ordered[::-1])


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("country", 2, "AT"),
        ("login", 3, "certificate"),
        ("GPU", 4, "H100"),
        ("host keys", 5, "pinned"),
        ("status", 6, "active"),
    ],
)
def test_the_overview_filters_by_a_column(
    reader: Reader, name: str, column: int, value: str
) -> None:
    reader.open("sites/")
    everything = reader.shown(column)
    reader.one(f"select[name='{name}'] option[value='{value}']").click()
    wanted = [cell for cell in everything if value in cell.split(", ")]
    assert reader.shown(column) == wanted
    assert 0 < len(wanted) < len(everything)
    assert reader.one(".sites output").text == f"{len(wanted)} of {len(everything)} sites"
    reader.one(".sites button[type='reset']").click()
    WebDriverWait(reader.driver, 5).until(lambda _: reader.shown(column) == everything)


def test_the_overview_filters_by_words_and_keeps_the_order(reader: Reader) -> None:
    reader.open("sites/")
    reader.one(".sites th button").click()
    reader.one(".sites input").send_keys("Austrian")
    assert reader.shown(0) == ["vsc5", "musica"]


def test_the_search_finds_a_site(reader: Reader) -> None:
    reader.open("")
    reader.one(".md-search__input").send_keys("Mahuika")
    found = WebDriverWait(reader.driver, 20).until(lambda _: reader.all(".md-search-result__link"))
    assert str(found[0].get_attribute("href")).startswith(f"{reader.base}sites/nesi-mahuika/")
    assert [
        url for url in reader.requests() if not url.startswith((reader.base, "data:", "blob:"))
    ] == []
    assert reader.log("browser") == []


@pytest.mark.parametrize("name", ["mila", "trillium", "triton"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_page_draws_its_picture_readable(
    reader: Reader, name: str, scheme: str, width: int, tmp_path: Path
) -> None:
    reader.open(f"sites/{name}/", width=width, scheme=scheme)
    reader.driver.save_screenshot(str(tmp_path / f"{name}-{scheme}-{width}.png"))
    picture = reader.one(".way-in svg")
    assert picture.size["width"] > 300
    assert picture.size["height"] > 100
    ink = reader.run("getComputedStyle(document.querySelector('.way-in text')).fill")
    assert (
        contrast(ink, reader.run("getComputedStyle(document.body).backgroundColor")) > 4.5
    )  # WCAG 2, AA


def contrast(ink: str, paper: str) -> float:
    """Return how much two colours differ, from 1 to 21 (WCAG 2); the first may let the second through."""
    below = channels(paper)
    *colour, alpha = [*channels(ink), 1.0][:4]
    shown = [top * alpha + under * (1 - alpha) for top, under in zip(colour, below, strict=False)]
    dark, light = sorted(map(luminance, (shown, below)))
    return (light + 0.05) / (dark + 0.05)


def channels(colour: str) -> list[float]:
    return [float(number) for number in colour.partition("(")[2].rstrip(")").split(",")]


def luminance(colour: list[float]) -> float:
    parts = (part / 255 for part in colour[:3])
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_page_follows_the_scheme_of_the_system(reader: Reader) -> None:
    schemes = []
    for scheme in ("light", "dark"):
        reader.open("sites/", scheme=scheme)
        schemes.append(reader.run("document.body.dataset.mdColorScheme"))
    assert schemes == ["default", "slate"]


@dataclass(frozen=True)
class Line:
    """A line of a picture, and where it stands."""

    words: str
    left: float
    right: float
    top: float
    height: float

    def runs_into(self, other: "Line") -> bool:
        """Tell whether two lines of one height overlap."""
        return abs(self.top - other.top) < 5 and self.left < other.right and other.left < self.right


def drawn(reader: Reader) -> Iterator[Line]:
    """Yield the lines of the picture of a page."""
    box = (
        "(({left, right, top, height}) => [left, right, top, height])(text.getBoundingClientRect())"
    )
    for found in reader.run(
        f"[...document.querySelectorAll('.way-in text')].map(text => [text.textContent, ...{box}])"
    ):
        yield Line(*found)


def test_every_page_fits_a_narrow_screen_and_asks_for_nothing_elsewhere_and_does_not_complain(
    reader: Reader,
) -> None:
    for page in PAGES:
        reader.open(page, width=NARROW)
        assert reader.run("document.scrollingElement.scrollWidth") <= NARROW, page
        lines = list(drawn(reader))
        assert bool(lines) == (page.startswith("sites/") and page != "sites/"), page
        assert all(line.height >= 12 and line.left > 0 and line.right < NARROW for line in lines), (
            page
        )
        assert not any(one.runs_into(other) for one, other in pairwise(lines)), page
    asked = reader.requests()
    assert len(asked) > len(PAGES)
    assert [url for url in asked if not url.startswith((reader.base, "data:", "blob:"))] == []
    assert reader.log("browser") == []


def test_wide_tables_scroll_in_a_box_of_their_own(reader: Reader) -> None:
    reader.open("sites/musica/", width=NARROW)
    boxes = reader.run(
        "[...document.querySelectorAll('.md-typeset__scrollwrap')].map(box => [box.clientWidth, box.scrollWidth])"
    )
    assert boxes
    assert all(inside <= NARROW for inside, _ in boxes)
    assert any(whole > inside for inside, whole in boxes)


def test_the_overview_on_a_narrow_screen_needs_no_scrolling_sideways_at_all(reader: Reader) -> None:
    reader.open("sites/", width=NARROW)
    box = reader.one(".sites .md-typeset__scrollwrap")
    assert reader.run("arguments[0].scrollWidth <= arguments[0].clientWidth", box)
    assert (
        reader.run(
            "getComputedStyle(arguments[0], '::before').content",
            reader.one(".sites td:nth-child(3)"),
        )
        == '"country"'
    )
