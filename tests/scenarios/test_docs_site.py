"""The documentation site in a browser: tables, pictures, search, narrow screens."""

import html
import json
import os
import re
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
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from catalogue_sites import SITES
from depth import sample
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from waiting import wait_until

from generator.loading.catalogue import shipped

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
# Those of docs/, those that come from other files, and some of the generated ones.
PAGES = ["", "sites/", "contributing/", "security/", "changelog/"]
PAGES += [f"{path.stem}/" for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES += [f"sites/{name}/" for name in sample(SITES, 10)]
ANCHOR = re.compile(r'\b(?:id|name)="?([^"\s>]+)')
HREF = re.compile(r'\b(?:href|src)="?([^"\s>]+)')
# As a user reads them in a terminal, a journal or a log.
ERRORS = [
    "Host key verification failed.",
    "No ED25519 host key is known for",
    "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
    "Permission denied (publickey,keyboard-interactive)",
    "Too many authentication failures",
    "unix_listener: path too long for Unix domain socket",
    "Main process exited, code=exited, status=127/n/a",
    "another gen is still running",
    "Could not resolve hostname",
    "Connection timed out",
    "was edited since gen wrote it",
    "your entry would change",
    "gen: command not found",
    "refuses the app password (invalid_grant)",
    "asked gen not to come back before",
    "its TLS certificate is not trusted",
    "is not on PATH",
    "the CA does not answer (connection refused)",
]
# Pixels: a laptop, and a phone.
WIDE, NARROW = 1280, 400
PATIENCE = 120
"""Seconds that the browser may take on a busy machine."""


class SilentHandler(SimpleHTTPRequestHandler):
    """A handler that serves files and prints nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@dataclass
class SiteBrowser:
    """A browser at the documentation site."""

    driver: webdriver.Chrome
    base: str

    def open(
        self, page: str, *, width: int = WIDE, scheme: str = "light", script: bool = True
    ) -> None:
        """Open a page in a window of some width, on a system that prefers a colour scheme."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.driver.get(self.base + page)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def first(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def is_in_view(self, name: str) -> bool:
        """Return whether an element is in the upper half of the window."""
        box = "document.getElementById(arguments[0]).getBoundingClientRect()"
        return 0 <= float(self.run(f"{box}.top", name)) < 450

    def visible_cells(self, column: int) -> list[str]:
        """Return the cells of a column of the overview, for the sites that it shows."""
        rows = "[...document.querySelectorAll('.sites tbody tr')].filter(row => !row.hidden)"
        cells: list[str] = self.run(f"{rows}.map(row => row.cells[{column}].textContent.trim())")
        return cells

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Return the log entries since the last call."""
        entries: list[dict[str, Any]] = self.driver.execute("getLog", {"type": kind})["value"]
        return entries

    def requests(self) -> list[str]:
        """Return the URL of each request since the last call."""
        urls = []
        for entry in self.log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                urls.append(event["params"]["request"]["url"])
        return urls

    def check_requests(self, at_least: int) -> None:
        """Check that there were some requests since the last call, and that the site served all."""
        urls = self.requests()
        assert len(urls) >= at_least
        for url in urls:
            assert url.startswith((self.base, "data:", "blob:"))


@pytest.fixture(scope="module")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, and return its directory."""
    directory = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", directory],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return directory


@pytest.fixture(scope="module")
def address(built_site: Path) -> Iterator[str]:
    """Serve the site on the loopback, and return its address."""
    handler = partial(SilentHandler, directory=built_site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """Start one browser for all tests here."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    # Chromium refuses to run as root with its sandbox, and /dev/shm of a container is small.
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(
        options=options, service=Service(shutil.which("chromedriver"))
    ) as started:
        yield started


@pytest.fixture
def browser(need: Callable[..., None], request: pytest.FixtureRequest) -> SiteBrowser:
    """Return a browser with empty logs and no stored data, started only where it is installed."""
    need("chromium", "chromedriver")
    browser = SiteBrowser(request.getfixturevalue("driver"), request.getfixturevalue("address"))
    # The theme remembers the chosen colours there.
    storage = {"origin": browser.base.rstrip("/"), "storageTypes": "local_storage"}
    browser.driver.execute_cdp_cmd("Storage.clearDataForOrigin", storage)
    browser.log("browser")
    browser.requests()
    return browser


def test_the_overview_has_every_site_without_javascript(browser: SiteBrowser) -> None:
    browser.open("sites/", script=False)
    rows = browser.all(".sites tbody tr")
    assert [row.find_element(By.TAG_NAME, "a").text for row in rows] == list(shipped())
    assert browser.all(".sites form, .sites th button") == []


def test_the_overview_sorts_by_each_column_in_both_directions(browser: SiteBrowser) -> None:
    browser.open("sites/")
    for column, button in enumerate(browser.all(".sites th button")):
        # The page comes sorted by the first column, so that a click reverses it.
        directions = ["ascending", "descending"] if column else ["descending", "ascending"]
        for direction in directions:
            button.click()
            check_order(browser, column, direction)


def check_order(browser: SiteBrowser, column: int, direction: str) -> None:
    assert browser.all(".sites th")[column].get_attribute("aria-sort") == direction
    cells = [cell.casefold() for cell in browser.visible_cells(column)]
    texts = [cell for cell in cells if cell]
    assert cells == texts + [""] * (len(cells) - len(texts)), "empty cells come last"
    compare = "a.localeCompare(b, 'en', {numeric: true})"
    ascending = browser.run(f"arguments[0].toSorted((a, b) => {compare})", texts)
    assert texts == (ascending if direction == "ascending" else ascending[::-1])


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("country", 2, "AT"),
        ("login", 3, "certificate"),
        ("scheduler", 4, "Slurm"),
        ("GPU", 5, "H100"),
        ("host keys", 6, "pinned"),
        ("status", 7, "active"),
    ],
)
def test_the_overview_filters_by_a_column(
    browser: SiteBrowser, name: str, column: int, value: str
) -> None:
    browser.open("sites/")
    all_cells = browser.visible_cells(column)
    browser.first(f"select[name='{name}'] option[value='{value}']").click()
    matching = [cell for cell in all_cells if value in cell.split(", ")]
    assert browser.visible_cells(column) == matching
    assert 0 < len(matching) < len(all_cells)
    assert browser.first(".sites output").text == f"{len(matching)} of {len(all_cells)} sites"
    browser.first(".sites button[type='reset']").click()
    wait = WebDriverWait(browser.driver, PATIENCE)
    wait.until(lambda _: browser.visible_cells(column) == all_cells)


def test_the_overview_filters_by_text_and_keeps_the_order(browser: SiteBrowser) -> None:
    browser.open("sites/")
    browser.first(".sites th button").click()
    browser.first(".sites input").send_keys("Austrian")
    assert browser.visible_cells(0) == ["vsc5", "musica"]


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("install", "install/"),
        ("renew certificates", "renewal/"),
        ("add a site", "adding-a-site/"),
        ("compile_site", "python/"),
        ("exit status", "commands/"),
    ],
)
def test_the_search_finds_the_page_of_a_task(browser: SiteBrowser, words: str, page: str) -> None:
    assert page in search_results(browser, words)[:3]


def search_results(browser: SiteBrowser, words: str) -> list[str]:
    """Return the pages that the search finds, the best one first."""
    browser.open(f"?q={quote(words)}")
    wait = WebDriverWait(browser.driver, PATIENCE)
    links = wait.until(lambda _: browser.all(".md-search-result__link"))
    pages = []
    for link in links:
        # Further links lead to the sections of a page.
        page = urlsplit(str(link.get_attribute("href"))).path.removeprefix("/")
        if page not in pages:
            pages.append(page)
    return pages


def test_the_search_finds_a_site(browser: SiteBrowser) -> None:
    browser.open("")
    browser.first(".md-search__input").send_keys("Mahuika")
    wait = WebDriverWait(browser.driver, PATIENCE)
    links = wait.until(lambda _: browser.all(".md-search-result__link"))
    href = str(links[0].get_attribute("href"))
    assert href.startswith(f"{browser.base}sites/nesi-mahuika/")
    # The site works without other servers, and sends none of them the address of a reader.
    browser.check_requests(at_least=1)
    assert browser.log("browser") == []


@pytest.mark.parametrize("name", ["mila", "trillium", "triton"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_of_a_page_is_readable(
    browser: SiteBrowser, name: str, scheme: str, width: int, tmp_path: Path
) -> None:
    browser.open(f"sites/{name}/", width=width, scheme=scheme)
    browser.driver.save_screenshot(str(tmp_path / f"{name}-{scheme}-{width}.png"))
    picture = browser.first(".way-in svg")
    assert picture.size["width"] > 300
    assert picture.size["height"] > 100
    text_colour = browser.run("getComputedStyle(document.querySelector('.way-in text')).fill")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert contrast(text_colour, background) > 4.5  # level AA of WCAG 2


def contrast(foreground: str, background: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2); the first may be transparent."""
    red, green, blue, alpha = [*channels(foreground), 1.0][:4]
    behind = channels(background)
    mixed = []
    for top, bottom in zip((red, green, blue), behind, strict=False):
        mixed.append(top * alpha + bottom * (1 - alpha))
    dark, light = sorted([luminance(mixed), luminance(behind)])
    return (light + 0.05) / (dark + 0.05)


def channels(colour: str) -> list[float]:
    """Return the numbers of `rgb(…)` or `rgba(…)`."""
    return [float(number) for number in colour.partition("(")[2].rstrip(")").split(",")]


def luminance(colour: list[float]) -> float:
    """Return the relative luminance of a colour, from 0 to 1 (WCAG 2)."""
    total = 0.0
    for weight, channel in zip((0.2126, 0.7152, 0.0722), colour[:3], strict=True):
        share = channel / 255
        if share <= 0.04045:
            total += weight * share / 12.92
        else:
            total += weight * ((share + 0.055) / 1.055) ** 2.4
    return total


@pytest.mark.parametrize(("scheme", "theme"), [("light", "default"), ("dark", "slate")])
def test_the_page_follows_the_scheme_of_the_system(
    browser: SiteBrowser, scheme: str, theme: str
) -> None:
    browser.open("sites/", scheme=scheme)
    assert browser.run("document.body.dataset.mdColorScheme") == theme


@dataclass(frozen=True)
class TextLine:
    """A line of text in a picture, and its position."""

    text: str
    start: float
    end: float
    top: float
    height: float

    def overlaps(self, line: "TextLine") -> bool:
        """Return whether two lines at one height overlap."""
        is_beside = abs(self.top - line.top) < 5
        return is_beside and self.start < line.end and line.start < self.end


def picture_lines(browser: SiteBrowser) -> list[TextLine]:
    """Return the lines of text in the picture of a page."""
    box = "(({left, right, top, height}) => [left, right, top, height])"
    script = (
        "[...document.querySelectorAll('.way-in text')]"
        f".map(text => [text.textContent, ...{box}(text.getBoundingClientRect())])"
    )
    return [TextLine(*values) for values in browser.run(script)]


def test_every_page_has_navigation_and_search_and_fits_both_schemes_and_widths(
    browser: SiteBrowser,
) -> None:
    for page in PAGES:
        for width, scheme in ((WIDE, "dark"), (NARROW, "light")):
            browser.open(page, width=width, scheme=scheme)
            assert browser.run("document.scrollingElement.scrollWidth") <= width, page
            check_text_is_readable(browser, page)
            assert len(browser.all("article h1")) == 1, page
            assert browser.first(".md-search__input").is_enabled(), page
            # A wide screen has tabs, a narrow one a button that opens the same list.
            tabs, button = browser.first(".md-tabs"), browser.first(".md-header__button[for]")
            assert (tabs.is_displayed(), button.is_displayed()) == (width == WIDE, width == NARROW)
        lines = picture_lines(browser)
        # Each page of a site has a picture, and no other page has one.
        assert bool(lines) == (page.startswith("sites/") and page != "sites/"), page
        for line in lines:
            # Smaller text is not readable on a phone.
            assert line.height >= 12, page
            assert 0 < line.start < line.end < NARROW, page
        for line, next_line in pairwise(lines):
            assert not line.overlaps(next_line), page
    browser.check_requests(at_least=len(PAGES) + 1)
    # Neither an error of a script nor a file that is missing.
    assert browser.log("browser") == []


def check_text_is_readable(browser: SiteBrowser, page: str) -> None:
    """Check the contrast of the text of a page, and of its code."""
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    for selector in ("article h1", "article p", "article p a[href]"):
        for element in browser.all(selector)[:1]:
            colour = browser.run("getComputedStyle(arguments[0]).color", element)
            # 4.5 is level AA of WCAG 2; large text needs 3.
            least = 3 if selector == "article h1" else 4.5
            assert contrast(colour, background) >= least, (page, selector)


@dataclass(frozen=True)
class BuiltPage:
    """A page of the built site: the names that a link may end with, and its links."""

    anchors: frozenset[str]
    links: tuple[str, ...]


def built_page(path: Path) -> BuiltPage:
    text = path.read_text()
    return BuiltPage(frozenset(ANCHOR.findall(text)), tuple(HREF.findall(text)))


def test_every_link_of_every_page_leads_to_a_file_and_an_anchor(built_site: Path) -> None:
    pages = {path: built_page(path) for path in built_site.rglob("*.html")}
    assert len(pages) > len(SITES)
    broken = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(urljoin(f"site:///{path.relative_to(built_site)}", html.unescape(link)))
            # The theme names its switches `__…`, such as the one that opens the navigation.
            if url.scheme != "site" or url.fragment.startswith("__"):
                continue
            file = built_site / unquote(url.path).lstrip("/")
            if file.is_dir():
                file /= "index.html"
            is_anchor = not url.fragment or url.fragment in pages[file].anchors
            if not (file.is_file() and is_anchor):
                broken.append((str(path.relative_to(built_site)), link))
    assert broken == []


def test_two_clicks_lead_from_the_front_page_to_each_error(browser: SiteBrowser) -> None:
    browser.open("")
    browser.run("arguments[0].click()", browser.driver.find_element(By.LINK_TEXT, "Fix an error"))
    wait = WebDriverWait(browser.driver, PATIENCE)
    wait.until(lambda _: browser.driver.current_url == f"{browser.base}troubleshooting/")
    entries = browser.all("article ul:first-of-type a[href^='#']")
    assert len(entries) >= 13
    for entry in entries:
        browser.run("arguments[0].click()", entry)
        target = str(entry.get_attribute("hash")).removeprefix("#")
        wait_until(partial(browser.is_in_view, target))


@pytest.mark.parametrize("words", sample(ERRORS, 6))
def test_the_search_finds_the_fix_of_an_error(browser: SiteBrowser, words: str) -> None:
    assert "troubleshooting/" in search_results(browser, words)[:3]


def test_a_wide_table_scrolls_in_its_own_box(browser: SiteBrowser) -> None:
    browser.open("sites/musica/", width=NARROW)
    boxes = browser.run(
        "[...document.querySelectorAll('.md-typeset__scrollwrap')]"
        ".map(box => [box.clientWidth, box.scrollWidth])"
    )
    assert boxes
    widest = 0
    for width, content_width in boxes:
        assert width <= NARROW
        widest = max(widest, content_width)
    assert widest > NARROW


def test_the_overview_needs_no_horizontal_scrolling_on_a_narrow_screen(
    browser: SiteBrowser,
) -> None:
    browser.open("sites/", width=NARROW)
    box = browser.first(".sites .md-typeset__scrollwrap")
    assert browser.run("arguments[0].scrollWidth <= arguments[0].clientWidth", box)
    cell = browser.first(".sites td:nth-child(3)")
    # On a narrow screen each cell has the title of its column before it.
    title = browser.run("getComputedStyle(arguments[0], '::before').content", cell)
    assert title == '"country"'
