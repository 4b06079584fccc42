"""The queues of a spec, brought to what the site says: each difference that is a fact, with its source and the day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.overrides import Change
from generator.loading.spec_editor import edited
from generator.probe.finding import Finding
from generator.probe.queue_differences import differences
from generator.probe.slurm_output import Queues
from generator.schema.site import SiteSpec

SOURCE = "live"
"""Name of the source that stands for the site's own answers."""


@dataclass(frozen=True)
class Mended:
    """A spec that was changed, and the differences that only a person can resolve."""

    content: bytes
    left: tuple[Finding, ...]


def mended(content: bytes, name: str, alias: str, queues: Queues, today: date) -> Mended:
    """Return a spec whose queues are those of the site. A change after which the spec would not be sound is left out.

    Raises:
        GenError: the spec has faults already.
    """
    left: list[Finding] = []
    while True:
        site = validate.spec(yaml_document.parse(content, name), name)
        found = [one for one in differences(site, alias, queues) if one not in left]
        if not found:
            return Mended(content, tuple(left))
        new = _sound(content, [*_cited(site, found[0].mends, alias, today)], name)
        if new is None or new == content:
            left.append(found[0])
        else:
            content, left = new, []  # what was left out before may be sound by now


def _sound(content: bytes, changes: Sequence[Change], name: str) -> bytes | None:
    """Return a changed spec, if it can be changed so and has no fault then."""
    try:
        new = edited(content, changes, name)
        validate.spec(yaml_document.parse(new, name), name)
    except GenError:
        return None
    return new


def entry(alias: str, today: date) -> dict[str, Any]:
    """Return the source that stands for what the site itself says."""
    return {"ref": f"sinfo, scontrol and sacctmgr at {alias}", "checked": today.isoformat()}


def _cited(site: SiteSpec, mends: Sequence[Change], alias: str, today: date) -> Iterator[Change]:
    """Yield the changes, each fact that stays with the site as its source too."""
    blocks = {mend.keys[:3] for mend in mends if len(mend.keys) > 3 or mend.value is not None}
    cited = sorted(keys for keys in blocks if keys[1] in ("partitions", "qos_limits"))
    if cited and (SOURCE not in site.sources or site.sources[SOURCE].checked != today):
        yield Change(("sources", SOURCE), entry(alias, today), "")
    yield from mends
    for _, group, name in cited:
        known = (
            site.slurm.partitions.get(name)
            if group == "partitions"
            else site.slurm.qos_limits.get(name)
        )
        before = known.source or site.slurm.source if known else ()
        sources = list(dict.fromkeys([*before, SOURCE]))
        yield Change(("slurm", group, name, "source"), sources if len(sources) > 1 else SOURCE, "")
