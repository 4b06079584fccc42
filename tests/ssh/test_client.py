"""The version of the installed ssh, and the keywords that it does not support."""

from pathlib import Path

import pytest

from generator.ssh.client import (
    Version,
    installed_version,
    parse_settings,
    parse_version,
    unsupported_keywords,
)

CONFIG = (
    b"IgnoreUnknown KnownHostsCommand,UseKeychain\n"
    b"Host a\n    ProxyJump b\n    KnownHostsCommand /bin/sh -c x\n"
)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.14", (9, 2), id="Debian"),
        pytest.param("OpenSSH_10.0p2, LibreSSL 3.3.6", (10, 0), id="two digits"),
        pytest.param("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", (8, 1), id="Windows"),
        pytest.param("Dropbear v2022.83", None, id="another client"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_version_is_read(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "keywords"),
    [
        pytest.param((9, 2), (), id="all supported"),
        pytest.param((8, 4), ("KnownHostsCommand (OpenSSH 8.5)",), id="one too new"),
        pytest.param(
            (7, 2),
            ("ProxyJump (OpenSSH 7.3)", "KnownHostsCommand (OpenSSH 8.5)"),
            id="two too new",
        ),
    ],
)
def test_keywords_that_are_too_new_are_named(version: Version, keywords: tuple[str, ...]) -> None:
    assert unsupported_keywords(CONFIG, version) == keywords


def test_without_an_installed_ssh_the_version_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed_version() is None


def test_a_keyword_may_have_several_values() -> None:
    answer = "user ada\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b\nproxycommand nc %h %p\n"
    assert parse_settings(answer) == {
        "user": ("ada",),
        "identityfile": ("~/.ssh/a", "~/.ssh/b"),
        "proxycommand": ("nc %h %p",),
    }
