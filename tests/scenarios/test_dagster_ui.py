"""`dg dev` in a browser: the graph of the assets, and a run that somebody starts there and sees succeed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from project import TOOLS, Project
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

PATIENCE = 250
"""Seconds; Dagster starts five processes, of ten seconds each, and a busy machine takes its time."""


class Visitor:
    """A browser at Dagster's web server."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver, self.base = driver, base
        redrawn = [StaleElementReferenceException, ElementClickInterceptedException]
        self.wait = WebDriverWait(driver, PATIENCE, ignored_exceptions=redrawn)

    def open(self, page: str) -> None:
        self.driver.get(self.base + page)

    def sees(self, *words: str) -> None:
        """Wait for words, wherever they stand."""
        self.wait.until(
            lambda driver: all(
                word in driver.find_element(By.TAG_NAME, "body").text for word in words
            )
        )

    def clicks(self, label: str) -> None:
        """Click a button as soon as it is there."""

        def clicked(driver: webdriver.Chrome) -> bool:
            found = driver.find_elements(By.XPATH, f"//button[normalize-space()='{label}']")
            if found:
                found[0].click()
            return bool(found)

        self.wait.until(clicked)

    def picture(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run `dg dev` in a new project, as `make dev` does, and return its address."""
    make = [
        sys.executable,
        "-m",
        "generator",
        "project",
        "seen",
        "--site",
        "musica",
        "--out",
        str(tmp_path),
    ]
    subprocess.run(
        make, check=True, timeout=60, capture_output=True, env=os.environ | {"HOME": str(tmp_path)}
    )
    project = Project(tmp_path / "seen", tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [str(TOOLS / "dg"), "dev", "--host", "127.0.0.1", "--port", str(port)]
    environment = project.environment | {"DAGSTER_HOME": str(project.folder / "dagster_home")}
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(
            command, cwd=project.folder, env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            assert child.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGINT)  # which it hands on
        child.wait(timeout=60)


def listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@pytest.fixture
def visitor(need: Callable[..., None], request: pytest.FixtureRequest) -> Iterator[Visitor]:
    need("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1400,900"):
        options.add_argument(f"--{flag}")
    address = request.getfixturevalue("address")
    with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as driver:
        yield Visitor(driver, address)


def test_the_graph_and_a_run_that_succeeds(visitor: Visitor, tmp_path: Path) -> None:
    visitor.open("/asset-groups/")
    visitor.clicks("Skip")  # Dagster asks for an address once
    visitor.sees("corpus", "complexity", "Ray", "Python", "Never materialized")
    visitor.picture(tmp_path / "graph.png")
    visitor.open("/assets/corpus")
    visitor.sees("standard_library", "The modules of Python's standard library with their sizes")
    visitor.clicks("Materialize")
    visitor.sees("Launched run")
    visitor.open("/runs")
    visitor.sees("Success", "corpus")
    visitor.picture(tmp_path / "runs.png")
    visitor.open("/assets/corpus")
    visitor.sees("modules", "bytes", "node")
    visitor.picture(tmp_path / "asset.png")
