"""The host keys that ssh may accept from a machine: the trusted ones of the spec, and no others."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from generator.compiler.account import Account
from generator.schema.hosts import HostAuthority, HostKeys
from generator.schema.site import SiteSpec
from generator.ssh.keys import CERTIFICATE_SUFFIX, SIGNATURES, Algorithm, algorithm, fingerprint

# Ends a command for pins without a refusal, where the site's own options make ssh refuse the key.
_END_IF_USUAL = 'usual "$4" && exit; '


class Pins(NamedTuple):
    """Every host key that one machine may have."""

    fingerprints: tuple[str, ...]
    """`SHA256:…`, also of whole keys."""
    authorities: tuple[HostAuthority, ...]
    """Keys that sign host keys."""
    algorithms: str | None
    """HostKeyAlgorithms for the pinned keys; ``None`` for ssh's own list, which begins with
    certificates."""


def fingerprints(keys: HostKeys) -> Iterator[tuple[Algorithm, str]]:
    """Yield algorithm and fingerprint of every host key, but not of authorities."""
    for kind, pinned in keys.fingerprints.items():
        for value in pinned:
            yield kind, value
    for key in keys.keys:
        yield algorithm(key), fingerprint(key)


def trusted(account: Account, keys: HostKeys) -> bool:
    """Return whether gen pins these keys: a source is strong, or the user accepts weak sources."""
    if not keys.has_keys:
        return False
    return account.profile.accept_unverified or not account.site.unverified(keys)


def pins(account: Account, entry: str) -> Pins | None:
    """Return the trusted pins of an entry of `hosts` or `compute`, if the spec has any."""
    for keys in account.site.host_keys.values():
        if entry in keys.hosts and trusted(account, keys):
            # A whole key may be listed by its fingerprint as well.
            pinned = dict.fromkeys(value for _, value in fingerprints(keys))
            return Pins(tuple(pinned), keys.authorities, _algorithms(keys))
    return None


def _algorithms(keys: HostKeys) -> str | None:
    kinds = {kind for kind, _ in fingerprints(keys)}
    # With authorities alone, ssh's own list is right: certificates come first in it.
    if not kinds:
        return None
    # Without this list ssh might negotiate a key of another kind, which has no pin.
    names: list[str] = []
    if keys.authorities:
        for signatures in SIGNATURES.values():
            names += [signature + CERTIFICATE_SUFFIX for signature in signatures]
    # Whole keys first: clients that read only `SITE.known_hosts` know no other.
    whole_kinds = set(map(algorithm, keys.keys))
    for group in (whole_kinds, kinds - whole_kinds):
        for kind, signatures in SIGNATURES.items():
            if kind in group:
                names += signatures
    return ",".join(names)


def known_hosts_name(name: str, port: int) -> str:
    """Return a host as known_hosts names it (sshd(8), SSH_KNOWN_HOSTS_FILE_FORMAT)."""
    # ssh looks a name up in lowercase.
    if port == 22:
        return name.lower()
    if name.startswith("!"):
        return f"!{known_hosts_name(name[1:], port)}"
    return f"[{name.lower()}]:{port}"


def revoked_fingerprints(site: SiteSpec) -> dict[str, str]:
    """Return the reason for each revoked key, by its fingerprint."""
    reasons: dict[str, str] = {}
    for revoked in site.revoked_keys.values():
        for value in (*revoked.fingerprints, *map(fingerprint, revoked.keys)):
            reasons[value] = revoked.reason
    return reasons


def revoked_lines(site: SiteSpec) -> list[str]:
    """Return the lines of known_hosts that revoke whole keys, of hosts and authorities."""
    lines: list[str] = []
    for revoked in site.revoked_keys.values():
        lines += [f"@revoked * {key}" for key in revoked.keys]
    return lines


class KeyRule(NamedTuple):
    """The part of a machine's policy for host keys that does not depend on its pins."""

    site: str
    port: int
    names: tuple[str, ...] = ()
    """The names and patterns of its Host block, if ssh reads the settings from one."""
    revoked: tuple[str, ...] = ()
    """The fingerprints of the keys that the site has revoked."""


def key_rule(site: SiteSpec, port: int, names: Iterable[str] = ()) -> KeyRule:
    """Return the rule for a machine of a site; `names` are those of its Host block, if any."""
    own_names = tuple(name for name in names if not name.startswith("!"))
    return KeyRule(site.site, port, own_names, tuple(revoked_fingerprints(site)))


def host_key_settings(
    pinned: Pins | None, rule: KeyRule, known_hosts: str | None = None
) -> list[tuple[str, str]]:
    """Return the settings that make ssh accept the pinned keys only.

    Without pins, ssh refuses the revoked keys and asks the user about others.

    ssh runs KnownHostsCommand (OpenSSH 8.5) for each key that a host offers, and reads its output
    as lines of known_hosts. An older client ignores the command.

    Args:
        pinned: the keys of the machine.
        rule: the rest of its policy.
        known_hosts: a file with the whole keys, for clients that do not run the command.
    """
    if pinned is None:
        return [("StrictHostKeyChecking", "ask"), *revocation_settings(rule)]
    settings = []
    if pinned.algorithms:
        settings.append(("HostKeyAlgorithms", pinned.algorithms))
    settings += [
        ("StrictHostKeyChecking", "yes"),
        ("UpdateHostKeys", "no"),
        ("VerifyHostKeyDNS", "no"),
        # ssh passes the fingerprint to the command in the format of this option.
        ("FingerprintHash", "sha256"),
        # No key that the user or the administrator accepted earlier may count. ssh would add a
        # key that StrictHostKeyChecking accepts to the first file (sshconnect.c).
        ("UserKnownHostsFile", " ".join(filter(None, ["/dev/null", known_hosts]))),
        ("GlobalKnownHostsFile", "/dev/null"),
        ("KnownHostsCommand", _command([*_revocation(rule), *_acceptance(pinned, rule)])),
    ]
    return settings


