"""`ssh/SITE.conf`: a Host block for every name that a person or a program may give to ssh.

The file works from where it lies (`ssh -F`) and when it is included. In ssh_config the first value wins, so names come
before patterns; and an unknown keyword stops ssh for every host, hence IgnoreUnknown on top.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from generator import paths
from generator.compiler import connect_hook
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.host_key_policy import host_key_settings, pins
from generator.compiler.templates import render
from generator.errors import GenError
from generator.schema.auth import Auth, KerberosAuth, PublicKeyAuth, preferred_authentications
from generator.schema.hosts import Compute, Host, JobEntry, Keepalive
from generator.schema.site import SiteSpec
from generator.ssh.patterns import matches

Setting = tuple[str, str]


@dataclass
class Block:
    """A Host block: the names it is for, and keyword and value of each line."""

    names: list[str]
    settings: list[Setting] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the one file that every site has.

    Raises:
        GenError: two aliases are the same one for this person.
    """
    _refuse_twins(account)
    name = account.site.site
    made = list(blocks(account))
    content = render(
        "ssh_config.j2",
        header=paths.header(account.site.site),
        title=account.site.title,
        renewed=_renewed(account, made),
        blocks=made,
    )
    installed = paths.installed_ssh_config(name)
    yield Artifact(paths.ssh_config(name), content, 0o600, install_to=installed)


def blocks(account: Account) -> Iterator[Block]:
    """Yield the blocks of a site: hosts, job entries, compute nodes."""
    site = account.site
    needs = _needs_of_names(account)
    taken: set[str] = set()
    # ssh takes a half-filled line for a fault or for a name, so a comment replaces a block that cannot be named yet.
    for entry, host in site.hosts.items():
        if needs[entry]:
            yield Block([], comments=_gap(entry, needs[entry]))
        else:
            yield from _host(account, entry, host, taken)
    for alias, job in site.jobs.items():
        missing = _merged(account.missing(alias), needs[job.through])
        if missing:
            yield Block([], comments=_gap(alias, missing))
        else:
            yield _job(account, alias, job)
    for group, nodes in site.compute.items():
        if needs[nodes.through]:
            yield Block([], comments=_gap(group, needs[nodes.through]))
        else:
            yield from _compute(account, group, nodes)


def _renewed(account: Account, made: list[Block]) -> list[str]:
    """Return what stands behind `Match`, for the blocks that log in with the certificate of the site."""
    certificate = account.certificate(account.site.auth)
    line = ("CertificateFile", _quoted(certificate or ""))
    return connect_hook.matches(
        account, certificate, [block.names for block in made if line in block.settings]
    )


def _refuse_twins(account: Account) -> None:
    """Refuse two aliases that become one when placeholders are filled in: ssh would take the first of them for both."""
    site, seen = account.site, dict[str, str]()
    logins = [machine.alias for machine in site.machines()]
    for alias in [*logins, *site.jobs]:
        filled = (account.fill(alias) or alias).lower()
        if seen.setdefault(filled, alias) != alias:
            raise GenError(
                f"{site.site}: the aliases {seen[filled]} and {alias} are both {filled} for you"
            )


def _needs_of_names(account: Account) -> dict[str, list[str]]:
    """Return, by alias, the unknown values that the names of a machine and of its route need.

    Each entry is looked at once, so a long chain of jumps takes linear time.
    """
    hosts = account.site.hosts
    entries = {machine.alias: machine.entry for machine in account.site.machines()}
    needs: dict[str, list[str]] = {}
    for start in hosts:
        route = list[str]()
        entry: str | None = start
        while entry and entry not in needs:
            route.append(entry)
            via = hosts[entry].via
            entry = entries[via] if via else None
        behind = needs[entry] if entry else []
        for name in reversed(route):
            behind = _merged(account.missing(_names(name, hosts[name])), behind)
            needs[name] = behind
    return {alias: needs[entry] for alias, entry in entries.items()}


def _names(entry: str, host: Host) -> str:
    machines = host.machines(entry)
    return " ".join(f"{machine.alias} {machine.host_name}" for machine in machines)


def _merged(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys(first + second))


