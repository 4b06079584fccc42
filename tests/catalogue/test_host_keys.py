"""The host keys of every spec are those that its site publishes, each for the right machine.

`host_keys.yaml` has the published keys. This module computes fingerprints itself, without the code
of gen: a fault there must not hide a wrong key.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from generator.loading import validate, yaml_document
from generator.resources import CATALOGUE
from generator.schema.site import SiteSpec

FILE: Mapping[str, Any] = YAML(typ="safe").load(Path(__file__).with_name("host_keys.yaml"))
PUBLISHED: Mapping[str, list[dict[str, list[str]]]] = FILE["published"]
SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
KINDS = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa", "ecdsa-sha2-nistp256": "ecdsa"}


@dataclass(frozen=True, order=True)
class Pin:
    """A host key of an entry of a spec, of `hosts` or `compute`."""

    entry: str
    kind: str
    """`key`, `fingerprint`, or `authority of PATTERN`."""
    value: str

    def hashed(self) -> "Pin":
        """Return the fingerprint of a whole key."""
        key_type, key = self.value.split()
        digest = hashlib.sha256(base64.b64decode(key)).digest()
        fingerprint = base64.b64encode(digest).decode().rstrip("=")
        return Pin(self.entry, "fingerprint", f"{KINDS[key_type]} SHA256:{fingerprint}")

    def __str__(self) -> str:
        return f"{self.entry}: {self.kind} {self.value}"


@cache
def of(site: str, text: str = "") -> SiteSpec:
    """Return the spec of a site, or the spec in another text."""
    content = text.encode() or (CATALOGUE / f"{site}.yaml").read_bytes()
    return validate.spec(yaml_document.parse(content, site), site)


def differences(spec: SiteSpec, published: list[dict[str, list[str]]]) -> list[str]:
    """Return a line for each key that only the spec has, or only the site publishes."""
    unknown_hosts: list[str] = []
    expected: set[Pin] = set()
    for block in published:
        for host in block["hosts"]:
            entries = _entries(spec, host)
            if not entries:
                unknown_hosts.append(host)
            for entry in entries:
                expected.update(_published(entry, block))
    pinned = set(_pinned(spec))
    fingerprints: dict[Pin, Pin] = {}
    for pin in pinned:
        if pin.kind == "key":
            fingerprints[pin] = pin.hashed()
    # A spec may have the whole key of a published fingerprint, but not the fingerprint of a
    # published key.
    missing = expected - pinned - set(fingerprints.values())
    unpublished = [pin for pin in pinned - expected if fingerprints.get(pin) not in expected]
    lines: list[str] = []
    for host in unknown_hosts:
        lines.append(f"{spec.site}: {host} is published, and the spec has no such host")
    for pin in sorted(missing):
        lines.append(f"{spec.site}: {pin}: published, but not in the spec")
    for pin in sorted(unpublished):
        lines.append(f"{spec.site}: {pin}: in the spec, but not published for this host")
    return lines


def _published(entry: str, block: Mapping[str, list[str]]) -> Iterator[Pin]:
    for value in block.get("fingerprints", []):
        yield Pin(entry, "fingerprint", value)
    for value in block.get("keys", []):
        yield Pin(entry, "key", value)
    for value in block.get("authorities", []):
        for host in block["hosts"]:
            yield Pin(entry, f"authority of {host}", value)


def _pinned(spec: SiteSpec) -> Iterator[Pin]:
    for keys in spec.host_keys.values():
        for entry in keys.hosts:
            for algorithm, values in keys.fingerprints.items():
                for value in values:
                    yield Pin(entry, "fingerprint", f"{algorithm} {value}")
            for key in keys.keys:
                yield Pin(entry, "key", key)
            for authority in keys.authorities:
                yield Pin(entry, f"authority of {authority.hosts}", authority.key)


def _names(spec: SiteSpec) -> Iterator[tuple[str, str, int]]:
    """Yield entry, host name and port of each machine; the names of compute nodes are patterns."""
    for machine in spec.machines():
        yield machine.entry, machine.host_name, machine.host.port
    for entry, nodes in spec.compute.items():
        for name in nodes.patterns():
            yield entry, name, nodes.port


def _entries(spec: SiteSpec, published: str) -> set[str]:
    """Return the entries of a spec that have a machine which a published host name means."""
    entries = set()
    for entry, name, port in _names(spec):
        if _means(published, name, port):
            entries.add(entry)
    return entries


def _means(published: str, name: str, port: int) -> bool:
    if with_port := re.fullmatch(r"\[(.+)\]:([0-9]+)", published):
        return (name, port) == (with_port[1], int(with_port[2]))
    return fnmatchcase(name, published)


@pytest.mark.parametrize("site", SITES)
def test_a_spec_pins_the_published_keys_and_no_others(site: str) -> None:
    assert differences(of(site), PUBLISHED[site]) == []


def test_the_published_keys_are_of_the_sites_of_the_catalogue() -> None:
    assert list(PUBLISHED) == SITES


# Machines whose keys are published under another name: the nodes behind a balancer's name. A new
# entry is a decision to trust a key for a machine of which the site does not speak.
INFERRED = {
    "olcf-frontier": {f"login{n:02}.frontier.olcf.ornl.gov" for n in range(1, 18)},
    "sherlock": {"ln21.sherlock.stanford.edu"},
}


@pytest.mark.parametrize("site", SITES)
def test_a_key_is_pinned_for_published_names_and_for_nodes_behind_them(site: str) -> None:
    spec = of(site)
    published: list[str] = []
    for block in PUBLISHED[site]:
        published += block["hosts"]
    pinned: list[str] = []
    for keys in spec.host_keys.values():
        pinned += keys.hosts
    unpublished: set[str] = set()
    for machine in spec.machines():
        name, port = machine.host_name, machine.host.port
        if machine.entry in pinned and not any(_means(host, name, port) for host in published):
            unpublished.add(name)
    assert unpublished == INFERRED.get(site, set())


# A page of a site may list old keys too. The private half of a retired key may be anywhere.
def retired() -> Iterator[object]:
    """Yield the fingerprint of each key that a site no longer uses."""
    for blocks in FILE["not_to_be_pinned"].values():
        for block in blocks:
            for fingerprint in block["fingerprints"]:
                algorithm, value = fingerprint.split()
                case = f"{block['hosts'][0]} {algorithm}"
                yield pytest.param(value.removeprefix("SHA256:"), id=case)


@pytest.mark.parametrize("value", list(retired()))
def test_a_retired_key_is_in_no_spec_and_not_among_the_published_keys(value: str) -> None:
    for site in SITES:
        assert value not in (CATALOGUE / f"{site}.yaml").read_text(), site
    assert value not in str(PUBLISHED)


# The table above is only worth something if a mistake shows: the site, the text and the mistaken
# text, and the start of each line about it.
MISTAKES = {
    "a letter of a fingerprint": (
        "bede",
        ("SHA256:HbIkgn8V", "SHA256:HbIkgn8W"),
        [
            "bede: fingerprint ed25519 SHA256:HbIkgn8V+nCLr3R99+C5uwnAWLxKTUD954qRGnzMRUM:"
            " published, but not in",
            "bede: fingerprint ed25519 SHA256:HbIkgn8W+nCLr3R99+C5uwnAWLxKTUD954qRGnzMRUM:"
            " in the spec, but not",
        ],
    ),
    "a letter of a whole key": (
        "archer2",
        ("AAAAINyptPmid", "AAAAINyptPmie"),
        ["archer2: key ssh-ed25519 AAAA", "archer2: key ssh-ed25519 AAAA"],
    ),
    "a fingerprint too few": (
        "sigma2-saga",
        ("rsa: SHA256:mY+Po9LKAlZGzMRHUmq1abrSOohifdN7+5VUmRTW4tE", ""),
        ["saga: fingerprint rsa SHA256:mY+P", "saga-data: fingerprint rsa SHA256:mY+P"],
    ),
    "a fingerprint too many": (
        "mila",
        (
            "rsa: SHA256:4Es56W5ANNMQza2sW2O056ifkl8QBvjjNjfMqpB7/1U",
            "rsa: [SHA256:4Es56W5ANNMQza2sW2O056ifkl8QBvjjNjfMqpB7/1U, "
            "SHA256:Xr0/JqV/+5DNguPfiN5hb8rSG+nBAcfVCJoSyrR0W0o]",
        ),
        ["nodes: fingerprint rsa SHA256:Xr0/"],
    ),
    "an algorithm": (
        "ubelix",
        ("rsa: SHA256:ScUNCxS", "ecdsa: SHA256:ScUNCxS"),
        ["ubelix: fingerprint rsa SHA256:ScUN", "ubelix: fingerprint ecdsa SHA256:ScUN"],
    ),
    "a host that is not listed": (
        "sigma2-saga",
        ("hosts: [saga, saga-data]", "hosts: [saga, saga-data, saga-login]"),
        [
            "saga-login: fingerprint ecdsa",
            "saga-login: fingerprint ed25519",
            "saga-login: fingerprint rsa",
        ],
    ),
    # Keys for [host]:8022 are not keys for port 22: another server may listen there.
    "a port": (
        "ulhpc-iris",
        ("port: 8022", "port: 22"),
        [
            "is published, and the spec has no such host",
            "fingerprint ed25519",
            "fingerprint rsa",
            "key ssh-ed25519",
        ],
    ),
    "the hosts that an authority signs for": (
        "musica",
        ('"*.asc.ac.at"', '"*.vie.asc.ac.at"'),
        ["musica: authority of *.asc.ac.at ecdsa", "musica: authority of *.vie.asc.ac.at ecdsa"],
    ),
}


@pytest.mark.parametrize(("site", "change", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_reported_with_site_and_value(
    site: str, change: tuple[str, str], expected: list[str]
) -> None:
    text = (CATALOGUE / f"{site}.yaml").read_text()
    assert text.count(change[0]) == 1
    lines = differences(of(site, text.replace(*change)), PUBLISHED[site])
    assert len(lines) == len(expected)
    for part, line in zip(expected, lines, strict=True):
        assert line.startswith(f"{site}: ")
        assert part in line


def test_swapped_keys_of_two_nodes_are_reported() -> None:
    text = (CATALOGUE / "ubelix.yaml").read_text().replace("hosts: ubelix-submit02", "hosts: OTHER")
    text = text.replace("hosts: ubelix-submit03", "hosts: ubelix-submit02").replace(
        "OTHER", "ubelix-submit03"
    )
    lines = differences(of("ubelix", text), PUBLISHED["ubelix"])
    assert len(lines) == 8
    for line in lines:
        assert re.match("ubelix: ubelix-submit0[23]: fingerprint ", line)


def test_a_whole_key_may_replace_its_published_fingerprint_but_not_the_reverse() -> None:
    spec = of("archer2")
    (block,) = PUBLISHED["archer2"]
    fingerprints = [Pin("archer2", "key", key).hashed().value for key in block["keys"]]
    assert differences(spec, [{"hosts": block["hosts"], "fingerprints": fingerprints}]) == []
    # A fingerprint says less than the whole key that the site publishes: ssh cannot put it into
    # known_hosts.
    by_kind = {kind: (value,) for kind, value in map(str.split, fingerprints)}
    hashed = spec.host_keys["login"].model_copy(update={"keys": (), "fingerprints": by_kind})
    lesser = spec.model_copy(update={"host_keys": {"login": hashed}})
    assert len(differences(lesser, PUBLISHED["archer2"])) == 6
