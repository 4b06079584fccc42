"""With the generated config ssh connects to the right servers, and to no others."""

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
class Pinning:
    """The host keys of a server, and those that the spec pins, by name.

    Each name starts with the type of the key.
    """

    server_keys: tuple[str, ...]
    fingerprints: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    authority: str | None = None
    authority_hosts: str = "localhost"
    signed_by: str | None = None
    signed_for: str = "localhost"
    validity: str = "+1h"

    def serve(self, rig: Rig) -> SshServer:
        """Start the server, with a certificate for its first key if an authority signed it."""
        # A server without a certificate offers its plain keys alone.
        if not self.signed_by:
            return rig.serve("login", self.server_keys)
        # -h makes a host certificate; -n limits it to names, as ssh checks them.
        options = ("-h", "-n", self.signed_for, "-V", self.validity)
        key = rig.certify(self.server_keys[0], self.signed_by, *options)
        return rig.serve("login", self.server_keys, f"HostCertificate {key}-cert.pub")

    def pins(self, rig: Rig) -> dict[str, Any]:
        """Return the pins of the spec, as a block of `host_keys`."""
        fingerprints: dict[str, list[str]] = {}
        for name in self.fingerprints:
            key_type = name.partition("-")[0]
            fingerprints.setdefault(key_type, []).append(rig.fingerprint(name))
        keys = [rig.public(name) for name in self.keys]
        block: dict[str, Any] = {"fingerprints": fingerprints, "keys": keys}
        if self.authority:
            authority = {"hosts": self.authority_hosts, "key": rig.public(self.authority)}
            block["authorities"] = authority
        return block

    def compile(self, rig: Rig) -> Path:
        """Start the server, compile the site that pins it, and return its ssh config."""
        return rig.compile(site(self.serve(rig), self.pins(rig)))


# The three kinds of pins, each on a server that it fits.
FINGERPRINT = Pinning(("ed25519",), fingerprints=("ed25519",))
WHOLE_KEY = Pinning(("ed25519",), keys=("ed25519",))
AUTHORITY = Pinning(("ed25519",), authority="ecdsa-ca", signed_by="ecdsa-ca")

TRUSTED = {
    "a fingerprint": FINGERPRINT,
    "an ecdsa fingerprint": Pinning(("ecdsa",), fingerprints=("ecdsa",)),
    "an rsa fingerprint": Pinning(("rsa",), fingerprints=("rsa",)),
    "fingerprints of all types": Pinning(
        ("ed25519", "ecdsa", "rsa"), fingerprints=("rsa", "ecdsa", "ed25519")
    ),
    "only rsa, where the server offers ed25519 too": Pinning(
        ("ed25519", "rsa"), fingerprints=("rsa",)
    ),
    "a fingerprint, where the server offers a certificate too": replace(
        FINGERPRINT, signed_by="ecdsa-ca"
    ),
    # Sites announce a new key before they use it, and pins of both keep every login working.
    "two fingerprints, while the site changes its key": Pinning(
        ("ed25519-new",), fingerprints=("ed25519-old", "ed25519-new")
    ),
    "a whole key": WHOLE_KEY,
    "a whole key, where the server offers ed25519 too": Pinning(
        ("ed25519", "ecdsa"), keys=("ecdsa",)
    ),
    "a whole key, and a fingerprint of another": replace(WHOLE_KEY, fingerprints=("rsa",)),
    "an authority": AUTHORITY,
    "an rsa authority": Pinning(("rsa", "ed25519"), authority="rsa-ca", signed_by="rsa-ca"),
    "an authority for a pattern of hosts": replace(AUTHORITY, authority_hosts="local*"),
    "an authority that signs, and a fingerprint": replace(AUTHORITY, fingerprints=("rsa",)),
    "an authority that does not sign yet, and a fingerprint": Pinning(
        ("ed25519", "rsa"), authority="ecdsa-ca", fingerprints=("rsa",)
    ),
}
# Each differs in one respect from a server above that ssh accepts.
DISTRUSTED = {
    "another key": replace(FINGERPRINT, server_keys=("ed25519-other",)),
    "another key than the whole one": replace(WHOLE_KEY, server_keys=("ed25519-other",)),
    # A certificate of an authority that the spec does not name must not help.
    "another key, with a certificate": replace(
        FINGERPRINT, server_keys=("ed25519-other",), signed_by="ecdsa-ca"
    ),
    "another authority": replace(AUTHORITY, signed_by="ecdsa-other"),
    "a plain key, where an authority must sign": replace(AUTHORITY, signed_by=None),
    # The authority vouches for keys by a signature; its own key in the place of a host key is none.
    "the key of the authority": replace(AUTHORITY, server_keys=("ecdsa-ca",), signed_by=None),
    "a certificate for another host": replace(AUTHORITY, signed_for="other.example.org"),
    "an expired certificate": replace(AUTHORITY, validity="-2h:-1h"),
}
# A fingerprint is a hash, and a known_hosts file holds whole keys.
IN_KNOWN_HOSTS = {"a whole key": WHOLE_KEY, "an authority": AUTHORITY}
NOT_IN_KNOWN_HOSTS = {
    name: pinning for name, pinning in DISTRUSTED.items() if not pinning.fingerprints
}


@pytest.mark.parametrize("pinning", TRUSTED.values(), ids=TRUSTED)
def test_ssh_connects_to_a_pinned_host_by_alias_and_by_name_without_a_question_or_a_new_file(
    rig: Rig, pinning: Pinning
) -> None:
    config = pinning.compile(rig)
    assert logged_in(rig.login(config, "rig"))
    assert logged_in(rig.login(config, "localhost"))
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize("pinning", DISTRUSTED.values(), ids=DISTRUSTED)
def test_ssh_refuses_any_other_host_key_by_alias_and_by_name(rig: Rig, pinning: Pinning) -> None:
    config = pinning.compile(rig)
    assert host_key_refused(rig.login(config, "rig"))
    assert host_key_refused(rig.login(config, "localhost"))
    assert rig.files_of_ssh() == []


