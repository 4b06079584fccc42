"""What a reviewer would ask about a spec that is sound: sources, age, pins, names that other sites have."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from generator.errors import Fault
from generator.spec.hosts import Compute
from generator.spec.model import facts
from generator.spec.rules import login_names, matcher
from generator.spec.site import SiteSpec

_OLD = timedelta(days=365)


def questions(site: SiteSpec, others: Mapping[str, SiteSpec], today: date) -> list[Fault]:
    """Return every question, with the keys that it is about; the other sites are those it must live beside."""
    return [
        *_unsourced(site),
        *(_old(last, places) for last, places in aged(site, today).items()),
        *_unpinned(site),
        *(fault for name, other in others.items() if name != site.site for fault in _clashes(site, other)),
    ]


def aged(site: SiteSpec, today: date) -> dict[date, list[tuple[str, ...]]]:
    """Return the keys of facts that nobody checked for a year, by the day of the last check."""
    found: dict[date, list[tuple[str, ...]]] = {}
    for keys, fact in facts(site):
        read = [fact.checked] if fact.checked else [site.sources[name].checked for name in fact.source]
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


def _unpinned(site: SiteSpec) -> Iterator[Fault]:
    pinned = {entry for keys in site.host_keys.values() for entry in keys.hosts}
    for alias in site.hosts:
        if alias not in pinned:
            yield Fault(("hosts", alias), "does the site publish host keys? None is pinned, so ssh asks")
    for name, keys in site.host_keys.items():
        if site.unverified(keys):
            reasons = ", ".join(site.sources[source].weak or "" for source in keys.source)
            yield Fault(("host_keys", name), f"is there a better source? These keys are not pinned unasked: {reasons}")


def _clashes(site: SiteSpec, other: SiteSpec) -> Iterator[Fault]:
    theirs = {alias.lower() for _, alias, _ in login_names(other)} | {alias.lower() for alias in other.jobs}
    for entry, alias, host in login_names(site):
        if alias.lower() in theirs:
            yield Fault(("hosts", entry), f"the alias {alias} is also one of {other.site}")
        for group, nodes in other.compute.items():
            for name in dict.fromkeys((alias, host)):
                if matcher(nodes.patterns())(name):
                    yield Fault(("hosts", entry), f"{name} is caught by the patterns of {other.site}, compute.{group}")
    for group, nodes in site.compute.items():
        names = {name for _, alias, host in login_names(other) for name in (alias, host)}
        caught = sorted(filter(matcher(nodes.patterns()), names))
        if caught:
            yield Fault(("compute", group), f"the patterns catch {', '.join(caught)} of {other.site}")
        if any(_overlap(nodes, their) for their in other.compute.values()):
            yield Fault(("compute", group), f"nodes of {other.site} are called so too; set common: true")


def _overlap(one: Compute, another: Compute) -> bool:
    """Tell whether a name that one's patterns match, letters put for its wildcards, is matched by the other's too."""
    return any(
        matcher(nodes.patterns())(pattern.replace("?", "1").replace("*", "1"))
        for nodes, patterns in ((one, another.patterns()), (another, one.patterns()))
        for pattern in patterns
        if not pattern.startswith("!")
    )
