"""The facts that a spec states.

Two specs that mean the same state the same facts, whatever their order, units and group names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from generator.compiler.host_key_policy import fingerprints
from generator.schema.hosts import Compute, HostKeys
from generator.schema.meta import Leaf, Weight, leaves
from generator.schema.site import SiteSpec
from generator.ssh.keys import fingerprint
from generator.ssh.patterns import example, matches


@dataclass(frozen=True)
class SpecFact:
    """One fact that a spec states."""

    keys: str
    """The keys that lead to it in the spec."""
    value: tuple[str, ...]
    """The value in the words of the spec."""
    comparable: object
    """Equal for two facts that mean the same."""
    weight: Weight


Block = Mapping[str, SpecFact]
"""The facts about one subject, by the name of each."""

PINS = "host keys of "
_ADDRESS = re.compile(r"://|\bwww\.|\S@\S")
_SUBJECTS = {"hosts": "host", "jobs": "job", "filesystems": "files at"}
_QUEUE_SUBJECTS = {"partitions": "partition", "qos_limits": "QoS", "queues": "queue"}
# Where the keys of a group are from: not the keys themselves, which are one fact.
_ABOUT_PINS = {"known_hosts", "source", "note", "checked"}
# They are about the queues as a whole, which a review does not show as a subject of their own.
_QUEUE_PROSE = {"source", "note", "checked"}


def meaning(site: SiteSpec) -> dict[str, Block]:
    """Return the facts of a site by subject; those about the site itself have an empty subject."""
    blocks: dict[str, dict[str, SpecFact]] = {"": {}}
    for leaf in leaves(site):
        subject_and_name = _subject(site, leaf.keys)
        fact = _fact(site, leaf)
        if subject_and_name and fact:
            subject, name = subject_and_name
            blocks.setdefault(subject, {})[name] = fact
    for alias, host in site.hosts.items():
        if host.nodes:
            # Each node by itself: `1-5` and `1,2,3,4,5` are the same machines.
            each = tuple(f"{node_alias} is {node}" for node_alias, node in host.nodes.each())
            fact = SpecFact(f"hosts.{alias}.nodes", each, frozenset(each), Weight.TRUST)
            blocks[f"host {alias}"]["nodes"] = fact
    pins = dict(_pin_blocks(site))
    return {**blocks, **pins, "usual host": _usual_host(site), "order": _order(site)}


def _subject(site: SiteSpec, keys: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the subject of a value and the name of the value below it.

    ``None`` if it is not a fact by itself.
    """
    group = keys[0]
    if group in ("sources", "host_keys"):
        return None
    if group == "hosts" and keys[2] == "nodes":
        return None
    if group == "compute":
        return _compute_subject(site.compute[keys[1]]), ".".join(keys[2:])
    if group in _SUBJECTS:
        return f"{_SUBJECTS[group]} {keys[1]}", ".".join(keys[2:])
    if group in ("slurm", "batch"):
        return _queue_subject(keys)
    return "", ".".join(keys)


def _compute_subject(nodes: Compute) -> str:
    # Its patterns say which machines a group is; its name is for people.
    return f"compute nodes {_patterns(nodes)}"


def _queue_subject(keys: tuple[str, ...]) -> tuple[str, str] | None:
    if keys[1] in _QUEUE_SUBJECTS:
        return f"{_QUEUE_SUBJECTS[keys[1]]} {keys[2]}", ".".join(keys[3:])
    if keys[1] in _QUEUE_PROSE:
        return None
    return "queues", ".".join(keys[1:])


def _fact(site: SiteSpec, leaf: Leaf) -> SpecFact | None:
    is_source = leaf.keys[-1] == "source"
    value = _words(leaf.value)
    if is_source:
        value = _origins(site, leaf.value)
    if not value:
        return None
    weight = leaf.meta.weight or Weight.ACCESS
    if leaf.meta.weigh:
        weight = leaf.meta.weigh(leaf.value)
    # gen shows notes to users: with an address, one says where to hand in a key or a password.
    if not is_source and any(_ADDRESS.search(text) for text in value):
        weight = Weight.TRUST
    comparable: object = repr(leaf.value)
    if is_source:
        comparable = frozenset(value)
    elif leaf.meta.unit:
        comparable = leaf.meta.unit(leaf.value)
    return SpecFact(".".join(leaf.keys), value, comparable, weight)


