"""An ssh that is too old for a site's file. A script stands in for `ssh -V`."""

from pathlib import Path

import pytest

from generator.install.side_effects import outdated_client

PINNED = b"Host mila\n    ProxyJump a\n    KnownHostsCommand /bin/sh -c 'echo' %H\n"
REVOKED = b"# REVOKED SHA256:abc: the private key was published\n"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the script that stands in for ssh."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "ssh"


def answer_with(ssh: Path, version: str) -> None:
    ssh.write_text(f"#!/bin/sh\necho '{version}' >&2\n")
    ssh.chmod(0o700)


@pytest.mark.parametrize(
    ("conf", "version", "messages"),
    [
        pytest.param(
            # Debian 11. KnownHostsCommand came with OpenSSH 8.5 (release notes, March 2021). The
            # file for this machine says how such an ssh checks host keys.
            PINNED,
            "OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1n",
            (),
            id="too old for pins",
        ),
        pytest.param(
            REVOKED + PINNED,
            "OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1n",
            (
                "The installed ssh is OpenSSH 8.4, which accepts the keys that the site has "
                "revoked if your known_hosts has them. Install OpenSSH 8.5 or newer.",
            ),
            id="too old for revoked keys",
        ),
        pytest.param(
            # Ubuntu 16.04. ProxyJump came with OpenSSH 7.3.
            PINNED,
            "OpenSSH_7.2p2 Ubuntu-4",
            (
                "The installed ssh is OpenSSH 7.2, which does not support ProxyJump (OpenSSH 7.3). "
                "Install a newer OpenSSH.",
            ),
            id="too old for more",
        ),
    ],
)
def test_an_ssh_that_is_too_old_is_reported_with_the_effect(
    ssh: Path, conf: bytes, version: str, messages: tuple[str, ...]
) -> None:
    answer_with(ssh, version)
    assert outdated_client(conf) == messages


@pytest.mark.parametrize("version", ["OpenSSH_8.5p1", "OpenSSH_10.0p2", "Dropbear v2022.83"])
def test_an_ssh_that_is_recent_or_unknown_is_not_reported(ssh: Path, version: str) -> None:
    answer_with(ssh, version)
    assert outdated_client(PINNED) == ()


def test_a_missing_ssh_gives_no_message(ssh: Path) -> None:
    assert outdated_client(PINNED) == ()
