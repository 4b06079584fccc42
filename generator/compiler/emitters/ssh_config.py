"""`ssh/SITE.conf`: a Host block for every name that a user or a program may give to ssh.

The file works where gen writes it (`ssh -F FILE`) and when it is included. In ssh_config the first
value wins, so names come before patterns. An unknown keyword makes ssh refuse every host, so
IgnoreUnknown comes first.

ssh compares the names of a Host line with their case, and knows no name with a dot at its end. So
`ssh LOGIN.EXAMPLE.ORG` would reach the machine without its pins. `Match host` ignores the case, but
some programs that read the file know only Host. So each block is there twice.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from generator import paths
from generator.compiler import compiled_templates
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.connect_hook import match_criteria
from generator.compiler.host_key_policy import (
    KeyRule,
    host_key_settings,
    key_rule,
    pins,
    revoked_fingerprints,
)
from generator.compiler.known_hosts_lines import installed_file
from generator.compiler.plain_login import PLAIN_LOGIN
from generator.errors import GenError
from generator.schema.auth import (
    AgentAuth,
    Auth,
    KerberosAuth,
    PublicKeyAuth,
    SmartCardAuth,
    preferred_authentications,
)
from generator.schema.hosts import Compute, Host, JobEntry, Keepalive
from generator.schema.site import SiteSpec
from generator.ssh.patterns import common_name, matches

Setting = tuple[str, str]

# Sharing sessions would hang for as long as TCP takes to notice a dead connection, up to hours,
# after the machine slept or changed its network. With these, it takes 45 seconds.
_SHARED_KEEPALIVE = Keepalive(interval=15, count=2)
_QUESTIONS = "keyboard-interactive"
# Options that say nothing about which machine is let in, or in which way.
_NO_POLICY = {"ServerAliveInterval", "ServerAliveCountMax", "ConnectTimeout"}
# A `Match host` of one site may apply to an alias of another site for the same machine, whose own
# file does not ask for these.
_ONLY_OWN_NAMES = {"ForwardAgent", "GSSAPIDelegateCredentials"}


@dataclass
class Block:
    """A Host block: its names, and the keyword and value of each line.

    Without names it is only a comment.
    """

    names: list[str]
    settings: list[Setting] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    is_match: bool = False
    """The block is a `Match host`, which applies to the names in any case."""
    login: list[Setting] = field(default_factory=list)
    """The settings of a login without a command; only an alias for a job has some."""
    criterion: str = ""
    """A further criterion of the `Match host`."""


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the file, which every site has."""
    _refuse_equal_aliases(account)
    site = account.site.site
    host_blocks = list(blocks(account))
    renewal_criteria = _renewal_criteria(account, host_blocks)
    text = compiled_templates.ssh_config(
        header=paths.header(site),
        title=account.site.title,
        renewed=renewal_criteria,
        blocks=[
            *_revoked(account.site),
            *_keys_with_an_end(account),
            *_in_any_case(host_blocks),
            *_plain_logins(host_blocks),
            *host_blocks,
        ],
    )
    yield Artifact(
        path=paths.ssh_config(site),
        content="".join(text).encode(),
        mode=0o600,
        install_to=paths.installed_ssh_config(site),
    )


def blocks(account: Account) -> Iterator[Block]:
    """Yield the blocks of a site: hosts, jobs, compute nodes."""
    site = account.site
    missing = _missing_in_routes(account)
    host_names: set[str] = set()
    # A half-filled name would be a syntax error or a wrong name for ssh, so a comment replaces such
    # a block.
    for entry, host in site.hosts.items():
        if missing[entry]:
            yield Block([], comments=_omission(entry, missing[entry]))
        else:
            yield from _host(account, entry, host, host_names)
    for alias, job in site.jobs.items():
        unknown = _merged(account.missing(alias), missing[job.through])
        if unknown:
            yield Block([], comments=_omission(alias, unknown))
        else:
            yield _job(account, alias, job)
    for group, nodes in site.compute.items():
        if missing[nodes.through]:
            yield Block([], comments=_omission(group, missing[nodes.through]))
        else:
            yield from _compute(account, group, nodes)


def _renewal_criteria(account: Account, host_blocks: list[Block]) -> list[str]:
    """Return the criteria of the `Match` lines for all blocks that use the site's certificate."""
    certificate = account.certificate(account.site.auth)
    setting = ("CertificateFile", _quoted(certificate or ""))
    names = [block.names for block in host_blocks if setting in block.settings]
    return match_criteria(account, certificate, names)


