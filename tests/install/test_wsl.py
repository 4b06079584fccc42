"""The copy for the Windows side of WSL; without Windows, Linux' ssh is the one that reads it here."""

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
    made = compile_site(validate.site(CATALOGUE / "mila.yaml"), ada)
    return next(artifact.content for artifact in made if artifact.path.suffix == ".conf")


@pytest.mark.parametrize(
    ("version", "is_one"),
    [
        pytest.param(
            "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@x) (gcc 11.2)", True, id="WSL 2"
        ),
        pytest.param(
            "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)", True, id="WSL 1"
        ),
        pytest.param(
            "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)", False, id="Debian"
        ),
    ],
)
def test_wsl_is_known_by_its_kernel(version: str, is_one: bool) -> None:
    assert is_wsl(version) == is_one


def test_no_connection_is_shared_and_no_shell_is_run(mila: bytes) -> None:
    left = {line.keyword for line in lines(windows_copy(mila))}
    assert not left & {"controlmaster", "controlpath", "controlpersist", "knownhostscommand"}
    assert {"host", "hostname", "port", "user", "identityfile", "proxyjump", "proxycommand"} <= left


def test_where_a_key_was_pinned_it_is_asked_and_the_fingerprints_are_there_to_compare(
    mila: bytes,
) -> None:
    copy = windows_copy(mila).decode()
    login = copy.split("\n\n")[7]
    assert "    StrictHostKeyChecking ask\n" in login
    assert "/dev/null" not in login
    assert (
        "    # compare before you answer yes: SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg\n"
        in login
    )
    job = next(block for block in copy.split("\n\n") if "Host mila-cpu" in block)
    assert (
        "    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n" in job
    )  # each job has a key of its own


def test_all_else_is_as_it_was(mila: bytes) -> None:
    changed = {
        "controlmaster",
        "controlpath",
        "controlpersist",
        "knownhostscommand",
        "stricthostkeychecking",
    }
    changed |= {"userknownhostsfile", "globalknownhostsfile"}

    def rest(content: bytes) -> list[str]:
        return [
            f"{line.written} {line.value}" for line in lines(content) if line.keyword not in changed
        ]

    assert rest(windows_copy(mila)) == rest(mila)
    plain = b"Host a\n    StrictHostKeyChecking ask\n    UserKnownHostsFile /dev/null\n"
    assert windows_copy(plain) == plain


def test_ssh_takes_the_copy(mila: bytes, tmp_path: Path, need: Callable[..., None]) -> None:
    need("ssh")
    copy = tmp_path / "mila.conf"
    copy.write_bytes(windows_copy(mila))
    command = ["ssh", "-G", "-F", str(copy), "mila"]
    asked = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10, stdin=subprocess.DEVNULL
    )
    assert {"port 2222", "stricthostkeychecking ask", "controlmaster false"} <= set(
        asked.stdout.splitlines()
    )
