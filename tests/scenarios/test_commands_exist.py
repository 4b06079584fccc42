"""The timer finds the commands of a site: with a real user manager, and gen in an environment."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import spec, tree
from terminal import Terminal
from usermanager import PROGRAMS, UserManager, user_manager

pytestmark = pytest.mark.system

GEN = Path(sys.executable).with_name("gen")
SERVICE = "gen-cert-ours.service"
# A centre's command, in a directory that only the PATH of the user's shell has.
GET_CERTIFICATE = """#!/bin/sh
set -e
cd ~/.ssh
for key in ca id_ours; do
    [ -f $key ] || ssh-keygen -q -t ed25519 -N "" -f $key
done
ssh-keygen -q -s ca -I test -n root -V +1d id_ours.pub
"""


@pytest.fixture
def manager(need: Callable[..., None]) -> Iterator[UserManager]:
    need(*PROGRAMS, "setsid", "ssh", "ssh-keygen", root=True)
    assert GEN.exists(), "the tests run in an environment with gen"
    with user_manager() as manager:
        manager.write("tools/get-certificate", GET_CERTIFICATE, 0o755)
        yield manager


def arguments(manager: UserManager, *words: str) -> list[str]:
    """Return the command that runs gen with the tools of the user's shell."""
    path = f"PATH={manager.home}/tools:{manager.environment['PATH']}"
    return manager.command("env", path, str(GEN), *words)


def in_terminal(manager: UserManager, *words: str) -> Terminal:
    return Terminal(*arguments(manager, *words), environment=manager.environment)


def test_commands_that_the_timer_does_not_find_get_links_that_uninstall_deletes(
    manager: UserManager,
) -> None:
    auth = {"method": "certificate", "command": ["get-certificate"], "lifetime": "1d"}
    path = spec(manager.home, auth=auth)
    before = tree(manager.home)

    # Declined: the unit cannot run, and the status says so with its command.
    terminal = in_terminal(manager, "install", str(path), "--user", "root")
    terminal.answer(
        ("files in", "y"),
        ("gen: the timer and ssh do not find it; run: mkdir -p ~/.local/bin", ""),
        ("Make the link ~/.local/bin/gen? [y/N]: ", "n"),
        ("Make the link ~/.local/bin/get-certificate? [y/N]: ", "n"),
        ("needs a key pair", "n"),
    )
    assert terminal.end() == 0, terminal.shown
    terminal.close()
    assert manager.run("systemctl", "--user", "start", SERVICE).returncode != 0
    status = manager.run(str(GEN), "status")
    assert status.returncode == 1, status.stderr
    target = f"ln -sfn {GEN} ~/.local/bin/gen"
    assert f"  gen: the timer and ssh do not find it; run: mkdir -p ~/.local/bin && {target}\n" in (
        status.stdout
    )
    assert "the last run failed (status 127), see: journalctl --user -u" in status.stdout

    # The offers come again, and their links serve the unit.
    terminal = in_terminal(manager, "install", "ours")
    terminal.answer(
        ("Make the link ~/.local/bin/gen? [y/N]: ", "y"),
        ("Make the link ~/.local/bin/get-certificate? [y/N]: ", "y"),
        ("needs a key pair", "n"),
    )
    assert terminal.end() == 0, terminal.shown
    terminal.close()
    manager.systemctl("start", SERVICE)
    status = manager.run(str(GEN), "status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "the timer and ssh do not find it" not in status.stdout
    assert "the certificate is valid until" in status.stdout

    # A drop-in of the user counts as well: the manager knows the PATH that the unit will have.
    (manager.home / ".local/bin/gen").unlink()
    drop_in = f"[Service]\nEnvironment=PATH={GEN.parent}:{manager.home}/.local/bin:/usr/bin:/bin\n"
    manager.write(f".config/systemd/user/{SERVICE}.d/path.conf", drop_in)
    manager.systemctl("daemon-reload")
    assert manager.run(str(GEN), "status").returncode == 0
    (manager.home / f".config/systemd/user/{SERVICE}.d/path.conf").unlink()
    (manager.home / f".config/systemd/user/{SERVICE}.d").rmdir()

    assert manager.run(str(GEN), "uninstall", "ours", "--purge", "--yes").returncode == 0
    after = {name: entry for name, entry in tree(manager.home).items() if "ssh/ca" not in name}
    (manager.home / ".ssh/ca").unlink()
    assert ".local/bin" not in after
    assert set(after) - set(before) <= {".ssh", ".local", ".config"} | systemd_files(after)


def systemd_files(entries: object) -> set[str]:
    """Return what systemd itself keeps, such as the stamps of its timers."""
    assert isinstance(entries, dict)
    return {name for name in entries if name.startswith((".local/share", ".config/systemd"))}