def _refuse_equal_aliases(account: Account) -> None:
    """Refuse two aliases that are equal for this user: ssh would always use the first."""
    site = account.site
    aliases = [machine.alias for machine in site.machines()]
    seen: dict[str, str] = {}
    for alias in [*aliases, *site.jobs]:
        filled = (account.fill(alias) or alias).lower()
        if seen.setdefault(filled, alias) != alias:
            raise GenError(
                f"{site.site}: the aliases {seen[filled]} and {alias} are both {filled} for you"
            )


def _missing_in_routes(account: Account) -> dict[str, list[str]]:
    """Return, by alias, the unknown values that the names of a machine and of its route need.

    Each entry is visited once, so that a long chain of jumps takes linear time.
    """
    hosts = account.site.hosts
    entries = {machine.alias: machine.entry for machine in account.site.machines()}
    missing: dict[str, list[str]] = {}
    for start in hosts:
        route: list[str] = []
        entry: str | None = start
        while entry and entry not in missing:
            route.append(entry)
            via = hosts[entry].via
            entry = entries[via] if via else None
        jumps = missing[entry] if entry else []
        for name in reversed(route):
            jumps = _merged(account.missing(_all_names(name, hosts[name])), jumps)
            missing[name] = jumps
    return {alias: missing[entry] for alias, entry in entries.items()}


def _all_names(entry: str, host: Host) -> str:
    machines = host.machines(entry)
    return " ".join(f"{machine.alias} {machine.host_name}" for machine in machines)


def _merged(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys(first + second))


def _omission(name: str, missing: list[str]) -> list[str]:
    """Return a comment that names an omission and the keys of the profile that it needs."""
    if not missing:
        return []
    return [f"{name} is left out: it needs {', '.join(missing)}"]


def _host(account: Account, entry: str, host: Host, host_names: set[str]) -> Iterator[Block]:
    """Yield a block with the HostName of each machine, then one with the settings that they share.

    A host name may belong to two entries (one port for keys, one for passwords). It then stands for
    the first entry.
    """
    shared: list[str] = []
    for machine in host.machines(entry):
        alias = account.fill(machine.alias) or ""
        host_name = account.fill(machine.host_name) or ""
        names = [alias]
        # A name without a domain has a meaning behind the jump host alone: here, `login` may be a
        # machine of the user.
        is_local = bool(host.via) and "." not in host_name and ":" not in host_name
        if host_name != alias and host_name not in host_names and not is_local:
            names.append(host_name)
        host_names.add(host_name)
        shared += names
        yield Block(names, [("HostName", host_name)])
    comments = []
    if host.role != "login":
        comments.append(f"{host.role} host")
    if host.network:
        comments.append(f"reached {host.network}")
    comments += _omission("User", account.missing(host.user))
    yield Block(shared, _host_settings(account, entry, host, shared), comments)


def _host_settings(account: Account, entry: str, host: Host, names: Iterable[str]) -> list[Setting]:
    settings = [("Port", str(host.port)), *_user(account, host.user)]
    if host.address_family:
        settings.append(("AddressFamily", host.address_family))
    if host.via:
        settings.append(_jump(account.fill(host.via) or "", host))
    settings += _authentication(account, account.site.auth_of(host))
    if host.command:
        # ssh expands a single percent sign (ssh_config(5), TOKENS).
        settings.append(("RemoteCommand", host.command.replace("%", "%%")))
        settings.append(("RequestTTY", "yes"))
    if host.forward_agent:
        settings.append(("ForwardAgent", "yes"))
    rule = key_rule(account.site, host.port, names)
    return _with_policy(account, entry, settings, rule, host.keepalive)


def _jump(via: str, host: Host) -> Setting:
    """Return the setting that reaches a host through its jump host.

    With a command of the jump host, the inner ssh reads the user's own configuration: ssh hands -F
    on to the ssh of a ProxyJump, but not to that of a ProxyCommand.
    """
    if host.proxy:
        return ("ProxyCommand", f'ssh {via} "{host.proxy}"')
    return ("ProxyJump", via)


def _with_policy(
    account: Account,
    entry: str,
    settings: list[Setting],
    rule: KeyRule,
    keepalive: Keepalive | None = None,
) -> list[Setting]:
    """Return settings with those for host keys and for a connection that sessions share."""
    pinned = pins(account, entry)
    return [
        *settings,
        *_sharing(
            account,
            [
                *settings,
                ("StrictHostKeyChecking", repr((pinned, rule.revoked) if rule.revoked else pinned)),
            ],
            keepalive,
        ),
        # The pins are those of this name. A canonical name could be another one.
        ("CanonicalizeHostname", "no"),
        *host_key_settings(pinned, rule, installed_file(account, entry)),
    ]


