"""Sessions share one connection where the site allows it, and each has its own where it does not."""

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


def allowing(rig: Rig, server: SshServer, **more: Any) -> dict[str, Any]:
    """Return the spec of a site that says nothing against shared connections."""
    return site(
        server,
        {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}},
        multiplexing="allowed",
        **more,
    )


def test_a_second_session_goes_over_the_connection_of_the_first_by_whatever_name(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(allowing(rig, server))
    assert logged_in(rig.login(config, "rig"))
    assert logged_in(rig.login(config, "localhost"))
    assert len(server.logins()) == 1


def test_the_connection_answers_to_check_and_ends_with_exit(rig: Rig) -> None:
    config = rig.compile(allowing(rig, rig.serve("login", ["ed25519"])))
    rig.login(config)
    assert "Master running" in rig.ssh(config, "-O", "check", "rig").stderr
    assert "Exit request sent" in rig.ssh(config, "-O", "exit", "rig").stderr
    assert rig.ssh(config, "-O", "check", "rig").returncode == 255


def test_only_the_socket_lies_in_the_home_folder_meanwhile(rig: Rig) -> None:
    rig.login(rig.compile(allowing(rig, rig.serve("login", ["ed25519"]))))
    (socket,) = rig.files_of_ssh()
    assert (rig.home / ".ssh" / socket).is_socket()


def test_a_compute_node_is_reached_over_the_shared_connection_to_the_login_host(rig: Rig) -> None:
    login = rig.serve("login", ["ed25519"], names=["cn-a001.rig.test"])
    node = rig.serve("node", ["ed25519"])
    nodes = {"match": "cn-????", "host": "%h.rig.test", "through": "rig", "port": node.port}
    spec = allowing(rig, login, compute={"nodes": nodes})
    spec["host_keys"]["login"]["hosts"] = ["rig", "nodes"]
    config = rig.compile(spec)
    assert logged_in(rig.login(config, "rig"))
    assert logged_in(rig.login(config, "cn-a001"), "node")
    assert (len(login.logins()), len(node.logins())) == (1, 1)


def test_each_session_has_its_own_connection_where_the_site_forbids_to_share(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(allowing(rig, server) | {"multiplexing": "forbidden"})
    assert logged_in(rig.login(config))
    assert logged_in(rig.login(config))
    assert len(server.logins()) == 2
    assert rig.ssh(config, "-O", "check", "rig").returncode == 255
    assert rig.files_of_ssh() == []


def test_a_person_may_decline_to_share(rig: Rig) -> None:
    profile = rig.directory / "profile.yaml"
    profile.write_text("multiplexing: false\n")
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(allowing(rig, server), "--profile", str(profile))
    assert logged_in(rig.login(config))
    assert logged_in(rig.login(config))
    assert len(server.logins()) == 2


def test_ssh_needs_the_folder_that_the_summary_tells_to_make(rig: Rig) -> None:
    config = rig.compile(allowing(rig, rig.serve("login", ["ed25519"])))
    (rig.home / ".ssh").rmdir()
    refused = rig.login(config)
    assert refused.returncode == 255
    assert "cannot bind" in refused.stderr
    (rig.home / ".ssh").mkdir(mode=0o700)
    assert logged_in(rig.login(config))
