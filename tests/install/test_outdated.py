"""An ssh that is too old for what a site's file asks of it; only its answer to -V is made up, by a script."""

from pathlib import Path

import pytest

from generator.install.side_effects import outdated_client

PINNED = b"Host mila\n    ProxyJump a\n    KnownHostsCommand /bin/sh -c 'echo' %H\n"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where to put a script that stands in for ssh."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "ssh"


def said(ssh: Path, words: str) -> None:
    ssh.write_text(f"#!/bin/sh\necho '{words}' >&2\n")
    ssh.chmod(0o700)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            "OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1n",
            "The installed ssh is OpenSSH 8.4, which does not support KnownHostsCommand (OpenSSH 8.5). "
            "It ignores the pinned host keys and refuses the host. Install a newer OpenSSH.",
            id="too old for pins",
        ),
        pytest.param(
            "OpenSSH_7.2p2 Ubuntu-4",
            "The installed ssh is OpenSSH 7.2, which does not support "
            "ProxyJump (OpenSSH 7.3) and KnownHostsCommand (OpenSSH 8.5). "
            "It ignores the pinned host keys and refuses the host. Install a newer OpenSSH.",
            id="too old for more",
        ),
    ],
)
def test_an_ssh_that_is_too_old_is_told_with_what_follows(
    ssh: Path, words: str, message: str
) -> None:
    said(ssh, words)
    assert outdated_client(PINNED) == (message,)


@pytest.mark.parametrize("words", ["OpenSSH_8.5p1", "OpenSSH_10.0p2", "Dropbear v2022.83"])
def test_one_that_is_new_enough_or_unknown_is_not(ssh: Path, words: str) -> None:
    said(ssh, words)
    assert outdated_client(PINNED) == ()


def test_without_any_ssh_nothing_is_said_of_its_age(ssh: Path) -> None:
    assert outdated_client(PINNED) == ()
