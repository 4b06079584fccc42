"""`ssh/SITE.known_hosts`: the pins for clients that cannot run a command for them (dagster-slurm, paramiko).

A fingerprint is a hash, so only whole keys and authorities can stand here.
"""

from collections.abc import Iterator

from generator import paths
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.host_key_policy import listed, trusted
from generator.compiler.templates import render
from generator.schema.hosts import Compute, Host, HostKeys


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the file where the site has whole keys or authorities that are trusted."""
    lines = [
        line
        for keys in account.site.host_keys.values()
        if trusted(account, keys)
        for line in _lines(account, keys)
    ]
    if not lines:
        return
    name = account.site.site
    content = render(
        "known_hosts.j2", header=paths.header(account.site.site), lines=list(dict.fromkeys(lines))
    )
    installed = paths.installed_known_hosts(name)
    yield Artifact(paths.known_hosts(name), content, 0o600, install_to=installed)


def _lines(account: Account, keys: HostKeys) -> Iterator[str]:
    entries = [
        entry
        for name in keys.hosts
        if (entry := account.site.hosts.get(name) or account.site.compute.get(name))
    ]
    names = [listed(name, entry.port) for entry in entries for name in _names(account, entry)]
    for authority in keys.authorities:
        ports = dict.fromkeys(entry.port for entry in entries)
        yield f"@cert-authority {','.join(listed(authority.hosts, port) for port in ports)} {authority.key}"
    for key in keys.keys if names else ():
        yield f"{','.join(dict.fromkeys(names))} {key}"


def _names(account: Account, entry: Host | Compute) -> list[str]:
    if isinstance(entry, Compute):
        return list(entry.patterns())
    names = [entry.host, *(host for _, host in (entry.nodes.each() if entry.nodes else ()))]
    return [filled for name in names if (filled := account.fill(name))]
