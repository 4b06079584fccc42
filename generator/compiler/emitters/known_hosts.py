"""`ssh/SITE.known_hosts`: the pins for clients other than ssh (dagster-slurm, paramiko).

They do not run KnownHostsCommand. A fingerprint is a hash, so only whole keys and authorities can
be written here.
"""

from collections.abc import Iterator

from generator import paths
from generator.compiler import compiled_templates
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.host_key_policy import known_hosts_name, trusted
from generator.schema.hosts import Compute, Host, HostKeys


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the file, if the spec has trusted whole keys or authorities."""
    site = account.site.site
    lines: list[str] = []
    for keys in account.site.host_keys.values():
        if trusted(account, keys):
            lines += _lines(account, keys)
    if not lines:
        return
    text = compiled_templates.known_hosts(
        header=paths.header(site), lines=list(dict.fromkeys(lines))
    )
    yield Artifact(
        path=paths.known_hosts(site),
        content="".join(text).encode(),
        mode=0o600,
        install_to=paths.installed_known_hosts(site),
    )


def _lines(account: Account, keys: HostKeys) -> Iterator[str]:
    entries: list[Host | Compute] = []
    for name in keys.hosts:
        entry = account.site.hosts.get(name) or account.site.compute.get(name)
        if entry:
            entries.append(entry)
    ports = list(dict.fromkeys(entry.port for entry in entries))
    for authority in keys.authorities:
        patterns = ",".join(known_hosts_name(authority.hosts, port) for port in ports)
        yield f"@cert-authority {patterns} {authority.key}"
    names: list[str] = []
    for entry in entries:
        names += [known_hosts_name(name, entry.port) for name in _host_names(account, entry)]
    if names:
        hosts = ",".join(dict.fromkeys(names))
        for key in keys.keys:
            yield f"{hosts} {key}"


def _host_names(account: Account, entry: Host | Compute) -> list[str]:
    if isinstance(entry, Compute):
        return list(entry.patterns())
    names = [entry.host]
    if entry.nodes:
        names += [host for _, host in entry.nodes.each()]
    filled = [account.fill(name) for name in names]
    return [name for name in filled if name]
