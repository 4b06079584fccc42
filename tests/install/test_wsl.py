"""The copy of an ssh file for the Windows side of WSL. Here, the ssh of Linux reads it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from generator.compiler.compile import compile_site
from generator.install.wsl import is_wsl, windows_copy
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile
from generator.ssh.config_lines import lines


@pytest.fixture
def mila(ada: SiteProfile) -> bytes:
    artifacts = compile_site(validate.site(CATALOGUE / "mila.yaml"), ada)
    return next(artifact.content for artifact in artifacts if artifact.path.suffix == ".conf")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param(
            "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@x) (gcc 11.2)", True, id="WSL 2"
        ),
        pytest.param(
            # WSL 1 writes the name with a capital letter.
            "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)",
            True,
            id="WSL 1",
        ),
        pytest.param(
            "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)", False, id="Debian"
        ),
    ],
)
def test_wsl_is_recognized_by_its_kernel(version: str, expected: bool) -> None:
    assert is_wsl(version) == expected


def test_the_copy_shares_no_connection_and_runs_no_shell(mila: bytes) -> None:
    # Win32-OpenSSH has neither sockets for shared connections nor /bin/sh.
    keywords = {line.keyword for line in lines(windows_copy(mila))}
    assert not keywords & {"controlmaster", "controlpath", "controlpersist", "knownhostscommand"}
    assert {
        "host",
        "hostname",
        "port",
        "user",
        "identityfile",
        "proxyjump",
        "proxycommand",
    } <= keywords


def test_instead_of_a_pin_ssh_asks_and_the_fingerprints_are_in_comments(
    mila: bytes,
) -> None:
    copy = windows_copy(mila).decode()
    login = next(
        block for block in copy.split("\n\n") if "Host mila login" in block and "Port" in block
    )
    assert "    StrictHostKeyChecking ask\n" in login
    assert "/dev/null" not in login
    assert (
        "    # compare before you answer yes: SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg\n"
        in login
    )
    job = next(block for block in copy.split("\n\n") if "Host mila-cpu" in block)
    # Each job has a key of its own, so there is none to compare with.
    assert "    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n" in job


def test_other_lines_stay(mila: bytes) -> None:
    adapted = {
        "controlmaster",
        "controlpath",
        "controlpersist",
        "knownhostscommand",
        "stricthostkeychecking",
    }
    adapted |= {"userknownhostsfile", "globalknownhostsfile"}

    def other_lines(content: bytes) -> list[str]:
        texts = []
        for line in lines(content):
            if line.keyword not in adapted:
                texts.append(f"{line.written} {line.value}")
        return texts

    assert other_lines(windows_copy(mila)) == other_lines(mila)
    plain = b"Host a\n    StrictHostKeyChecking ask\n    UserKnownHostsFile /dev/null\n"
    assert windows_copy(plain) == plain


def test_ssh_accepts_the_copy(mila: bytes, tmp_path: Path, need: Callable[..., None]) -> None:
    need("ssh")
    copy = tmp_path / "mila.conf"
    copy.write_bytes(windows_copy(mila))
    command = ["ssh", "-G", "-F", str(copy), "mila"]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10, stdin=subprocess.DEVNULL
    )
    assert {"port 2222", "stricthostkeychecking ask", "controlmaster false"} <= set(
        answer.stdout.splitlines()
    )
