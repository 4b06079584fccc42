"""The host keys and host certificates that a machine offers, against those that the spec pins."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from generator.compiler.host_key_policy import fingerprints
from generator.probe.finding import Finding, Kind
from generator.schema.hosts import HostKeys
from generator.schema.site import SiteSpec
from generator.ssh.certificate import Certificate, parse_certificate
from generator.ssh.keys import algorithm, fingerprint
from generator.ssh.patterns import matches

TRUST = "do not log in before you compared them with what the site publishes"
_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


@dataclass(frozen=True)
class Offered:
    """What one machine offers: public keys, and certificates for them, each `TYPE BASE64`."""

    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    complete: bool = False
    """Whether each algorithm was asked for in time: only then is what is missing no more offered."""


NOTHING = Offered()


def offered(printed: str, *, complete: bool) -> Offered:
    """Return the keys in what ssh-keyscan printed, a line for each; it leaves out the host before a certificate."""
    keys = re.findall(r"(?m)^(?:[^#\s]\S* )?((?:ssh|ecdsa)-\S+ AAAA\S+)$", printed)
    return Offered(
        tuple(key for key in keys if key.split()[0] in _KINDS),
        tuple(key for key in keys if "-cert-v01@" in key.split()[0]),
        complete,
    )


def pinned(site: SiteSpec, entry: str) -> HostKeys | None:
    """Return the host keys that the spec has for an entry of `hosts`, those from weak sources too."""
    return next((keys for keys in site.host_keys.values() if entry in keys.hosts), None)


def differences(
    site: SiteSpec, entry: str, names: Sequence[str], found: Offered, now: int
) -> Iterator[Finding]:
    """Yield what a machine offers and the spec does not pin, and what is pinned and no more offered.

    A certificate of a pinned authority vouches for its machine whatever the key; a machine that has a pinned key needs
    no certificate.
    """
    name, keys = next(
        ((name, keys) for name, keys in site.host_keys.items() if entry in keys.hosts), (None, None)
    )
    if name is None or keys is None:
        return
    about = f"host_keys.{name}"
    known = _by_algorithm(fingerprints(keys))
    seen = _by_algorithm((algorithm(key), fingerprint(key)) for key in found.keys)
    strangers = {
        kind: one for kind, one in seen.items() if kind in known and one.isdisjoint(known[kind])
    }
    agreed = any(kind in seen and kind not in strangers for kind in known)
    if keys.authorities and not agreed:
        problem = _certified(keys, names, found, now)
        if problem is None:
            return
        todo = f"{TRUST}; {site.docs or 'its own documentation'}"
        ours = ", ".join(
            f"authority {fingerprint(one.key)} for {one.hosts}" for one in keys.authorities
        )
        yield Finding(Kind.HOST_CERTIFICATE, about, ours, f"{names[0]} {problem}", todo)
    for kind, one in strangers.items():
        todo = f"{TRUST}: {site.docs or 'its own documentation'}"
        yield Finding(
            Kind.HOST_KEY,
            f"{about}.fingerprints.{kind}",
            _listed(known[kind]),
            f"{names[0]} offers {_listed(one)}",
            todo,
        )
    for kind in known.keys() - seen.keys() if seen and found.complete else ():
        says = f"{names[0]} offers only {', '.join(sorted(seen))}"
        todo = "take the pin out once the site says that this key is retired"
        yield Finding(
            Kind.HOST_KEY_GONE, f"{about}.fingerprints.{kind}", _listed(known[kind]), says, todo
        )


def _by_algorithm(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for kind, one in pairs:
        found.setdefault(kind, set()).add(one)
    return found


def _listed(fingerprints: Iterable[str]) -> str:
    return ", ".join(sorted(fingerprints))


def _certified(keys: HostKeys, names: Sequence[str], found: Offered, now: int) -> str | None:
    """Return what is wrong with the host certificates; ``None`` when one of them is good."""
    trusted: Mapping[str, list[str]] = {fingerprint(one.key): [] for one in keys.authorities}
    for one in keys.authorities:
        trusted[fingerprint(one.key)].append(one.hosts)
    if not (found.certificates or found.complete):
        return None  # nobody knows
    problems = [
        _problem(certificate, trusted, names, now) for certificate in _decoded(found.certificates)
    ]
    if None in problems:
        return None
    return "; ".join(dict.fromkeys(filter(None, problems))) or "offers no host certificate"


def _decoded(certificates: Iterable[str]) -> Iterator[Certificate]:
    for line in certificates:
        try:
            yield parse_certificate(line.encode())
        except ValueError:
            continue


def _problem(
    one: Certificate, trusted: Mapping[str, list[str]], names: Sequence[str], now: int
) -> str | None:
    if one.authority not in trusted:
        return f"offers a certificate of another authority, {one.authority}"
    if not any(matches([pattern], name) for pattern in trusted[one.authority] for name in names):
        return f"is not among the hosts that the authority signs for ({', '.join(trusted[one.authority])})"
    if not one.is_valid(now):
        return "offers a certificate that is not valid now"
    if one.principals and not any(name.lower() in one.principals for name in names):
        return f"offers a certificate for {', '.join(one.principals)}"
    return None if not one.for_user else "offers a certificate for users"
