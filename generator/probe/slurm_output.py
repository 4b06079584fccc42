"""What sinfo, scontrol and sacctmgr print → the queues of a site. Any line that is not understood is passed over."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from generator.schema.text_types import walltime_seconds

_NO_LIMIT = {"", "UNLIMITED", "INFINITE", "NONE", "N/A", "(NULL)"}


@dataclass(frozen=True)
class Nodes:
    """Nodes of a partition that are alike."""

    mem: int
    """MB, as jobs may ask for it (RealMemory)."""
    count: int
    cores: int
    gpus: int = 0
    gres: str | None = None
    """Type of the GPUs (`--gres=gpu:TYPE:N`)."""


@dataclass(frozen=True)
class SitePartition:
    """A partition as the site has it."""

    name: str
    visible: bool = True
    """Shown to the person; others are hidden, or for other groups."""
    default: bool = False
    max_walltime: int | None = None
    """Seconds; ``None`` without a limit."""
    default_walltime: int | None = None
    allowed_qos: frozenset[str] | None = None
    """``None`` where every QoS is allowed."""
    denied_qos: frozenset[str] = frozenset()
    own_qos: str | None = None
    """The QoS whose limits hold for the partition as a whole (slurm.conf(5), `QOS=`)."""
    max_mem: int | None = None
    """MB of a node that a job may have (MaxMemPerNode)."""
    nodes: tuple[Nodes, ...] = ()

    def allows(self, qos: str) -> bool:
        """Tell whether jobs here may use a QoS."""
        return qos not in self.denied_qos and (self.allowed_qos is None or qos in self.allowed_qos)

    @property
    def largest(self) -> int | None:
        """The most memory of a node that a job can have, in MB."""
        sizes = [nodes.mem for nodes in self.nodes if nodes.mem]
        return min(max(sizes), self.max_mem or max(sizes)) if sizes else None


@dataclass(frozen=True)
class Queues:
    """The queues of a site. Where a command gave no answer, its part is ``None``."""

    partitions: Mapping[str, SitePartition] | None = None
    qos: Mapping[str, int | None] | None = None
    """Longest walltime by QoS, in seconds; ``None`` without a limit."""
    usable_qos: frozenset[str] | None = None
    """The QoS of the person's associations; ``None`` where Slurm does not tell."""
    default_qos: str | None = None
    """The one of a job that names none."""

    def pairs(self, partition: SitePartition) -> list[str]:
        """Return the QoS that the person may use in a partition, the usual one first."""
        mine = (
            (partition.allowed_qos or frozenset()) if self.usable_qos is None else self.usable_qos
        )
        return sorted(
            filter(partition.allows, mine), key=lambda name: (name != self.default_qos, name)
        )

    def longest(self, partition: SitePartition) -> int | None:
        """Return the time limit of a partition in seconds, that of its own QoS too; ``None`` without one."""
        limits = [partition.max_walltime, (self.qos or {}).get(partition.own_qos or "")]
        return min((one for one in limits if one is not None), default=None)

    def granted(self, partition: SitePartition) -> int | None:
        """Return the longest time that a QoS gives the person in a partition; ``None`` where one has no limit."""
        known = self.qos or {}
        limits = [
            known[name]
            for name in self.usable_qos or ()
            if name in known and partition.allows(name)
        ]
        return (
            None if not limits or None in limits else max(one for one in limits if one is not None)
        )


@dataclass(frozen=True)
class Printed:
    """What each command printed; ``None`` where it failed, or is not there."""

    cluster: str | None = None
    """Name of the cluster."""
    nodes: str | None = None
    """`sinfo -a -e -h -o '%R|%l|%m|%D|%X|%Y|%G'`"""
    partitions: str | None = None
    """`scontrol -a -o show partition`"""
    visible: str | None = None
    """`scontrol -o show partition`"""
    qos: str | None = None
    """`sacctmgr -nP show qos format=Name,MaxWall`"""
    assoc: str | None = None
    """`sacctmgr -nP show assoc format=Cluster,QOS,DefaultQOS`"""


