"""ssh connects with what gen made to real servers, and to no others: each test runs its own sshd on the loopback."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sshd import PERSON, Result, Rig, Server, site

pytestmark = pytest.mark.system

STEP = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "test",
}


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need("ssh", "sshd", "ssh-keygen", "ssh-agent", "unshare", root=True)
    with Rig(tmp_path) as rig:
        yield rig


@dataclass(frozen=True)
class Case:
    """The host keys that a server has and those that the spec pins, by name; each name starts with the key's type."""

    has: tuple[str, ...]
    fingerprints: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    authority: str | None = None
    authority_hosts: str = "localhost"
    signed_by: str | None = None
    signed_for: str = "localhost"
    validity: str = "+1h"


def serve(rig: Rig, case: Case) -> Server:
    """Start the server of a case, with a certificate for its first key where an authority signed it."""
    if not case.signed_by:
        return rig.serve("login", case.has)
    options = ("-h", "-n", case.signed_for, "-V", case.validity)
    certificate = rig.certificate(case.signed_by, case.has[0], *options)
    return rig.serve("login", case.has, f"HostCertificate {certificate}")


def pins(
    rig: Rig, *, fingerprints: tuple[str, ...] = (), keys: tuple[str, ...] = (), **authority: str
) -> dict[str, object]:
    """Return a block of `host_keys` that pins keys by their names."""
    by_type: dict[str, list[str]] = {}
    for name in fingerprints:
        by_type.setdefault(name.partition("-")[0], []).append(rig.fingerprint(name))
    authorities = [{"hosts": hosts, "key": rig.public(name)} for name, hosts in authority.items()]
    return {"fingerprints": by_type, "keys": [rig.public(name) for name in keys], "authorities": authorities}


def compiled(rig: Rig, case: Case) -> Path:
    """Serve a case, and compile the site that pins it."""
    authority = {case.authority: case.authority_hosts} if case.authority else {}
    known = pins(rig, fingerprints=case.fingerprints, keys=case.keys, **authority)
    return compile_as_ada(rig, site(serve(rig, case), known))


def compile_as_ada(rig: Rig, spec: dict[str, object]) -> Path:
    return rig.compile(spec, "--identity-file", str(rig.key("ed25519-ada")))


def login(rig: Rig, config: Path, name: str = "rig", *options: str, **environment: str) -> Result:
    """Log in to a server and ask for its name."""
    return rig.ssh(config, *options, name, "echo $SERVER", **environment)


def is_refused(result: Result) -> bool:
    return result.returncode == 255 and "Host key verification failed" in result.stderr


TRUSTED = [
    pytest.param(Case(("ed25519",), fingerprints=("ed25519",)), id="an ed25519 fingerprint"),
    pytest.param(Case(("ecdsa",), fingerprints=("ecdsa",)), id="an ecdsa fingerprint"),
    pytest.param(Case(("rsa",), fingerprints=("rsa",)), id="an rsa fingerprint"),
    pytest.param(
        Case(("ed25519", "ecdsa", "rsa"), fingerprints=("rsa", "ecdsa", "ed25519")), id="fingerprints of all types"
    ),
    pytest.param(Case(("ed25519", "rsa"), fingerprints=("rsa",)), id="only rsa, where ed25519 is offered too"),
    pytest.param(
        Case(("ed25519-new",), fingerprints=("ed25519-old", "ed25519-new")),
        id="two fingerprints while a key is changed",
    ),
    pytest.param(
        Case(("ed25519",), fingerprints=("ed25519",), signed_by="ecdsa-ca"),
        id="a fingerprint, where a certificate is offered too",
    ),
    pytest.param(Case(("ed25519",), keys=("ed25519",)), id="a whole key"),
    pytest.param(Case(("ed25519", "ecdsa"), keys=("ecdsa",)), id="a whole ecdsa key, where ed25519 is offered too"),
    pytest.param(
        Case(("ed25519",), keys=("ed25519",), fingerprints=("rsa",)), id="a whole key, and a fingerprint of another"
    ),
    pytest.param(Case(("ed25519",), authority="ecdsa-ca", signed_by="ecdsa-ca"), id="an authority"),
    pytest.param(Case(("rsa", "ed25519"), authority="rsa-ca", signed_by="rsa-ca"), id="an rsa authority"),
    pytest.param(
        Case(("ed25519",), authority="ecdsa-ca", authority_hosts="local*", signed_by="ecdsa-ca"),
        id="an authority for a pattern of hosts",
    ),
    pytest.param(
        Case(("ed25519", "rsa"), authority="ecdsa-ca", fingerprints=("rsa",)),
        id="an authority, or a fingerprint until it signs",
    ),
    pytest.param(
        Case(("ed25519", "rsa"), authority="ecdsa-ca", fingerprints=("rsa",), signed_by="ecdsa-ca"),
        id="an authority that signs, and a fingerprint still",
    ),
]

