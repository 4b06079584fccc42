"""The aliases that `gen import` completes."""

import os
from pathlib import Path

import pytest

from generator.ssh.config_aliases import aliases


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty ~/.ssh."""
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / ".ssh"
    (directory / "more").mkdir(parents=True)
    return directory


def test_aliases_are_found_in_the_file_and_in_those_that_it_includes(ssh: Path) -> None:
    (ssh / "config").write_text("Include more/*.conf ~/.ssh/last\nHost one two\n  Port 22\n")
    (ssh / "more/a.conf").write_text("Host three\n")
    (ssh / "last").write_text("Host four\n")
    assert aliases(ssh / "config") == ["one", "two", "three", "four"]


def test_patterns_are_not_listed_as_aliases(ssh: Path) -> None:
    (ssh / "config").write_text("Host * !no ma?be *.example.org yes\n")
    assert aliases(ssh / "config") == ["yes"]


def test_files_that_include_each_other_are_read_once(ssh: Path) -> None:
    (ssh / "config").write_text("Include more/a.conf\nHost one\n")
    (ssh / "more/a.conf").write_text("Include config\nHost two\n")
    assert aliases(ssh / "config") == ["one", "two"]


def test_files_that_cannot_be_read_have_no_aliases(ssh: Path) -> None:
    assert aliases(ssh / "config") == []
    (ssh / "config").write_text("Include fifo more missing ~nobody/x\nHost one\n")
    os.mkfifo(ssh / "fifo")
    assert aliases(ssh / "config") == ["one"]
