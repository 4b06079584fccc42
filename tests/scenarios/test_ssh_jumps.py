"""With the generated config ssh jumps from server to server, and checks the host key of each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sshd import PROGRAMS, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system

# Names that only the login host can resolve, like those of compute nodes.
NAMES = ("cn-a001.rig.test", "inner.rig.test")


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


def pin(rig: Rig, host: str, key: str) -> dict[str, Any]:
    """Return a block of `host_keys` that pins the fingerprint of a key for a host."""
    return {"hosts": host, "source": "test", "fingerprints": {"ed25519": rig.fingerprint(key)}}


def cluster(rig: Rig, login: SshServer, node: SshServer) -> dict[str, Any]:
    """Return the spec of a site with compute nodes behind its login host; every key is pinned."""
    nodes = {"match": "cn-????", "host": "%h.rig.test", "through": "rig", "port": node.port}
    host_keys = {
        "login": pin(rig, "rig", "ed25519"),
        "nodes": pin(rig, "nodes", "ed25519-node"),
    }
    return site(login, {}, compute={"nodes": nodes}, host_keys=host_keys)


@pytest.mark.parametrize("name", ["cn-a001", "cn-a001.rig.test"])
def test_short_and_full_name_lead_to_a_compute_node_through_the_login_host(
    rig: Rig, name: str
) -> None:
    login = rig.serve("login", ["ed25519"], names=NAMES)
    node = rig.serve("node", ["ed25519-node"])
    assert logged_in(rig.login(rig.compile(cluster(rig, login, node)), name), "node")
    assert len(login.logins()) == 1
    assert len(node.logins()) == 1
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize(
    ("login_key", "node_key"),
    [("ed25519-other", "ed25519-node"), ("ed25519", "ed25519-other"), ("ed25519-node", "ed25519")],
    ids=["login host", "compute node", "each has the key of the other"],
)
def test_a_wrong_key_on_either_hop_is_refused(rig: Rig, login_key: str, node_key: str) -> None:
    login = rig.serve("login", [login_key], names=NAMES)
    node = rig.serve("node", [node_key])
    assert host_key_refused(rig.login(rig.compile(cluster(rig, login, node)), "cn-a001"))
    # A refused hop must not have passed the user's key on.
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
    spec["host_keys"]["gate"] = pin(rig, "gate", "ed25519-gate")
    config = rig.compile(spec)
    assert logged_in(rig.login(config, "rig"), "inner")
    assert logged_in(rig.login(config, "cn-a001"), "node")
    # Two logins each: one to the inner host, and one through it to the node.
    assert len(gate.logins()) == 2
    assert len(inner.logins()) == 2
    assert len(node.logins()) == 1


def test_two_ports_of_one_host_have_their_own_keys_and_the_host_name_means_the_first(
    rig: Rig,
) -> None:
    first = rig.serve("first", ["ed25519"])
    second = rig.serve("second", ["ed25519-second"])
    spec = site(first, {})
    # ssh knows a key by host and port, so that one host can have two.
    spec["hosts"]["rig-transfer"] = {"host": "localhost", "port": second.port, "role": "transfer"}
    spec["host_keys"] = {
        "first": pin(rig, "rig", "ed25519"),
        "second": pin(rig, "rig-transfer", "ed25519-second"),
    }
    config = rig.compile(spec)
    assert logged_in(rig.login(config, "rig"), "first")
    assert logged_in(rig.login(config, "rig-transfer"), "second")
    assert logged_in(rig.login(config, "localhost"), "first")


def behind_a_command(rig: Rig, gate: SshServer, inner: SshServer) -> Path:
    """Return the config of a site whose jump host has a command in place of forwarding."""
    spec = site(inner, {})
    spec["hosts"] = {
        "rig": {
            "host": "inner.rig.test",
            "port": inner.port,
            "via": "gate",
            "proxy": f"{rig.relay()} %h %p",
        },
        "gate": {"host": "localhost", "port": gate.port, "role": "jump"},
    }
    spec["host_keys"] = {
        "rig": pin(rig, "rig", "ed25519"),
        "gate": pin(rig, "gate", "ed25519-gate"),
    }
    config = rig.compile(spec)
    # The ssh to the jump host reads the configuration of the user.
    (rig.home / ".ssh/config").write_text(f"Include {config}\n")
    return config


def test_a_command_of_the_jump_host_leads_to_a_host_where_ssh_may_not_jump(rig: Rig) -> None:
    gate = rig.serve("gate", ["ed25519-gate"], "AllowTcpForwarding no", names=NAMES)
    inner = rig.serve("inner", ["ed25519"])
    config = behind_a_command(rig, gate, inner)
    assert logged_in(rig.login(config, "rig"), "inner")
    assert (len(gate.logins()), len(inner.logins())) == (1, 1)
    # A jump would not get through.
    refused = rig.login(config, "rig", "-o", "ProxyCommand=none", "-J", "gate")
    assert refused.returncode == 255
    assert len(inner.logins()) == 1


@pytest.mark.parametrize(
    ("gate_key", "inner_key"),
    [("ed25519-other", "ed25519"), ("ed25519-gate", "ed25519-other")],
    ids=["jump host", "host behind it"],
)
def test_a_wrong_key_before_or_behind_the_command_is_refused(
    rig: Rig, gate_key: str, inner_key: str
) -> None:
    gate = rig.serve("gate", [gate_key], names=NAMES)
    inner = rig.serve("inner", [inner_key])
    result = rig.login(behind_a_command(rig, gate, inner), "rig")
    assert result.returncode == 255
    assert inner.logins() == []