def revocation_settings(rule: KeyRule) -> list[tuple[str, str]]:
    """Return the settings that make ssh refuse the revoked keys, and change nothing else."""
    if not rule.revoked:
        return []
    return [("FingerprintHash", "sha256"), ("KnownHostsCommand", _command(_revocation(rule)))]


def _command(script: Iterable[str]) -> str:
    """Return a command of a shell script.

    Its arguments are the host's name for known_hosts ($0), the key's type ($1), base64 ($2) and
    fingerprint ($3), the name that the user typed ($4) and the HostName ($5). Before the key
    exchange ssh runs it without a key (`NONE`), to learn which algorithms to prefer.
    """
    return f"/bin/sh -c '{'; '.join([_FINGERPRINT, *script])}' %H %t %K %f %n %h"


# With CanonicalizeHostname, ssh reads its files for the typed name first. If only the canonical
# name is the site's, the user's own options come before those of the site: among them may be
# `FingerprintHash md5`.
_FINGERPRINT = (
    "f=$3; case $f in MD5:*) "
    'f=$(echo "$1 $2" | ssh-keygen -E sha256 -l -f - | cut -d " " -f 2);; esac'
)
_CERTIFICATE = 'c=$(echo "$1 $2" | TZ=UTC ssh-keygen -L -f -)'
# The first such line: the key ID below it is text of whoever signed.
_SIGNER = '$(echo "$c" | grep -m 1 "Signing CA:")'
# ssh itself checks dates and names of a certificate, but if they are wrong it looks for the key
# alone, which StrictHostKeyChecking may accept.
_VALIDITY = (
    'e=$(echo "$c" | sed -n -E "s/^ *Valid:.* (to|before) //p"); '
    '[ -z "$e" ] || [ $(expr $(TZ=UTC date +%%Y-%%m-%%dT%%H:%%M:%%S) "<" $e) = 1 ] && '
    '{ set -f; for p in $(echo "$c" | sed -n "/Principals:/,/Critical/p"); do '
    "case $5 in $p) exit;; esac; done; }"
)


def _revocation(rule: KeyRule) -> list[str]:
    """Return the commands that refuse revoked keys, and certificates of revoked authorities."""
    if not rule.revoked:
        return []
    refusal = _refusal(
        f"gen: {rule.site}: the key that $0 offers is revoked; do not log in: gen show {rule.site}"
    )
    signers = "|".join(f"*{value}*" for value in rule.revoked)
    return [
        f"case $f in {'|'.join(rule.revoked)}) {refusal};; esac",
        f"case $1 in *{CERTIFICATE_SUFFIX}) {_CERTIFICATE}; "
        f'case "{_SIGNER}" in {signers}) {refusal};; esac;; esac',
    ]


def _acceptance(pinned: Pins, rule: KeyRule) -> list[str]:
    """Return the commands that print a known_hosts line for a pinned key, and refuse all others."""
    script: list[str] = []
    if pinned.fingerprints:
        script.append(f'case $f in {"|".join(pinned.fingerprints)}) echo "$0 $1 $2"; exit;; esac')
    for authority in pinned.authorities:
        name = known_hosts_name(authority.hosts, rule.port)
        script.append(f'echo "@cert-authority {name} {authority.key}"')
    script.append("case $1 in NONE*) exit;; esac")
    usual = ""
    if rule.names:
        script.append(f"usual() {{ {_usual(rule.names)}; }}")
        usual = _END_IF_USUAL
    if pinned.authorities:
        # The user's known_hosts could have another authority that signed it.
        signers = "|".join(f"*{fingerprint(ca.key)}*" for ca in pinned.authorities)
        script.append(
            f"case $1 in *{CERTIFICATE_SUFFIX}) {_CERTIFICATE}; "
            f'case "{_SIGNER}" in {signers}) {usual}{_VALIDITY};; esac;; esac'
        )
    message = (
        f"gen: {rule.site}: the key that $0 offers is not one of the pinned keys; "
        f"compare them: gen status {rule.site} --live"
    )
    script.append(_refusal(message, usual))
    return script


def without_usual_case(command: str) -> str:
    """Return a command for pins that itself ends ssh, for each key that is not pinned.

    It is for settings that let ssh accept such a key.
    """
    return command.replace(_END_IF_USUAL, "")


def _usual(names: Iterable[str]) -> str:
    """Return the body of a function: do the site's own options decide, and no others?

    They do for a name of the site, unless the command line of ssh has such options. They do not for
    a canonical name alone, see _FINGERPRINT.
    """
    return (
        f"case $1 in {'|'.join(names)}) "
        'case "$(ps -ww -o args= -p $PPID | tr A-Z a-z)" in ""|*hostkey*|*knownhosts*) ;; '
        "*) return;; esac;; esac; return 1"
    )


def _refusal(message: str, usual: str = "") -> str:
    """Return the commands that print a message and end the connection.

    Usually ssh does that itself, for lack of a key. Otherwise StrictHostKeyChecking could be off.
    If the command fails, ssh ends whatever its options say (ssh_config(5), KnownHostsCommand). It
    then prints the whole command, but not the line by which programs recognize a refused key.
    """
    return f'echo "{message}" >&2; {usual}echo "Host key verification failed." >&2; exit 1'
