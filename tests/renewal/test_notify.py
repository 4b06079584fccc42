"""Desktop notifications, with a program of the test in place of the desktop's."""

import sys
from pathlib import Path

import pytest

from generator.renewal import notify

# A message may hold what a server says.
MESSAGE = 'musica: it\'s "down" & display dialog 1'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with the two programs, which write down their arguments."""
    for name in ("notify-send", "osascript"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' {name} \"$@\" >{tmp_path}/shown\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_linux_desktop_shows_a_failure(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert notify.failure(MESSAGE)
    shown = (programs / "shown").read_text().splitlines()
    assert shown[0] == "notify-send"
    assert shown[-2:] == ["SSH certificate", MESSAGE]


def test_macos_shows_a_failure_and_runs_nothing_of_its_text(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # osascript itself was not run: there is no Mac here.
    monkeypatch.setattr(sys, "platform", "darwin")
    assert notify.failure(MESSAGE)
    assert (programs / "shown").read_text().splitlines() == [
        "osascript",
        "-e",
        "on run texts",
        "    display notification (item 1 of texts) with title (item 2 of texts)",
        "end run",
        MESSAGE,
        "SSH certificate",
    ]


@pytest.mark.parametrize(
    ("platform", "missing"),
    [
        pytest.param("linux", None, id="without a screen"),
        pytest.param("darwin", "osascript", id="without the program"),
    ],
)
def test_without_a_desktop_nothing_is_shown(
    programs: Path, monkeypatch: pytest.MonkeyPatch, platform: str, missing: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    if missing:
        (programs / missing).unlink()
    assert not notify.failure(MESSAGE)
    assert not (programs / "shown").exists()
