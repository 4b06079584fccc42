"""A time, an amount of memory, a partition and a QoS of a site as a spec writes them."""

from collections.abc import Mapping
from typing import Any

from generator.probe.slurm_output import Queues, SitePartition

_MB: Mapping[str, float] = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}


def walltime(seconds: int) -> str:
    """Return a time as Slurm prints it: `2-00:00:00`, `00:10:00`."""
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def megabytes(memory: str) -> int:
    """Return an amount of memory in MB, which is what sbatch takes a plain number for (sbatch(1), `--mem`)."""
    unit = memory[-1]
    return int(int(memory[:-1]) * _MB[unit]) if unit in _MB else int(memory)


def memory(megabytes: int) -> str:
    """Return an amount of memory in the largest unit that keeps it exact, G at most."""
    return f"{megabytes // 1024}G" if megabytes % 1024 == 0 else f"{megabytes}M"


def partition(queues: Queues, found: SitePartition, *, paired: bool) -> dict[str, Any]:
    """Return the entry of a partition: what the site says of it, and of the nodes that most of it is made of.

    Its QoS are told where those of other partitions are, or where not all are allowed.
    """
    longest = queues.longest(found)
    nodes = max(found.nodes, key=lambda one: one.count, default=None)
    values = {
        "qos": queues.pairs(found) if paired or found.allowed_qos is not None else [],
        "default": found.default,
        "cores": nodes.cores if nodes else None,
        "mem": memory(nodes.mem) if nodes and nodes.mem else None,
        "gpus_per_node": nodes.gpus if nodes else None,
        "gres": nodes.gres if nodes else None,
        "default_walltime": walltime(found.default_walltime) if found.default_walltime else None,
        "max_walltime": walltime(longest) if longest else None,
    }
    return {key: value for key, value in values.items() if value}


def qos(longest: int | None) -> dict[str, Any]:
    """Return the entry of a QoS."""
    return {"max_walltime": walltime(longest)} if longest else {}


def slurm(queues: Queues, source: str) -> dict[str, Any]:
    """Return the `slurm` of a spec: the partitions that the person is shown, and the QoS that they may use."""
    shown = {name: found for name, found in (queues.partitions or {}).items() if found.visible}
    paired = any(found.allowed_qos is not None for found in shown.values())
    partitions = {name: partition(queues, found, paired=paired) for name, found in shown.items()}
    usable = {name for found in shown.values() for name in queues.pairs(found)}
    values = {
        "partition": next((name for name, found in shown.items() if found.default), None),
        "partitions": partitions,
        "qos_limits": {
            name: qos(longest) for name, longest in (queues.qos or {}).items() if name in usable
        },
        "source": source,
    }
    return {key: value for key, value in values.items() if value}
