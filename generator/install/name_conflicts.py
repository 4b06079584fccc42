"""Refuse two sites that give one name two meanings: ssh would silently take the first file's.

Two sites may share a name, such as the one of a jump host, if both mean the same by it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from generator import formatting
from generator.install.shadowing import site_alone
from generator.ssh.client import Settings
from generator.ssh.config_lines import lines
from generator.ssh.effective_config import effective_settings
from generator.ssh.patterns import common_name

# The options that decide which machine a name reaches, the way there, as whom, and which host key
# is accepted. Two sites may differ in others, such as the keepalive: ssh takes the first value.
_ACCOUNT = ("user", "identityfile", "certificatefile")
_MACHINE = (
    "hostname",
    "port",
    "proxyjump",
    "proxycommand",
    "remotecommand",
    "hostkeyalias",
    "knownhostscommand",
    "userknownhostsfile",
    "stricthostkeychecking",
    "forwardagent",
)


@dataclass(frozen=True)
class NameConflict:
    """A name to which two sites give different meanings."""

    name: str
    site: str
    other_site: str
    differences: tuple[str, ...]

    @property
    def message(self) -> str:
        """The conflict in one line."""
        differences = formatting.listed(self.differences)
        return (
            f"{self.name}: {self.site} and {self.other_site} give this name different meanings: "
            f"{differences}"
        )


def name_conflicts(
    confs: Mapping[str, bytes], changed_sites: Iterable[str]
) -> tuple[NameConflict, ...]:
    """Return the conflicts between sites, given by their ssh files, of which one is changed."""
    # Conflicts between two sites that are installed already are not this installation's matter.
    changed = set(changed_sites)
    conflicts: list[NameConflict] = []
    for site, other_site in combinations(sorted(confs), 2):
        if not changed & {site, other_site}:
            continue
        names = _shared_names(confs[site], confs[other_site])
        if not names:
            continue
        settings = effective_settings(site_alone(confs[site]), list(names))
        other_settings = effective_settings(site_alone(confs[other_site]), list(names))
        for name, shown in names.items():
            differences = tuple(_differences(name, settings[name], other_settings[name]))
            if differences:
                conflicts.append(NameConflict(shown, site, other_site, differences))
    return tuple(conflicts)


def _shared_names(conf: bytes, other_conf: bytes) -> dict[str, str]:
    """Return names that both files have entries for, each with the name or pattern that it is for.

    Every pair of entries gets a name for which no earlier entry comes first, if there is one: a
    spec could have a harmless entry for the name that gen would ask for.
    """
    names: dict[str, str] = {}
    other_entries = _entries(other_conf)
    for entry in _entries(conf):
        for other in other_entries:
            excluded = (*entry.excluded, *other.excluded)
            for earlier in ((*entry.earlier, *other.earlier), ()):
                name = common_name(entry.pattern, other.pattern, (*excluded, *earlier))
                if name:
                    shown = entry.pattern if entry.pattern == other.pattern else name
                    names.setdefault(name, shown)
                    break
    return names


@dataclass(frozen=True)
class _Entry:
    """A name or pattern in a Host line, with the names that its line excludes."""

    pattern: str
    excluded: tuple[str, ...]
    earlier: tuple[str, ...]
    """The other names and patterns of the lines before."""


def _entries(conf: bytes) -> list[_Entry]:
    entries: dict[_Entry, None] = {}
    earlier: dict[str, None] = {}
    for line in lines(conf):
        if line.keyword != "host":
            continue
        excluded: list[str] = []
        patterns: list[str] = []
        for name in line.arguments:
            if name.startswith("!"):
                excluded.append(name.removeprefix("!"))
            else:
                patterns.append(name)
        for pattern in patterns:
            earlier_names = tuple(name for name in earlier if name != pattern)
            entries[_Entry(pattern, tuple(excluded), earlier_names)] = None
        earlier.update(dict.fromkeys(patterns))
    return list(entries)


def _differences(name: str, settings: Settings, other_settings: Settings) -> Iterator[str]:
    options: tuple[str, ...] = _MACHINE + _ACCOUNT
    if settings.get("hostname") == other_settings.get("hostname") == (name,):
        # Two accounts on one host have an alias each. Its host name is in both files, and ssh
        # takes the account of the first: it reaches the same machine in the same way.
        options = _MACHINE
    for option in options:
        value = ", ".join(settings.get(option, ())) or "(none)"
        other_value = ", ".join(other_settings.get(option, ())) or "(none)"
        if value != other_value:
            yield f"{option} {_short(value)} or {_short(other_value)}"


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:39]}…"
