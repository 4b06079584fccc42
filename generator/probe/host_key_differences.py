"""Compare the host keys and certificates that a machine offers with those of the spec."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from generator.compiler import host_key_policy
from generator.probe.finding import Kind, ProbeFinding
from generator.schema.hosts import HostKeys
from generator.schema.site import SiteSpec
from generator.ssh.certificate import Certificate, parse_certificate
from generator.ssh.keys import ALGORITHMS, CERTIFICATE_SUFFIX, algorithm, fingerprint
from generator.ssh.patterns import matches

_COMPARE = "do not log in before you have compared them with those that the site publishes"
_UNPIN = "delete the pin once the site says that it has retired this key"
# The host comes first in a line of ssh-keyscan, but not before a certificate.
_SCANNED_KEY = re.compile(r"(?m)^(?:[^#\s]\S* )?((?:ssh|ecdsa)-\S+ AAAA\S+)$")

Fingerprints = Mapping[str, set[str]]
"""Fingerprints by the algorithm of their keys."""


@dataclass(frozen=True)
class OfferedKeys:
    """The public keys of one machine, and the certificates for them, each as `TYPE BASE64`."""

    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    complete: bool = False
    """Whether there was time for each algorithm. Only then, a missing key is a difference."""


NO_KEYS = OfferedKeys()


def parse_offered_keys(output: str, *, complete: bool) -> OfferedKeys:
    """Return the keys in the output of ssh-keyscan."""
    keys: list[str] = []
    certificates: list[str] = []
    for line in _SCANNED_KEY.findall(output):
        key_type = line.split()[0]
        if key_type in ALGORITHMS:
            keys.append(line)
        elif key_type.endswith(CERTIFICATE_SUFFIX):
            certificates.append(line)
    return OfferedKeys(tuple(keys), tuple(certificates), complete)


def pinned_keys(site: SiteSpec, entry: str) -> HostKeys | None:
    """Return the host keys of the spec for an entry of `hosts`, also those from weak sources."""
    name = _pinned_name(site, entry)
    if name is None:
        return None
    return site.host_keys[name]


def _pinned_name(site: SiteSpec, entry: str) -> str | None:
    for name, keys in site.host_keys.items():
        if entry in keys.hosts and keys.has_keys:
            return name
    return None


def host_key_findings(
    site: SiteSpec, entry: str, host_name: str, offered: OfferedKeys, now: int
) -> Iterator[ProbeFinding]:
    """Yield each difference between the keys that a machine offers and those that the spec pins.

    A certificate of a pinned authority is proof whatever the key is. A machine with a pinned key
    needs no certificate.
    """
    yield from _revoked(site, host_name, offered)
    name = _pinned_name(site, entry)
    if name is None:
        return
    pins = site.host_keys[name]
    key = f"host_keys.{name}"
    reference = site.docs or "its own documentation"
    pinned = _by_algorithm(host_key_policy.fingerprints(pins))
    seen = _by_algorithm((algorithm(line), fingerprint(line)) for line in offered.keys)
    unknown = _unknown_keys(pinned, seen)
    agreeing = (pinned.keys() & seen.keys()) - unknown.keys()
    # ssh needs only one of the pinned keys, or a certificate.
    if pins.authorities and not agreeing:
        problem = _certificate_problem(pins, host_name, offered, now)
        if problem is None:
            return
        spec = ", ".join(
            f"authority {fingerprint(ca.key)} for {ca.hosts}" for ca in pins.authorities
        )
        action = f"{_COMPARE}; {reference}"
        yield ProbeFinding(Kind.HOST_CERTIFICATE, key, spec, f"{host_name} {problem}", action)
    for kind, fingerprints in unknown.items():
        yield ProbeFinding(
            Kind.HOST_KEY,
            f"{key}.fingerprints.{kind}",
            _listed(pinned[kind]),
            f"{host_name} offers {_listed(fingerprints)}",
            f"{_COMPARE}: {reference}",
        )
    # A machine that sent nothing may be down or behind a firewall, and its keys stay unknown.
    if not seen or not offered.complete:
        return
    for kind in sorted(pinned.keys() - seen.keys()):
        yield ProbeFinding(
            Kind.HOST_KEY_GONE,
            f"{key}.fingerprints.{kind}",
            _listed(pinned[kind]),
            f"{host_name} offers only {_listed(seen)}",
            _UNPIN,
        )


def _revoked(site: SiteSpec, host_name: str, offered: OfferedKeys) -> Iterator[ProbeFinding]:
    """Yield each offered key that is revoked, and each revoked authority of a certificate."""
    revoked = host_key_policy.revoked_fingerprints(site)
    offers: dict[str, str] = {}
    for line in offered.keys:
        offers[fingerprint(line)] = f"{host_name} offers {fingerprint(line)}"
    for certificate in _parsed(offered.certificates):
        value = certificate.authority
        offers.setdefault(value, f"{host_name} offers a certificate of {value}")
    for value, offer in offers.items():
        if value in revoked:
            yield ProbeFinding(
                Kind.HOST_KEY,
                "revoked_keys",
                f"{value} is revoked: {revoked[value]}",
                offer,
                "do not log in: whoever has the private key can pose as this machine",
            )


def _by_algorithm(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    fingerprints: dict[str, set[str]] = {}
    for kind, value in pairs:
        fingerprints.setdefault(kind, set()).add(value)
    return fingerprints


def _unknown_keys(pinned: Fingerprints, seen: Fingerprints) -> dict[str, set[str]]:
    """Return the offered keys of those algorithms of which the spec pins other keys."""
    unknown: dict[str, set[str]] = {}
    for kind, fingerprints in seen.items():
        # A key of an algorithm without a pin is not a difference: ssh asks for pinned ones only.
        if kind in pinned and fingerprints.isdisjoint(pinned[kind]):
            unknown[kind] = fingerprints
    return unknown


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _certificate_problem(
    pins: HostKeys, host_name: str, offered: OfferedKeys, now: int
) -> str | None:
    """Return the problem with the host certificates; ``None`` if one is good or none is known."""
    if not offered.certificates and not offered.complete:
        return None
    patterns: dict[str, list[str]] = {}
    for authority in pins.authorities:
        patterns.setdefault(fingerprint(authority.key), []).append(authority.hosts)
    problems: list[str] = []
    for certificate in _parsed(offered.certificates):
        problem = _problem(certificate, patterns, host_name, now)
        if problem is None:
            return None
        # A host often has a certificate for each of its keys, with the same problem.
        if problem not in problems:
            problems.append(problem)
    return "; ".join(problems) or "offers no host certificate"


def _parsed(lines: Iterable[str]) -> Iterator[Certificate]:
    for line in lines:
        try:
            yield parse_certificate(line.encode())
        except ValueError:
            # A type that this gen does not know proves nothing, but is not a fault of the host.
            continue


def _problem(
    certificate: Certificate, patterns: Mapping[str, Sequence[str]], host_name: str, now: int
) -> str | None:
    """Return why a certificate does not prove a host, by the patterns of each pinned authority."""
    if certificate.authority not in patterns:
        return f"offers a certificate of another authority, {certificate.authority}"
    hosts = patterns[certificate.authority]
    if not any(matches([pattern], host_name) for pattern in hosts):
        return f"is not among the hosts that the authority signs for ({', '.join(hosts)})"
    if not certificate.is_valid(now):
        return "offers a certificate that is not valid now"
    # A certificate without principals holds for every host (PROTOCOL.certkeys).
    if certificate.principals and host_name.lower() not in certificate.principals:
        return f"offers a certificate for {', '.join(certificate.principals)}"
    if certificate.for_user:
        return "offers a certificate for users"
    return None
