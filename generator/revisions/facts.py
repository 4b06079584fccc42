"""What a spec says, apart from how it is written: the same facts whatever the order, the names of groups, the units."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from generator.compiler.digests import leaves
from generator.compiler.host_key_policy import fingerprints
from generator.schema.base import Model
from generator.schema.hosts import Compute, Host, HostKeys
from generator.schema.site import SiteSpec
from generator.schema.text_types import seconds, walltime_seconds
from generator.ssh.keys import fingerprint
from generator.ssh.patterns import example, matches


class Weight(StrEnum):
    """How much a change matters to the people who log in, the most first."""

    TRUST = "trust"
    """Whom they trust, and what runs in their name."""
    ACCESS = "access"
    """What they may ask for, and where."""
    TUNING = "tuning"
    PROSE = "prose"


@dataclass(frozen=True)
class Fact:
    """One thing that a spec says."""

    keys: str
    """Where it stands in the spec."""
    value: tuple[str, ...]
    """In the spec's words."""
    same: object
    """What two facts have in common that mean the same."""
    weight: Weight


Block = Mapping[str, Fact]
"""The facts about one thing, by the name of each."""

PINS = "host keys of "
_GROUPS = {"sources", "hosts", "compute", "jobs", "host_keys", "slurm", "filesystems"}

_PROSE = {
    "title",
    "operator",
    "country",
    "docs",
    "note",
    "checked",
    "source",
    "network",
    "submit",
    "quota",
    "form",
    "gpu",
}
_TUNING = {"keepalive", "multiplexing", "timeout", "env_prefix", "compute_internet"}
_TIMES = {"lifetime", "renew_before", "ticket_lifetime"}
_LIMITS = _TIMES | {
    "max_keys",
    "max_per_day",
    "expires_days",
    "key",
    "user",
    "role",
    "architecture",
}
_RUN = {
    *("pre_start_commands", "node_ip_address_command", "ray_start_args", "ray_address"),
    *("spark_home", "master_url", "submit_with", "url"),
}
_UNORDERED = {
    "accounts",
    "ignored_options",
    "forbidden_options",
    "match",
    "also",
    "needs",
    "key_options",
}
_MEBIBYTES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}


def meaning(site: SiteSpec) -> dict[str, Block]:
    """Return what a site says, by the thing that it is about."""
    plain = site.model_dump(mode="json", exclude=_GROUPS)
    blocks: dict[str, Block] = {"": _facts(site, "", plain)}
    for name, host in site.hosts.items():
        blocks[f"host {name}"] = _host(site, name, host)
    for name, nodes in site.compute.items():
        blocks[f"compute nodes {_patterns(nodes)}"] = _entry(site, f"compute.{name}", nodes)
    for name, job in site.jobs.items():
        blocks[f"job {name}"] = _entry(site, f"jobs.{name}", job)
    for name, keys in site.host_keys.items():
        for entry in keys.hosts:
            owner = _patterns(site.compute[entry]) if entry in site.compute else entry
            blocks[PINS + owner] = _pins(site, f"host_keys.{name}", keys)
    for name, place in site.filesystems.items():
        blocks[f"files at {name}"] = _entry(site, f"filesystems.{name}", place)
    return blocks | _slurm(site) | {"usual host": _usual(site), "order": _order(site)}


def _slurm(site: SiteSpec) -> dict[str, Block]:
    slurm = site.slurm
    plain = slurm.model_dump(
        mode="json", exclude={"partitions", "qos_limits", "source", "note", "checked"}
    )
    blocks: dict[str, Block] = {"queues": _facts(site, "slurm", plain)}
    for name, partition in slurm.partitions.items():
        blocks[f"partition {name}"] = _entry(site, f"slurm.partitions.{name}", partition)
    for name, qos in slurm.qos_limits.items():
        blocks[f"QoS {name}"] = _entry(site, f"slurm.qos_limits.{name}", qos)
    return blocks


def _usual(site: SiteSpec) -> Block:
    first = site.usual_host.alias
    return {"alias": Fact(f"hosts.{first}", (first,), first, Weight.ACCESS)}