def _origins(site: SiteSpec, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return where facts were read: a source may be renamed without any other change."""
    origins = []
    for name in names:
        source = site.sources[name]
        origins.append(source.ref or source.url or name)
    return tuple(origins)


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, tuple | list):
        return tuple(map(_text, value))
    return (_text(value),)


def _text(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        parts = []
        for key, item in value.items():
            if item is not None:
                parts.append(f"{key} {item}")
        return ", ".join(parts)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _pin_blocks(site: SiteSpec) -> Iterator[tuple[str, Block]]:
    """Yield the host keys of each host and of each group of nodes."""
    prose: dict[str, dict[str, SpecFact]] = {}
    for leaf in leaves(site):
        fact = _fact(site, leaf)
        is_about_keys = leaf.keys[0] == "host_keys" and leaf.keys[2] in _ABOUT_PINS
        if is_about_keys and fact:
            prose.setdefault(leaf.keys[1], {})[".".join(leaf.keys[2:])] = fact
    for name, keys in site.host_keys.items():
        for entry in keys.hosts:
            owner = _patterns(site.compute[entry]) if entry in site.compute else entry
            yield PINS + owner, {**_pins(site, f"host_keys.{name}", keys), **prose.get(name, {})}


def _pins(site: SiteSpec, keys: str, pins: HostKeys) -> Block:
    listed = list(map(" ".join, fingerprints(pins)))
    for authority in pins.authorities:
        listed.append(f"host CA for {authority.hosts}: {fingerprint(authority.key)}")
    pinned = "yes"
    if site.unverified(pins):
        pinned = "only if a user accepts weak sources"
    if not pins.has_keys:
        pinned = "no, since their list is fetched only for a published spec"
    return {
        "keys": SpecFact(keys, tuple(sorted(listed)), frozenset(listed), Weight.TRUST),
        "pinned": SpecFact(f"{keys}.source", (pinned,), pinned, Weight.TRUST),
    }


def _usual_host(site: SiteSpec) -> Block:
    alias = site.usual_host.alias
    return {"alias": SpecFact(f"hosts.{alias}", (alias,), alias, Weight.ACCESS)}


def _order(site: SiteSpec) -> Block:
    """Return the order of entries for one name, of which ssh takes the first (ssh_config(5))."""
    orders = {"hosts": _hosts_that_share_a_name(site), "compute": _overlapping_groups(site)}
    facts = {}
    for name, value in orders.items():
        if value:
            facts[name] = SpecFact(name, value, value, Weight.TRUST)
    return facts


def _hosts_that_share_a_name(site: SiteSpec) -> tuple[str, ...]:
    names = [host.host.lower() for host in site.hosts.values()]
    aliases = []
    for alias, host in site.hosts.items():
        if names.count(host.host.lower()) > 1:
            aliases.append(alias)
    return tuple(aliases)


def _overlapping_groups(site: SiteSpec) -> tuple[str, ...]:
    groups = list(site.compute.values())
    overlapping = []
    for group in groups:
        for second in groups:
            if second is not group and overlap(group, second):
                overlapping.append(_patterns(group))
                break
    return tuple(overlapping)


def overlap(group: Compute, second: Compute) -> bool:
    """Return whether a name that one group matches is in the other too: `cn-0` for `cn-?`, say."""
    return _has_example_in(group, second) or _has_example_in(second, group)


def _has_example_in(group: Compute, second: Compute) -> bool:
    for pattern in group.patterns():
        if pattern.startswith("!"):
            continue
        # Two patterns overlap if they share a name; one example finds the ways in which sites write
        # them, and a full intersection of patterns would not pay.
        name = example(pattern, digit="1", word="1")
        if matches(second.patterns(), name):
            return True
    return False


def _patterns(nodes: Compute) -> str:
    return " ".join(sorted(nodes.patterns()))
