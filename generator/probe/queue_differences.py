"""Compare the queues of a site with those of its spec."""

from collections.abc import Iterator, Sequence

from generator.formatting import megabytes, memory
from generator.loading.overrides import SpecChange
from generator.probe import spec_blocks
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.slurm_output import Queues, SitePartition
from generator.schema.site import SiteSpec
from generator.schema.slurm import Partition, Request, Slurm
from generator.schema.text_types import walltime_seconds

Keys = tuple[str, ...]

_PARTITIONS: Keys = ("slurm", "partitions")
_QOS_LIMITS: Keys = ("slurm", "qos_limits")
# Documentation rounds the memory of a node, and Slurm keeps some of it for the system.
_MEMORY_TOLERANCE = 0.1
# Slurm creates this QoS itself (sacctmgr(1)); few documentations name it.
_SLURM_QOS = "normal"
_FIX = "--fix-spec writes it, if the site is right"


def queue_findings(site: SiteSpec, alias: str, queues: Queues) -> Iterator[ProbeFinding]:
    """Yield every difference in partitions, QoS, walltimes and memory, as one login host sees them.

    A fact that the spec leaves out, and a question that the site does not answer, are not
    differences.
    """
    slurm = site.slurm
    if slurm.partitions and queues.partitions is not None:
        yield from _partitions(slurm, alias, queues)
    spec_qos = named_qos(slurm)
    if queues.qos is not None and spec_qos:
        for name in spec_qos:
            if name not in queues.qos:
                yield _qos_missing(slurm, name)
        for name in _usable_qos(slurm, queues):
            if name not in spec_qos:
                yield _qos_extra(slurm, name, queues)
        yield from _qos_limits(slurm, queues)


def _partitions(slurm: Slurm, alias: str, queues: Queues) -> Iterator[ProbeFinding]:
    site_partitions = queues.partitions or {}
    common: list[str] = []
    for name, partition in slurm.partitions.items():
        if partition.submit_from not in (None, alias):
            continue
        if name in site_partitions:
            common.append(name)
        else:
            yield _partition_missing(name)
    yield from _partitions_extra(slurm, queues)
    for name in common:
        yield from _partition(slurm, name, site_partitions[name], queues)
    yield from _requests(slurm, queues)


def named_qos(slurm: Slurm) -> list[str]:
    """Return the QoS that a spec names."""
    names = list(slurm.qos_limits)
    for partition in slurm.partitions.values():
        names += partition.qos
    return list(dict.fromkeys(names))


def _partition_missing(name: str) -> ProbeFinding:
    keys = (*_PARTITIONS, name)
    return ProbeFinding(
        Kind.PARTITION_MISSING,
        ".".join(keys),
        name,
        "has no such partition",
        f"is it gone, or only closed to you? {_FIX}",
        (_put(keys, None),),
    )


def _partitions_extra(slurm: Slurm, queues: Queues) -> Iterator[ProbeFinding]:
    with_qos = any(partition.qos for partition in slurm.partitions.values())
    for name, site_partition in (queues.partitions or {}).items():
        # Hidden partitions, and those of other groups, are not for users of this spec.
        if not site_partition.visible or name in slurm.partitions:
            continue
        keys = (*_PARTITIONS, name)
        entry = spec_blocks.partition(queues, site_partition, with_qos=with_qos)
        yield ProbeFinding(
            Kind.PARTITION_EXTRA,
            ".".join(keys),
            "has no such partition",
            name,
            _FIX,
            (_put(keys, entry),),
        )


def _partition(
    slurm: Slurm, name: str, site_partition: SitePartition, queues: Queues
) -> Iterator[ProbeFinding]:
    """Yield the differences of a partition that both the spec and the site have."""
    partition = slurm.partitions[name]
    keys = (*_PARTITIONS, name)
    limit = queues.time_limit(site_partition)
    if not _is_limited_by_qos(partition, limit, queues.user_time_limit(site_partition)):
        shortened: list[SpecChange] = []
        for request_keys, request in _requests_to(slurm, name):
            shortened += _shortened(request_keys, request, limit)
        yield from _walltime((*keys, "max_walltime"), partition.max_walltime, limit, *shortened)
    yield from _walltime(
        (*keys, "default_walltime"), partition.default_walltime, site_partition.default_walltime
    )
    yield from _memory((*keys, "mem"), partition, site_partition)
    yield from _pairings((*keys, "qos"), partition, site_partition, queues)


def _is_limited_by_qos(
    partition: Partition, site_limit: int | None, user_limit: int | None
) -> bool:
    """Return whether the spec has the time of the user's QoS, where the partition allows more."""
    if not partition.max_walltime:
        return False
    # Documentation has the time that users get. Whether the partition or a QoS limits it is
    # Slurm's affair.
    limit = walltime_seconds(partition.max_walltime)
    return limit == user_limit and (site_limit is None or site_limit > limit)


def _memory(
    keys: Keys, partition: Partition, site_partition: SitePartition
) -> Iterator[ProbeFinding]:
    sizes = site_partition.node_memory
    if not partition.mem or not sizes:
        return
    spec_size = megabytes(partition.mem)
    if any(_is_near(spec_size, size) for size in sizes):
        return
    # The memory of most nodes describes the partition.
    largest_group = max(site_partition.nodes, key=lambda nodes: (bool(nodes.mem), nodes.count))
    site_sizes = ", ".join(dict.fromkeys(map(memory, sizes)))
    change = _put(keys, memory(largest_group.mem))
    yield ProbeFinding(Kind.MEMORY, ".".join(keys), partition.mem, site_sizes, _FIX, (change,))


