"""Where the queues of a site are not what its spec says."""

from collections.abc import Iterator

from generator.loading.overrides import Change
from generator.probe import spec_blocks
from generator.probe.finding import Finding, Kind
from generator.probe.slurm_output import Queues, SitePartition
from generator.schema.site import SiteSpec
from generator.schema.slurm import Partition, Request, Slurm
from generator.schema.text_types import walltime_seconds

# Documentation rounds what a node has, and Slurm keeps some of it for the system.
_MEMORY_ROUNDED = 0.1
# Slurm makes it by itself (sacctmgr(1)); few documentations name it.
_MADE_BY_SLURM = "normal"
_FIX = "--fix-spec writes it, if the site is right"


def differences(site: SiteSpec, alias: str, queues: Queues) -> Iterator[Finding]:
    """Yield every difference in partitions, QoS, walltimes and memory, as seen from one login host.

    What the spec leaves out, and what the site gives no answer to, is no difference.
    """
    slurm = site.slurm
    if slurm.partitions and queues.partitions is not None:
        here = {
            name: part
            for name, part in slurm.partitions.items()
            if part.submit_from in (None, alias)
        }
        yield from (_partition_missing(name) for name in here if name not in queues.partitions)
        yield from _partitions_extra(slurm, queues)
        for name, part in here.items():
            if found := queues.partitions.get(name):
                yield from _partition(slurm, name, part, found, queues)
        yield from _requests(slurm, queues)
    if queues.qos is not None and (known := known_qos(slurm)):
        yield from (_qos_missing(slurm, name) for name in known if name not in queues.qos)
        yield from (
            _qos_extra(slurm, name, queues) for name in _usable(slurm, queues) if name not in known
        )
        yield from _qos_limits(slurm, queues)


def _partition_missing(name: str) -> Finding:
    keys = ("slurm", "partitions", name)
    todo = f"is it gone, or only closed to you? {_FIX}"
    return Finding(
        Kind.PARTITION_MISSING,
        _dotted(keys),
        name,
        "has no such partition",
        todo,
        (_put(keys, None),),
    )


def _partitions_extra(slurm: Slurm, queues: Queues) -> Iterator[Finding]:
    paired = any(part.qos for part in slurm.partitions.values())
    for name, found in (queues.partitions or {}).items():
        if found.visible and name not in slurm.partitions:
            keys = ("slurm", "partitions", name)
            mend = _put(keys, spec_blocks.partition(queues, found, paired=paired))
            yield Finding(
                Kind.PARTITION_EXTRA, _dotted(keys), "has no such partition", name, _FIX, (mend,)
            )


def _partition(
    slurm: Slurm, name: str, part: Partition, found: SitePartition, queues: Queues
) -> Iterator[Finding]:
    keys = ("slurm", "partitions", name)
    longest = queues.longest(found)
    cuts = [cut for place, request in _asked(slurm, name) for cut in _cut(place, request, longest)]
    if not _held_by_qos(part, longest, queues.granted(found)):
        yield from _walltime((*keys, "max_walltime"), part.max_walltime, longest, *cuts)
    yield from _walltime((*keys, "default_walltime"), part.default_walltime, found.default_walltime)
    sizes = [nodes.mem for nodes in found.nodes if nodes.mem]
    if (
        part.mem
        and sizes
        and not any(_near(spec_blocks.megabytes(part.mem), size) for size in sizes)
    ):
        usual = max(
            (nodes for nodes in found.nodes if nodes.mem), key=lambda nodes: nodes.count
        ).mem
        says = ", ".join(dict.fromkeys(map(spec_blocks.memory, sizes)))
        about = (*keys, "mem")
        yield Finding(
            Kind.MEMORY,
            _dotted(about),
            part.mem,
            says,
            _FIX,
            (_put(about, spec_blocks.memory(usual)),),
        )
    for qos in part.qos:
        if qos in (queues.qos or ()) and not found.allows(qos):
            about = (*keys, "qos")
            rest = [one for one in part.qos if one != qos]
            says = f"does not allow {qos}"
            yield Finding(
                Kind.QOS_PAIRING, _dotted(about), qos, says, _FIX, (_put(about, rest or None),)
            )


def _held_by_qos(part: Partition, longest: int | None, granted: int | None) -> bool:
    """Tell whether the time that the spec has is what the QoS leave of a partition that itself gives more."""
    ours = walltime_seconds(part.max_walltime) if part.max_walltime else None
    return ours is not None and ours == granted and (longest is None or longest > ours)


