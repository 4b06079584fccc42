"""Offered host keys against pinned ones, without a host."""

import base64
from typing import Any

import pytest

from generator.loading import validate, yaml_document
from generator.probe.finding import Kind
from generator.probe.host_key_differences import (
    NO_KEYS,
    OfferedKeys,
    host_key_findings,
    parse_offered_keys,
)
from generator.schema.site import SiteSpec
from generator.ssh.keys import fingerprint


def public_key(kind: str, filling: bytes) -> str:
    """Return a public key line without a private key."""
    parts = [kind.encode(), filling * 32]
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()}"


PINNED = public_key("ssh-ed25519", b"a")
OTHER = public_key("ssh-ed25519", b"b")
RSA = public_key("ssh-rsa", b"a")
SPEC = f"""\
site: rig
title: Rig
docs: https://docs.example.org/
sources:
  docs: {{ url: https://docs.example.org/, checked: 2026-08-08 }}
hosts:
  rig: {{ host: rig.example.org, source: docs }}
  free: {{ host: free.example.org, source: docs }}
host_keys:
  login:
    hosts: rig
    keys: ["{PINNED}"]
    source: docs
auth: {{ method: publickey }}
"""


@pytest.fixture(scope="module")
def site() -> SiteSpec:
    """Return a site with one pinned host and one without pins."""
    return validate.spec(yaml_document.parse(SPEC.encode(), "rig.yaml"), "rig.yaml")


def findings(site: SiteSpec, offered: OfferedKeys, entry: str = "rig") -> list[tuple[Any, ...]]:
    """Return kind, key and site of each finding."""
    host_name = site.hosts[entry].host
    results = host_key_findings(site, entry, host_name, offered, now=0)
    return [(finding.kind, finding.key, finding.site) for finding in results]


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(OfferedKeys((PINNED,), complete=True), id="pinned key"),
        pytest.param(OfferedKeys((PINNED, RSA), complete=True), id="pinned key and another kind"),
        pytest.param(NO_KEYS, id="nothing known"),
        # ssh-keyscan asks for one kind after the other, and the time was over in between.
        pytest.param(OfferedKeys((RSA,)), id="another kind, and no time for the pinned one"),
    ],
)
def test_a_pinned_key_or_none_at_all_is_not_a_difference(
    site: SiteSpec, offered: OfferedKeys
) -> None:
    assert findings(site, offered) == []


def test_another_key_of_a_pinned_algorithm_is_a_difference(site: SiteSpec) -> None:
    key = "host_keys.login.fingerprints.ed25519"
    assert findings(site, OfferedKeys((OTHER,), complete=True)) == [
        (Kind.HOST_KEY, key, f"rig.example.org offers {fingerprint(OTHER)}")
    ]


def test_a_pinned_algorithm_that_is_not_offered_is_a_difference(site: SiteSpec) -> None:
    key = "host_keys.login.fingerprints.ed25519"
    assert findings(site, OfferedKeys((RSA,), complete=True)) == [
        (Kind.HOST_KEY_GONE, key, "rig.example.org offers only rsa")
    ]


def test_a_host_without_pins_has_no_differences(site: SiteSpec) -> None:
    assert findings(site, OfferedKeys((OTHER,), complete=True), "free") == []


REVOKED_SPEC = f"""{SPEC}\
revoked_keys:
  leaked: {{ reason: published, keys: ["{OTHER}"], source: docs }}
"""


@pytest.mark.parametrize("entry", ["rig", "free"], ids=["pinned", "not pinned"])
@pytest.mark.parametrize(
    ("key", "is_revoked"), [(OTHER, True), (PINNED, False)], ids=["revoked", "not revoked"]
)
def test_a_revoked_key_is_reported_also_where_nothing_is_pinned(
    entry: str, key: str, is_revoked: bool
) -> None:
    site = validate.spec(yaml_document.parse(REVOKED_SPEC.encode(), "rig.yaml"), "rig.yaml")
    results = findings(site, OfferedKeys((key,), complete=True), entry)
    offer = f"{entry}.example.org offers {fingerprint(key)}"
    assert ((Kind.HOST_KEY, "revoked_keys", offer) in results) == is_revoked


def test_keys_and_certificates_are_read_from_ssh_keyscan() -> None:
    certificate = "ssh-ed25519-cert-v01@openssh.com AAAAx"
    output = f"# rig:22 SSH-2.0\nrig {PINNED}\n[rig]:2222 {RSA}\nssh-dss AAAAy\n{certificate}\n"
    assert parse_offered_keys(output, complete=True) == OfferedKeys(
        (PINNED, RSA), (certificate,), complete=True
    )
