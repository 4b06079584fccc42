"""`ssh/SITE.known_hosts`: the pins for clients other than ssh (dagster-slurm, paramiko).

They do not run KnownHostsCommand. A fingerprint is a hash, so only whole keys and authorities can
be written here.
"""

from collections.abc import Iterator

from generator import paths
from generator.compiler import compiled_templates
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.host_key_policy import known_hosts_name, revoked_lines, trusted
from generator.schema.hosts import Compute, Host, HostKeys


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the file, if the spec has trusted whole keys or authorities."""
    site = account.site.site
    lines = revoked_lines(account.site)
    for keys in account.site.host_keys.values():
        if trusted(account, keys):
            lines += _lines(account, keys)
    if not lines:
        return
    # Entries that share a host name have the same line.
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
    for authority in keys.authorities:
        patterns = [known_hosts_name(authority.hosts, entry.port) for entry in entries]
        yield f"@cert-authority {_unique(patterns)} {authority.key}"
    names: list[str] = []
    for entry in entries:
        for host_name in _host_names(account, entry):
            names.append(known_hosts_name(host_name, entry.port))
    if names:
        for key in keys.keys:
            yield f"{_unique(names)} {key}"


def _unique(names: list[str]) -> str:
    """Return names as known_hosts lists them, each once."""
    return ",".join(dict.fromkeys(names))


def _host_names(account: Account, entry: Host | Compute) -> list[str]:
    if isinstance(entry, Compute):
        return list(entry.patterns())
    host_names: list[str] = []
    for machine in entry.machines(""):
        if host_name := account.fill(machine.host_name):
            host_names.append(host_name)
    return host_names
