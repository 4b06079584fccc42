"""The lines of `SITE.known_hosts`, and the entries for which ssh may read them beside the pins.

A fingerprint is a hash, so only whole keys and authorities can be written there.
"""

from collections.abc import Iterator
from typing import NamedTuple

from generator import paths
from generator.compiler.account import Account
from generator.compiler.host_key_policy import known_hosts_name, trusted
from generator.schema.hosts import Compute, Host, HostKeys
from generator.ssh.patterns import common_name


class KnownHostsLine(NamedTuple):
    """A line of the file."""

    entries: tuple[str, ...]
    """The entries of `hosts` and `compute` whose pin it is."""
    names: tuple[tuple[str, int], ...]
    """Its host names and patterns, with their ports."""
    marker: str
    key: str

    def text(self) -> str:
        """Return the line as it is written, each name once."""
        names = dict.fromkeys(known_hosts_name(name, port) for name, port in self.names)
        return f"{self.marker}{','.join(names)} {self.key}"

    def is_for(self, name: str, port: int) -> bool:
        """Return whether clients find the line for a host name, or for one that a pattern means."""
        excluded = [pattern[1:] for pattern, _ in self.names if pattern.startswith("!")]
        for pattern, other_port in self.names:
            if pattern.startswith("!") or port != other_port:
                continue
            if common_name(pattern, name, excluded):
                return True
        return False


def installed_file(account: Account, entry: str) -> str | None:
    """Return the path of the installed file, if it has the pins of an entry and no others for it.

    ssh reads it beside KnownHostsCommand, and finds lines by host name and port. So a key of
    another entry must not be found for this one.
    """
    own_lines = False
    for line in known_hosts_lines(account):
        if entry in line.entries:
            own_lines = True
            continue
        machines = account.site.hosts.get(entry) or account.site.compute[entry]
        for name in _host_names(account, machines):
            if not name.startswith("!") and line.is_for(name, machines.port):
                return None
    return f"~/{paths.installed_known_hosts(account.site.site)}" if own_lines else None


def known_hosts_lines(account: Account) -> Iterator[KnownHostsLine]:
    """Yield a line for each trusted whole key and authority."""
    for keys in account.site.host_keys.values():
        if trusted(account, keys):
            yield from _lines_of(account, keys)


def _lines_of(account: Account, keys: HostKeys) -> Iterator[KnownHostsLine]:
    entries: list[Host | Compute] = []
    for name in keys.hosts:
        entry = account.site.hosts.get(name) or account.site.compute.get(name)
        if entry:
            entries.append(entry)
    for authority in keys.authorities:
        patterns = tuple((authority.hosts, entry.port) for entry in entries)
        yield KnownHostsLine(keys.hosts, patterns, "@cert-authority ", authority.key)
    names: list[tuple[str, int]] = []
    for entry in entries:
        for host_name in _host_names(account, entry):
            names.append((host_name, entry.port))
    if names:
        for key in keys.keys:
            yield KnownHostsLine(keys.hosts, tuple(names), "", key)


def _host_names(account: Account, entry: Host | Compute) -> list[str]:
    if isinstance(entry, Compute):
        return list(entry.patterns())
    host_names: list[str] = []
    for machine in entry.machines(""):
        if host_name := account.fill(machine.host_name):
            host_names.append(host_name)
    return host_names
