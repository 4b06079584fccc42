"""ssh refuses the host keys and authorities that a spec names as revoked."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from running import Gen
from sshd import PROGRAMS, Rig, SshServer, host_key_refused, logged_in, site

pytestmark = pytest.mark.system

KEY = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"
Spec = Callable[[Mapping[str, Any]], Path]


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


def revoked(**keys: Any) -> dict[str, Any]:
    """Return the block of a spec that revokes keys."""
    return {"leaked": {"source": "test", "reason": "the private key was published", **keys}}


def accept(rig: Rig, server: SshServer, key: str) -> None:
    """Write a key into the user's known_hosts, as after an earlier login."""
    # The case for which revocation exists: the user has the leaked key already.
    line = f"[localhost]:{server.port} {rig.public(key)}\n"
    (rig.home / ".ssh/known_hosts").write_text(line)


@pytest.mark.parametrize("is_whole", [False, True], ids=["a fingerprint", "a whole key"])
@pytest.mark.parametrize("is_revoked", [True, False], ids=["revoked", "not revoked"])
def test_a_revoked_key_is_refused_where_nothing_is_pinned_though_the_user_accepted_it(
    rig: Rig, is_whole: bool, is_revoked: bool
) -> None:
    server = rig.serve("login", ["ed25519"])
    accept(rig, server, "ed25519")
    # The other side: a revocation of some other key must lock nobody out.
    key = "ed25519" if is_revoked else "ed25519-other"
    keys = {"keys": rig.public(key)} if is_whole else {"fingerprints": rig.fingerprint(key)}
    config = rig.compile(site(server, {}, host_keys={}, revoked_keys=revoked(**keys)))
    result = rig.login(config)
    if not is_revoked:
        assert logged_in(result), result
        return
    assert host_key_refused(result), result
    assert (
        f"gen: rig: the key that [localhost]:{server.port} offers is revoked; do not log in: "
        "gen show rig\n"
    ) in result.stderr
    assert server.logins() == []


def test_a_revoked_key_is_refused_where_another_key_is_pinned(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    # The message must say revoked: an unknown key may be an honest mistake.
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519-new")}}
    keys = revoked(fingerprints=rig.fingerprint("ed25519"))
    result = rig.login(rig.compile(site(server, pins, revoked_keys=keys)))
    assert host_key_refused(result)
    assert "is revoked; do not log in" in result.stderr


def test_a_certificate_of_a_pinned_authority_does_not_save_a_revoked_key(rig: Rig) -> None:
    key = rig.certify("ed25519", "ecdsa-ca", "-h", "-n", "localhost")
    server = rig.serve("login", ["ed25519"], f"HostCertificate {key}-cert.pub")
    # A certificate outlives the theft of its key, and ssh would accept it.
    pins = {"authorities": {"hosts": "localhost", "key": rig.public("ecdsa-ca")}}
    assert logged_in(rig.login(rig.compile(site(server, pins))))
    keys = revoked(fingerprints=rig.fingerprint("ed25519"))
    assert host_key_refused(rig.login(rig.compile(site(server, pins, revoked_keys=keys))))


def test_a_revoked_authority_is_refused_though_the_user_trusts_it(rig: Rig) -> None:
    key = rig.certify("ed25519", "ecdsa-ca", "-h", "-n", "localhost")
    server = rig.serve("login", ["ed25519"], f"HostCertificate {key}-cert.pub")
    # A line that many centres ask their users to add.
    authority = f"@cert-authority * {rig.public('ecdsa-ca')}\n"
    (rig.home / ".ssh/known_hosts").write_text(authority)
    assert logged_in(rig.login(rig.compile(site(server, {}, host_keys={}))))
    keys = revoked(keys=rig.public("ecdsa-ca"))
    config = rig.compile(site(server, {}, host_keys={}, revoked_keys=keys))
    assert host_key_refused(rig.login(config))


def test_a_revoked_key_is_refused_under_a_canonical_name_without_checks(rig: Rig) -> None:
    rig.hosts = rig.directory / "hosts"
    rig.hosts.write_text("127.0.0.1 localhost login.rig.test login.rig.test.\n")
    server = rig.serve("login", ["ed25519"])
    keys = revoked(fingerprints=rig.fingerprint("ed25519"))
    hosts = {"rig": {"host": "login.rig.test", "port": server.port}}
    config = rig.compile(site(server, {}, hosts=hosts, host_keys={}, revoked_keys=keys))
    # ssh reads this name's blocks in a second round, after the options of `Host *`.
    canonical = rig.directory / "config"
    canonical.write_text(
        f"Include {config}\nCanonicalizeHostname yes\nCanonicalDomains rig.test\n"
        "Host *\n  StrictHostKeyChecking no\n"
    )
    assert rig.login(canonical, "login").returncode != 0
    assert server.logins() == []


def test_install_status_and_show_name_the_revoked_keys(gen: Gen, spec_file: Spec) -> None:
    spec = spec_file(
        {
            "site": "rig",
            "title": "A cluster",
            "sources": {"test": {"ref": "made by the test"}},
            "hosts": {"rig": {"host": "login.example.org"}},
            "auth": {"method": "publickey"},
            "revoked_keys": revoked(fingerprints=KEY),
        }
    )
    assert gen("install", str(spec), "--yes").status == 0
    status = gen("status", "rig").out
    assert f"  REVOKED   {KEY}: the private key was published\n" in status
    shown = gen("show", str(spec)).out
    assert "REVOKED KEYS (ssh refuses them)\n" in shown
    assert KEY in shown


def test_a_key_is_not_both_pinned_and_revoked(gen: Gen, spec_file: Spec) -> None:
    spec = spec_file(
        {
            "site": "rig",
            "title": "A cluster",
            "sources": {"test": {"ref": "made by the test"}},
            "hosts": {"rig": {"host": "login.example.org"}},
            "host_keys": {
                "login": {"hosts": "rig", "source": "test", "fingerprints": {"ed25519": KEY}}
            },
            "auth": {"method": "publickey"},
            "revoked_keys": revoked(fingerprints=KEY),
        }
    )
    result = gen("validate", str(spec))
    assert result.status != 0
    message = f"revoked_keys.leaked: {KEY} is revoked, but host_keys.login pins it; delete the pin"
    assert message in result.out + result.err