def _compute(account: Account, group: str, nodes: Compute) -> Iterator[Block]:
    through = account.fill(nodes.through) or ""
    if nodes.common:
        names = " ".join(nodes.match)
        comment = (
            f"compute nodes {names}; other sites use these names too,"
            f" so type: ssh -J {through} USER@NODE"
        )
        yield Block([], comments=[comment])
    elif nodes.host:
        # The short patterns match full names as well, which would get their domain a second time.
        negated = [f"!{name}" for name in nodes.full_names() if matches(nodes.match, name)]
        yield Block([*nodes.match, *negated], [("HostName", nodes.host)])
    if not nodes.patterns():
        return
    settings = [
        ("Port", str(nodes.port)),
        *_user(account, "{user}"),
        ("ProxyJump", through),
        *_authentication(account, account.site.auth_of(nodes)),
    ]
    rule = key_rule(account.site, nodes.port, nodes.patterns())
    settings = _with_policy(account, group, settings, rule)
    comments = [f"compute nodes, through {through}"]
    comments += _omission("User", account.missing("{user}"))
    yield Block(list(nodes.patterns()), settings, comments)


def _job(account: Account, alias: str, job: JobEntry) -> Block:
    through = account.fill(job.through)
    settings = [
        *_user(account, "{user}"),
        # ssh expands a single percent sign (ssh_config(5), TOKENS).
        ("ProxyCommand", f'ssh {through} "{job.proxy.replace("%", "%%")}"'),
        ("ConnectTimeout", str(job.timeout)),
        *_authentication(account, account.site.auth),
        # A job has a new host key each time. LogLevel hides ssh's warning about it.
        ("StrictHostKeyChecking", "no"),
        ("UserKnownHostsFile", "/dev/null"),
        ("LogLevel", "ERROR"),
    ]
    settings += _sharing(account, settings, job.keepalive)
    comments = [
        f"Starts or joins a Slurm job on {account.site.site}."
        f" `ssh {through}` must work without -F.",
        f"Each job has a new host key, so ssh checks only the host key of {through} on the way.",
    ]
    login = [("RemoteCommand", job.command.replace("%", "%%")), ("RequestTTY", "force")]
    return Block([account.fill(alias) or ""], settings, comments, login=login)


def _user(account: Account, template: str) -> list[Setting]:
    user = account.fill(template)
    return [("User", user)] if user else []


def _authentication(account: Account, auth: Auth) -> list[Setting]:
    settings: list[Setting] = []
    if methods := preferred_authentications(auth):
        # A site may add a second factor at any time, and ssh asks for none that the list lacks. A
        # password is not in it: a port for keys may offer one that is never right.
        if _QUESTIONS not in methods.split(","):
            methods = f"{methods},{_QUESTIONS}"
        settings.append(("PreferredAuthentications", methods))
    # IdentitiesOnly keeps ssh from offering every key of an agent: after a few, a server
    # disconnects.
    if key := account.key(auth) or account.agent_key(auth):
        settings.append(("IdentityFile", _quoted(key)))
        if certificate := account.certificate(auth):
            settings.append(("CertificateFile", _quoted(certificate)))
        settings.append(("IdentitiesOnly", "yes"))
    if isinstance(auth, PublicKeyAuth) and auth.add_keys_to_agent:
        # Only the ssh of macOS knows UseKeychain; see IgnoreUnknown.
        settings += [("AddKeysToAgent", "yes"), ("UseKeychain", "yes")]
    if isinstance(auth, AgentAuth) and auth.certificate:
        # The name of before OpenSSH 8.5, which newer ones read too.
        settings.append(("PubkeyAcceptedKeyTypes", "*-cert-v01@openssh.com"))
    if isinstance(auth, SmartCardAuth) and (library := account.profile.pkcs11_provider):
        # With IdentitiesOnly, ssh would leave out the keys of the card too (ssh_config(5)).
        settings += [
            ("PKCS11Provider", _quoted(library)),
            ("IdentityFile", "none"),
            ("IdentityAgent", "none"),
        ]
    if isinstance(auth, KerberosAuth):
        settings.append(("GSSAPIAuthentication", "yes"))
        settings.append(("GSSAPIDelegateCredentials", "yes" if auth.delegate else "no"))
    return settings


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _keepalive(keepalive: Keepalive | None) -> list[Setting]:
    if keepalive is None:
        return []
    return [
        ("ServerAliveInterval", str(keepalive.interval)),
        ("ServerAliveCountMax", str(keepalive.count)),
    ]


