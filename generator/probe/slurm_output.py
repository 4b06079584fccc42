"""Read the queues of a site from the output of sinfo, scontrol and sacctmgr.

Lines in another form than expected are skipped: the output differs between versions and sites.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from generator.schema.text_types import walltime_seconds

_NO_LIMIT = {"", "UNLIMITED", "INFINITE", "NONE", "N/A", "(NULL)"}
# gpu:4, gpu:a100:4, gpu:a100:4(S:0-1); commas separate several resources (slurm.conf(5), Gres).
_GPU = re.compile(r"(?:^|,)gpu(?::([A-Za-z_][\w.-]*))?(?::(\d+))?(?=[(,]|$)")


@dataclass(frozen=True)
class NodeGroup:
    """Nodes of a partition that are alike."""

    mem: int
    """MB that jobs may ask for (RealMemory)."""
    count: int
    cores: int
    gpus: int = 0
    gres: str | None = None
    """Type of the GPUs (`--gres=gpu:TYPE:N`)."""


@dataclass(frozen=True)
class SitePartition:
    """A partition as the site describes it. Durations are in seconds."""

    name: str
    visible: bool = True
    """Whether the site shows it to the user; others are hidden, or for other groups."""
    default: bool = False
    max_walltime: int | None = None
    """``None`` without a limit."""
    default_walltime: int | None = None
    allowed_qos: frozenset[str] | None = None
    """``None`` if every QoS is allowed."""
    denied_qos: frozenset[str] = frozenset()
    own_qos: str | None = None
    """The QoS whose limits hold for the partition as a whole (slurm.conf(5), `QOS=`)."""
    max_mem: int | None = None
    """MB of a node that a job may have (MaxMemPerNode)."""
    nodes: tuple[NodeGroup, ...] = ()

    def allows(self, qos: str) -> bool:
        """Return whether jobs in the partition may use a QoS."""
        # slurm.conf(5): DenyQos is ignored if AllowQos is set; scontrol prints the one that counts.
        is_listed = self.allowed_qos is None or qos in self.allowed_qos
        return is_listed and qos not in self.denied_qos

    @property
    def node_memory(self) -> list[int]:
        """The memory of each group of nodes, in MB, where it is known."""
        return [nodes.mem for nodes in self.nodes if nodes.mem]

    @property
    def largest_memory(self) -> int | None:
        """The most memory of one node that a job can have, in MB."""
        if not self.node_memory:
            return None
        largest = max(self.node_memory)
        return min(largest, self.max_mem or largest)


@dataclass(frozen=True)
class Queues:
    """The queues of a site; ``None`` if a command gave no answer. Durations are in seconds."""

    partitions: Mapping[str, SitePartition] | None = None
    qos: Mapping[str, int | None] | None = None
    """Time limit of each QoS; ``None`` without a limit."""
    user_qos: frozenset[str] | None = None
    """The QoS of the user's associations; ``None`` if Slurm does not list them."""
    default_qos: str | None = None
    """The QoS of a job that names none."""

    def usable_in(self, partition: SitePartition) -> list[str]:
        """Return the QoS that the user may use in a partition, the default one first."""
        names = self.user_qos
        if names is None:
            names = partition.allowed_qos or frozenset()
        usable = [name for name in names if partition.allows(name)]
        return sorted(usable, key=lambda name: (name != self.default_qos, name))

    def time_limit(self, partition: SitePartition) -> int | None:
        """Return the time limit of a partition or of its own QoS; ``None`` without a limit."""
        qos_limit = (self.qos or {}).get(partition.own_qos or "")
        if partition.max_walltime is None:
            return qos_limit
        if qos_limit is None:
            return partition.max_walltime
        return min(partition.max_walltime, qos_limit)

    def user_time_limit(self, partition: SitePartition) -> int | None:
        """Return the longest time limit of the user's QoS in a partition.

        ``None`` if one of them has no limit, or if none is known.
        """
        limits: list[int] = []
        for name in self.user_qos or ():
            if name not in (self.qos or {}) or not partition.allows(name):
                continue
            limit = (self.qos or {})[name]
            if limit is None:
                return None
            limits.append(limit)
        return max(limits, default=None)


@dataclass(frozen=True)
class SlurmOutput:
    """The output of each command; ``None`` if the command failed, or does not exist."""

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


