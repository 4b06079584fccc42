"""Sessions share one connection where the site allows it; elsewhere each session has its own."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sshd import PROGRAMS, Rig, SshServer, logged_in, site

pytestmark = pytest.mark.system


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


def sharing_site(rig: Rig, server: SshServer, **other_keys: Any) -> dict[str, Any]:
    """Return the spec of a site that allows shared connections."""
    # The master checks the host key; later sessions do not see it again.
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
    return site(server, pins, multiplexing="allowed", **other_keys)


def test_a_second_session_uses_the_connection_of_the_first_under_any_name(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(sharing_site(rig, server))
    assert logged_in(rig.login(config, "rig"))
    assert logged_in(rig.login(config, "localhost"))
    assert len(server.logins()) == 1


def test_ssh_checks_and_ends_the_shared_connection(rig: Rig) -> None:
    config = rig.compile(sharing_site(rig, rig.serve("login", ["ed25519"])))
    rig.login(config)
    assert "Master running" in rig.ssh(config, "-O", "check", "rig").stderr
    assert "Exit request sent" in rig.ssh(config, "-O", "exit", "rig").stderr
    assert rig.ssh(config, "-O", "check", "rig").returncode == 255


def test_a_shared_connection_adds_only_its_socket_to_the_ssh_directory(rig: Rig) -> None:
    rig.login(rig.compile(sharing_site(rig, rig.serve("login", ["ed25519"]))))
    [name] = rig.files_of_ssh()
    assert (rig.home / ".ssh" / name).is_socket()


def test_a_compute_node_is_reached_over_the_shared_connection_to_the_login_host(rig: Rig) -> None:
    login = rig.serve("login", ["ed25519"], names=["cn-a001.rig.test"])
    node = rig.serve("node", ["ed25519"])
    nodes = {"match": "cn-????", "host": "%h.rig.test", "through": "rig", "port": node.port}
    spec = sharing_site(rig, login, compute={"nodes": nodes})
    spec["host_keys"]["login"]["hosts"] = ["rig", "nodes"]
    config = rig.compile(spec)
    assert logged_in(rig.login(config, "rig"))
    assert logged_in(rig.login(config, "cn-a001"), "node")
    assert len(login.logins()) == 1
    assert len(node.logins()) == 1


@pytest.mark.long
def test_a_session_does_not_wait_for_a_machine_that_has_gone_silent(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(sharing_site(rig, server))
    assert logged_in(rig.login(config))
    # As after the machine slept or its network changed: the connection is open, and no answer
    # comes.
    sessions = processes_of(server)
    assert sessions
    for process in sessions:
        os.kill(process, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        result = rig.login(config)
        seconds = time.monotonic() - begin
    finally:
        for process in sessions:
            os.kill(process, signal.SIGCONT)
    # Three probes of 15 seconds, with room for a machine that is busy.
    assert (result.returncode, result.stdout) == (0, "login\n"), result
    assert seconds < 90
    print(f"a new connection after {seconds:.0f} s")  # noqa: T201 - the figure


def processes_of(server: SshServer) -> list[int]:
    """Return the processes of a server that serve connections."""
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            files = [str(name.readlink()) for name in (process / "fd").iterdir()]
        except OSError:
            continue  # it has ended
        # sshd names its processes: `sshd: ada@notty`, and itself `sshd: … [listener]`.
        if str(server.log) in files and b"[listener]" not in command and b"sshd: " in command:
            processes.append(int(process.name))
    return processes


def test_each_session_has_its_own_connection_where_the_site_forbids_sharing(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(sharing_site(rig, server) | {"multiplexing": "forbidden"})
    assert logged_in(rig.login(config))
    assert logged_in(rig.login(config))
    assert len(server.logins()) == 2
    assert rig.ssh(config, "-O", "check", "rig").returncode == 255
    assert rig.files_of_ssh() == []


def test_each_session_has_its_own_connection_where_the_profile_says_so(rig: Rig) -> None:
    # A user may refuse to share where the site allows it, and never the other way round.
    profile = rig.directory / "profile.yaml"
    profile.write_text("multiplexing: false\n")
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(sharing_site(rig, server), "--profile", str(profile))
    assert logged_in(rig.login(config))
    assert logged_in(rig.login(config))
    assert len(server.logins()) == 2


def test_ssh_fails_without_the_directory_that_gen_site_asks_the_user_to_create(rig: Rig) -> None:
    config = rig.compile(sharing_site(rig, rig.serve("login", ["ed25519"])))
    # ssh creates the socket there, and does not create the directory.
    (rig.home / ".ssh").rmdir()
    result = rig.login(config)
    assert result.returncode == 255
    assert "cannot bind" in result.stderr
    (rig.home / ".ssh").mkdir(mode=0o700)
    assert logged_in(rig.login(config))
