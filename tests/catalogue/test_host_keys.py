"""Every host key of every spec is one that the site publishes, on the machine that it is published for, byte for byte.

`host_keys.yaml` has the published ones. No key is compared by code of gen's own: fingerprints are computed here.
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
from generator.schema.hosts import Host
from generator.schema.site import SiteSpec

FILE: Mapping[str, Any] = YAML(typ="safe").load(Path(__file__).with_name("host_keys.yaml"))
PUBLISHED: Mapping[str, list[dict[str, list[str]]]] = FILE["published"]
SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
KINDS = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa", "ecdsa-sha2-nistp256": "ecdsa"}


@dataclass(frozen=True, order=True)
class Pin:
    """A value that an entry of a spec (of `hosts` or `compute`) may prove itself with."""

    entry: str
    what: str
    value: str

    def hashed(self) -> "Pin":
        """Return the fingerprint of a whole key."""
        kind, blob = self.value.split()
        digest = (
            base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
        )
        return Pin(self.entry, "fingerprint", f"{KINDS[kind]} SHA256:{digest}")

    def __str__(self) -> str:
        return f"{self.entry}: {self.what} {self.value}"


@cache
def of(site: str, text: str = "") -> SiteSpec:
    """Return the spec of a site, or what it is with another text."""
    content = text.encode() or (CATALOGUE / f"{site}.yaml").read_bytes()
    return validate.spec(yaml_document.parse(content, site), site)


def differences(spec: SiteSpec, published: list[dict[str, list[str]]]) -> list[str]:
    """Return what a spec pins and the site does not publish, and the other way round."""
    covered = [(block, _entries(spec, name)) for block in published for name in block["hosts"]]
    wanted = {
        pin for block, entries in covered for entry in entries for pin in _published(entry, block)
    }
    pinned = set(_pinned(spec))
    hashes = {pin: pin.hashed() for pin in pinned if pin.what == "key"}
    # The spec may have a whole key where only its fingerprint is published, but never the other way round.
    missing = wanted - pinned - set(hashes.values())
    more = {pin for pin in pinned - wanted if hashes.get(pin) not in wanted}
    return [
        *(
            f"{spec.site}: {block} is published for a host that the spec lacks"
            for block, some in covered
            if not some
        ),
        *(f"{spec.site}: {pin}: published, but not in the spec" for pin in sorted(missing)),
        *(
            f"{spec.site}: {pin}: in the spec, but not published for this host"
            for pin in sorted(more)
        ),
    ]


def _published(entry: str, block: Mapping[str, list[str]]) -> Iterator[Pin]:
    yield from (Pin(entry, "fingerprint", value) for value in block.get("fingerprints", []))
    yield from (Pin(entry, "key", value) for value in block.get("keys", []))
    for value in block.get("authorities", []):
        yield from (Pin(entry, f"authority of {name}", value) for name in block["hosts"])


def _pinned(spec: SiteSpec) -> Iterator[Pin]:
    for keys in spec.host_keys.values():
        for entry in keys.hosts:
            for kind, values in keys.fingerprints.items():
                yield from (Pin(entry, "fingerprint", f"{kind} {value}") for value in values)
            yield from (Pin(entry, "key", value) for value in keys.keys)
            yield from (
                Pin(entry, f"authority of {one.hosts}", one.key) for one in keys.authorities
            )


def _machines(spec: SiteSpec) -> Iterator[tuple[str, str, int]]:
    """Yield (entry, name, port) of everything that the spec connects to; the name of compute nodes is a pattern."""
    for entry, host in spec.hosts.items():
        for name in _names(host):
            yield entry, name, host.port
    for entry, nodes in spec.compute.items():
        for name in nodes.patterns():
            yield entry, name, nodes.port


def _names(host: Host) -> list[str]:
    return [host.host, *(name for _, name in (host.nodes.each() if host.nodes else ()))]


def _entries(spec: SiteSpec, published: str) -> set[str]:
    """Return the entries that a published host name means one machine of, at least."""
    return {entry for entry, name, port in _machines(spec) if _means(published, name, port)}


def _means(published: str, name: str, port: int) -> bool:
    if found := re.fullmatch(r"\[(.+)\]:([0-9]+)", published):
        return (name, port) == (found[1], int(found[2]))
    return fnmatchcase(name, published)


@pytest.mark.parametrize("site", SITES)
def test_a_spec_pins_what_its_site_publishes_and_nothing_else(site: str) -> None:
    assert differences(of(site), PUBLISHED[site]) == []


def test_the_published_keys_are_of_the_sites_of_the_catalogue() -> None:
    assert list(PUBLISHED) == SITES


# Machines that prove themselves with what is published for another name of theirs.
INFERRED = {
    "olcf-frontier": {
        f"login{n:02}.frontier.olcf.ornl.gov" for n in range(1, 18)
    },  # nodes behind the name
    "sherlock": {"ln21.sherlock.stanford.edu"},
}


@pytest.mark.parametrize("site", SITES)
def test_a_key_is_pinned_for_published_names_and_for_nodes_behind_them(site: str) -> None:
    spec = of(site)
    published = [name for block in PUBLISHED[site] for name in block["hosts"]]
    pinned = {
        entry for keys in spec.host_keys.values() for entry in keys.hosts if entry in spec.hosts
    }
    names = {
        (name, spec.hosts[entry].port) for entry in pinned for name in _names(spec.hosts[entry])
    }
    others = {name for name, port in names if not any(_means(one, name, port) for one in published)}
    assert others == INFERRED.get(site, set())


NEVER = {
    value.split()[1].removeprefix("SHA256:"): f"{block['hosts'][0]} {value.split()[0]}"
    for blocks in FILE["not_to_be_pinned"].values()
    for block in blocks
    for value in block["fingerprints"]
}


@pytest.mark.parametrize("value", NEVER, ids=NEVER.values())
def test_a_key_that_is_out_of_use_stands_in_no_spec_and_among_no_published_keys(value: str) -> None:
    assert [site for site in SITES if value in (CATALOGUE / f"{site}.yaml").read_text()] == []
    assert value not in str(PUBLISHED)


# What somebody may get wrong in a spec: site, what it says, what it would say, and what is then told.
SLIPS = {
    "a letter of a fingerprint": (
        "bede",
        ("SHA256:HbIkgn8V", "SHA256:HbIkgn8W"),
        [
            "bede: fingerprint ed25519 SHA256:HbIkgn8V+nCLr3R99+C5uwnAWLxKTUD954qRGnzMRUM: published, but not in",
            "bede: fingerprint ed25519 SHA256:HbIkgn8W+nCLr3R99+C5uwnAWLxKTUD954qRGnzMRUM: in the spec, but not",
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
    "a port": (
        "ulhpc-iris",
        ("port: 8022", "port: 22"),
        [
            "published for a host that the spec lacks",
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


@pytest.mark.parametrize(("site", "change", "told"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_with_site_and_value(
    site: str, change: tuple[str, str], told: list[str]
) -> None:
    text = (CATALOGUE / f"{site}.yaml").read_text()
    assert text.count(change[0]) == 1
    found = differences(of(site, text.replace(*change)), PUBLISHED[site])
    assert len(found) == len(told)
    for words, line in zip(told, found, strict=True):
        assert line.startswith(f"{site}: ")
        assert words in line


def test_keys_of_two_nodes_that_changed_places_are_told() -> None:
    text = (CATALOGUE / "ubelix.yaml").read_text().replace("hosts: ubelix-submit02", "hosts: OTHER")
    text = text.replace("hosts: ubelix-submit03", "hosts: ubelix-submit02").replace(
        "OTHER", "ubelix-submit03"
    )
    found = differences(of("ubelix", text), PUBLISHED["ubelix"])
    assert len(found) == 8
    assert all(re.match("ubelix: ubelix-submit0[23]: fingerprint ", line) for line in found)


def test_a_whole_key_does_for_its_published_fingerprint_but_not_the_other_way_round() -> None:
    spec = of("archer2")
    (block,) = PUBLISHED["archer2"]
    prints = [Pin("archer2", "key", key).hashed().value for key in block["keys"]]
    assert differences(spec, [{"hosts": block["hosts"], "fingerprints": prints}]) == []
    by_kind = {kind: (value,) for kind, value in map(str.split, prints)}
    hashed = spec.host_keys["login"].model_copy(update={"keys": (), "fingerprints": by_kind})
    lesser = spec.model_copy(update={"host_keys": {"login": hashed}})
    assert len(differences(lesser, PUBLISHED["archer2"])) == 6