def parse_queues(output: SlurmOutput) -> Queues:
    """Return the queues that the output describes."""
    user_qos: set[str] = set()
    default_qos = None
    for cluster, names, default in _rows(output.assoc or "", 3):
        # One database may serve several clusters of a centre.
        if output.cluster not in (None, "", cluster):
            continue
        # A + marks a QoS that is added to those of the parent account.
        for name in filter(None, names.split(",")):
            user_qos.add(name.lstrip("+"))
        # A user may have an association for each account: the first default is as good as any.
        default_qos = default_qos or default or None
    return Queues(
        partitions=_combined_partitions(output),
        qos=_qos_limits(output.qos or "") or None,
        user_qos=frozenset(user_qos) or None,
        default_qos=default_qos,
    )


def time_limit(text: str) -> int | None:
    """Return a time limit in seconds; ``None`` without a limit, and for other text."""
    if text.upper() in _NO_LIMIT or not re.fullmatch(r"(?:\d+-)?\d+(?::\d+){0,2}", text):
        return None
    return walltime_seconds(text)


def _combined_partitions(output: SlurmOutput) -> dict[str, SitePartition] | None:
    """Return the partitions, with their settings from scontrol and their nodes from sinfo."""
    if output.nodes is None and output.partitions is None:
        return None
    settings = _partition_settings(output.partitions or "")
    node_groups: dict[str, list[NodeGroup]] = {}
    for row in _rows(output.nodes or "", 7):
        name, max_time = row[:2]
        # Where scontrol gives no answer, sinfo has at least the time limit.
        settings.setdefault(name, {"MaxTime": max_time})
        group = _node_group(row)
        if group.count:
            node_groups.setdefault(name, []).append(group)
    # Without the answer that only has the user's partitions, none is called hidden.
    visible = set(settings)
    if output.visible is not None:
        visible = set(_partition_settings(output.visible))
    partitions: dict[str, SitePartition] = {}
    for name in sorted(settings):
        nodes = tuple(node_groups.get(name, ()))
        partitions[name] = _site_partition(name, settings[name], nodes, name in visible)
    return partitions


def _site_partition(
    name: str, settings: Mapping[str, str], nodes: tuple[NodeGroup, ...], is_visible: bool
) -> SitePartition:
    # scontrol prints N/A for a partition without a QoS of its own.
    own_qos = _names(settings.get("QoS", "")) or frozenset()
    return SitePartition(
        name,
        visible=is_visible,
        default=settings.get("Default") == "YES",
        max_walltime=time_limit(settings.get("MaxTime", "")),
        default_walltime=time_limit(settings.get("DefaultTime", "")),
        allowed_qos=_names(settings.get("AllowQos", "ALL")),
        denied_qos=_names(settings.get("DenyQos", "")) or frozenset(),
        own_qos=next(iter(own_qos), None),
        max_mem=_number(settings.get("MaxMemPerNode", "")),
        nodes=nodes,
    )


def _partition_settings(text: str) -> dict[str, dict[str, str]]:
    """Return the settings of each partition in the output of `scontrol -o`: one a line."""
    partitions: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        settings = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", line))
        if "PartitionName" in settings:
            partitions[settings["PartitionName"]] = settings
    return partitions


def _node_group(row: tuple[str, ...]) -> NodeGroup:
    _, _, mem, count, sockets, cores, gres = row
    group = NodeGroup(
        mem=_number(mem) or 0,
        count=_number(count) or 0,
        cores=(_number(sockets) or 0) * (_number(cores) or 0),
    )
    gpu = _GPU.search(gres)
    if gpu:
        # A type without a number stands for one GPU.
        group = replace(group, gpus=int(gpu[2] or 1), gres=gpu[1])
    return group


def _qos_limits(text: str) -> dict[str, int | None]:
    return {name: time_limit(limit) for name, limit in _rows(text, 2) if name}


def _rows(text: str, columns: int) -> Iterator[tuple[str, ...]]:
    """Yield the lines with so many columns, which `|` separates."""
    for line in text.splitlines():
        row = tuple(part.strip() for part in line.split("|"))
        if len(row) == columns:
            yield row


def _names(text: str) -> frozenset[str] | None:
    """Return the names in a list; ``None`` for `ALL`."""
    if text.upper() == "ALL":
        return None
    return frozenset(name for name in text.split(",") if name.upper() not in _NO_LIMIT)


def _number(text: str) -> int | None:
    """Return a number; a `+` behind it means that some nodes have more (sinfo(1), -e)."""
    match = re.fullmatch(r"(\d+)\+?", text)
    return int(match[1]) if match else None
