"""Change the queues of a spec to those of the site, with the source and the date of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.overrides import SpecChange
from generator.loading.spec_editor import edited
from generator.probe.finding import ProbeFinding
from generator.probe.queue_differences import queue_findings
from generator.probe.slurm_output import Queues
from generator.schema.site import SiteSpec

SOURCE = "live"
"""Name of the source that stands for the site's own answers."""


@dataclass(frozen=True)
class FixedSpec:
    """A changed spec, and the differences that only the user can resolve."""

    content: bytes
    unresolved: tuple[ProbeFinding, ...]


def fix_spec(content: bytes, name: str, alias: str, queues: Queues, today: date) -> FixedSpec:
    """Return a spec with the queues of the site.

    A change that would leave the spec with a fault is not made.
    """
    unresolved: list[ProbeFinding] = []
    # Each change may add or resolve other differences, so the spec is compared again after each.
    while True:
        site = validate.spec(yaml_document.parse(content, name), name)
        finding = _first_difference(site, alias, queues, unresolved)
        if finding is None:
            return FixedSpec(content, tuple(unresolved))
        changed = _changed(content, list(_with_sources(site, finding.changes, alias, today)), name)
        if changed is None or changed == content:
            unresolved.append(finding)
        else:
            content = changed
            # This change may have made an earlier one possible.
            unresolved = []


def _first_difference(
    site: SiteSpec, alias: str, queues: Queues, unresolved: Sequence[ProbeFinding]
) -> ProbeFinding | None:
    for finding in queue_findings(site, alias, queues):
        if finding not in unresolved:
            return finding
    return None


def _changed(content: bytes, changes: Sequence[SpecChange], name: str) -> bytes | None:
    """Return a changed spec; ``None`` if it cannot be changed so, or would have a fault then."""
    try:
        changed = edited(content, changes, name)
        validate.spec(yaml_document.parse(changed, name), name)
    except GenError:
        return None
    return changed


def live_source(alias: str, today: date) -> dict[str, Any]:
    """Return the entry of `sources` for the site's own answers."""
    return {"ref": f"sinfo, scontrol and sacctmgr at {alias}", "checked": today.isoformat()}


def _with_sources(
    site: SiteSpec, changes: Sequence[SpecChange], alias: str, today: date
) -> Iterator[SpecChange]:
    """Yield the changes, and those that add the site as the source of each changed block."""
    blocks: set[tuple[str, ...]] = set()
    for change in changes:
        block = change.keys[:3]
        removes_block = len(change.keys) <= 3 and change.value is None
        if block[1] in ("partitions", "qos_limits") and not removes_block:
            blocks.add(block)
    live = site.sources.get(SOURCE)
    if blocks and (live is None or live.checked != today):
        yield SpecChange(("sources", SOURCE), live_source(alias, today), "")
    yield from changes
    for keys in sorted(blocks):
        names = list(dict.fromkeys([*_sources(site, *keys[1:]), SOURCE]))
        # A spec writes a single source as a word, and several as a list.
        value = names[0] if len(names) == 1 else names
        yield SpecChange((*keys, "source"), value, "")


def _sources(site: SiteSpec, group: str, name: str) -> Sequence[str]:
    """Return the sources of a partition or a QoS of the spec; one that the spec lacks has none."""
    slurm = site.slurm
    entries = {"partitions": slurm.partitions, "qos_limits": slurm.qos_limits}
    entry = entries[group].get(name)
    if entry is None:
        return ()
    # The source of the whole block holds for an entry without one of its own.
    return entry.source or slurm.source