def _host(account: Account, entry: str, host: Host, taken: set[str]) -> Iterator[Block]:
    """Yield a block with the HostName of each machine, then one with what they share.

    A host name that two entries have (one port for keys, one for passwords) belongs to the first.
    """
    shared: list[str] = []
    for machine in host.machines(entry):
        alias = account.fill(machine.alias) or ""
        name = account.fill(machine.host_name) or ""
        names = [alias, *({name} - taken - {alias})]
        taken.add(name)
        shared += names
        yield Block(names, [("HostName", name)])
    settings = [
        ("Port", str(host.port)),
        *_user(account, host.user),
        *([("ProxyJump", account.fill(host.via) or "")] if host.via else []),
        *_authentication(account, account.site.auth_of(host)),
        *([("ForwardAgent", "yes")] if host.forward_agent else []),
        *_keepalive(host.keepalive),
        *_sharing(account, _twin(account.site, entry)),
        *host_key_settings(pins(account, entry), host.port),
    ]
    purpose = [f"{host.role} host"] if host.role != "login" else []
    reach = [f"reached {host.network}"] if host.network else []
    yield Block(shared, settings, [*purpose, *reach, *_gap("User", account.missing(host.user))])


def _twin(site: SiteSpec, entry: str) -> str:
    """Return what tells an entry's connection from those of earlier entries for the same host and port."""
    places = [(host.host, host.port) for host in site.hosts.values()]
    number = list(site.hosts).index(entry)
    earlier = places[:number].count(places[number])
    return f"-{earlier + 1}" if earlier else ""


def _compute(account: Account, group: str, nodes: Compute) -> Iterator[Block]:
    through = account.fill(nodes.through) or ""
    if nodes.common:
        names = " ".join(nodes.match)
        yield Block(
            [],
            comments=[
                f"compute nodes {names}, as other sites have them too: ssh -J {through} USER@NODE"
            ],
        )
    elif nodes.host:
        full = [name for name in nodes.full_names() if matches(nodes.match, name)]
        yield Block([*nodes.match, *(f"!{name}" for name in full)], [("HostName", nodes.host)])
    if not nodes.patterns():
        return
    settings = [
        ("Port", str(nodes.port)),
        *_user(account, "{user}"),
        ("ProxyJump", through),
        *_authentication(account, account.site.auth_of(nodes)),
        *_sharing(account),
        *host_key_settings(pins(account, group), nodes.port),
    ]
    yield Block(
        list(nodes.patterns()),
        settings,
        [f"compute nodes, through {through}", *_gap("User", account.missing("{user}"))],
    )


def _job(account: Account, alias: str, job: JobEntry) -> Block:
    through = account.fill(job.through)
    settings = [
        *_user(account, "{user}"),
        # ssh would put something for a single %.
        ("ProxyCommand", f'ssh {through} "{job.proxy.replace("%", "%%")}"'),
        ("RemoteCommand", job.command.replace("%", "%%")),
        ("RequestTTY", "force"),
        ("ConnectTimeout", str(job.timeout)),
        *_authentication(account, account.site.auth),
        *_keepalive(job.keepalive),
        *_sharing(account),
        ("StrictHostKeyChecking", "no"),
        ("UserKnownHostsFile", "/dev/null"),
        ("LogLevel", "ERROR"),
    ]
    why = [
        f"starts a Slurm job on {account.site.site}, or joins it; `ssh {through}` must work without -F",
        f"Each job has a host key of its own; the key that is checked is that of {through}, on the way to it.",
    ]
    return Block([account.fill(alias) or ""], settings, why)


def _user(account: Account, template: str) -> list[Setting]:
    user = account.fill(template)
    return [("User", user)] if user else []


def _gap(subject: str, missing: list[str]) -> list[str]:
    """Return a comment that names what is left out and the profile values that it needs, if it needs any."""
    if not missing:
        return []
    return [f"{subject} is left out: it needs {', '.join(missing)}"]


def _authentication(account: Account, auth: Auth) -> list[Setting]:
    settings: list[Setting] = [("PreferredAuthentications", preferred_authentications(auth))]
    if key := account.key(auth):
        settings.append(("IdentityFile", _quoted(key)))
        if certificate := account.certificate(auth):
            settings.append(("CertificateFile", _quoted(certificate)))
        settings.append(("IdentitiesOnly", "yes"))
    if isinstance(auth, PublicKeyAuth) and auth.add_keys_to_agent:
        settings += [("AddKeysToAgent", "yes"), ("UseKeychain", "yes")]
    if isinstance(auth, KerberosAuth):
        settings += [
            ("GSSAPIAuthentication", "yes"),
            ("GSSAPIDelegateCredentials", "yes" if auth.delegate else "no"),
        ]
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


def _sharing(account: Account, twin: str = "") -> list[Setting]:
    """Share one connection between sessions; `%C` keeps the socket's path below the 104 bytes that macOS allows."""
    if account.site.multiplexing == "forbidden" or not account.profile.multiplexing:
        return [("ControlMaster", "no"), ("ControlPath", "none")]
    return [
        ("ControlMaster", "auto"),
        ("ControlPath", f"{paths.CONTROL_SOCKET}{twin}"),
        ("ControlPersist", "10m"),
    ]
