"""Queues of a site in the form in which a spec has them."""

from collections.abc import Mapping
from typing import Any

from generator.formatting import memory
from generator.probe.slurm_output import NodeGroup, Queues, SitePartition


def walltime(seconds: int) -> str:
    """Return a duration as Slurm prints it: `2-00:00:00`, `00:10:00`."""
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def partition(queues: Queues, site_partition: SitePartition, *, with_qos: bool) -> dict[str, Any]:
    """Return the spec's entry for a partition of the site.

    The nodes of the largest group describe it. Its QoS are listed if the spec lists them
    elsewhere, or if the partition does not allow every QoS.
    """
    entry: dict[str, Any] = {}
    if with_qos or site_partition.allowed_qos is not None:
        entry["qos"] = queues.usable_in(site_partition)
    entry["default"] = site_partition.default
    if site_partition.nodes:
        # A spec has one description for a partition; most jobs run on the largest group.
        entry |= _nodes(max(site_partition.nodes, key=lambda nodes: nodes.count))
    if site_partition.default_walltime:
        entry["default_walltime"] = walltime(site_partition.default_walltime)
    limit = queues.time_limit(site_partition)
    if limit:
        entry["max_walltime"] = walltime(limit)
    return _without_empty(entry)


def _nodes(nodes: NodeGroup) -> dict[str, Any]:
    return {
        "cores": nodes.cores,
        "mem": memory(nodes.mem) if nodes.mem else None,
        "gpus_per_node": nodes.gpus,
        "gres": nodes.gres,
    }


def qos(limit: int | None) -> dict[str, Any]:
    """Return the spec's entry for a QoS with a time limit in seconds, or without one."""
    return {"max_walltime": walltime(limit)} if limit else {}


def slurm(queues: Queues, source: str) -> dict[str, Any]:
    """Return the spec's `slurm`: the partitions that the user sees, and the user's QoS."""
    visible: dict[str, SitePartition] = {}
    for name, site_partition in (queues.partitions or {}).items():
        # Hidden partitions and those of other groups would only mislead the readers of a new spec.
        if site_partition.visible:
            visible[name] = site_partition
    with_qos = any(site_partition.allowed_qos is not None for site_partition in visible.values())
    partitions: dict[str, Any] = {}
    default = None
    usable: set[str] = set()
    for name, site_partition in visible.items():
        partitions[name] = partition(queues, site_partition, with_qos=with_qos)
        usable.update(queues.usable_in(site_partition))
        if site_partition.default and default is None:
            default = name
    limits: dict[str, Any] = {}
    for name, limit in (queues.qos or {}).items():
        if name in usable:
            limits[name] = qos(limit)
    block = {"partition": default, "partitions": partitions, "qos_limits": limits, "source": source}
    return _without_empty(block)


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not empty, zero or false: a spec leaves those out."""
    return {key: value for key, value in values.items() if value}
