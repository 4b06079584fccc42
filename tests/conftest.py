"""Fixtures that every test may use, and the switch that turns a skip for want of a program into a failure."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from running import Gen, running

from generator import resources
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytest_plugins = ["real_parts"]

# What a script runs in the background inherits that nothing interrupts it, and hands that on to what is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# .ci/run sets it: there everything is installed, so a skip would hide a test that no longer runs.
REQUIRED = os.environ.get("GEN_TEST_SYSTEM") == "required"


def _may_mount() -> bool:
    """Tell whether this is root, and not one in a container that lacks the right to mount."""
    command = ["unshare", "--mount", "true"]
    return (
        os.geteuid() == 0
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def need() -> Callable[..., None]:
    """Skip the test with the reason where a program or root is missing; fail it where the switch says so."""

    def check(*programs: str, root: bool = False) -> None:
        missing = [
            name
            for name in programs
            if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/lib/systemd")
        ]
        if root and not _may_mount():
            missing.append("root that may mount")
        if missing:
            (pytest.fail if REQUIRED else pytest.skip)(f"needs {', '.join(missing)}")

    return check


@pytest.fixture(params=["mila", "musica"])
def shipped(request: pytest.FixtureRequest) -> SiteSpec:
    """Each site that ships with gen."""
    return validate.site(resources.CATALOGUE / f"{request.param}.yaml")


@pytest.fixture
def ada() -> SiteProfile:
    """A person whose every value is known."""
    return SiteProfile(
        user="ada",
        email="ada@example.org",
        account="p12345",
        project="proj1",
        client_id="abc123",
        home="/home/ada",
        accept_unverified=True,
    )


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Write a spec and return its path."""

    def write(data: Mapping[str, Any]) -> Path:
        path = tmp_path / f"{data.get('site', 'spec')}.yaml"
        with path.open("w") as file:
            YAML(typ="safe").dump(dict(data), file)
        return path

    return write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder that no user manager looks into; gen is run in the folder `work` beside it."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "80")
    for name in [name for name in os.environ if name.startswith(("GEN_", "XDG_", "DBUS_"))]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def gen(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Gen:
    """Run gen with that home folder; what it prints, other programs' words too, may be any bytes."""

    def printed() -> tuple[str, str]:
        out, err = capfdbinary.readouterr()
        return out.decode(errors="surrogateescape"), err.decode()

    return running(monkeypatch, printed)