def _sharing(
    account: Account, policy: Iterable[Setting], keepalive: Keepalive | None
) -> list[Setting]:
    """Return the settings that share one connection between sessions.

    A later session takes over the host key check and the authentication of the first. So only
    entries with the same policy have the same socket. `%C` stands for host, port and user.
    """
    if account.site.multiplexing == "forbidden" or not account.profile.multiplexing:
        return [*_keepalive(keepalive), ("ControlMaster", "no"), ("ControlPath", "none")]
    return [
        *_keepalive(keepalive or _SHARED_KEEPALIVE),
        ("ControlMaster", "auto"),
        ("ControlPath", paths.control_socket(_policy_digest(policy))),
        ("ControlPersist", "10m"),
    ]


def _policy_digest(policy: Iterable[Setting]) -> str:
    settings = [setting for setting in policy if setting[0] not in _NO_POLICY]
    letters = base64.b32encode(hashlib.sha256(repr(settings).encode()).digest()).decode()
    # Some filesystems ignore the case of a name.
    return letters[: paths.POLICY_LETTERS].lower()


def _revoked(site: SiteSpec) -> Iterator[Block]:
    """Yield a comment with the revoked keys, which `gen status` reads too."""
    reasons = revoked_fingerprints(site)
    if reasons:
        yield Block([], comments=[f"{paths.REVOKED}{key}: {why}" for key, why in reasons.items()])


def _keys_with_an_end(account: Account) -> Iterator[Block]:
    """Yield a comment with the keys that a site accepts for a time; `gen status` reads it too."""
    site = account.site
    comments: list[str] = []
    for host in site.hosts.values():
        auth = site.auth_of(host)
        if isinstance(auth, PublicKeyAuth) and auth.lifetime and (key := account.key(auth)):
            comments.append(f"{paths.PUBLIC_KEY_ENDS}{auth.lifetime}: {key}")
    if comments:
        yield Block([], comments=list(dict.fromkeys(comments)))


def _in_any_case(host_blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield the `Match host` blocks for names in another case, or with a dot at their end.

    They come first, and the settings of an entry before its HostName, because `Match host` means
    the HostName once there is one.
    """
    yield Block([], comments=["For names with capital letters or a dot at the end:"])
    machines: list[Block] = []
    for block in host_blocks:
        # A job has no host name that anybody could type.
        if block.login or not block.names:
            continue
        settings = [setting for setting in block.settings if setting[0] not in _ONLY_OWN_NAMES]
        match = Block(_with_dot(block.names), settings, is_match=True)
        if settings[0][0] == "HostName":
            machines += [*_exceptions(block, ("HostName", "%h")), match]
        else:
            yield match
            yield from _exceptions(block, ("ProxyJump", "none"))
    yield from machines


def _plain_logins(host_blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield the blocks for logins to a shell; they come before all Host blocks.

    A program that knows no Match would take their lines for those of the Host block above.
    """
    for block in host_blocks:
        if block.login:
            comments = [f"For `ssh {block.names[0]}` alone; commands, rsync and git go without."]
            yield Block(block.names, block.login, comments, is_match=True, criterion=PLAIN_LOGIN)


def _exceptions(block: Block, setting: Setting) -> Iterator[Block]:
    """Yield a block that keeps a setting of a Host block from the names that its line excludes.

    The Host line itself does not exclude `LOGIN.example.org` by `!login.example.org`.
    """
    patterns = [name for name in block.names if not name.startswith("!")]
    excluded: list[str] = []
    for name in block.names:
        exception = name.removeprefix("!")
        if exception != name and any(common_name(pattern, exception) for pattern in patterns):
            excluded.append(exception)
    if excluded:
        yield Block(_with_dot(excluded), [setting], is_match=True)


def _with_dot(names: list[str]) -> list[str]:
    """Return names, and those that can be a DNS name in full with a dot at the end too."""
    dotted = [f"{name}." for name in names if "." in name and not _is_address(name)]
    return [*names, *dotted]


def _is_address(name: str) -> bool:
    return name.rpartition(".")[2].isdigit()
