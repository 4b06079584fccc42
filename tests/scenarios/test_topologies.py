"""Each way in which sites lay out their machines, with a real sshd in the place of every machine.

A topology says which machines there are, and which of them are passed on the way to each name. Every name is entered
with the right host keys; then one machine has a wrong one, and it and what lies behind it stay closed, the rest open.
Addresses of the loopback stand in for host names; machines behind a jump have names that the one before them resolves.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sshd import PROGRAMS, TEST_USER, Result, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system

STEP = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "test",
}
INSIDE = ("inner.rig.test", "cn-a001.rig.test")
Parts = Mapping[str, Any]


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


@dataclass(frozen=True)
class Machine:
    """A server: its host key, and where it listens besides 127.0.0.1."""

    key: str = "ed25519"
    addresses: tuple[str, ...] = ()
    """Here all machines of a topology have the same port."""
    signed_by: str | None = None
    signed_for: str = ""
    """Address that the authority signs its host key for, where not for all of its own."""
    lets_in: str | None = None
    """The person's key that it takes, where that is another one."""
    certified: bool = False
    """It takes certificates of one authority for persons, and no plain key."""

    def serve(self, rig: Rig, name: str, port: int) -> SshServer:
        """Start it."""
        lines = ["KexAlgorithms curve25519-sha256"]  # the quickest; these tests log in many times
        lines += [f"ListenAddress {address}" for address in self.addresses]
        lines += [f"Port {port}"] if self.addresses else []
        if self.signed_by:
            principal = self.signed_for or ",".join(self.addresses)
            lines.append(
                f"HostCertificate {rig.certify(self.key, self.signed_by, '-h', '-n', principal)}-cert.pub"
            )
        if self.lets_in:
            lines.append(f"AuthorizedKeysFile {rig.key(self.lets_in)}.pub")
        if self.certified:
            lines += [f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub", "AuthorizedKeysFile none"]
        return rig.serve(name, [self.key], *lines, names=() if name == "node" else INSIDE)


@dataclass(frozen=True)
class Topology:
    """Machines by name, what the spec says of them, and the machines on the way to each name, the last one entered."""

    machines: Mapping[str, Machine]
    parts: Callable[[Rig, Mapping[str, int]], Parts]
    ways: Mapping[str, tuple[str, ...]]

    def start(self, rig: Rig, key: Path | None = None) -> tuple[Path, dict[str, SshServer]]:
        """Start every machine, and compile the site for the person's key."""
        common = free_port()
        servers = {
            name: machine.serve(rig, name, common) for name, machine in self.machines.items()
        }
        ports = {name: server.port for name, server in servers.items()} | {"common": common}
        first = next(iter(servers.values()))
        return rig.compile(site(first, {}, **self.parts(rig, ports)), key=key), servers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(rig: Rig, key: str, *hosts: str) -> Parts:
    return {
        "hosts": list(hosts),
        "source": "test",
        "fingerprints": {"ed25519": rig.fingerprint(key)},
    }


def balanced(ports: Mapping[str, int]) -> Parts:
    """Return a name that leads to the first of two nodes, which have names of their own."""
    nodes = {"alias": "rig{n}", "host": "127.0.0.1{n}", "n": "1-2"}
    return {"rig": {"host": "127.0.0.10", "port": ports["common"], "nodes": nodes}}


def behind_a_gate(rig: Rig, ports: Mapping[str, int]) -> Parts:
    inner = {"host": "inner.rig.test", "port": ports["inner"], "via": "gate"}
    return {
        "hosts": {
            "rig": inner,
            "gate": {"host": "localhost", "port": ports["gate"], "role": "jump"},
        },
        "host_keys": {
            "login": pinned(rig, "ed25519", "rig"),
            "gate": pinned(rig, "ed25519-gate", "gate"),
        },
    }


def with_compute_nodes(rig: Rig, ports: Mapping[str, int]) -> Parts:
    parts = behind_a_gate(rig, ports)
    nodes = {"match": "cn-????", "host": "%h.rig.test", "through": "rig", "port": ports["node"]}
    keys = {**parts["host_keys"], "nodes": pinned(rig, "ed25519-node", "nodes")}
    return {**parts, "compute": {"nodes": nodes}, "host_keys": keys}


def from_outside_too(rig: Rig, ports: Mapping[str, int]) -> Parts:
    own = {"method": "publickey", "key": str(rig.key("ed25519-gatekeeper"))}
    place = {"host": "127.0.0.11", "port": ports["common"]}
    gate = {"host": "localhost", "port": ports["gate"], "role": "jump", "auth": own}
    return {
        "hosts": {"rig": place, "rig-outside": {**place, "via": "gate"}, "gate": gate},
        "host_keys": {
            "login": pinned(rig, "ed25519", "rig", "rig-outside"),
            "gate": pinned(rig, "ed25519-gate", "gate"),
        },
    }


ONE_KEY_SET = Topology(
    {
        "one": Machine(addresses=("127.0.0.10", "127.0.0.11")),
        "two": Machine(addresses=("127.0.0.12",)),
    },
    lambda rig, ports: {
        "hosts": balanced(ports),
        "host_keys": {"login": pinned(rig, "ed25519", "rig")},
    },
    {
        "rig": ("one",),
        "127.0.0.10": ("one",),
        "rig1": ("one",),
        "rig2": ("two",),
        "127.0.0.12": ("two",),
    },
)
NO_BALANCER = Topology(
    {
        "one": Machine("ed25519-one", ("127.0.0.11",)),
        "two": Machine("ed25519-two", ("127.0.0.12",)),
        "three": Machine("ed25519-three", ("127.0.0.13",)),
    },
    lambda rig, ports: {
        "hosts": {
            "rig": {"host": "127.0.0.11", "port": ports["common"]},
            "rig-two": {"host": "127.0.0.12", "port": ports["common"]},
            "rig-three": {"host": "127.0.0.13", "port": ports["common"]},
        },
        "host_keys": {
            "one": pinned(rig, "ed25519-one", "rig"),
            "two": pinned(rig, "ed25519-two", "rig-two"),
            "three": pinned(rig, "ed25519-three", "rig-three"),
        },
    },
    {"rig": ("one",), "rig-two": ("two",), "rig-three": ("three",)},
)
AUTHORITY = Topology(
    {
        "one": Machine("ed25519-one", ("127.0.0.10", "127.0.0.11"), signed_by="ecdsa-ca"),
        "two": Machine("ed25519-two", ("127.0.0.12",), signed_by="ecdsa-ca"),
    },
    lambda rig, ports: {
        "hosts": balanced(ports),
        "host_keys": {
            "all": {
                "hosts": "rig",
                "source": "test",
                "authorities": {"hosts": "127.0.0.*", "key": rig.public("ecdsa-ca")},
            }
        },
    },
    {"rig": ("one",), "rig1": ("one",), "rig2": ("two",)},
)
DOUBLE_JUMP = Topology(
    {"gate": Machine("ed25519-gate"), "inner": Machine(), "node": Machine("ed25519-node")},
    with_compute_nodes,
    {"gate": ("gate",), "rig": ("gate", "inner"), "cn-a001": ("gate", "inner", "node")},
)
FROM_OUTSIDE = Topology(
    {
        "gate": Machine("ed25519-gate", lets_in="ed25519-gatekeeper"),
        "inner": Machine(addresses=("127.0.0.11",)),
    },
    from_outside_too,
    {"rig": ("inner",), "rig-outside": ("gate", "inner")},
)
CERTIFICATES = Topology(
    {"gate": Machine("ed25519-gate", certified=True), "inner": Machine(certified=True)},
    lambda rig, ports: {**behind_a_gate(rig, ports), "auth": STEP},
    {"gate": ("gate",), "rig": ("gate", "inner")},
)

ENTERED = {
    "a balancer, and nodes with its keys (bede, lumi)": ONE_KEY_SET,
    "nodes with keys of their own, no balancer (ubelix)": NO_BALANCER,
    "an authority for all hosts of a domain (musica, nersc-perlmutter)": AUTHORITY,
    "a jump from outside, with another key, beside the direct way (triton, vsc5)": FROM_OUTSIDE,
}


def passed(topology: Topology, rig: Rig, config: Path, servers: Mapping[str, SshServer]) -> None:
    """Enter every name, and see that just the machines on the way to it were logged in to."""
    for name, way in topology.ways.items():
        before = {machine: len(server.logins()) for machine, server in servers.items()}
        result = rig.login(config, name)
        assert logged_in(result, way[-1]), (name, result.stderr)
        new = {
            machine for machine, server in servers.items() if len(server.logins()) > before[machine]
        }
        assert new == set(way)
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize("topology", ENTERED.values(), ids=ENTERED)
def test_every_name_leads_over_its_own_way_to_its_machine(rig: Rig, topology: Topology) -> None:
    passed(topology, rig, *topology.start(rig))


WRONG: dict[str, tuple[Topology, str, dict[str, Any]]] = {
    "a node that has not the keys of the others": (ONE_KEY_SET, "two", {"key": "ed25519-other"}),
    "a balancer that leads elsewhere": (ONE_KEY_SET, "one", {"key": "ed25519-other"}),
    "a node with the key of its neighbour": (NO_BALANCER, "two", {"key": "ed25519-one"}),
    "a node that another authority signed for": (AUTHORITY, "two", {"signed_by": "ecdsa-other"}),
    "a node with what was signed for its neighbour": (
        AUTHORITY,
        "two",
        {"signed_for": "127.0.0.11"},
    ),
    "the first of two jumps": (DOUBLE_JUMP, "gate", {"key": "ed25519-other"}),
    "the second of two jumps": (DOUBLE_JUMP, "inner", {"key": "ed25519-gate"}),
    "the compute node behind two jumps": (DOUBLE_JUMP, "node", {"key": "ed25519"}),
    "the jump from outside": (FROM_OUTSIDE, "gate", {"key": "ed25519"}),
}


@pytest.mark.parametrize(("topology", "machine", "change"), WRONG.values(), ids=WRONG)
def test_a_machine_with_a_wrong_host_key_is_closed_with_all_behind_it(
    rig: Rig, topology: Topology, machine: str, change: Mapping[str, Any]
) -> None:
    machines = {**topology.machines, machine: replace(topology.machines[machine], **change)}
    config, servers = replace(topology, machines=machines).start(rig)
    for name, way in topology.ways.items():
        result = rig.login(config, name)
        assert host_key_refused(result) if machine in way else logged_in(result, way[-1]), (
            name,
            result.stderr,
        )
    assert servers[machine].logins() == []
    assert rig.files_of_ssh() == []


def test_one_certificate_opens_both_hops(rig: Rig) -> None:
    key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")
    config, servers = CERTIFICATES.start(rig, key)
    passed(CERTIFICATES, rig, config, servers)
    assert all("ED25519-CERT" in line for server in servers.values() for line in server.logins())


def test_with_the_key_alone_the_first_hop_is_closed(rig: Rig) -> None:
    config, servers = CERTIFICATES.start(rig)
    result = rig.login(config, "rig")
    assert result.returncode == 255
    assert "Permission denied (publickey)" in result.stderr
    assert [name for name, server in servers.items() if server.logins()] == []


def test_a_certificate_that_only_the_first_hop_takes_ends_there(rig: Rig) -> None:
    inner = replace(CERTIFICATES.machines["inner"], certified=False, lets_in="ed25519-other")
    key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")
    topology = replace(CERTIFICATES, machines={**CERTIFICATES.machines, "inner": inner})
    config, servers = topology.start(rig, key)
    assert "Permission denied (publickey)" in rig.login(config, "rig").stderr
    assert [name for name, server in servers.items() if server.logins()] == ["gate"]


def test_the_agent_is_lent_by_the_alias_for_it_alone(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    place = {"host": "localhost", "port": server.port}
    spec = site(server, {}, hosts={"rig": place, "rig-agent": {**place, "forward_agent": True}})
    config = rig.compile(
        spec | {"host_keys": {"login": pinned(rig, "ed25519", "rig", "rig-agent")}}
    )
    agent = rig.agent("ed25519-other")
    lent = {
        name: rig.ssh(config, name, "ssh-add -l", SSH_AUTH_SOCK=agent)
        for name in ("rig", "rig-agent")
    }
    assert rig.fingerprint("ed25519-other") in lent["rig-agent"].stdout
    assert (lent["rig"].returncode, lent["rig"].stdout) == (2, ""), "2: there is no agent to ask"


# A password and its hash (openssl passwd -5 -salt rig "word of ada").
PASSWORD = "word of ada"  # noqa: S105 - of the test
HASH = "$5$rig$J6UHHcgTwguSy8IwbVI/NpMgF32/4LtNTpFHnvdowx1"
NO_KEYS = (
    "PubkeyAuthentication no",
    "KbdInteractiveAuthentication yes",
    "PasswordAuthentication yes",
    "LogLevel DEBUG1",
)


@dataclass(frozen=True)
class Typist:
    """A person who answers every question with one text; ssh asks through SSH_ASKPASS, for want of a terminal."""

    folder: Path
    answer: str

    def login(self, config: Path, name: str) -> Result:
        """Log in, with questions allowed; nothing of the person's own home is read, for the spec names all of it."""
        program = self.folder / "askpass"
        program.write_text(f'#!/bin/sh\necho "$1" >> {self.folder}/asked\necho "{self.answer}"\n')
        program.chmod(0o700)
        (self.folder / "asked").unlink(missing_ok=True)
        askpass = {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
        return subprocess.run(
            ["ssh", "-F", str(config), "-o", "NumberOfPasswordPrompts=1", name, "echo $SERVER"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C", **askpass},
            start_new_session=True,
            check=False,
        )

    def asked(self) -> list[str]:
        """Return the questions of the last login."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


def by_port(rig: Rig) -> tuple[Path, SshServer, SshServer]:
    """Start one host with a port for keys and a port for passwords, and compile its site."""
    keys = rig.serve("keys", ["ed25519"])
    pid = rig.directory / "passwords.pid"
    passwords = rig.serve("passwords", ["ed25519"], *NO_KEYS, f"PidFile {pid}", names=INSIDE)
    deadline = time.monotonic() + 10
    while not (pid.exists() and pid.read_text().endswith("\n")):  # written when it listens already
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # That server has a mount namespace of its own, so nobody else sees the password.
    (shadow := rig.directory / "shadow").write_text(
        f"{TEST_USER.pw_name}:{HASH}:20000:0:99999:7:::\n"
    )
    inside = ["nsenter", "--mount", f"--target={pid.read_text().strip()}"]
    subprocess.run([*inside, "mount", "--bind", str(shadow), "/etc/shadow"], check=True, timeout=60)
    spec = site(keys, {})
    auth = {"method": "keyboard", "asks": "password"}
    spec["hosts"]["rig-otp"] = {"host": "localhost", "port": passwords.port, "auth": auth}
    spec["host_keys"] = {"login": pinned(rig, "ed25519", "rig", "rig-otp")}
    return rig.compile(spec), keys, passwords


def tried(server: SshServer) -> list[str]:
    """Return the methods that a client asked a server for, in order; each asks for `none` first."""
    words = [
        line.split()
        for line in server.log.read_text().splitlines()
        if "userauth-request for user" in line
    ]
    return [line[line.index("method") + 1] for line in words]


def test_the_port_tells_whether_a_key_or_a_password_is_asked_for(
    rig: Rig, need: Callable[..., None]
) -> None:
    need("nsenter", "mount")
    config, keys, passwords = by_port(rig)
    ada = Typist(rig.directory, PASSWORD)
    assert logged_in(ada.login(config, "rig"), "keys")
    assert ada.asked() == []
    assert "publickey" in keys.logins()[0]
    assert logged_in(ada.login(config, "rig-otp"), "passwords")
    assert ada.asked() == [f"{TEST_USER.pw_name}@localhost's password: "]
    assert "password" in passwords.logins()[0]
    assert tried(passwords) == ["none", "keyboard-interactive", "password"]


def test_a_wrong_password_is_refused_and_no_key_is_tried_in_its_place(
    rig: Rig, need: Callable[..., None]
) -> None:
    need("nsenter", "mount")
    config, _, passwords = by_port(rig)
    ada = Typist(rig.directory, "another word")
    result = ada.login(config, "rig-otp")
    assert result.returncode == 255
    assert "Permission denied (password,keyboard-interactive)" in result.stderr
    assert passwords.logins() == []
    assert tried(passwords) == ["none", "keyboard-interactive", "password"]


def test_a_port_for_keys_asks_for_no_password_even_where_one_would_do(rig: Rig) -> None:
    lines = (
        f"AuthorizedKeysFile {rig.key('ed25519-other')}.pub",
        "PasswordAuthentication yes",
        "LogLevel DEBUG1",
    )
    keys = rig.serve("keys", ["ed25519"], *lines)
    config = rig.compile(site(keys, {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}))
    ada = Typist(rig.directory, PASSWORD)
    assert "Permission denied (publickey,password)" in ada.login(config, "rig").stderr
    assert ada.asked() == []
    assert set(tried(keys)) == {"none", "publickey"}
