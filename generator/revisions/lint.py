"""The questions that a reviewer would ask about a valid spec.

They are about its sources, its dates, its host keys, and names that other sites have too.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from generator.errors import Fault
from generator.formatting import count
from generator.revisions.facts import overlap
from generator.schema.base import Fact, facts
from generator.schema.rules import aliases
from generator.schema.site import SiteSpec
from generator.ssh.patterns import matches

# Sites replace machines and change queues about once a year.
_YEAR = timedelta(days=365)

Keys = tuple[str, ...]


def questions(site: SiteSpec, neighbours: Mapping[str, SiteSpec], today: date) -> list[Fault]:
    """Return every question about a spec.

    `neighbours` are the sites that a user may have beside it.
    """
    faults = [*_missing_sources(site), *_undated_sources(site, today)]
    for last_check, places in aged(site, today).items():
        faults.append(_aged_question(last_check, places))
    faults += [*_weak_hosts(site), *_missing_pins(site), *_weak_pins(site)]
    for name, neighbour in neighbours.items():
        if name != site.site:
            faults += _clashes(site, neighbour)
    return faults


def aged(site: SiteSpec, today: date) -> dict[date, list[Keys]]:
    """Return the keys of facts that were not checked for a year, by the date of the last check."""
    places: dict[date, list[Keys]] = {}
    for keys, fact in facts(site):
        last_check = _last_check(site, fact, today)
        if today - last_check > _YEAR:
            places.setdefault(last_check, []).append(keys)
    return dict(sorted(places.items()))


def _last_check(site: SiteSpec, fact: Fact, default: date) -> date:
    if fact.checked:
        return fact.checked
    dates = []
    for name in fact.source:
        day = site.sources[name].checked
        if day:
            dates.append(day)
    return max(dates, default=default)


def _aged_question(last_check: date, places: list[Keys]) -> Fault:
    question = f"does this still hold? It was last checked on {last_check}"
    # One question for all facts of a date: a spec has hundreds, and most share the date.
    others_of_date = len(places) - 1
    if others_of_date:
        question += f", like {count(others_of_date, 'other fact')}"
    return Fault(places[0], question)


def _missing_sources(site: SiteSpec) -> Iterator[Fault]:
    sourced = []
    for keys, fact in facts(site):
        if fact.source:
            sourced.append(keys)
    for keys, fact in facts(site):
        # The source of an enclosing block counts.
        is_sourced = any(keys[: len(above)] == above for above in sourced)
        # A block of defaults states nothing that could have a source.
        if fact.model_fields_set and not is_sourced:
            yield Fault(keys, "where is this from? It has no source")


def _undated_sources(site: SiteSpec, today: date) -> Iterator[Fault]:
    cited = set[str]()
    for _, fact in facts(site):
        cited.update(fact.source)
    dates: list[tuple[Keys, date | None]] = []
    for name, source in site.sources.items():
        keys: Keys = ("sources", name)
        dates.append((keys, source.checked))
        # A weak source is a question of its own.
        if name in cited and not (source.checked or source.weak):
            yield Fault(keys, "when was this read? It has no date (checked)")
    for keys, fact in facts(site):
        dates.append((keys, fact.checked))
    for keys, day in dates:
        if day and day > today:
            yield Fault((*keys, "checked"), f"is this date right? {day} is in the future")


def _weak_hosts(site: SiteSpec) -> Iterator[Fault]:
    for alias, host in site.hosts.items():
        reasons = _weaknesses(site, host.source)
        if reasons and all(reasons):
            question = f"is there a better source? All sources are weak: {', '.join(reasons)}"
            yield Fault(("hosts", alias), question)


def _weaknesses(site: SiteSpec, sources: tuple[str, ...]) -> list[str]:
    """Return the reason why each source is weak, empty for one that is not."""
    return [site.sources[name].weak or "" for name in sources]


def _missing_pins(site: SiteSpec) -> Iterator[Fault]:
    pinned = set[str]()
    for keys in site.host_keys.values():
        pinned.update(keys.hosts)
    for alias in site.hosts:
        if alias not in pinned:
            question = "does the site publish host keys? The spec has none, so ssh asks the user"
            yield Fault(("hosts", alias), question)


def _weak_pins(site: SiteSpec) -> Iterator[Fault]:
    for name, keys in site.host_keys.items():
        if keys.has_keys and site.unverified(keys):
            reasons = ", ".join(_weaknesses(site, keys.source))
            question = (
                f"is there a better source? gen does not pin these keys by default: {reasons}"
            )
            yield Fault(("host_keys", name), question)


def _clashes(site: SiteSpec, neighbour: SiteSpec) -> Iterator[Fault]:
    yield from _alias_clashes(site, neighbour)
    yield from _shared_hosts(site, neighbour)
    yield from _host_clashes(site, neighbour)
    yield from _pattern_clashes(site, neighbour)


def _lowercase_aliases(site: SiteSpec) -> set[str]:
    return {alias.lower() for _, alias in aliases(site)}


def _alias_clashes(site: SiteSpec, neighbour: SiteSpec) -> Iterator[Fault]:
    neighbour_aliases = _lowercase_aliases(neighbour)
    neighbour_hosts = {machine.host_name.lower() for machine in neighbour.machines()}
    for keys, alias in aliases(site):
        if alias.lower() in neighbour_aliases:
            yield Fault(keys, f"the alias {alias} is also an alias of {neighbour.site}")
        if alias.lower() in neighbour_hosts:
            yield Fault(keys, f"the alias {alias} is a host name of {neighbour.site}")


def _host_clashes(site: SiteSpec, neighbour: SiteSpec) -> Iterator[Fault]:
    neighbour_aliases = _lowercase_aliases(neighbour)
    for machine in site.machines():
        keys, host_name = ("hosts", machine.entry), machine.host_name
        if host_name.lower() in neighbour_aliases:
            yield Fault(keys, f"the host name {host_name} is an alias of {neighbour.site}")
        for group, nodes in neighbour.compute.items():
            for name in dict.fromkeys((machine.alias, host_name)):
                if matches(nodes.patterns(), name):
                    yield Fault(
                        keys, f"compute.{group} of {neighbour.site} has a pattern for {name}"
                    )


def _pattern_clashes(site: SiteSpec, neighbour: SiteSpec) -> Iterator[Fault]:
    neighbour_names = set[str]()
    for machine in neighbour.machines():
        neighbour_names |= {machine.alias, machine.host_name}
    for group, nodes in site.compute.items():
        matching = []
        for name in sorted(neighbour_names):
            if matches(nodes.patterns(), name):
                matching.append(name)
        if matching:
            names = ", ".join(matching)
            yield Fault(("compute", group), f"the patterns match {names} of {neighbour.site}")
        for neighbour_nodes in neighbour.compute.values():
            if overlap(nodes, neighbour_nodes):
                question = f"nodes of {neighbour.site} have the same names; set common: true"
                yield Fault(("compute", group), question)
                break


def _shared_hosts(site: SiteSpec, neighbour: SiteSpec) -> Iterator[Fault]:
    """Ask about a machine of two sites with different settings."""
    entries, neighbour_entries = _entries_by_host(site), _entries_by_host(neighbour)
    for host, entry in entries.items():
        if host not in neighbour_entries:
            continue
        neighbour_settings = _settings(neighbour, neighbour_entries[host])
        differing = []
        for name, value in _settings(site, entry).items():
            if value != neighbour_settings[name]:
                differing.append(name)
        if differing:
            question = (
                f"{host} is also a host of {neighbour.site},"
                f" with another {' and '.join(differing)}; ssh takes the first"
            )
            yield Fault(("hosts", entry), question)


def _entries_by_host(site: SiteSpec) -> dict[str, str]:
    """Return the entry of each host name; of several entries ssh takes the first."""
    return {machine.host_name.lower(): machine.entry for machine in reversed(site.machines())}


def _settings(site: SiteSpec, entry: str) -> dict[str, object]:
    """Return the settings of a connection, without the names that a site has for things."""
    host = site.hosts[entry]
    host_names = {machine.alias: machine.host_name.lower() for machine in site.machines()}
    # Prose may differ: the settings of the connection count.
    auth = site.auth_of(host).model_dump_json(exclude={"source", "checked", "note"})
    return {
        "port": host.port,
        "via": host_names.get(host.via or ""),
        "proxy": host.proxy,
        "auth": auth.replace("{site}", site.site),
        "user": host.user.replace("{site}", site.site),
    }
