"""Each layout of machines that sites have, with a real sshd in the place of every machine.

A topology has machines, and for each name the machines that a connection passes. First ssh connects
to every name with the right host keys. Then one machine has a wrong key: ssh refuses that machine
and all machines behind it, and still reaches the others. Addresses of the loopback replace host
names; the machine before a jump resolves the names behind it.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from sshd import PROGRAMS, TEST_USER, Result, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system

STEP = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "test",
}
# Names that only machines before a jump can resolve, as behind a firewall.
INSIDE = ("inner.rig.test", "cn-a001.rig.test")
Keys = Mapping[str, Any]
"""Keys of a spec with their values."""


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


@dataclass(frozen=True)
class Machine:
    """A server: its host key, and its addresses besides 127.0.0.1."""

    key: str = "ed25519"
    addresses: tuple[str, ...] = ()
    """At these, all machines of a topology have the same port."""
    signed_by: str | None = None
    signed_for: str = ""
    """Address for which the authority signs the host key, if not for all of its addresses."""
    accepts: str | None = None
    """The key of the user that it accepts, if not the usual one."""
    certified: bool = False
    """It accepts user certificates of one authority, and no plain key."""

    def serve(self, rig: Rig, name: str, port: int) -> SshServer:
        """Start the server."""
        # The fastest key exchange, because these tests log in often.
        lines = ["KexAlgorithms curve25519-sha256"]
        if self.addresses:
            lines += [f"ListenAddress {address}" for address in self.addresses]
            lines.append(f"Port {port}")
        if self.signed_by:
            principals = self.signed_for or ",".join(self.addresses)
            key = rig.certify(self.key, self.signed_by, "-h", "-n", principals)
            lines.append(f"HostCertificate {key}-cert.pub")
        if self.accepts:
            lines.append(f"AuthorizedKeysFile {rig.key(self.accepts)}.pub")
        if self.certified:
            lines += [f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub", "AuthorizedKeysFile none"]
        # The last machine jumps nowhere, and so needs no names.
        names = () if name == "node" else INSIDE
        return rig.serve(name, [self.key], *lines, names=names)


@dataclass(frozen=True)
class Topology:
    """Machines by name, the keys of the spec, and the route to each name.

    A route lists the machines that the connection passes; the last one is the machine that the name
    means.
    """

    machines: Mapping[str, Machine]
    spec_keys: Callable[[Rig, Mapping[str, int]], Keys]
    routes: Mapping[str, tuple[str, ...]]

    def start(self, rig: Rig, key: Path | None = None) -> tuple[Path, dict[str, SshServer]]:
        """Start every machine, and compile the site for the key of the user."""
        # A balancer leads to machines with one port, so they share it at different addresses.
        common_port = free_port()
        servers = {}
        for name, machine in self.machines.items():
            servers[name] = machine.serve(rig, name, common_port)
        ports = {name: server.port for name, server in servers.items()}
        ports["common"] = common_port
        first = next(iter(servers.values()))
        return rig.compile(site(first, {}, **self.spec_keys(rig, ports)), key=key), servers


def pin(rig: Rig, key: str, *hosts: str) -> Keys:
    """Return a block of `host_keys` that pins the fingerprint of a key for some hosts."""
    fingerprints = {"ed25519": rig.fingerprint(key)}
    return {"hosts": list(hosts), "source": "test", "fingerprints": fingerprints}


def balanced_hosts(ports: Mapping[str, int]) -> Keys:
    """Return a host name that means the first of two nodes, which have names of their own."""
    nodes = {"alias": "rig{n}", "host": "127.0.0.1{n}", "n": "1-2"}
    return {"rig": {"host": "127.0.0.10", "port": ports["common"], "nodes": nodes}}


def one_key_set(rig: Rig, ports: Mapping[str, int]) -> Keys:
    return {
        "hosts": balanced_hosts(ports),
        "host_keys": {"login": pin(rig, "ed25519", "rig")},
    }


def no_balancer(rig: Rig, ports: Mapping[str, int]) -> Keys:
    port = ports["common"]
    return {
        "hosts": {
            "rig": {"host": "127.0.0.11", "port": port},
            "rig-two": {"host": "127.0.0.12", "port": port},
            "rig-three": {"host": "127.0.0.13", "port": port},
        },
        "host_keys": {
            "first": pin(rig, "ed25519-first", "rig"),
            "second": pin(rig, "ed25519-second", "rig-two"),
            "third": pin(rig, "ed25519-third", "rig-three"),
        },
    }


def one_authority(rig: Rig, ports: Mapping[str, int]) -> Keys:
    # One authority for a pattern replaces a pin for each node.
    authority = {"hosts": "127.0.0.*", "key": rig.public("ecdsa-ca")}
    return {
        "hosts": balanced_hosts(ports),
        "host_keys": {"all": {"hosts": "rig", "source": "test", "authorities": authority}},
    }


def behind_a_gate(rig: Rig, ports: Mapping[str, int]) -> Keys:
    return {
        "hosts": {
            "rig": {"host": "inner.rig.test", "port": ports["inner"], "via": "gate"},
            "gate": {"host": "localhost", "port": ports["gate"], "role": "jump"},
        },
        "host_keys": {
            "login": pin(rig, "ed25519", "rig"),
            "gate": pin(rig, "ed25519-gate", "gate"),
        },
    }


def with_compute_nodes(rig: Rig, ports: Mapping[str, int]) -> Keys:
    spec_keys = behind_a_gate(rig, ports)
    nodes = {"match": "cn-????", "host": "%h.rig.test", "through": "rig", "port": ports["node"]}
    host_keys = {**spec_keys["host_keys"], "nodes": pin(rig, "ed25519-node", "nodes")}
    return {**spec_keys, "compute": {"nodes": nodes}, "host_keys": host_keys}


def with_certificates(rig: Rig, ports: Mapping[str, int]) -> Keys:
    return {**behind_a_gate(rig, ports), "auth": STEP}


def from_outside_too(rig: Rig, ports: Mapping[str, int]) -> Keys:
    # The jump host takes another key than the login host, as triton and vsc5 do.
    auth = {"method": "publickey", "key": str(rig.key("ed25519-gatekeeper"))}
    login = {"host": "127.0.0.11", "port": ports["common"]}
    gate = {"host": "localhost", "port": ports["gate"], "role": "jump", "auth": auth}
    return {
        "hosts": {"rig": login, "rig-outside": {**login, "via": "gate"}, "gate": gate},
        "host_keys": {
            "login": pin(rig, "ed25519", "rig", "rig-outside"),
            "gate": pin(rig, "ed25519-gate", "gate"),
        },
    }


ONE_KEY_SET = Topology(
    {
        "first": Machine(addresses=("127.0.0.10", "127.0.0.11")),
        "second": Machine(addresses=("127.0.0.12",)),
    },
    one_key_set,
    {
        "rig": ("first",),
        "127.0.0.10": ("first",),
        "rig1": ("first",),
        "rig2": ("second",),
        "127.0.0.12": ("second",),
    },
)
NO_BALANCER = Topology(
    {
        "first": Machine("ed25519-first", ("127.0.0.11",)),
        "second": Machine("ed25519-second", ("127.0.0.12",)),
        "third": Machine("ed25519-third", ("127.0.0.13",)),
    },
    no_balancer,
    {"rig": ("first",), "rig-two": ("second",), "rig-three": ("third",)},
)
ONE_AUTHORITY = Topology(
    {
        "first": Machine("ed25519-first", ("127.0.0.10", "127.0.0.11"), signed_by="ecdsa-ca"),
        "second": Machine("ed25519-second", ("127.0.0.12",), signed_by="ecdsa-ca"),
    },
    one_authority,
    {"rig": ("first",), "rig1": ("first",), "rig2": ("second",)},
)
DOUBLE_JUMP = Topology(
    {"gate": Machine("ed25519-gate"), "inner": Machine(), "node": Machine("ed25519-node")},
    with_compute_nodes,
    {"gate": ("gate",), "rig": ("gate", "inner"), "cn-a001": ("gate", "inner", "node")},
)
FROM_OUTSIDE = Topology(
    {
        "gate": Machine("ed25519-gate", accepts="ed25519-gatekeeper"),
        "inner": Machine(addresses=("127.0.0.11",)),
    },
    from_outside_too,
    {"rig": ("inner",), "rig-outside": ("gate", "inner")},
)
CERTIFICATES = Topology(
    {"gate": Machine("ed25519-gate", certified=True), "inner": Machine(certified=True)},
    with_certificates,
    {"gate": ("gate",), "rig": ("gate", "inner")},
)

LAYOUTS = {
    "a balancer, and nodes with its keys (bede, lumi)": ONE_KEY_SET,
    "nodes with keys of their own, no balancer (ubelix)": NO_BALANCER,
    "an authority for all hosts of a domain (musica, nersc-perlmutter)": ONE_AUTHORITY,
    "a jump from outside with another key, and a direct route (triton, vsc5)": FROM_OUTSIDE,
}


def check_routes(
    topology: Topology, rig: Rig, config: Path, servers: Mapping[str, SshServer]
) -> None:
    """Log in to every name, and check that exactly the machines on its route saw a login."""
    for name, route in topology.routes.items():
        # Logs grow with each login, so only the difference belongs to this one.
        before = {machine: len(server.logins()) for machine, server in servers.items()}
        result = rig.login(config, name)
        assert logged_in(result, route[-1]), (name, result.stderr)
        passed = set()
        for machine, server in servers.items():
            if len(server.logins()) > before[machine]:
                passed.add(machine)
        assert passed == set(route)
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize("topology", LAYOUTS.values(), ids=LAYOUTS)
def test_every_name_takes_its_route_to_its_machine(rig: Rig, topology: Topology) -> None:
    check_routes(topology, rig, *topology.start(rig))


OTHER_KEY = {"key": "ed25519-other"}
WRONG_KEYS: dict[str, tuple[Topology, str, dict[str, Any]]] = {
    "a node without the keys of the others": (ONE_KEY_SET, "second", OTHER_KEY),
    "a balancer that leads elsewhere": (ONE_KEY_SET, "first", OTHER_KEY),
    "a node with the key of its neighbour": (NO_BALANCER, "second", {"key": "ed25519-first"}),
    "a node that another authority signed": (
        ONE_AUTHORITY,
        "second",
        {"signed_by": "ecdsa-other"},
    ),
    "a node with a certificate for its neighbour": (
        ONE_AUTHORITY,
        "second",
        {"signed_for": "127.0.0.11"},
    ),
    "the first of two jumps": (DOUBLE_JUMP, "gate", OTHER_KEY),
    "the second of two jumps": (DOUBLE_JUMP, "inner", {"key": "ed25519-gate"}),
    "the compute node behind two jumps": (DOUBLE_JUMP, "node", {"key": "ed25519"}),
    "the jump from outside": (FROM_OUTSIDE, "gate", {"key": "ed25519"}),
}


@pytest.mark.parametrize(("topology", "machine", "change"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_ssh_refuses_a_machine_with_a_wrong_host_key_and_all_machines_behind_it(
    rig: Rig, topology: Topology, machine: str, change: Mapping[str, Any]
) -> None:
    machines = {**topology.machines, machine: replace(topology.machines[machine], **change)}
    config, servers = replace(topology, machines=machines).start(rig)
    for name, route in topology.routes.items():
        result = rig.login(config, name)
        if machine in route:
            assert host_key_refused(result), (name, result.stderr)
        else:
            assert logged_in(result, route[-1]), (name, result.stderr)
    # The machine with the wrong key must not even have seen an attempt to log in.
    assert servers[machine].logins() == []
    assert rig.files_of_ssh() == []


def user_certificate(rig: Rig) -> Path:
    """Return the key of the user, with a certificate beside it."""
    return rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")


def servers_with_logins(servers: Mapping[str, SshServer]) -> list[str]:
    return [name for name, server in servers.items() if server.logins()]


def test_both_hops_accept_one_certificate(rig: Rig) -> None:
    config, servers = CERTIFICATES.start(rig, user_certificate(rig))
    check_routes(CERTIFICATES, rig, config, servers)
    for server in servers.values():
        for line in server.logins():
            assert "ED25519-CERT" in line


def test_the_first_hop_refuses_the_key_without_a_certificate(rig: Rig) -> None:
    config, servers = CERTIFICATES.start(rig)
    result = rig.login(config, "rig")
    assert result.returncode == 255
    assert "Permission denied (publickey)" in result.stderr
    assert servers_with_logins(servers) == []


def test_a_certificate_that_the_second_hop_refuses_passes_the_first(rig: Rig) -> None:
    # The second hop accepts a plain key that the user does not have.
    inner = replace(CERTIFICATES.machines["inner"], certified=False, accepts="ed25519-other")
    topology = replace(CERTIFICATES, machines={**CERTIFICATES.machines, "inner": inner})
    config, servers = topology.start(rig, user_certificate(rig))
    assert "Permission denied (publickey)" in rig.login(config, "rig").stderr
    assert servers_with_logins(servers) == ["gate"]


def test_ssh_forwards_the_agent_for_the_one_alias_that_asks_for_it(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    login = {"host": "localhost", "port": server.port}
    spec = site(server, {}, hosts={"rig": login, "rig-agent": {**login, "forward_agent": True}})
    spec["host_keys"] = {"login": pin(rig, "ed25519", "rig", "rig-agent")}
    config = rig.compile(spec)
    # A key that no server accepts: the agent is only looked at from the other side.
    agent = rig.agent("ed25519-other")
    with_agent = rig.ssh(config, "rig-agent", "ssh-add -l", SSH_AUTH_SOCK=agent)
    assert rig.fingerprint("ed25519-other") in with_agent.stdout
    without_agent = rig.ssh(config, "rig", "ssh-add -l", SSH_AUTH_SOCK=agent)
    # ssh-add(1): 2 if it cannot reach an agent.
    assert (without_agent.returncode, without_agent.stdout) == (2, "")


# A password and its hash: openssl passwd -5 -salt rig "word of ada".
PASSWORD = "word of ada"  # noqa: S105 - of the test
HASH = "$5$rig$J6UHHcgTwguSy8IwbVI/NpMgF32/4LtNTpFHnvdowx1"
PASSWORD_SERVER = (
    "PubkeyAuthentication no",
    "KbdInteractiveAuthentication yes",
    "PasswordAuthentication yes",
    "LogLevel DEBUG1",
)


@dataclass(frozen=True)
class Typist:
    """A user who answers every question with one text.

    Without a terminal ssh asks through the program in SSH_ASKPASS.
    """

    directory: Path
    answer: str

    def login(self, config: Path, name: str) -> Result:
        """Log in, with questions allowed.

        The config names every file, so ssh reads none in the real home directory.
        """
        questions = self.directory / "questions"
        questions.unlink(missing_ok=True)
        program = self.directory / "askpass"
        program.write_text(f'#!/bin/sh\necho "$1" >>{questions}\necho "{self.answer}"\n')
        program.chmod(0o700)
        return subprocess.run(
            ["ssh", "-F", str(config), "-o", "NumberOfPasswordPrompts=1", name, "echo $SERVER"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "LC_ALL": "C",
                "SSH_ASKPASS": str(program),
                # Since OpenSSH 8.4 ssh uses the program also without a display.
                "SSH_ASKPASS_REQUIRE": "force",
            },
            start_new_session=True,
            check=False,
        )

    def questions(self) -> list[str]:
        """Return the questions of the last login."""
        path = self.directory / "questions"
        return path.read_text().splitlines() if path.exists() else []


@dataclass(frozen=True)
class TwoPorts:
    """One host with a port for keys and a port for passwords, and the ssh config of its site."""

    keys: SshServer
    passwords: SshServer
    config: Path


@pytest.fixture
def two_ports(rig: Rig, need: Callable[..., None]) -> TwoPorts:
    need("mount")
    keys = rig.serve("keys", ["ed25519"])
    passwords = serve_passwords(rig)
    spec = site(keys, {})
    # vsc5 has such a pair of ports: keys at one, password and one-time code at the other.
    auth = {"method": "keyboard", "asks": "password"}
    spec["hosts"]["rig-otp"] = {"host": "localhost", "port": passwords.port, "auth": auth}
    spec["host_keys"] = {"login": pin(rig, "ed25519", "rig", "rig-otp")}
    return TwoPorts(keys, passwords, rig.compile(spec))


def serve_passwords(rig: Rig) -> SshServer:
    """Start a server that accepts `PASSWORD`, and no key.

    The password is valid for it alone.
    """
    shadow = rig.directory / "shadow"
    shadow.write_text(f"{TEST_USER.pw_name}:{HASH}:20000:0:99999:7:::\n")
    return rig.serve(
        "passwords", ["ed25519"], *PASSWORD_SERVER, names=INSIDE, files={"/etc/shadow": shadow}
    )


def requested_methods(server: SshServer) -> list[str]:
    """Return the auth methods that clients requested; each client requests `none` first."""
    methods = []
    for line in server.log.read_text().splitlines():
        if "userauth-request for user" in line:
            # The line reads: userauth-request for user NAME service SERVICE method METHOD.
            methods.append(line.partition(" method ")[2].split()[0])
    return methods


def test_one_port_accepts_a_key_and_the_other_asks_for_a_password(
    rig: Rig, two_ports: TwoPorts
) -> None:
    ada = Typist(rig.directory, PASSWORD)
    result = ada.login(two_ports.config, "rig")
    assert logged_in(result, "keys"), result
    assert ada.questions() == []
    assert "publickey" in two_ports.keys.logins()[0]
    result = ada.login(two_ports.config, "rig-otp")
    assert logged_in(result, "passwords"), result
    assert ada.questions() == [f"{TEST_USER.pw_name}@localhost's password: "]
    assert "password" in two_ports.passwords.logins()[0]
    assert requested_methods(two_ports.passwords) == ["none", "keyboard-interactive", "password"]


def test_a_wrong_password_is_refused_and_ssh_tries_no_key_instead(
    rig: Rig, two_ports: TwoPorts
) -> None:
    ada = Typist(rig.directory, "another word")
    result = ada.login(two_ports.config, "rig-otp")
    assert result.returncode == 255
    assert "Permission denied (password,keyboard-interactive)" in result.stderr
    assert two_ports.passwords.logins() == []
    assert requested_methods(two_ports.passwords) == ["none", "keyboard-interactive", "password"]


def test_ssh_asks_for_no_password_at_a_port_for_keys_that_would_accept_one(rig: Rig) -> None:
    lines = (
        f"AuthorizedKeysFile {rig.key('ed25519-other')}.pub",
        "PasswordAuthentication yes",
        "LogLevel DEBUG1",
    )
    server = rig.serve("keys", ["ed25519"], *lines)
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
    config = rig.compile(site(server, pins))
    ada = Typist(rig.directory, PASSWORD)
    assert "Permission denied (publickey,password)" in ada.login(config, "rig").stderr
    assert ada.questions() == []
    assert set(requested_methods(server)) == {"none", "publickey"}
