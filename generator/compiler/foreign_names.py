"""Find the names in a site's ssh file that are not the site's own.

A spec may come from anybody. It decides where ssh connects for each name that it has, so a spec
with an entry for github.com would receive the user's connections to github.com. To list github.com
as a host makes the name no more the site's: it could be reached through a machine of the spec's
author.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from generator import resources
from generator.ssh.config_lines import lines
from generator.ssh.patterns import example, is_pattern, matches

# Providers rent machines or give names away below these domains. The Public Suffix List has only
# the parts of them that matter to cookies.
_RENTED = {
    "amazonaws.com",
    "azure.com",
    "googleusercontent.com",
    "nip.io",
    "sslip.io",
}
_MIN_LETTERS = 2
# With the names that Debian has in /etc/hosts.
_LOOPBACK = {"localhost", "ip6-localhost", "ip6-loopback", "127.0.0.1", "::1"}
# `ssh 2130706433` connects to 127.0.0.1 (inet_aton(3)).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]+")


@dataclass(frozen=True)
class _Block:
    """A Host block: its patterns, and where it leads."""

    patterns: tuple[str, ...]
    host_names: list[str] = field(default_factory=list)
    jumps: list[str] = field(default_factory=list)


def foreign_names(conf: bytes) -> tuple[str, ...]:
    """Return the names and patterns of a site's file that reach beyond the site."""
    blocks = _blocks(conf)
    hosts: set[str] = set()
    for block in blocks:
        hosts.update(name for name in block.host_names if "%" not in name)
    domains = set(hosts)
    for host in hosts:
        domains.update(_parent(host))
    foreign: dict[str, None] = {}
    for block in blocks:
        for written in block.patterns:
            name = written.lower()
            # A name with a ! only excludes hosts.
            if name.startswith("!") or _is_short(name):
                continue
            is_own = _is_own(name, hosts, domains)
            if not (is_own and _stays_in_organisation(blocks, name)):
                foreign[written] = None
    return tuple(foreign)


def _blocks(conf: bytes) -> list[_Block]:
    blocks: list[_Block] = []
    for line in lines(conf):
        if line.keyword == "host":
            blocks.append(_Block(line.arguments))
        elif not blocks:
            continue
        elif line.keyword == "hostname":
            blocks[-1].host_names.append(line.value.lower())
        elif line.keyword == "proxyjump":
            blocks[-1].jumps.extend(line.value.lower().split(","))
        elif line.keyword == "proxycommand":
            # That of a job entry: `ssh ALIAS "COMMAND"`.
            blocks[-1].jumps.extend(line.value.lower().split()[1:2])
    return blocks


def _parent(host: str) -> Iterator[str]:
    """Yield the domain that a host is in, unless many owners share it."""
    _, _, domain = host.partition(".")
    if not (_registry(domain) == domain or _is_shared(domain) or _is_address(host)):
        yield domain


def _is_shared(name: str) -> bool:
    """Return whether a name is, or is below, a domain in which many owners have names."""
    shared = _shared_domains()
    labels = name.split(".")
    return any(".".join(labels[start:]) in shared for start in range(len(labels)))


@cache
def _shared_domains() -> frozenset[str]:
    return _listed("shared_domains.txt") | _RENTED


@cache
def _registry_domains() -> frozenset[str]:
    return _listed("registry_domains.txt")


def _listed(file: str) -> frozenset[str]:
    """Return the domains in an extract of the Public Suffix List (tools/shared_domains.py)."""
    text = (resources.PACKAGE / "compiler" / file).read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def _registry(name: str) -> str:
    """Return the end of a name below which anybody can register one, such as `ac.at` or `org`."""
    labels = name.split(".")
    for start in range(len(labels) - 1):
        domain = ".".join(labels[start:])
        every_name = ".".join(["*", *labels[start + 1 :]])
        if domain in _registry_domains() or every_name in _registry_domains():
            return domain
    return labels[-1]


def _is_short(name: str) -> bool:
    """Return whether a name or pattern is a short alias, which any site may choose."""
    if "." in name or ":" in name or _NUMBER.fullmatch(name):
        return False
    if any(matches([name], loopback) for loopback in _LOOPBACK):
        return False
    if not is_pattern(name):
        return True
    # `cn-????` matches short names alone; `????` would match any name of four letters.
    letters = [char for char in name if char.isalnum()]
    return "*" not in name and len(letters) >= _MIN_LETTERS


def _is_own(name: str, hosts: set[str], domains: set[str]) -> bool:
    if not is_pattern(name):
        return _is_in(name, hosts)
    end = _end(name)
    return end.startswith(".") and _is_in(end.removeprefix("."), domains)


def _end(pattern: str) -> str:
    """Return what follows the last * or ?: all names that the pattern matches end with it."""
    return pattern.replace("?", "*").rpartition("*")[2]


def _is_in(name: str, domains: set[str]) -> bool:
    """Return whether a name is one of the domains, or below one."""
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def _stays_in_organisation(blocks: Sequence[_Block], name: str) -> bool:
    """Return whether each machine on the way to a name belongs to the organisation of the name."""
    machines = {name, *_machines(blocks, name, set())}
    return len({_organisation(_end(machine)) for machine in machines}) == 1


def _machines(blocks: Sequence[_Block], name: str, visited: set[str]) -> Iterator[str]:
    """Yield the machines to which a name leads, and those on the way.

    All blocks for the name count, not only the first: a block for the example of a pattern could
    hide the others.
    """
    if name in visited:
        return
    visited.add(name)
    host_names: list[str] = []
    for block in blocks:
        if name in block.patterns or matches(block.patterns, example(name)):
            host_names += [host.replace("%h", name) for host in block.host_names]
            for jump in block.jumps:
                yield from _machines(blocks, jump, visited)
    yield from host_names or [name]


def _organisation(name: str) -> str:
    """Return the end of a host name that its owner registered; an address stands for itself."""
    name = name.strip(".")
    if name in _LOOPBACK:
        return "localhost"
    if _is_address(name):
        return name
    if _is_shared(name):
        return name
    size = len(_registry(name).split(".")) + 1
    return ".".join(name.split(".")[-size:])


def _is_address(name: str) -> bool:
    return ":" in name or name.rpartition(".")[2].isdigit()
