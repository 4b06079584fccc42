"""What a reviewer would ask about a spec that is sound: sources, days, pins, and what other sites have too."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from generator.errors import Fault
from generator.revisions.facts import overlap
from generator.schema.base import facts
from generator.schema.rules import aliases
from generator.schema.site import SiteSpec
from generator.ssh.patterns import matches

_OLD = timedelta(days=365)


def questions(site: SiteSpec, others: Mapping[str, SiteSpec], today: date) -> list[Fault]:
    """Return every question, with the keys that it is about; the other sites are those it must live beside."""
    return [
        *_unsourced(site),
        *_undated(site, today),
        *(_old(last, places) for last, places in aged(site, today).items()),
        *_weak(site),
        *_unpinned(site),
        *(
            fault
            for name, other in others.items()
            if name != site.site
            for fault in _clashes(site, other)
        ),
    ]


def aged(site: SiteSpec, today: date) -> dict[date, list[tuple[str, ...]]]:
    """Return the keys of facts that nobody checked for a year, by the day of the last check."""
    found: dict[date, list[tuple[str, ...]]] = {}
    for keys, fact in facts(site):
        read = (
            [fact.checked] if fact.checked else [site.sources[name].checked for name in fact.source]
        )
        last = max(filter(None, read), default=today)
        if today - last > _OLD:
            found.setdefault(last, []).append(keys)
    return dict(sorted(found.items()))


def _old(last: date, places: list[tuple[str, ...]]) -> Fault:
    others = f", as {len(places) - 1} more facts were" if len(places) > 1 else ""
    return Fault(places[0], f"does this still hold? It was last checked on {last}{others}")


def _unsourced(site: SiteSpec) -> Iterator[Fault]:
    sourced = [keys for keys, fact in facts(site) if fact.source]
    for keys, fact in facts(site):
        if fact.model_fields_set and not any(keys[: len(above)] == above for above in sourced):
            yield Fault(keys, "where is this from? It has no source")


def _undated(site: SiteSpec, today: date) -> Iterator[Fault]:
    cited = {name for _, fact in facts(site) for name in fact.source}
    for name, source in site.sources.items():
        if name in cited and not (source.checked or source.weak):
            yield Fault(("sources", name), "when was this read? Its checked is missing")
    days = [(("sources", name), source.checked) for name, source in site.sources.items()]
    for keys, day in [*days, *((keys, fact.checked) for keys, fact in facts(site))]:
        if day and day > today:
            yield Fault((*keys, "checked"), f"is this right? {day} is still to come")


def _weak(site: SiteSpec) -> Iterator[Fault]:
    for alias, host in site.hosts.items():
        reasons = [site.sources[name].weak or "" for name in host.source]
        if reasons and all(reasons):
            hint = f"What is known of this machine is weak: {', '.join(reasons)}"
            yield Fault(("hosts", alias), f"is there a better source? {hint}")


def _unpinned(site: SiteSpec) -> Iterator[Fault]:
    pinned = {entry for keys in site.host_keys.values() for entry in keys.hosts}
    for alias in site.hosts:
        if alias not in pinned:
            yield Fault(
                ("hosts", alias), "does the site publish host keys? None is pinned, so ssh asks"
            )
    for name, keys in site.host_keys.items():
        if site.unverified(keys):
            reasons = ", ".join(site.sources[source].weak or "" for source in keys.source)
            yield Fault(
                ("host_keys", name),
                f"is there a better source? These keys are not pinned unasked: {reasons}",
            )


def _clashes(site: SiteSpec, other: SiteSpec) -> Iterator[Fault]:
    theirs = {alias.lower() for _, alias in aliases(other)}
    machines = {machine.host_name.lower() for machine in other.machines()}
    for keys, alias in aliases(site):
        if alias.lower() in theirs:
            yield Fault(keys, f"the alias {alias} is also one of {other.site}")
        if alias.lower() in machines:
            yield Fault(keys, f"the alias {alias} is a host name of {other.site}")
    yield from _shared(site, other)
    for machine in site.machines():
        entry, host_name = machine.entry, machine.host_name
        if host_name.lower() in theirs:
            yield Fault(("hosts", entry), f"the host name {host_name} is an alias of {other.site}")
        for group, nodes in other.compute.items():
            for name in dict.fromkeys((machine.alias, host_name)):
                if matches(nodes.patterns(), name):
                    yield Fault(
                        ("hosts", entry),
                        f"{name} is caught by the patterns of {other.site}, compute.{group}",
                    )
    for group, nodes in site.compute.items():
        names = set[str]()
        for machine in other.machines():
            names |= {machine.alias, machine.host_name}
        caught = sorted(name for name in names if matches(nodes.patterns(), name))
        if caught:
            yield Fault(
                ("compute", group), f"the patterns catch {', '.join(caught)} of {other.site}"
            )
        if any(overlap(nodes, their) for their in other.compute.values()):
            yield Fault(
                ("compute", group), f"nodes of {other.site} are called so too; set common: true"
            )


def _shared(site: SiteSpec, other: SiteSpec) -> Iterator[Fault]:
    """Ask about machines of two sites; of several entries of a site with one host name ssh takes the first."""
    mine, theirs = (
        {machine.host_name.lower(): machine.entry for machine in reversed(one.machines())}
        for one in (site, other)
    )
    for host in (name for name in mine if name in theirs):
        ours, others = _reached(site, mine[host]), _reached(other, theirs[host])
        if differ := [name for name in ours if ours[name] != others[name]]:
            message = f"{host} is a host of {other.site} too, with another {' and '.join(differ)}"
            yield Fault(("hosts", mine[host]), f"{message}; ssh takes the first")


def _reached(site: SiteSpec, entry: str) -> dict[str, object]:
    """Return how a machine is reached, apart from the names that the site has for things."""
    host = site.hosts[entry]
    named = {machine.alias: machine.host_name.lower() for machine in site.machines()}
    auth = site.auth_of(host).model_dump_json(exclude={"source", "checked", "note"})
    return {
        "port": host.port,
        "via": named.get(host.via or ""),
        "auth": auth.replace("{site}", site.site),
        "user": host.user.replace("{site}", site.site),
    }