DISTRUSTED = [
    pytest.param(Case(("ed25519-other",), fingerprints=("ed25519",)), id="another key"),
    pytest.param(Case(("ed25519-other",), keys=("ed25519",)), id="another key than the whole one"),
    pytest.param(
        Case(("ed25519-other",), fingerprints=("ed25519",), signed_by="ecdsa-ca"), id="another key with a certificate"
    ),
    pytest.param(Case(("ed25519",), authority="ecdsa-ca", signed_by="ecdsa-other"), id="another authority"),
    pytest.param(Case(("ed25519",), authority="ecdsa-ca"), id="a plain key where an authority must sign"),
    pytest.param(
        Case(("ed25519",), authority="ecdsa-ca", signed_by="ecdsa-ca", signed_for="other.example.org"),
        id="a certificate for another host",
    ),
    pytest.param(
        Case(("ed25519",), authority="ecdsa-ca", signed_by="ecdsa-ca", validity="-2h:-1h"), id="an expired certificate"
    ),
    pytest.param(Case(("ecdsa-ca",), authority="ecdsa-ca"), id="the authority's own key as a host key"),
]


@pytest.mark.parametrize("name", ["rig", "localhost"])
@pytest.mark.parametrize("case", TRUSTED)
def test_a_pinned_host_is_entered_without_a_question_and_nothing_is_written_down(
    rig: Rig, case: Case, name: str
) -> None:
    result = login(rig, compiled(rig, case), name)
    assert (result.returncode, result.stdout, result.stderr) == (0, "login\n", "")
    assert rig.left_behind() == []


@pytest.mark.parametrize("name", ["rig", "localhost"])
@pytest.mark.parametrize("case", DISTRUSTED)
def test_any_other_host_key_is_refused(rig: Rig, case: Case, name: str) -> None:
    result = login(rig, compiled(rig, case), name)
    assert is_refused(result), result.stderr
    assert rig.left_behind() == []


def test_a_host_whose_only_key_is_of_a_type_that_is_not_pinned_is_refused(rig: Rig) -> None:
    result = login(rig, compiled(rig, Case(("ed25519",), fingerprints=("rsa",))))
    assert result.returncode == 255
    assert "no matching host key type found" in result.stderr


def test_an_authority_signs_only_for_the_hosts_of_its_pattern(rig: Rig) -> None:
    """Two centres share a spec; what one of them signs is no proof for the machines of the other."""
    server = serve(rig, Case(("ed25519",), signed_by="ecdsa-theirs"))
    known = pins(rig, **{"ecdsa-ours": "localhost", "ecdsa-theirs": "*.example.org"})
    assert is_refused(login(rig, compile_as_ada(rig, site(server, known))))


def test_a_host_without_pins_is_asked_about_and_so_refused_where_nobody_answers(rig: Rig) -> None:
    spec = site(rig.serve("login", ["ed25519"]), {}) | {"host_keys": {}}
    assert is_refused(login(rig, compile_as_ada(rig, spec)))


@pytest.mark.parametrize(("option", "status"), [([], 255), (["--accept-unverified"], 0)], ids=["unasked", "accepted"])
def test_keys_from_a_weak_source_open_nothing_until_the_person_accepts_them(
    rig: Rig, option: list[str], status: int
) -> None:
    spec = site(rig.serve("login", ["ed25519"]), pins(rig, fingerprints=("ed25519",)))
    spec["sources"]["test"]["weak"] = "an undated excerpt"
    config = rig.compile(spec, "--identity-file", str(rig.key("ed25519-ada")), *option)
    assert login(rig, config).returncode == status


def test_the_same_file_holds_when_ssh_is_too_old_for_the_command_that_knows_the_pins(rig: Rig) -> None:
    """OpenSSH before 8.5 ignores KnownHostsCommand, as IgnoreUnknown tells it to: no pin, so no login."""
    config = compiled(rig, Case(("ed25519",), fingerprints=("ed25519",)))
    assert is_refused(login(rig, config, "rig", "-o", "KnownHostsCommand=none"))


LAX = """Include {config}
Host *
    StrictHostKeyChecking no
    UserKnownHostsFile ~/.ssh/known_hosts
    HostKeyAlgorithms +ssh-rsa
    VerifyHostKeyDNS yes
    UpdateHostKeys yes
    CheckHostIP yes
"""


@pytest.mark.parametrize("case", [TRUSTED[0], TRUSTED[7], TRUSTED[12]])
def test_pins_work_from_within_a_config_that_is_lax_for_all_other_hosts(rig: Rig, case: Case) -> None:
    own = rig.folder / "config"
    own.write_text(LAX.format(config=compiled(rig, case)))
    result = login(rig, own)
    assert (result.returncode, result.stdout) == (0, "login\n"), result.stderr
    assert rig.left_behind() == []


@pytest.mark.parametrize("case", DISTRUSTED)
def test_neither_a_lax_config_nor_a_known_impostor_gets_past_the_pins(rig: Rig, case: Case) -> None:
    config = compiled(rig, case)
    own = rig.folder / "config"
    own.write_text(LAX.format(config=config))
    known = rig.home / ".ssh" / "known_hosts"
    known.write_text(f"{host_as_known(config)} {rig.public(case.has[0])}\n")
    assert rig.ssh("/dev/null", *options_of(config, known), "localhost", "true").returncode == 0
    assert is_refused(login(rig, config))
    assert is_refused(login(rig, own))


def port(config: Path) -> str:
    return re.findall(r"Port (\d+)", config.read_text())[0]


def host_as_known(config: Path) -> str:
    return f"[localhost]:{port(config)}"


def options_of(config: Path, known: Path) -> list[str]:
    """Return the options of an ssh without our config that trusts a known_hosts file alone."""
    key = re.findall(r"IdentityFile (\S+)", config.read_text())[0]
    files = ["-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null"]
    return [*files, "-o", "StrictHostKeyChecking=yes", "-i", key, "-p", port(config)]