def _is_near(spec_size: int, size: int) -> bool:
    return abs(spec_size - size) <= _MEMORY_TOLERANCE * max(spec_size, size)


def _pairings(
    keys: Keys, partition: Partition, site_partition: SitePartition, queues: Queues
) -> Iterator[ProbeFinding]:
    for qos in partition.qos:
        if qos not in (queues.qos or ()) or site_partition.allows(qos):
            continue
        change = _put(keys, _without(partition.qos, qos))
        yield ProbeFinding(
            Kind.QOS_PAIRING, ".".join(keys), qos, f"does not allow {qos}", _FIX, (change,)
        )


def _walltime(
    keys: Keys, spec_limit: str | None, site_limit: int | None, *more: SpecChange
) -> Iterator[ProbeFinding]:
    """Yield the difference between two time limits; a site without one may limit by other means."""
    if not spec_limit or site_limit is None or walltime_seconds(spec_limit) == site_limit:
        return
    limit = spec_blocks.walltime(site_limit)
    changes = (_put(keys, limit), *more)
    yield ProbeFinding(Kind.WALLTIME, ".".join(keys), spec_limit, limit, _FIX, changes)


def _both_requests(slurm: Slurm) -> list[tuple[Keys, Request]]:
    """Return the requests of a spec with their keys: the usual one, and the one for development."""
    return [(("slurm",), slurm), (("slurm", "devel"), slurm.devel)]


def _requests_to(slurm: Slurm, partition: str) -> Iterator[tuple[Keys, Request]]:
    """Yield the requests that go to a partition by default."""
    for keys, request in _both_requests(slurm):
        names = request.partition or slurm.partition or ""
        if partition in names.split(","):
            yield keys, request


def _shortened(keys: Keys, request: Request, limit: int | None) -> list[SpecChange]:
    """Return the change that shortens a request which the site would refuse."""
    if not request.walltime or limit is None or walltime_seconds(request.walltime) <= limit:
        return []
    return [_put((*keys, "walltime"), spec_blocks.walltime(limit))]


def _requests(slurm: Slurm, queues: Queues) -> Iterator[ProbeFinding]:
    """Yield the requests for more memory than any node of their partition has."""
    for name, site_partition in (queues.partitions or {}).items():
        largest = site_partition.largest_memory
        if not largest:
            continue
        for request_keys, request in _requests_to(slurm, name):
            if not request.mem or megabytes(request.mem) <= largest:
                continue
            keys = (*request_keys, "mem")
            limit = memory(largest)
            yield ProbeFinding(
                Kind.MEMORY,
                ".".join(keys),
                request.mem,
                f"{limit} at most in {name}",
                _FIX,
                (_put(keys, limit),),
            )


def _qos_missing(slurm: Slurm, name: str) -> ProbeFinding:
    changes: list[SpecChange] = []
    if name in slurm.qos_limits:
        changes.append(_put((*_QOS_LIMITS, name), None))
    for partition_name, partition in slurm.partitions.items():
        if name in partition.qos:
            pairs = (*_PARTITIONS, partition_name, "qos")
            changes.append(_put(pairs, _without(partition.qos, name)))
    key = ".".join(changes[0].keys)
    return ProbeFinding(Kind.QOS_MISSING, key, name, "has no such QoS", _FIX, tuple(changes))


def _usable_qos(slurm: Slurm, queues: Queues) -> list[str]:
    """Return the QoS that the user may use in a partition of the spec."""
    usable: set[str] = set()
    for name, site_partition in (queues.partitions or {}).items():
        if name in slurm.partitions:
            usable.update(queues.usable_in(site_partition))
    usable.discard(_SLURM_QOS)
    return [name for name in queues.qos or () if name in usable]


def _qos_extra(slurm: Slurm, name: str, queues: Queues) -> ProbeFinding:
    keys = (*_QOS_LIMITS, name)
    changes = [_put(keys, spec_blocks.qos((queues.qos or {})[name]))]
    for partition_name, partition in slurm.partitions.items():
        site_partition = (queues.partitions or {}).get(partition_name)
        if not partition.qos or not site_partition:
            continue
        if site_partition.allows(name):
            changes.append(_put((*_PARTITIONS, partition_name, "qos"), [*partition.qos, name]))
    return ProbeFinding(
        Kind.QOS_EXTRA, ".".join(keys), "has no such QoS", name, _FIX, tuple(changes)
    )


def _qos_limits(slurm: Slurm, queues: Queues) -> Iterator[ProbeFinding]:
    for name, qos in slurm.qos_limits.items():
        limit = (queues.qos or {}).get(name)
        shortened: list[SpecChange] = []
        for keys, request in _both_requests(slurm):
            if slurm.chosen_qos(request) == name:
                shortened += _shortened(keys, request, limit)
        keys = (*_QOS_LIMITS, name, "max_walltime")
        yield from _walltime(keys, qos.max_walltime, limit, *shortened)


def _without(names: Sequence[str], name: str) -> list[str] | None:
    """Return the other names; ``None``, which removes the key from the spec, if there are none."""
    return [other for other in names if other != name] or None


def _put(keys: Keys, value: object) -> SpecChange:
    return SpecChange(keys, value, "--fix-spec")