def queues(printed: Printed) -> Queues:
    """Return the queues that the commands told of."""
    rows = [row for row in _rows(printed.assoc or "", 3) if printed.cluster in (None, "", row[0])]
    usable = frozenset(name.lstrip("+") for row in rows for name in row[1].split(",") if name)
    default = next((row[2] for row in rows if row[2]), None)
    return Queues(_partitions(printed), _qos(printed.qos), usable or None, default)


def limit(text: str) -> int | None:
    """Return a time limit in seconds; ``None`` for none, and for what is no time."""
    if text.upper() in _NO_LIMIT or not re.fullmatch(r"(?:\d+-)?\d+(?::\d+){0,2}", text):
        return None
    return walltime_seconds(text)


def _partitions(printed: Printed) -> dict[str, SitePartition] | None:
    if printed.nodes is None and printed.partitions is None:
        return None
    rows = list(_rows(printed.nodes or "", 7))
    shown = None if printed.visible is None else {name for name, _ in _described(printed.visible)}
    described = dict(_described(printed.partitions or ""))
    limits = {row[0]: row[1] for row in rows}
    return {
        name: _partition(name, described.get(name, {"MaxTime": limits.get(name, "")}), rows, shown)
        for name in sorted({*described, *limits})
    }


def _partition(
    name: str, said: Mapping[str, str], rows: list[tuple[str, ...]], shown: set[str] | None
) -> SitePartition:
    return SitePartition(
        name,
        visible=shown is None or name in shown,
        default=said.get("Default") == "YES",
        max_walltime=limit(said.get("MaxTime", "")),
        default_walltime=limit(said.get("DefaultTime", "")),
        allowed_qos=_names(said.get("AllowQos", "ALL")),
        denied_qos=_names(said.get("DenyQos", "")) or frozenset(),
        own_qos=next(iter(_names(said.get("QoS", "")) or ()), None),
        max_mem=_number(said.get("MaxMemPerNode", "")),
        nodes=tuple(_nodes(row) for row in rows if row[0] == name and _number(row[3])),
    )


def _described(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield name and settings of each partition in `scontrol -o`, which has one on a line."""
    for line in text.splitlines():
        settings = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", line))
        if "PartitionName" in settings:
            yield settings["PartitionName"], settings


def _nodes(row: tuple[str, ...]) -> Nodes:
    _, _, mem, count, sockets, cores, gres = row
    # gpu:4, gpu:a100:4, gpu:a100:4(S:0-1), several with commas between
    gpu = re.search(r"(?:^|,)gpu(?::([A-Za-z_][\w.-]*))?(?::(\d+))?(?=[(,]|$)", gres)
    return Nodes(
        mem=_number(mem) or 0,
        count=_number(count) or 0,
        cores=(_number(sockets) or 0) * (_number(cores) or 0),
        gpus=int(gpu[2] or 1) if gpu else 0,
        gres=gpu[1] if gpu else None,
    )


def _qos(text: str | None) -> dict[str, int | None] | None:
    rows = {name: limit(longest) for name, longest in _rows(text or "", 2) if name}
    return rows or None


def _rows(text: str, columns: int) -> Iterator[tuple[str, ...]]:
    """Yield the lines with so many columns, `|` between them."""
    for line in text.splitlines():
        row = tuple(part.strip() for part in line.split("|"))
        if len(row) == columns:
            yield row


def _names(text: str) -> frozenset[str] | None:
    """Return the names in a list; ``None`` for every one."""
    if text.upper() == "ALL":
        return None
    return frozenset(name for name in text.split(",") if name.upper() not in _NO_LIMIT)


def _number(text: str) -> int | None:
    """Return a number; a `+` behind it says that some nodes have more (sinfo(1), -e)."""
    found = re.fullmatch(r"(\d+)\+?", text)
    return int(found[1]) if found else None
