"""Find the names in a site's ssh file that are not the site's own.

A spec may come from anybody. It decides where ssh connects for each name that it has, so a spec
with an entry for github.com would receive the user's connections to github.com.
"""

from collections.abc import Iterator

from generator.ssh.config_lines import lines
from generator.ssh.patterns import is_pattern

# Below these, anybody can register a name (publicsuffix.org): `*.ac.at` is nobody's own domain.
_PUBLIC = {"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"}
_MIN_LETTERS = 2


def foreign_names(conf: bytes) -> tuple[str, ...]:
    """Return the names and patterns of a site's file that reach beyond the site."""
    hosts = set(_hosts(conf))
    domains = set(hosts)
    for host in hosts:
        domains.update(_parent(host))
    foreign: dict[str, None] = {}
    for line in lines(conf):
        if line.keyword != "host":
            continue
        for name in line.arguments:
            # A name with a ! only excludes hosts.
            if not name.startswith("!") and not _is_own(name.lower(), hosts, domains):
                foreign[name] = None
    return tuple(foreign)


def _hosts(conf: bytes) -> Iterator[str]:
    """Yield the host names that the site connects to."""
    for line in lines(conf):
        if line.keyword == "hostname" and "%" not in line.value:
            yield line.value.lower()


def _parent(host: str) -> Iterator[str]:
    """Yield the domain that a host is in, unless many owners share it."""
    _, _, domain = host.partition(".")
    labels = domain.split(".")
    is_public = len(labels) == 2 and labels[0] in _PUBLIC
    is_address = labels[-1].isdigit()
    if len(labels) >= 2 and not is_public and not is_address:
        yield domain


def _is_own(name: str, hosts: set[str], domains: set[str]) -> bool:
    if not is_pattern(name):
        return "." not in name or _is_in(name, hosts)
    if "." not in name and "*" not in name:
        # `cn-????` matches short names alone; `????` would match any name of four letters.
        letters = [char for char in name if char.isalnum()]
        return len(letters) >= _MIN_LETTERS
    # All names that the pattern matches end with what follows its last * or ?.
    _, _, end = name.replace("?", "*").rpartition("*")
    return end.startswith(".") and _is_in(end.removeprefix("."), domains)


def _is_in(name: str, domains: set[str]) -> bool:
    """Return whether a name is one of the domains, or below one."""
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)
