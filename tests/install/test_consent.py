"""No command of a site runs before the user has agreed to the installation."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import CERTIFICATE, spec
from running import Gen

from generator.ssh.config_files import Files, read_configuration, write_copies

BEFORE = {
    "no ssh config": None,
    # To name the settings that override the site, gen asks ssh, which would run the Match exec.
    "a config that wins over the site": "Host *\n  User grace\n  Port 22\n",
    "a config that includes other files": "Include conf.d/*\nMatch host ours\n  Port 22\n",
}


@pytest.fixture
def commands_run(home: Path) -> Callable[[], list[str]]:
    """Put a gen where the site's `Match exec` finds it, and return the calls of it."""
    trace = home.parent / "trace"
    program = home / ".local/bin/gen"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {trace}\n')
    program.chmod(0o755)
    return lambda: trace.read_text().splitlines() if trace.exists() else []


@pytest.mark.parametrize("config", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="no terminal"),
        pytest.param(["--yes"], id="agreed"),
        pytest.param(["--yes", "--mode", "inline"], id="agreed, inline"),
        pytest.param(["--dry-run"], id="dry run"),
        pytest.param(["--mode", "print"], id="print"),
    ],
)
def test_install_runs_no_command_of_the_site(
    gen: Gen,
    home: Path,
    need: Callable[..., None],
    commands_run: Callable[[], list[str]],
    config: str | None,
    options: list[str],
) -> None:
    need("ssh")
    (home / ".ssh").mkdir(mode=0o700)
    if config:
        (home / ".ssh/config").write_text(config)
    path = str(spec(Path(), auth=CERTIFICATE))
    # The second time, the site is among the installed ones.
    for _ in range(2):
        gen("install", path, "--force", *options)
        assert commands_run() == []


def test_ssh_itself_runs_the_command_of_an_installed_site(
    gen: Gen, home: Path, need: Callable[..., None], commands_run: Callable[[], list[str]]
) -> None:
    # Otherwise the test above would prove nothing.
    need("ssh")
    assert gen("install", str(spec(Path(), auth=CERTIFICATE)), "--yes").status == 0
    conf = home / ".ssh/gen.d/ours.conf"
    subprocess.run(["ssh", "-G", "-F", conf, "ours"], check=True, capture_output=True, timeout=20)
    assert commands_run() == ["refresh ours --on-connect"]


def test_a_match_exec_of_the_user_is_still_asked(tmp_path: Path) -> None:
    # Without its own Match exec, the configuration of the user would mean something else to ssh.
    config = b'Match exec "true"\n  Port 1\nMatch exec "gen refresh $0 --on-connect"\n'
    files = Files(tmp_path, {tmp_path / ".ssh/config": config}, tmp_path / "none")
    copied = write_copies(read_configuration(files), tmp_path)[0].read_bytes()
    assert copied.startswith(b'Match exec "true"\n  Port 1\nMatch !all\n')
