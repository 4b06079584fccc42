"""`gen install` with a real sshd, a real user manager, and twenty processes at once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import CERTIFICATE, spec, tree
from shell_user import PROGRAMS, ShellUser, gen_command
from sshd import PROGRAMS as SSHD
from sshd import TEST_USER, Rig
from usermanager import PROGRAMS as MANAGER
from usermanager import user_manager
from waiting import wait_until

pytestmark = pytest.mark.system


def test_twenty_installations_at_once_all_succeed(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need(*PROGRAMS, root=True)
    person = ShellUser(tmp_path / "home")
    (person.home / ".ssh").mkdir(mode=0o700, parents=True)
    # No final newline: two writers at once could join their lines to it.
    (person.home / ".ssh/config").write_bytes(b"Host mine\n  User grace")
    before = tree(person.home)
    names = [f"site{number}" for number in range(20)]
    commands = [
        person.command(*gen_command("install", str(spec(tmp_path, name)), "--yes"))
        for name in names
    ]
    started = [
        subprocess.Popen(
            command,
            env=person.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    # They wait for each other by a lock, on a machine that may be busy.
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 20, errors
    assert (person.home / ".ssh/config").read_bytes().count(b"# >>> gen") == 1
    answers = person.run(
        "sh", "-c", 'for site in "$@"; do ssh -G "$site"; done', "sh", *names
    ).stdout
    assert [f"hostname {name}.example.org" in answers for name in names] == [True] * 20
    assert person.gen("uninstall", *names, "--yes").returncode == 0
    assert tree(person.home) == before


@pytest.mark.parametrize("site", ["mila", "musica"])
@pytest.mark.parametrize("mode", ["include", "inline"])
def test_a_user_logs_in_by_the_plain_alias(
    site: str, mode: str, tmp_path: Path, need: Callable[..., None]
) -> None:
    # The spec has the name of the site, and the host and the key of the test's sshd.
    need(*SSHD, root=True)
    with Rig(tmp_path / "rig") as rig:
        server = rig.serve("login", ["ed25519-host"])
        person = ShellUser(rig.home)
        (rig.home / ".ssh/config").write_text("Host *\n  ServerAliveInterval 7\n")
        before = tree(rig.home)
        profile = tmp_path / "profile.yaml"
        pin = {
            "hosts": [site],
            "source": "rig",
            "fingerprints": {"ed25519": rig.fingerprint("ed25519-host")},
        }
        changes = {
            "hosts": {site: {"host": "localhost", "port": server.port}},
            "host_keys": {"rig": pin},
            "sources": {"rig": {"ref": "made by the test"}},
            "auth": {"method": "publickey"},
            # A shared connection would stay open, and be counted as one login.
            "multiplexing": "forbidden",
        }
        spec_path = spec(tmp_path, site, **changes)
        profile.write_text(
            json.dumps({"user": TEST_USER.pw_name, "identity_file": str(rig.key("ed25519-ada"))})
        )
        installed = person.gen(
            "install", str(spec_path), "--profile", str(profile), "--mode", mode, "--yes"
        )
        assert installed.returncode == 0, installed.stderr
        result = person.run("ssh", "-o", "BatchMode=yes", site, "echo $SERVER")
        assert (result.returncode, result.stdout) == (0, "login\n"), result.stderr
        assert len(server.logins()) == 1
        assert person.gen("uninstall", site, "--yes").returncode == 0
        assert tree(rig.home) == before


def test_a_user_manager_runs_the_timer_until_it_is_uninstalled(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need(*MANAGER, root=True)
    spec_path = spec(tmp_path, auth=CERTIFICATE | {"lifetime": "60s", "renew_before": "15s"})
    with user_manager() as manager:
        # It notes its arguments: the real one would ask a CA that does not exist.
        stand_in = manager.write(".local/bin/gen", '#!/bin/sh\necho "$@" >> ~/.ran\n', 0o755)
        assert stand_in.is_file()
        before = tree(manager.home)
        gen = (sys.executable, "-m", "generator")
        package = f"PYTHONPATH={Path(__file__).parents[2]}"
        installed = manager.run("env", package, *gen, "install", str(spec_path), "--yes")
        assert installed.returncode == 0, installed.stderr
        assert "does not run" not in installed.stderr
        assert manager.shown("gen-cert-ours.timer", "ActiveState") == "active"
        assert manager.shown("gen-cert-ours.timer", "UnitFileState") == "enabled"
        assert "gen-cert-ours.timer" in manager.systemctl("list-timers", "--all")
        wait_until((manager.home / ".ran").exists)  # the timer runs every five seconds
        assert (manager.home / ".ran").read_text().startswith("refresh ours --retry\n")
        removed = manager.run("env", package, *gen, "uninstall", "ours", "--yes")
        assert removed.returncode == 0, removed.stderr
        assert manager.shown("gen-cert-ours.timer", "LoadState") == "not-found"
        (manager.home / ".ran").unlink()
        assert tree(manager.home) == before
