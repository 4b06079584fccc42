"""ssh connects with what gen made to real servers, and to no others: each test runs its own sshd on the loopback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sshd import PROGRAMS, Result, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
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

    def serve(self, rig: Rig) -> SshServer:
        """Start the server, with a certificate for its first key if an authority signed it."""
        if not self.signed_by:
            return rig.serve("login", self.has)
        key = rig.certify(
            self.has[0], self.signed_by, "-h", "-n", self.signed_for, "-V", self.validity
        )
        return rig.serve("login", self.has, f"HostCertificate {key}-cert.pub")

    def pins(self, rig: Rig) -> dict[str, Any]:
        """Return what the spec pins, as a block of `host_keys`."""
        by_type: dict[str, list[str]] = {}
        for name in self.fingerprints:
            by_type.setdefault(name.partition("-")[0], []).append(rig.fingerprint(name))
        known = {"fingerprints": by_type, "keys": [rig.public(name) for name in self.keys]}
        if self.authority:
            known["authorities"] = {
                "hosts": self.authority_hosts,
                "key": rig.public(self.authority),
            }
        return known

    def compile(self, rig: Rig) -> Path:
        """Start the server, and compile the site that pins it."""
        return rig.compile(site(self.serve(rig), self.pins(rig)))


FINGERPRINT = Case(("ed25519",), fingerprints=("ed25519",))
WHOLE_KEY = Case(("ed25519",), keys=("ed25519",))
AUTHORITY = Case(("ed25519",), authority="ecdsa-ca", signed_by="ecdsa-ca")

TRUSTED = {
    "a fingerprint": FINGERPRINT,
    "an ecdsa fingerprint": Case(("ecdsa",), fingerprints=("ecdsa",)),
    "an rsa fingerprint": Case(("rsa",), fingerprints=("rsa",)),
    "fingerprints of all": Case(
        ("ed25519", "ecdsa", "rsa"), fingerprints=("rsa", "ecdsa", "ed25519")
    ),
    "only rsa, where ed25519 is offered too": Case(("ed25519", "rsa"), fingerprints=("rsa",)),
    "a fingerprint, where a certificate is offered too": replace(FINGERPRINT, signed_by="ecdsa-ca"),
    "two fingerprints, while a key is changed": Case(
        ("ed25519-new",), fingerprints=("ed25519-old", "ed25519-new")
    ),
    "a whole key": WHOLE_KEY,
    "a whole key, where ed25519 is offered too": Case(("ed25519", "ecdsa"), keys=("ecdsa",)),
    "a whole key, and a fingerprint of another": replace(WHOLE_KEY, fingerprints=("rsa",)),
    "an authority": AUTHORITY,
    "an rsa authority": Case(("rsa", "ed25519"), authority="rsa-ca", signed_by="rsa-ca"),
    "an authority for a pattern of hosts": replace(AUTHORITY, authority_hosts="local*"),
    "an authority that signs, and a fingerprint": replace(AUTHORITY, fingerprints=("rsa",)),
    "an authority that does not sign yet, and a fingerprint": Case(
        ("ed25519", "rsa"), authority="ecdsa-ca", fingerprints=("rsa",)
    ),
}
DISTRUSTED = {
    "another key": replace(FINGERPRINT, has=("ed25519-other",)),
    "another key than the whole one": replace(WHOLE_KEY, has=("ed25519-other",)),
    "another key, with a certificate": replace(
        FINGERPRINT, has=("ed25519-other",), signed_by="ecdsa-ca"
    ),
    "another authority": replace(AUTHORITY, signed_by="ecdsa-other"),
    "a plain key, where an authority must sign": replace(AUTHORITY, signed_by=None),
    "the authority itself": replace(AUTHORITY, has=("ecdsa-ca",), signed_by=None),
    "a certificate for another host": replace(AUTHORITY, signed_for="other.example.org"),
    "an expired certificate": replace(AUTHORITY, validity="-2h:-1h"),
}
# A fingerprint is a hash, so it cannot stand in a known_hosts file.
IN_KNOWN_HOSTS = {"a whole key": WHOLE_KEY, "an authority": AUTHORITY}
NOT_IN_KNOWN_HOSTS = {what: case for what, case in DISTRUSTED.items() if not case.fingerprints}


@pytest.mark.parametrize("case", TRUSTED.values(), ids=TRUSTED)
def test_a_pinned_host_is_entered_by_alias_and_by_name_without_a_question_or_a_trace(
    rig: Rig, case: Case
) -> None:
    config = case.compile(rig)
    assert logged_in(rig.login(config, "rig"))
    assert logged_in(rig.login(config, "localhost"))
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize("case", DISTRUSTED.values(), ids=DISTRUSTED)
def test_any_other_host_key_is_refused_by_alias_and_by_name(rig: Rig, case: Case) -> None:
    config = case.compile(rig)
    assert host_key_refused(rig.login(config, "rig"))
    assert host_key_refused(rig.login(config, "localhost"))
    assert rig.files_of_ssh() == []


def test_a_host_with_no_key_of_a_pinned_type_is_refused(rig: Rig) -> None:
    result = rig.login(Case(("ed25519",), fingerprints=("rsa",)).compile(rig))
    assert result.returncode == 255
    assert "no matching host key type found" in result.stderr


def test_an_authority_signs_for_the_hosts_of_its_pattern_and_no_others(rig: Rig) -> None:
    known = {
        "authorities": [
            {"hosts": "localhost", "key": rig.public("ecdsa-ours")},
            {"hosts": "*.example.org", "key": rig.public("ecdsa-theirs")},
        ]
    }
    server = replace(AUTHORITY, signed_by="ecdsa-theirs").serve(rig)
    assert host_key_refused(rig.login(rig.compile(site(server, known))))


def test_a_host_without_pins_is_asked_about_and_so_refused_where_nobody_answers(rig: Rig) -> None:
    spec = site(FINGERPRINT.serve(rig), {}) | {"host_keys": {}}
    assert host_key_refused(rig.login(rig.compile(spec)))


def test_keys_from_a_weak_source_are_pinned_once_the_person_accepts_them(rig: Rig) -> None:
    spec = site(FINGERPRINT.serve(rig), FINGERPRINT.pins(rig))
    spec["sources"]["test"]["weak"] = "an undated excerpt"
    assert host_key_refused(rig.login(rig.compile(spec)))
    assert logged_in(rig.login(rig.compile(spec, "--accept-unverified")))


def test_an_ssh_that_is_too_old_for_pins_refuses_the_host(rig: Rig) -> None:
    """OpenSSH before 8.5 skips KnownHostsCommand, because of IgnoreUnknown: it knows no key then, and accepts none."""
    config = FINGERPRINT.compile(rig)
    assert host_key_refused(rig.login(config, "rig", "-o", "KnownHostsCommand=none"))


LAX = """Include {}
Host *
    StrictHostKeyChecking no
    UserKnownHostsFile ~/.ssh/known_hosts
    HostKeyAlgorithms +ssh-rsa
    VerifyHostKeyDNS yes
    UpdateHostKeys yes
    CheckHostIP yes
