"""`dg dev` in a browser: the graph of the assets, and a run that a user starts there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ports import free_port
from project import TOOLS, Project
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

PATIENCE = 250
"""Seconds. Dagster starts five processes, each in ten seconds, and a busy machine needs longer."""


class Visitor:
    """A browser at the web server of Dagster."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base
        # Dagster redraws its pages while a test looks at them.
        redrawn = [StaleElementReferenceException, ElementClickInterceptedException]
        self.wait = WebDriverWait(driver, PATIENCE, ignored_exceptions=redrawn)

    def open(self, page: str) -> None:
        self.driver.get(self.base + page)

    def wait_for(self, *texts: str) -> None:
        """Wait until the page has some texts, anywhere."""

        def has_all(driver: webdriver.Chrome) -> bool:
            body = driver.find_element(By.TAG_NAME, "body").text
            return all(text in body for text in texts)

        self.wait.until(has_all)

    def click(self, label: str) -> None:
        """Click a button as soon as the page has it."""

        def click_first(driver: webdriver.Chrome) -> bool:
            buttons = driver.find_elements(By.XPATH, f"//button[normalize-space()='{label}']")
            if not buttons:
                return False
            buttons[0].click()
            return True

        self.wait.until(click_first)

    def save_screenshot(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run `dg dev` in a new project, as `make dev` does, and return its address."""
    gen = [sys.executable, "-m", "generator"]
    subprocess.run(
        [*gen, "project", "seen", "--site", "musica", "--out", str(tmp_path)],
        check=True,
        timeout=120,
        capture_output=True,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    project = Project(tmp_path / "seen", tmp_path)
    # The test has to know the port before dg starts.
    port = free_port()
    log = tmp_path / "log"
    with log.open("w") as output:
        child = subprocess.Popen(
            [str(TOOLS / "dg"), "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=project.directory,
            env=project.environment | {"DAGSTER_HOME": str(project.directory / "dagster_home")},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: listens(port) or child.poll() is not None, log.read_text, PATIENCE)
        assert child.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGINT)  # `dg dev` ends its processes at this signal
        child.wait(timeout=120)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@pytest.fixture
def visitor(need: Callable[..., None], request: pytest.FixtureRequest) -> Iterator[Visitor]:
    need("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    # Chromium refuses to run as root with its sandbox, and /dev/shm of a container is small.
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1400,900"):
        options.add_argument(f"--{flag}")
    # Only now, so that nothing starts where the browser is missing.
    address = request.getfixturevalue("address")
    with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as driver:
        yield Visitor(driver, address)


def test_the_browser_shows_the_graph_and_a_run_that_succeeds(
    visitor: Visitor, tmp_path: Path
) -> None:
    visitor.open("/asset-groups/")
    visitor.click("Skip")  # Dagster asks for an email address once
    visitor.wait_for("corpus", "complexity", "Ray", "Python", "Never materialized")
    visitor.save_screenshot(tmp_path / "graph.png")
    visitor.open("/assets/corpus")
    visitor.wait_for("examples", "The modules of Python's standard library with their sizes")
    visitor.click("Materialize")
    visitor.wait_for("Launched run")
    visitor.open("/runs")
    visitor.wait_for("Success", "corpus")
    visitor.save_screenshot(tmp_path / "runs.png")
    visitor.open("/assets/corpus")
    visitor.wait_for("modules", "bytes", "node")
    visitor.save_screenshot(tmp_path / "asset.png")
