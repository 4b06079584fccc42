"""ssh goes through one server to the next with what gen made, and checks the host key of each on the way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sshd import PROGRAMS, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system

# Names that only the login host can resolve, as those of compute nodes.
NAMES = ("cn-a001.rig.test", "inner.rig.test")


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


def pinned(rig: Rig, hosts: str, key: str) -> dict[str, Any]:
    return {"hosts": hosts, "source": "test", "fingerprints": {"ed25519": rig.fingerprint(key)}}


def cluster(rig: Rig, login: SshServer, node: SshServer, **more: Any) -> dict[str, Any]:
    """Return the spec of a site with compute nodes behind its login host; every key is pinned."""
    return site(
        login,
        {},
        compute={
            "nodes": {
                "match": "cn-????",
                "host": "%h.rig.test",
                "through": "rig",
                "port": node.port,
            }
        },
        host_keys={
            "login": pinned(rig, "rig", "ed25519"),
            "nodes": pinned(rig, "nodes", "ed25519-node"),
        },
        **more,
    )


@pytest.mark.parametrize("name", ["cn-a001", "cn-a001.rig.test"])
def test_a_compute_node_is_entered_through_the_login_host_by_short_and_by_full_name(
    rig: Rig, name: str
) -> None:
    login = rig.serve("login", ["ed25519"], names=NAMES)
    node = rig.serve("node", ["ed25519-node"])
    assert logged_in(rig.login(rig.compile(cluster(rig, login, node)), name), "node")
    assert (len(login.logins()), len(node.logins())) == (1, 1)
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize(
    ("login_key", "node_key"),
    [("ed25519-other", "ed25519-node"), ("ed25519", "ed25519-other"), ("ed25519-node", "ed25519")],
    ids=["login host", "compute node", "each has the other's"],
)
def test_a_wrong_key_on_either_hop_is_refused(rig: Rig, login_key: str, node_key: str) -> None:
    login = rig.serve("login", [login_key], names=NAMES)
    node = rig.serve("node", [node_key])
    assert host_key_refused(rig.login(rig.compile(cluster(rig, login, node)), "cn-a001"))
    assert node.logins() == []
    assert rig.files_of_ssh() == []


def test_a_host_behind_a_jump_host_and_compute_nodes_behind_both(rig: Rig) -> None:
    gate = rig.serve("gate", ["ed25519-gate"], names=NAMES)
    inner = rig.serve("inner", ["ed25519"], names=NAMES)
    node = rig.serve("node", ["ed25519-node"])
    spec = cluster(rig, inner, node)
    spec["hosts"] = {
        "rig": {"host": "inner.rig.test", "port": inner.port, "via": "gate"},
        "gate": {"host": "localhost", "port": gate.port, "role": "jump"},
    }
    spec["host_keys"]["gate"] = pinned(rig, "gate", "ed25519-gate")
    config = rig.compile(spec)
    assert logged_in(rig.login(config, "rig"), "inner")
    assert logged_in(rig.login(config, "cn-a001"), "node")
    assert (len(gate.logins()), len(inner.logins()), len(node.logins())) == (2, 2, 1)


def test_two_ports_of_one_host_keep_their_own_keys_and_the_name_goes_with_the_first(
    rig: Rig,
) -> None:
    first = rig.serve("first", ["ed25519"])
    second = rig.serve("second", ["ed25519-second"])
    spec = site(first, {})
    spec["hosts"]["rig-transfer"] = {"host": "localhost", "port": second.port, "role": "transfer"}
    spec["host_keys"] = {
        "first": pinned(rig, "rig", "ed25519"),
        "second": pinned(rig, "rig-transfer", "ed25519-second"),
    }
    config = rig.compile(spec)
    assert logged_in(rig.login(config, "rig"), "first")
    assert logged_in(rig.login(config, "rig-transfer"), "second")
    assert logged_in(rig.login(config, "localhost"), "first")
