"""No way of naming a machine, and no ssh configuration of the user's, lets an impostor in.

Each layout of machines is tried twice: with the real machine, and with one that has another host
key, which the user's known_hosts holds. Every name is tried under every configuration. The real
machine is never locked out, and the impostor never let in.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from depth import sample
from ports import free_port
from sshd import PROGRAMS, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system

HOSTS = (
    "login.rig.test",
    "login-1.rig.test",
    "gate.rig.test",
    "inner.rig.test",
    "cn-a001.rig.test",
)
# ssh resolves a canonical name with a dot at its end: for a name server the same name.
RESOLVED = (*HOSTS, *(f"{name}." for name in HOSTS))
# The generated file comes first, as `gen install` arranges it.
CONFIGURATIONS = {
    "nothing else": "",
    # What users write to be rid of warnings: it must not switch the pins off.
    "no checks": "Host *\n  StrictHostKeyChecking no\n",
    "new hosts are accepted": "Host *\n  StrictHostKeyChecking accept-new\n",
    "no checks, and a known_hosts file": (
        "Host *\n  StrictHostKeyChecking off\n  UserKnownHostsFile ~/.ssh/known_hosts\n"
    ),
    "canonical names": (
        "CanonicalizeHostname yes\nCanonicalDomains rig.test\nHost *\n  StrictHostKeyChecking no\n"
    ),
    # MaxDots: even a full name is then made canonical, and ssh reads its files once more.
    "canonical names, always": (
        "CanonicalizeHostname always\nCanonicalDomains rig.test\nCanonicalizeMaxDots 3\n"
        "UserKnownHostsFile ~/.ssh/known_hosts\n"
    ),
    "canonical names, with a block for them": (
        "CanonicalizeHostname yes\nCanonicalDomains rig.test\n"
        "Match canonical all\n  StrictHostKeyChecking no\n"
    ),
    # ssh has read these options when it finds that the canonical name is the site's.
    "canonical names, md5 and a known_hosts file": (
        "CanonicalizeHostname yes\nCanonicalDomains rig.test\nFingerprintHash md5\n"
        "StrictHostKeyChecking no\nUserKnownHostsFile ~/.ssh/known_hosts\n"
    ),
    # ssh reads all files again for it, and could take the options of the second time.
    "a second reading": "Match final all\n  StrictHostKeyChecking no\n",
    "md5 fingerprints": "FingerprintHash md5\n",
    # Each of these is another way for a key to become known.
    "addresses are checked too": "CheckHostIP yes\nVerifyHostKeyDNS yes\nUpdateHostKeys yes\n",
    "a global known_hosts file": (
        "GlobalKnownHostsFile ~/.ssh/known_hosts\nHashKnownHosts yes\nHostKeyAlgorithms +ssh-rsa\n"
    ),
    # A shared connection is not checked again, so it must not lead to another machine.
    "a shared connection of the user's": (
        "Host *\n  ControlMaster auto\n  ControlPath ~/.ssh/mine-%C\n  StrictHostKeyChecking no\n"
    ),
}
Keys = Mapping[str, Any]


@dataclass
class Machines:
    """The machines of one try; the last one is the machine that is real or an impostor."""

    rig: Rig
    key: str
    """The name of its host key: the pinned one, or another."""
    authority: str
    servers: dict[str, SshServer] = field(default_factory=dict)

    def login(self, *lines: str) -> SshServer:
        """Start the machine."""
        self.servers["login"] = self.rig.serve("login", [self.key], *lines, names=RESOLVED)
        return self.servers["login"]

    def pins(self, *entries: str) -> Keys:
        """Return the pins of the real machine."""
        fingerprints = {"ed25519": self.rig.fingerprint("ed25519")}
        return {"hosts": list(entries), "source": "test", "fingerprints": fingerprints}

    def gate(self) -> tuple[Keys, Keys]:
        """Start a jump host, which is always real; return its entry and its pins."""
        self.servers["gate"] = self.rig.serve("gate", ["ed25519-gate"], names=RESOLVED)
        fingerprints = {"ed25519": self.rig.fingerprint("ed25519-gate")}
        pins = {"hosts": ["gate"], "source": "test", "fingerprints": fingerprints}
        # Real in every try: otherwise its refusal would hide that the target is not checked.
        return {"host": "gate.rig.test", "port": self.servers["gate"].port, "role": "jump"}, pins


def one_host(machines: Machines) -> Keys:
    login = machines.login()
    return {
        "hosts": {"rig": {"host": "login.rig.test", "port": login.port}},
        "host_keys": {"login": machines.pins("rig")},
    }


def a_whole_key(machines: Machines) -> Keys:
    """Have a pin that ssh also finds in a file, which could hold more than it should."""
    login = machines.login()
    pins = {"hosts": "rig", "source": "test", "keys": machines.rig.public("ed25519")}
    return {
        "hosts": {"rig": {"host": "login.rig.test", "port": login.port}},
        "host_keys": {"login": pins},
    }


def capital_letters_in_the_spec(machines: Machines) -> Keys:
    login = machines.login()
    return {
        "hosts": {"Rig": {"host": "LOGIN.Rig.test", "port": login.port}},
        "host_keys": {"login": machines.pins("Rig")},
    }


def an_authority(machines: Machines) -> Keys:
    # ssh compares the principals of a host certificate with the name that it looks keys up by.
    principals = "login.rig.test"
    certified = machines.rig.certify(machines.key, machines.authority, "-h", "-n", principals)
    login = machines.login(f"HostCertificate {certified}-cert.pub")
    authority = {"hosts": "*.rig.test", "key": machines.rig.public("ecdsa-ca")}
    return {
        "hosts": {"rig": {"host": "login.rig.test", "port": login.port}},
        "host_keys": {"login": {"hosts": "rig", "source": "test", "authorities": authority}},
    }


def nodes_behind_a_balancer(machines: Machines) -> Keys:
    login = machines.login()
    nodes = {"alias": "rig{n}", "host": "login-{n}.rig.test", "n": "1"}
    return {
        "hosts": {"rig": {"host": "login.rig.test", "port": login.port, "nodes": nodes}},
        "host_keys": {"login": machines.pins("rig")},
    }


def behind_a_jump_host(machines: Machines) -> Keys:
    gate, gate_pins = machines.gate()
    rig = {"host": "inner.rig.test", "port": machines.login().port, "via": "gate"}
    return {
        "hosts": {"rig": rig, "gate": gate},
        "host_keys": {"login": machines.pins("rig"), "gate": gate_pins},
    }


def compute_nodes(machines: Machines) -> Keys:
    gate, gate_pins = machines.gate()
    port = machines.login().port
    nodes = {"match": "cn-????", "host": "%h.rig.test", "through": "gate", "port": port}
    return {
        "hosts": {"gate": gate},
        "compute": {"nodes": nodes},
        "host_keys": {"nodes": machines.pins("nodes"), "gate": gate_pins},
    }


def compute_nodes_with_exceptions(machines: Machines) -> Keys:
    gate, gate_pins = machines.gate()
    nodes = {
        # Both patterns match more than they should: full names, and the jump host.
        "match": "cn-*",
        "host": "%h.rig.test",
        "also": ["*.rig.test", "!gate.rig.test"],
        "through": "gate",
        "port": machines.login().port,
    }
    return {
        "hosts": {"gate": gate},
        "compute": {"nodes": nodes},
        "host_keys": {"nodes": machines.pins("nodes"), "gate": gate_pins},
    }


def a_name_with_an_ipv6_address(machines: Machines) -> Keys:
    port = free_port()
    machines.login("ListenAddress ::1", f"Port {port}")
    return {
        "hosts": {"rig": {"host": "six.rig.test", "port": port}},
        "host_keys": {"login": machines.pins("rig")},
    }


def an_ipv6_address(machines: Machines) -> Keys:
    port = free_port()
    machines.login("ListenAddress ::1", f"Port {port}")
    return {
        "hosts": {"rig": {"host": "0::1", "port": port}},
        "host_keys": {"login": machines.pins("rig")},
    }


# Options of the command line come before those of all files.
OPTIONS = (
    "-oStrictHostKeyChecking=no rig",
    "-oStrictHostKeyChecking=accept-new rig",
    "-oStrictHostKeyChecking=off -oUserKnownHostsFile=~/.ssh/known_hosts login.rig.test",
)
LOGIN_NAMES = ("rig", "RIG", "login.rig.test", "LOGIN.RIG.TEST", "Login.rig.test.", *OPTIONS)
CANONICAL = ("login",)
INNER_NAMES = ("rig", "Rig", "inner.rig.test", "INNER.rig.test", "inner.rig.test.")
# A jump of the command line takes the place of the ProxyJump of the spec.
JUMPED = ("-J gate inner.rig.test", "-J GATE.rig.test. Inner.rig.test.")
# Host patterns are case-sensitive, and names are not (RFC 4343).
NODE_NAMES = ("cn-a001", "CN-A001", "cn-a001.rig.test", "CN-a001.RIG.test", "cn-a001.rig.test.")
LAYOUTS: dict[str, tuple[Callable[[Machines], Keys], tuple[str, ...], tuple[str, ...]]] = {
    "one host": (one_host, LOGIN_NAMES, CANONICAL),
    "a whole key": (a_whole_key, LOGIN_NAMES, CANONICAL),
    "capital letters in the spec": (capital_letters_in_the_spec, LOGIN_NAMES, CANONICAL),
    "an authority": (an_authority, LOGIN_NAMES, CANONICAL),
    "nodes behind a balancer": (
        nodes_behind_a_balancer,
        (*LOGIN_NAMES, "rig1", "Rig1", "LOGIN-1.rig.test."),
        (*CANONICAL, "login-1"),
    ),
    "behind a jump host": (behind_a_jump_host, (*INNER_NAMES, *JUMPED), ("inner",)),
    "compute nodes": (compute_nodes, (*NODE_NAMES, "-J gate cn-a001.rig.test"), ()),
    "compute nodes with exceptions": (
        compute_nodes_with_exceptions,
        (*NODE_NAMES, "cn-a001.RIG.test", "-J GATE.rig.test. cn-a001.rig.test"),
        (),
    ),
    "an IPv6 address": (an_ipv6_address, ("rig", "RIG", "0::1", *OPTIONS[:2]), ()),
    "a name with an IPv6 address": (
        a_name_with_an_ipv6_address,
        ("rig", "RIG", "six.rig.test", "SIX.Rig.test.", "-6 six.rig.test", *OPTIONS[:2]),
        ("six",),
    ),
}


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        hosts = tmp_path / "hosts"
        # No name server: /etc/hosts is mounted over for the programs of the test.
        hosts.write_text(
            f"127.0.0.1 localhost {' '.join(RESOLVED)}\n::1 six.rig.test six.rig.test.\n"
        )
        rig.hosts = hosts
        yield rig


def compiled(rig: Rig, spec: Mapping[str, Any]) -> Path:
    """Compile a spec, and put its known_hosts file where `gen install` puts it."""
    config = rig.compile(spec)
    known_hosts = config.with_suffix(".known_hosts")
    if known_hosts.exists():
        directory = rig.home / ".ssh/gen.d"
        directory.mkdir()
        shutil.copy(known_hosts, directory)
    return config


def user_configurations(rig: Rig, config: Path) -> Iterator[tuple[str, Path]]:
    """Yield configurations of the user that include the generated one."""
    for number, (title, text) in enumerate(sample(list(CONFIGURATIONS.items()), 4)):
        path = rig.directory / f"config-{number}"
        path.write_text(f"Include {config}\n{text}")
        yield title, path


def tries(
    rig: Rig, config: Path, names: tuple[str, ...], canonical: tuple[str, ...]
) -> Iterator[tuple[str, list[str]]]:
    """Yield a title and the arguments of ssh for each name under each configuration."""
    for title, path in user_configurations(rig, config):
        for name in names + (canonical if title.startswith("canonical") else ()):
            options = name.split()
            yield f"{title}: {name}", [str(path), options[-1], *options[:-1]]


@pytest.mark.parametrize(("layout", "names", "canonical"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_real_machine_is_not_locked_out_under_any_name_or_configuration(
    rig: Rig,
    layout: Callable[[Machines], Keys],
    names: tuple[str, ...],
    canonical: tuple[str, ...],
) -> None:
    machines = Machines(rig, "ed25519", "ecdsa-ca")
    keys = layout(machines)
    config = compiled(rig, site(machines.servers["login"], {}, **keys))
    locked_out = []
    count = 0
    for title, (path, name, *options) in tries(rig, config, names, canonical):
        count += 1
        result = rig.login(Path(path), name, *options)
        if (result.returncode, result.stdout) != (0, "login\n"):
            locked_out.append(f"{title}: {result.stderr}")
    print(f"{count} logins, {len(locked_out)} locked out")  # noqa: T201 - the figures
    assert locked_out == []


@pytest.mark.parametrize(("layout", "names", "canonical"), LAYOUTS.values(), ids=LAYOUTS)
def test_an_impostor_is_not_let_in_under_any_name_or_configuration(
    rig: Rig,
    layout: Callable[[Machines], Keys],
    names: tuple[str, ...],
    canonical: tuple[str, ...],
) -> None:
    machines = Machines(rig, "ed25519-other", "ecdsa-other")
    keys = layout(machines)
    config = compiled(rig, site(machines.servers["login"], {}, **keys))
    login = machines.servers["login"]
    # What a user has who was attacked before, or who accepted the key once: it must not count.
    known_hosts = []
    for host in (
        "login.rig.test",
        "login-1.rig.test",
        "inner.rig.test",
        "cn-a001.rig.test",
        "0::1",
        "six.rig.test",
    ):
        for key in ("ed25519-other", "ecdsa-other"):
            known_hosts.append(f"[{host}]:{login.port} {rig.public(key)}\n")
    # An authority for every name, as the attacker would like it.
    known_hosts.append(f"@cert-authority * {rig.public('ecdsa-other')}\n")
    (rig.home / ".ssh/known_hosts").write_text("".join(known_hosts))
    let_in = []
    count = 0
    for title, (path, name, *options) in tries(rig, config, names, canonical):
        count += 1
        result = rig.login(Path(path), name, *options)
        if result.returncode == 0:
            let_in.append(title)
    print(f"{count} connections to an impostor, {len(let_in)} let in")  # noqa: T201 - the figures
    assert let_in == []
    assert login.logins() == []


@pytest.mark.parametrize(
    ("principals", "validity", "is_current"),
    [
        pytest.param("login.rig.test", "-2h:+1h", True, id="valid"),
        pytest.param("gate.rig.test,login.rig.test", "always:forever", True, id="valid for ever"),
        pytest.param("login.rig.test", "-2h:-1h", False, id="expired"),
        pytest.param("gate.rig.test", "-2h:+1h", False, id="of another machine"),
    ],
)
def test_a_certificate_of_a_pinned_authority_counts_for_its_names_until_it_expires(
    rig: Rig, principals: str, validity: str, is_current: bool
) -> None:
    certified = rig.certify("ed25519", "ecdsa-ca", "-h", "-n", principals, "-V", validity)
    login = rig.serve("login", ["ed25519"], f"HostCertificate {certified}-cert.pub")
    authority = {"hosts": "*.rig.test", "key": rig.public("ecdsa-ca")}
    spec = site(
        login,
        {},
        hosts={"rig": {"host": "login.rig.test", "port": login.port}},
        host_keys={"login": {"hosts": "rig", "source": "test", "authorities": authority}},
    )
    known_hosts = rig.home / ".ssh/known_hosts"
    # For a certificate that is not valid, ssh takes the key alone, which the user has accepted.
    known_hosts.write_text(
        f"[login.rig.test]:{login.port} {rig.public('ed25519')}\n"
        f"@cert-authority * {rig.public('ecdsa-ca')}\n"
    )
    wrong = []
    for title, (path, host, *options) in tries(rig, compiled(rig, spec), LOGIN_NAMES, CANONICAL):
        result = rig.login(Path(path), host, *options)
        if (result.returncode == 0) != is_current:
            wrong.append(f"{title}: {result.stderr}")
    assert wrong == []
    assert bool(login.logins()) == is_current


def test_a_certificate_that_only_names_the_pinned_authority_is_refused(rig: Rig) -> None:
    # The key ID is text of whoever signs; ssh-keygen prints it with its line breaks.
    key_id = f"x\n        Signing CA: ECDSA {rig.fingerprint('ecdsa-ca')} (using ecdsa)"
    certified = rig.certify("ed25519", "ecdsa-other", "-h", "-n", "login.rig.test", "-I", key_id)
    login = rig.serve("login", ["ed25519"], f"HostCertificate {certified}-cert.pub")
    authority = {"hosts": "*.rig.test", "key": rig.public("ecdsa-ca")}
    spec = site(
        login,
        {},
        hosts={"rig": {"host": "login.rig.test", "port": login.port}},
        host_keys={"login": {"hosts": "rig", "source": "test", "authorities": authority}},
    )
    accepted = f"@cert-authority * {rig.public('ecdsa-other')}\n"
    (rig.home / ".ssh/known_hosts").write_text(accepted)
    let_in = []
    for title, (path, host, *options) in tries(rig, compiled(rig, spec), LOGIN_NAMES, CANONICAL):
        if rig.login(Path(path), host, *options).returncode == 0:
            let_in.append(title)
    assert let_in == []
    assert login.logins() == []


def shared_entries(rig: Rig, server: SshServer) -> tuple[Path, dict[str, bool]]:
    """Return a configuration of two sites at one machine, and whether each entry pins another key.

    The key of the machine is in known_hosts, so the entry without pins lets it in.
    """
    machine = {"host": "login.rig.test", "port": server.port}
    right = {"ed25519": rig.fingerprint("ed25519-other")}
    wrong = {"ed25519": rig.fingerprint("ed25519")}
    first = site(server, {}, multiplexing="allowed", site="first")
    first["hosts"] = {
        "one": machine,
        "one-agent": {**machine, "forward_agent": True},
        "one-unpinned": machine,
    }
    first["host_keys"] = {
        "pinned": {"hosts": ["one", "one-agent"], "source": "test", "fingerprints": wrong}
    }
    # The job is at the same machine, and no job has a key that could be pinned.
    first["jobs"] = {
        "job": {
            "through": "one-unpinned",
            "proxy": f"{rig.relay()} 127.0.0.1 {server.port}",
            "command": "printenv SERVER",
        }
    }
    second = site(server, {}, multiplexing="allowed", site="second")
    second["hosts"] = {"two": machine, "two-old": machine}
    second["host_keys"] = {
        "new": {"hosts": ["two"], "source": "test", "fingerprints": right},
        "old": {"hosts": ["two-old"], "source": "test", "fingerprints": wrong},
    }
    includes = [f"Include {rig.compile(spec)}\n" for spec in (first, second)]
    config = rig.directory / "config"
    config.write_text("".join(includes))
    # The ssh to the login node of a job reads the configuration of the user.
    (rig.home / ".ssh/config").write_text("".join(includes))
    known_hosts = f"[login.rig.test]:{server.port} {rig.public('ed25519-other')}\n"
    (rig.home / ".ssh/known_hosts").write_text(known_hosts)
    is_refused = {
        "one": True,
        "one-agent": True,
        "one-unpinned": False,
        "two": False,
        "two-old": True,
        "job": False,
    }
    return config, is_refused


@pytest.mark.parametrize("first", ["a", "b"])
def test_the_second_of_two_sites_that_pin_other_keys_of_a_machine_is_refused(
    rig: Rig, first: str
) -> None:
    # The two sites are those of a report: sitea pins the machine's key, siteb another one.
    server = rig.serve("login", ["ed25519"])
    configs = []
    for name, key in (("a", "ed25519"), ("b", "ed25519-other")):
        spec = site(server, {}, site=f"site{name}", multiplexing="allowed")
        spec["hosts"] = {name: {"host": "login.rig.test", "port": server.port}}
        pins = {"ed25519": rig.fingerprint(key)}
        spec["host_keys"] = {"k": {"hosts": name, "source": "test", "fingerprints": pins}}
        configs.append(f"Include {rig.compile(spec)}\n")
    config = rig.directory / "config"
    config.write_text("".join(configs))
    for name in (first, "a", "b"):
        result = rig.login(config, name)
        if name == "a":
            assert logged_in(result), result
        else:
            assert host_key_refused(result), result


def test_no_entry_uses_a_connection_that_an_entry_with_another_policy_opened(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519-other"])
    config, is_refused = shared_entries(rig, server)
    pairs = 0
    for first, second in permutations(is_refused, 2):
        pairs += 1
        for name in (first, second):
            # A job runs its own command.
            result = rig.ssh(config, name) if name == "job" else rig.login(config, name)
            if is_refused[name]:
                assert host_key_refused(result), (first, second, result)
            else:
                assert (result.returncode, result.stdout) == (0, "login\n"), (first, second, result)
        for name in (first, second):
            rig.ssh(config, "-O", "exit", name)
    print(f"{pairs} pairs of entries, 0 let in")  # noqa: T201 - the figures


@pytest.mark.parametrize("options", [(), ("-oStrictHostKeyChecking=no",)], ids=["usual", "off"])
def test_the_refusal_names_the_site_and_the_command_that_compares_the_keys(
    rig: Rig, options: tuple[str, ...]
) -> None:
    server = rig.serve("login", ["ed25519-other"])
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
    result = rig.login(rig.compile(site(server, pins)), "rig", *options)
    assert host_key_refused(result)
    message, *others = result.stderr.splitlines()
    assert message == (
        f"gen: rig: the key that [localhost]:{server.port} offers is not one of the pinned keys; "
        "compare them: gen status rig --live"
    )
    if options:
        # The command for pins ends ssh, which prints this command.
        assert others[0] == "Host key verification failed."
        assert others[1:] == [others[1], "KnownHostsCommand failed"]
    else:
        # ssh ends by itself.
        assert others == [
            f"No ED25519 host key is known for [localhost]:{server.port} "
            "and you have requested strict checking.",
            "Host key verification failed.",
        ]


def test_only_who_takes_the_command_for_pins_away_reaches_an_impostor(rig: Rig) -> None:
    # A limit: the command line comes first, and no configuration can forbid an option.
    server = rig.serve("login", ["ed25519-other"])
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
    config = rig.compile(site(server, pins))
    without = ("-oKnownHostsCommand=none", "-oStrictHostKeyChecking=no")
    assert host_key_refused(rig.login(config, "rig", without[0]))
    assert host_key_refused(rig.login(config, "rig", without[1]))
    assert rig.login(config, "rig", *without).returncode == 0
