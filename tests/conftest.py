"""Fixtures for all tests, and two switches: how deep the tests go, and whether they may skip."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import depth
import hypothesis
import pytest
from ruamel.yaml import YAML
from running import Gen, running

from generator import resources
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytest_plugins = ["history", "real_parts"]

# On a busy machine, any example takes any time; pytest has the time limit of a test.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

# A shell script starts a background job with SIGINT ignored, and the job's children inherit that:
# without this, a test that interrupts gen would wait for it forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# .ci/run sets it. There every program is installed, so a skip would hide a test that no longer
# runs.
REQUIRED = os.environ.get("GEN_TEST_SYSTEM") == "required"


# The tests of these files run ssh or ssh-keygen themselves, or gen does. The OpenSSH client is
# nearly everywhere; a machine with Python and git alone skips them.
OPENSSH = (
    *("install/", "renewal/", "ssh/test_certificate.py", "ssh/test_keys.py", "test_api.py"),
    *("cli/test_recorded_inputs.py", "cli/test_init.py", "cli/test_json_keys.py"),
    *("cli/test_status_live.py", "compiler/emitters/test_unstated_login.py"),
    *("scenarios/test_bounded.py", "scenarios/test_dagster_wiring.py", "scenarios/test_live.py"),
    *("scenarios/test_fuzz_state.py", "scenarios/test_revoked_keys.py"),
)


def _skip_without_openssh(items: list[pytest.Item]) -> None:
    if REQUIRED or (shutil.which("ssh") and shutil.which("ssh-keygen")):
        return
    skip = pytest.mark.skip(reason="needs ssh, ssh-keygen")
    tests = Path(__file__).parent
    for item in items:
        if str(item.path.relative_to(tests)).startswith(OPENSSH):
            item.add_marker(skip)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first, and skip the tests that are marked `long`, except in a full run."""
    # Each test process takes the next file when it is done with one. A slow file at the end would
    # leave the other processes without work.
    items.sort(key=lambda item: "scenarios" not in item.path.parts)
    _skip_without_openssh(items)
    long_items = [item for item in items if item.get_closest_marker("long")]
    modules = depth.in_turn(str(item.path) for item in long_items)
    skip = pytest.mark.skip(reason="takes long; GEN_TEST_DEPTH=full runs it")
    for item in long_items:
        if str(item.path) not in modules:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line with the number of skipped tests for each reason."""
    # `-rs` prints a line for each file and reason: several screens where sshd or Slurm is missing.
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    parts = [f"{number} ({reason})" for reason, number in reasons.most_common()]
    if parts:
        terminalreporter.write_line(f"skipped: {', '.join(parts)}")


def _may_mount() -> bool:
    """Return whether the tests run as root that may mount; in many containers root may not."""
    if os.geteuid() != 0:
        return False
    attempt = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return attempt.returncode == 0


@pytest.fixture
def need() -> Callable[..., None]:
    """Skip the test with the reason if a program or root is missing; with `REQUIRED` fail it."""

    def check(*programs: str, root: bool = False) -> None:
        path = os.environ["PATH"] + ":/usr/sbin:/lib/systemd"
        missing = [name for name in programs if not shutil.which(name, path=path)]
        if root and not _may_mount():
            missing.append("root that may mount")
        if not missing:
            return
        reason = f"needs {', '.join(missing)}"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)

    return check


@pytest.fixture(params=["mila", "musica"])
def shipped(request: pytest.FixtureRequest) -> SiteSpec:
    """Each site that ships with gen."""
    return validate.site(resources.CATALOGUE / f"{request.param}.yaml")


@pytest.fixture
def ada() -> SiteProfile:
    """A user whose every value is known."""
    return SiteProfile(
        user="ada",
        email="ada@example.org",
        account="p12345",
        allocation="proj1",
        client_id="abc123",
        home="/home/ada",
        accept_unverified=True,
    )


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Write a spec and return its path."""

    def write(data: Mapping[str, Any]) -> Path:
        path = tmp_path / f"{data.get('site', 'spec')}.yaml"
        yaml = YAML(typ="safe")
        # A value that stands in two places would become an anchor and an alias, which gen refuses.
        yaml.representer.ignore_aliases = lambda *_: True
        with path.open("w") as file:
            yaml.dump(dict(data), file)
        return path

    return write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home directory; gen runs in the directory `work` beside it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_", "DBUS_")):
            monkeypatch.delenv(name)
    if sys.platform == "darwin":
        _hide_desktop(tmp_path, monkeypatch)
    return home


def _hide_desktop(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the launchd, the keychain and the screen of the user out of a test on macOS."""
    # They belong to the user, whatever HOME is. On Linux they are found by the variables above.
    programs = directory / "failing-programs"
    programs.mkdir()
    for name in ("launchctl", "osascript"):
        program = programs / name
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture
def gen(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Gen:
    """Run gen with that home directory; its output may be any bytes: other programs print too."""

    def read_output() -> tuple[str, str]:
        out, err = capfdbinary.readouterr()
        return out.decode(errors="surrogateescape"), err.decode()

    return running(monkeypatch, read_output)
