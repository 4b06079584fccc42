"""The host keys that ssh may accept from a machine: the trusted ones of the spec, and no others."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from generator.compiler.account import Account
from generator.schema.hosts import HostAuthority, HostKeys
from generator.schema.site import SiteSpec
from generator.ssh.keys import CERTIFICATE_SUFFIX, SIGNATURES, Algorithm, algorithm, fingerprint


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
    for kind, signatures in SIGNATURES.items():
        if kind in kinds:
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


def key_rule(site: SiteSpec, port: int, names: Iterable[str] = ()) -> "KeyRule":
    """Return the rule for a machine of a site; `names` are those of its Host block, if any."""
    revoked = tuple(revoked_fingerprints(site))
    return KeyRule(site.site, port, tuple(names), revoked, tuple(revoked_lines(site)))


def host_key_settings(pinned: Pins | None, rule: "KeyRule") -> list[tuple[str, str]]:
    """Return the settings that make ssh accept the pinned keys only, or ask if nothing is pinned.

    ssh runs KnownHostsCommand (OpenSSH 8.5) for each key that a host offers, and reads its output
    as lines of known_hosts. An older client ignores the command and refuses the host.
    """
    if pinned is None:
        settings = [("StrictHostKeyChecking", "ask")]
        if rule.revoked:
            settings.append(("FingerprintHash", "sha256"))
            settings.append(("KnownHostsCommand", _in_shell(_revocation(rule))))
        return settings
    settings = []
    if pinned.algorithms:
        settings.append(("HostKeyAlgorithms", pinned.algorithms))
    settings += [
        ("StrictHostKeyChecking", "yes"),
        ("UpdateHostKeys", "no"),
        ("VerifyHostKeyDNS", "no"),
        # ssh passes the fingerprint to the command in the format of this option.
        ("FingerprintHash", "sha256"),
        # No key that the user or the administrator accepted earlier may count.
        ("UserKnownHostsFile", "/dev/null"),
        ("GlobalKnownHostsFile", "/dev/null"),
        ("KnownHostsCommand", _command(pinned, rule)),
    ]
    return settings


class KeyRule(NamedTuple):
    """The part of a machine's policy for host keys that does not depend on the keys."""

    site: str
    port: int
    names: tuple[str, ...] = ()
    """The names and patterns of its Host block, if ssh reads the settings from one."""
    revoked: tuple[str, ...] = ()
    """The fingerprints of the keys that the site has revoked."""
    revoked_lines: tuple[str, ...] = ()
    """The lines of known_hosts for those that the spec has whole."""

    @property
    def own_names(self) -> str:
        """The names as a pattern of the shell."""
        return "|".join(name for name in self.names if not name.startswith("!"))


def _revocation(rule: KeyRule) -> list[str]:
    """Return the commands that revoke keys, of which ssh accepts none (sshd(8), `@revoked`)."""
    if not rule.revoked:
        return []
    commands = [f'echo "{line}"' for line in rule.revoked_lines]
    refusal = (
        f'echo "gen: {rule.site}: the key that $0 offers is revoked; do not log in: '
        f'gen show {rule.site}" >&2; echo "@revoked * $1 $2"'
    )
    if rule.own_names:
        # With StrictHostKeyChecking off, ssh would only warn; see _command.
        refusal += f'; case "$5" in {rule.own_names}) ;; *) kill $PPID;; esac'
    commands.append(f'case "$3" in {"|".join(rule.revoked)}) {refusal}; exit;; esac')
    return commands


def _in_shell(script: Iterable[str]) -> str:
    return f"/bin/sh -c '{'; '.join(script)}' %H %t %K %f %I %n"


def _command(pinned: Pins, rule: KeyRule) -> str:
    """Return the command that prints a known_hosts line for a pinned key.

    Its arguments are the host's name for known_hosts ($0), the key's type ($1), base64 ($2) and
    fingerprint ($3), the reason of the question ($4) and the name that the user typed ($5).
    """
    script = _revocation(rule)
    if pinned.fingerprints:
        accepted = "|".join(pinned.fingerprints)
        script.append(f'case "$3" in {accepted}) echo "$0 $1 $2"; exit;; esac')
    for authority in pinned.authorities:
        name = known_hosts_name(authority.hosts, rule.port)
        script.append(f'echo "@cert-authority {name} {authority.key}"')
    message = (
        f'echo "gen: {rule.site}: the key that $0 offers is not one of the pinned keys; '
        f'compare them: gen status {rule.site} --live" >&2'
    )
    # Before the key exchange ssh asks which algorithms to prefer, without a key. CheckHostIP asks
    # again, for the address.
    unpinned = f'case "$4" in HOSTNAME) {message};; esac'
    certificate = f"*{CERTIFICATE_SUFFIX}) ;; " if pinned.authorities else ""
    script.append(f'case "$1" in NONE*) exit;; {certificate}*) {unpinned};; esac')
    if rule.own_names:
        # With CanonicalizeHostname, ssh reads its files for the typed name first. If only the
        # canonical name is the site's, a `Host *` of the user's has set StrictHostKeyChecking and
        # UserKnownHostsFile by then, and ssh could accept the key nevertheless.
        script.append(f'case "$5" in {rule.own_names}) exit;; esac')
        if pinned.authorities:
            signers = " ".join(f"-e {fingerprint(ca.key)}" for ca in pinned.authorities)
            script.append(f'echo "$1 $2" | ssh-keygen -L -f - | grep -qF {signers} && exit')
        script.append("kill $PPID")
    return _in_shell(script)
