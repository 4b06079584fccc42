"""Which host keys ssh may accept for a machine: those of the spec that are trusted, and no others."""

from collections.abc import Iterator
from dataclasses import dataclass

from generator.compiler.account import Account
from generator.schema.hosts import Authority, HostKeys
from generator.ssh.keys import CERTIFICATE_SUFFIX, SIGNATURES, Algorithm, algorithm, fingerprint

_CERTIFICATES = ",".join(
    f"{name}{CERTIFICATE_SUFFIX}" for names in SIGNATURES.values() for name in names
)


@dataclass(frozen=True)
class Pins:
    """Everything that one machine may prove itself with."""

    fingerprints: tuple[str, ...]
    """`SHA256:…`, of whole keys too."""
    authorities: tuple[Authority, ...]
    """Keys that sign host keys."""
    algorithms: str | None
    """HostKeyAlgorithms that a pinned key answers to; ``None`` with authorities alone: ssh prefers certificates."""


def prints(keys: HostKeys) -> Iterator[tuple[Algorithm, str]]:
    """Yield algorithm and fingerprint of every host key, of whole ones too; those of authorities are no host keys."""
    yield from ((kind, one) for kind, several in keys.fingerprints.items() for one in several)
    yield from ((algorithm(key), fingerprint(key)) for key in keys.keys)


def trusted(account: Account, keys: HostKeys) -> bool:
    """Tell whether host keys are compiled: a source of theirs is not weak, or the person accepted them."""
    return account.profile.accept_unverified or not account.site.unverified(keys)


def pins(account: Account, entry: str) -> Pins | None:
    """Return the pins of an entry of `hosts` or `compute`; ``None`` where nothing is known that may be trusted."""
    for keys in account.site.host_keys.values():
        if entry in keys.hosts and trusted(account, keys):
            return _pins(keys)
    return None


def _pins(keys: HostKeys) -> Pins:
    known: list[Algorithm] = [*keys.fingerprints, *map(algorithm, keys.keys)]
    signatures = [",".join(names) for kind, names in SIGNATURES.items() if kind in known]
    return Pins(
        fingerprints=tuple(dict.fromkeys(one for _, one in prints(keys))),
        authorities=keys.authorities,
        algorithms=",".join([*([_CERTIFICATES] if keys.authorities else []), *signatures])
        if signatures
        else None,
    )


def listed(name: str, port: int) -> str:
    """Return a host as known_hosts names it, in small letters as ssh looks it up (sshd(8), SSH_KNOWN_HOSTS)."""
    if port == 22:
        return name.lower()
    return f"!{listed(name[1:], port)}" if name.startswith("!") else f"[{name.lower()}]:{port}"


def host_key_settings(known: Pins | None, port: int) -> list[tuple[str, str]]:
    """Accept the pinned keys and no others, whatever a known_hosts file holds; ask where nothing is pinned.

    ssh runs the command (OpenSSH 8.5) with the host as known_hosts would name it, and the key's type, base64 and
    fingerprint, and takes what it prints for known_hosts lines. An older client ignores it and refuses the host.
    """
    if known is None:
        return [("StrictHostKeyChecking", "ask")]
    prints = "|".join(known.fingerprints)
    script = [f'case "$3" in {prints}) echo "$0 $1 $2";; esac'] if prints else []
    script += [
        f'echo "@cert-authority {listed(one.hosts, port)} {one.key}"' for one in known.authorities
    ]
    return [
        *([("HostKeyAlgorithms", known.algorithms)] if known.algorithms else []),
        ("StrictHostKeyChecking", "yes"),
        ("UpdateHostKeys", "no"),
        ("VerifyHostKeyDNS", "no"),
        ("UserKnownHostsFile", "/dev/null"),
        ("GlobalKnownHostsFile", "/dev/null"),
        ("KnownHostsCommand", f"/bin/sh -c '{'; '.join(script)}' %H %t %K %f"),
    ]