def _order(site: SiteSpec) -> Block:
    """Return what comes first where ssh takes the first: hosts of one name, groups with a node name in common."""
    names = [host.host.lower() for host in site.hosts.values()]
    twins = tuple(alias for alias, host in site.hosts.items() if names.count(host.host.lower()) > 1)
    groups = list(site.compute.values())
    shared = tuple(
        _patterns(one)
        for one in groups
        if any(overlap(one, other) for other in groups if other is not one)
    )
    return {
        name: Fact(name, value, value, Weight.TRUST)
        for name, value in (("hosts", twins), ("compute", shared))
        if value
    }


def overlap(one: Compute, another: Compute) -> bool:
    """Tell whether a name that one's patterns match, digits put for its wildcards, is matched by the other's too."""
    return any(
        matches(nodes.patterns(), example(pattern, digit="1", word="1"))
        for nodes, patterns in ((one, another.patterns()), (another, one.patterns()))
        for pattern in patterns
        if not pattern.startswith("!")
    )


def _patterns(nodes: Compute) -> str:
    return " ".join(sorted(nodes.patterns()))


def _host(site: SiteSpec, name: str, host: Host) -> Block:
    facts = {
        key: fact
        for key, fact in _entry(site, f"hosts.{name}", host).items()
        if not key.startswith("nodes.")
    }
    if host.nodes:
        each = tuple(f"{alias} is {node}" for alias, node in host.nodes.each())
        facts["nodes"] = Fact(f"hosts.{name}.nodes", each, frozenset(each), Weight.TRUST)
    return facts


def _pins(site: SiteSpec, keys: str, pins: HostKeys) -> Block:
    listed = [f"{kind} {one}" for kind, one in fingerprints(pins)]
    listed += [f"host CA for {one.hosts}: {fingerprint(one.key)}" for one in pins.authorities]
    pinned = "only when a person accepts weak sources" if site.unverified(pins) else "yes"
    return {
        "keys": Fact(keys, tuple(sorted(listed)), frozenset(listed), Weight.TRUST),
        "pinned": Fact(f"{keys}.source", (pinned,), pinned, Weight.TRUST),
        **{
            name: fact
            for name, fact in _entry(site, keys, pins).items()
            if fact.weight is Weight.PROSE
        },
    }


def _entry(site: SiteSpec, keys: str, model: Model) -> Block:
    return _facts(site, keys, model.model_dump(mode="json"))


def _facts(site: SiteSpec, keys: str, values: Mapping[str, Any]) -> Block:
    found = {}
    for name, value in leaves(values):
        if shown := _shown(site, name, value):
            place = f"{keys}.{name}".lstrip(".")
            same = frozenset(shown) if name.endswith("source") else _same(name, value)
            found[name] = Fact(
                place, shown, same, _weight(place.partition(".")[0], name.split("."))
            )
    return found


def _shown(site: SiteSpec, name: str, value: Any) -> tuple[str, ...]:
    if name.endswith("source"):
        return tuple(site.sources[one].ref or site.sources[one].url or one for one in value)
    if isinstance(value, list):
        return tuple(map(_text, value))
    return () if value is None else (_text(value),)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item is not None)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(name: str, value: Any) -> object:
    """Return what is equal when two values mean the same: seconds, mebibytes, sets, small letters of host names."""
    last = name.rpartition(".")[2]
    if value is None:
        return None
    if last.endswith("walltime"):
        return walltime_seconds(value)
    if last in _TIMES:
        return seconds(value)
    if last in ("mem", "mem_per_cpu"):
        return float(value.rstrip("KMGT")) * _MEBIBYTES.get(value[-1], 1)
    if last == "host":
        return value.lower()
    if last in _UNORDERED:
        return frozenset(value)
    return repr(value)


def _weight(part: str, names: list[str]) -> Weight:
    """Weigh a field by its part of the spec and its names below its entry, never by a name that people chose."""
    if names[-1] in _PROSE:
        return Weight.PROSE
    if names[-1] in _RUN:
        return Weight.TRUST
    if {names[0], names[-1]} & _TUNING or part in ("ray", "spark"):
        return Weight.TUNING
    if part in ("hosts", "compute", "jobs", "auth") and names[-1] not in _LIMITS:
        return Weight.TRUST
    return Weight.ACCESS