def test_ssh_refuses_a_host_without_a_key_of_a_pinned_type(rig: Rig) -> None:
    result = rig.login(Pinning(("ed25519",), fingerprints=("rsa",)).compile(rig))
    assert result.returncode == 255
    assert "no matching host key type found" in result.stderr


def test_an_authority_signs_for_the_hosts_of_its_pattern_and_no_others(rig: Rig) -> None:
    authorities = [
        {"hosts": "localhost", "key": rig.public("ecdsa-ours")},
        {"hosts": "*.example.org", "key": rig.public("ecdsa-theirs")},
    ]
    server = replace(AUTHORITY, signed_by="ecdsa-theirs").serve(rig)
    config = rig.compile(site(server, {"authorities": authorities}))
    assert host_key_refused(rig.login(config))


def test_ssh_asks_about_a_host_without_pins_and_refuses_it_without_an_answer(rig: Rig) -> None:
    # BatchMode of the rig stands for a user who is not there to answer.
    spec = site(FINGERPRINT.serve(rig), {}) | {"host_keys": {}}
    assert host_key_refused(rig.login(rig.compile(spec)))


def test_host_keys_from_a_weak_source_are_pinned_once_the_user_accepts_them(rig: Rig) -> None:
    spec = site(FINGERPRINT.serve(rig), FINGERPRINT.pins(rig))
    # A key whose source is weak is written only after the user has compared it.
    spec["sources"]["test"]["weak"] = "an undated excerpt"
    assert host_key_refused(rig.login(rig.compile(spec)))
    assert logged_in(rig.login(rig.compile(spec, "--accept-unverified")))


def test_an_ssh_that_is_too_old_for_pins_refuses_the_host(rig: Rig) -> None:
    # OpenSSH before 8.5 skips KnownHostsCommand because of IgnoreUnknown, and accepts no key.
    config = FINGERPRINT.compile(rig)
    assert host_key_refused(rig.login(config, "rig", "-o", "KnownHostsCommand=none"))


TRUSTS_EVERY_HOST = """Include {}
Host *
    StrictHostKeyChecking no
    UserKnownHostsFile ~/.ssh/known_hosts
    HostKeyAlgorithms +ssh-rsa
    VerifyHostKeyDNS yes
    UpdateHostKeys yes
    CheckHostIP yes
"""


def trusting_config(rig: Rig, config: Path) -> Path:
    """Return a config of the user that includes the generated one, and trusts every other host."""
    path = rig.directory / "config"
    path.write_text(TRUSTS_EVERY_HOST.format(config))
    return path


@pytest.mark.parametrize(
    "pinning",
    [FINGERPRINT, WHOLE_KEY, AUTHORITY],
    ids=["a fingerprint", "a whole key", "an authority"],
)
def test_pins_work_in_a_config_that_trusts_every_host(rig: Rig, pinning: Pinning) -> None:
    assert logged_in(rig.login(trusting_config(rig, pinning.compile(rig))))
    assert rig.files_of_ssh() == []


@pytest.mark.parametrize("pinning", DISTRUSTED.values(), ids=DISTRUSTED)
def test_neither_a_config_that_trusts_every_host_nor_a_known_impostor_overrides_the_pins(
    rig: Rig, pinning: Pinning
) -> None:
    server = pinning.serve(rig)
    config = rig.compile(site(server, pinning.pins(rig)))
    # The user has accepted the key of the impostor before, as users do.
    known_hosts = rig.home / ".ssh" / "known_hosts"
    known_hosts.write_text(f"[localhost]:{server.port} {rig.public(pinning.server_keys[0])}\n")
    # The impostor is in known_hosts, so ssh without our config connects.
    assert logged_in(login_with_known_hosts(rig, server, known_hosts))
    assert host_key_refused(rig.login(config))
    assert host_key_refused(rig.login(trusting_config(rig, config)))


def login_with_known_hosts(rig: Rig, server: SshServer, known_hosts: Path) -> Result:
    """Log in without the generated config: with a known_hosts file, as dagster-slurm does."""
    options = []
    for option in (
        f"UserKnownHostsFile={known_hosts}",
        # The machine that runs the tests may have keys of its own.
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
    ):
        options += ["-o", option]
    options += ["-i", str(rig.key("ed25519-ada")), "-p", str(server.port)]
    return rig.login(Path("/dev/null"), "localhost", *options)


@pytest.mark.parametrize("pinning", IN_KNOWN_HOSTS.values(), ids=IN_KNOWN_HOSTS)
def test_the_known_hosts_file_alone_is_enough_on_a_port_other_than_22(
    rig: Rig, pinning: Pinning
) -> None:
    server = pinning.serve(rig)
    config = rig.compile(site(server, pinning.pins(rig)))
    assert logged_in(login_with_known_hosts(rig, server, config.with_suffix(".known_hosts")))


@pytest.mark.parametrize("pinning", NOT_IN_KNOWN_HOSTS.values(), ids=NOT_IN_KNOWN_HOSTS)
def test_the_known_hosts_file_alone_refuses_any_other_key(rig: Rig, pinning: Pinning) -> None:
    server = pinning.serve(rig)
    config = rig.compile(site(server, pinning.pins(rig)))
    result = login_with_known_hosts(rig, server, config.with_suffix(".known_hosts"))
    assert host_key_refused(result)