"""


def lax(rig: Rig, config: Path) -> Path:
    """Return a config of the person's own that includes ours, and trusts every other host blindly."""
    own = rig.directory / "config"
    own.write_text(LAX.format(config))
    return own


@pytest.mark.parametrize(
    "case",
    [FINGERPRINT, WHOLE_KEY, AUTHORITY],
    ids=["a fingerprint", "a whole key", "an authority"],
)
def test_pins_work_from_within_a_config_that_trusts_everybody(rig: Rig, case: Case) -> None:
    assert logged_in(rig.login(lax(rig, case.compile(rig))))
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize("case", DISTRUSTED.values(), ids=DISTRUSTED)
def test_neither_a_config_that_trusts_everybody_nor_a_known_impostor_gets_past_the_pins(
    rig: Rig, case: Case
) -> None:
    server = case.serve(rig)
    config = rig.compile(site(server, case.pins(rig)))
    known = rig.home / ".ssh" / "known_hosts"
    known.write_text(f"[localhost]:{server.port} {rig.public(case.has[0])}\n")
    assert logged_in(by_known_hosts(rig, server, known)), (
        "the impostor is known, so ssh alone would go there"
    )
    assert host_key_refused(rig.login(config))
    assert host_key_refused(rig.login(lax(rig, config)))


def by_known_hosts(rig: Rig, server: SshServer, known: Path) -> Result:
    """Log in without our config: with a known_hosts file, as dagster-slurm does."""
    files = {
        "UserKnownHostsFile": known,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
    }
    options = [word for name, value in files.items() for word in ("-o", f"{name}={value}")]
    address = ("-i", str(rig.key("ed25519-ada")), "-p", str(server.port))
    return rig.login(Path("/dev/null"), "localhost", *options, *address)


@pytest.mark.parametrize("case", IN_KNOWN_HOSTS.values(), ids=IN_KNOWN_HOSTS)
def test_the_known_hosts_file_alone_opens_the_way_on_a_port_other_than_22(
    rig: Rig, case: Case
) -> None:
    server = case.serve(rig)
    config = rig.compile(site(server, case.pins(rig)))
    assert logged_in(by_known_hosts(rig, server, config.with_suffix(".known_hosts")))


@pytest.mark.parametrize("case", NOT_IN_KNOWN_HOSTS.values(), ids=NOT_IN_KNOWN_HOSTS)
def test_the_known_hosts_file_alone_refuses_any_other_key(rig: Rig, case: Case) -> None:
    server = case.serve(rig)
    config = rig.compile(site(server, case.pins(rig)))
    assert host_key_refused(by_known_hosts(rig, server, config.with_suffix(".known_hosts")))