def _walltime(
    keys: tuple[str, ...], ours: str | None, theirs: int | None, *cuts: Change
) -> Iterator[Finding]:
    """Yield the difference between two time limits; a site that has none may limit by other means."""
    if ours and theirs is not None and walltime_seconds(ours) != theirs:
        says = spec_blocks.walltime(theirs)
        yield Finding(Kind.WALLTIME, _dotted(keys), ours, says, _FIX, (_put(keys, says), *cuts))


def _asked(slurm: Slurm, partition: str) -> Iterator[tuple[tuple[str, ...], Request]]:
    """Yield the requests that go to a partition unless somebody says otherwise, with their keys."""
    for keys, request in ((("slurm",), slurm), (("slurm", "devel"), slurm.devel)):
        if partition in (request.partition or slurm.partition or "").split(","):
            yield keys, request


def _cut(keys: tuple[str, ...], request: Request, longest: int | None) -> Iterator[Change]:
    """Yield what shortens a request that a partition would refuse."""
    if request.walltime and longest is not None and walltime_seconds(request.walltime) > longest:
        yield _put((*keys, "walltime"), spec_blocks.walltime(longest))


def _requests(slurm: Slurm, queues: Queues) -> Iterator[Finding]:
    """Yield the requests for more memory than any node of their partition has."""
    for name, found in (queues.partitions or {}).items():
        for keys, request in _asked(slurm, name):
            about = (*keys, "mem")
            if request.mem and found.largest and spec_blocks.megabytes(request.mem) > found.largest:
                most = spec_blocks.memory(found.largest)
                says = f"{most} at most in {name}"
                yield Finding(
                    Kind.MEMORY, _dotted(about), request.mem, says, _FIX, (_put(about, most),)
                )


def known_qos(slurm: Slurm) -> list[str]:
    """Return the QoS that a spec names."""
    paired = [qos for part in slurm.partitions.values() for qos in part.qos]
    return list(dict.fromkeys([*slurm.qos_limits, *paired]))


def _qos_missing(slurm: Slurm, name: str) -> Finding:
    limits = [_put(("slurm", "qos_limits", name), None)] if name in slurm.qos_limits else []
    pairs = [
        _put(
            ("slurm", "partitions", partition, "qos"),
            [qos for qos in part.qos if qos != name] or None,
        )
        for partition, part in slurm.partitions.items()
        if name in part.qos
    ]
    about = _dotted(("slurm", "qos_limits", name)) if limits else ".".join(pairs[0].keys)
    return Finding(Kind.QOS_MISSING, about, name, "has no such QoS", _FIX, (*limits, *pairs))


def _usable(slurm: Slurm, queues: Queues) -> list[str]:
    """Return the QoS that the person may use in a partition of the spec."""
    here = [found for name, found in (queues.partitions or {}).items() if name in slurm.partitions]
    mine = {name for found in here for name in queues.pairs(found)}
    return [name for name in queues.qos or () if name in mine and name != _MADE_BY_SLURM]


def _qos_extra(slurm: Slurm, name: str, queues: Queues) -> Finding:
    keys = ("slurm", "qos_limits", name)
    pairs = [
        _put(("slurm", "partitions", partition, "qos"), [*part.qos, name])
        for partition, part in slurm.partitions.items()
        if part.qos and (found := (queues.partitions or {}).get(partition)) and found.allows(name)
    ]
    mends = (_put(keys, spec_blocks.qos((queues.qos or {})[name])), *pairs)
    return Finding(Kind.QOS_EXTRA, _dotted(keys), "has no such QoS", name, _FIX, mends)


def _qos_limits(slurm: Slurm, queues: Queues) -> Iterator[Finding]:
    for name, qos in slurm.qos_limits.items():
        longest = (queues.qos or {}).get(name)
        cuts = [
            cut
            for keys, request in ((("slurm",), slurm), (("slurm", "devel"), slurm.devel))
            if slurm.chosen_qos(request) == name
            for cut in _cut(keys, request, longest)
        ]
        yield from _walltime(
            ("slurm", "qos_limits", name, "max_walltime"), qos.max_walltime, longest, *cuts
        )


def _near(ours: int, theirs: int) -> bool:
    return abs(ours - theirs) <= _MEMORY_ROUNDED * max(ours, theirs)


def _put(keys: tuple[str, ...], value: object) -> Change:
    return Change(keys, value, "--fix-spec")


def _dotted(keys: tuple[str, ...]) -> str:
    return ".".join(keys)
