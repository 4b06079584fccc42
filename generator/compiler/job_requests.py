"""The requests that a job may make at a site, by their purpose, and the limits of the site.

Assets ask for a purpose (`default`, `devel`, `gpu`), so that the same code runs at every site. Each
request is complete: nothing is inherited when the file is read.
"""

import re
from collections.abc import Iterator

from generator.schema.site import SiteSpec
from generator.schema.slurm import Partition, Qos, Request, Slurm
from generator.schema.text_types import mebibytes, walltime_seconds

Table = dict[str, str | int]
Value = str | int | bool | list[str] | list[Table] | None
Fields = dict[str, Value]

# What dagster-slurm asks for if it is told no time limit (SlurmQueueConfig). Many partitions have
# no default time limit, and their longest one would make a job wait longest.
_USUAL_WALLTIME = "00:30:00"
# A node has less memory to give than it is sold with: the system and Slurm keep some
# (slurm.conf(5), RealMemory and MemSpecLimit).
_SHARE_OF_MEMORY = 0.9
# The model in the words of the site: `NVIDIA A100 80 GB`, `L40S 48G`, `NVIDIA RTX Pro 6000`.
_MODEL = re.compile(r"\b(?:RTX (?:Pro )?|[A-Z]{1,3})\d{1,4}[A-Za-z]?\b")


def requests(slurm: Slurm) -> dict[str, Fields]:
    """Return the fields of each request by its purpose.

    They have the names of dagster-slurm's queue, and `gres` (a type of GPU), `cpus_per_gpu` and
    `mem_per_gpu`.
    """
    purposes: dict[str, Request] = {"default": slurm}
    development = _development(slurm)
    if development:
        purposes["devel"] = development
    purposes |= _gpu_purposes(slurm)
    return {purpose: _fields(slurm, request) for purpose, request in purposes.items()}


def _fields(slurm: Slurm, request: Request) -> Fields:
    fields: Fields = {
        "partition": request.partition,
        "qos": slurm.chosen_qos(request),
        "time_limit": _time_limit(slurm, request),
        "num_nodes": request.nodes,
        "cpus": request.cpus,
        "mem": request.mem,
        "mem_per_cpu": request.mem_per_cpu,
        "gpus_per_node": request.gpus_per_node,
        "account": slurm.accounts.default,
        "reservation": request.reservation,
        "signal_before_timeout": request.signal.rpartition(":")[2] if request.signal else None,
    }
    for partition in _partitions(slurm, request)[:1]:
        fields |= _share_of_a_node(request, partition)
        fields["num_nodes"] = request.nodes or partition.min_nodes
    # Without `mem` dagster-slurm asks for its own default.
    if {"--mem", "--mem-per-cpu"} & {*slurm.forbidden_options, *slurm.ignored_options}:
        fields |= {"mem": "", "mem_per_gpu": None}
    return fields


def _share_of_a_node(request: Request, partition: Partition) -> Fields:
    """Return the CPUs and the memory that belong to a request, unless the spec says how many."""
    share: Fields = {}
    has_memory = request.mem or request.mem_per_cpu
    gpus = partition.gpus_per_node
    if request.gpus_per_node:
        share["gres"] = partition.gres
    if request.gpus_per_node and gpus:
        if not request.cpus and (cores := partition.cores_per_gpu or _part(partition.cores, gpus)):
            share["cpus_per_gpu"] = cores
        if not has_memory and partition.mem:
            share["mem_per_gpu"] = _memory(mebibytes(partition.mem) * _SHARE_OF_MEMORY / gpus)
    elif partition.allocation == "node":
        # The job has the whole node, whatever it asks for.
        if not request.cpus:
            share["cpus"] = partition.cores
        if not has_memory:
            share["mem"] = ""
    return share


def _part(cores: int | None, gpus: int) -> int | None:
    return cores // gpus if cores else None


def _memory(amount: float) -> str:
    """Return an amount of memory in MiB as Slurm reads it."""
    return f"{int(amount / 1024)}G" if amount >= 1024 else f"{int(amount)}M"


def _time_limit(slurm: Slurm, request: Request) -> str:
    """Return the time limit of a request, which no limit of its partition and QoS is below."""
    partitions = _partitions(slurm, request)
    walltime = request.walltime
    if not walltime and partitions:
        walltime = partitions[0].default_walltime
    limits = [walltime or _USUAL_WALLTIME]
    limits += [partition.max_walltime for partition in partitions if partition.max_walltime]
    qos = slurm.qos_limits.get(slurm.chosen_qos(request) or "")
    if qos and qos.max_walltime:
        limits.append(qos.max_walltime)
    return min(limits, key=walltime_seconds)


def _partitions(slurm: Slurm, request: Request) -> list[Partition]:
    """Return the partitions that a request may run in: those that it names, else Slurm's own."""
    names = (request.partition or "").split(",")
    partitions = [slurm.partitions[name] for name in names if name in slurm.partitions]
    if request.partition or request.gpus_per_node:
        return partitions
    return [partition for partition in slurm.partitions.values() if partition.default]


def _changed(request: Request, **changes: object) -> Request:
    """Return a request with some fields changed.

    A QoS and a reservation belong to a partition: another one does not inherit them.
    """
    if changes.get("partition", request.partition) != request.partition:
        changes = {"qos": None, "reservation": None, **changes}
    return request.model_copy(update=changes)


def _development(slurm: Slurm) -> Request | None:
    """Return the request of a job for development, if the site has something for it."""
    named = slurm.partitions.get(slurm.devel.partition or "")
    if slurm.devel.model_fields_set and (named is None or _takes_jobs(named)):
        changes = {name: getattr(slurm.devel, name) for name in slurm.devel.model_fields_set}
        # Slurm accepts one of both, so one of them replaces the other.
        if slurm.devel.mem or slurm.devel.mem_per_cpu:
            changes = {"mem": None, "mem_per_cpu": None, **changes}
        return _changed(slurm, **changes)
    if qos := _development_qos(slurm, slurm.partition):
        return _changed(slurm, qos=qos)
    for name, partition in slurm.partitions.items():
        if partition.purpose == "devel" and _takes_jobs(partition) and not _has_gpus(partition):
            return _changed(slurm, partition=name)
    return None


def _development_qos(slurm: Slurm, name: str | None) -> str | None:
    """Return the QoS for development of a partition."""
    partition = slurm.partitions.get(name or "")
    for qos in partition.qos if partition else ():
        limits = slurm.qos_limits.get(qos)
        if limits and limits.purpose == "devel":
            return qos
    return None


def _gpu_purposes(slurm: Slurm) -> dict[str, Request]:
    """Return the requests for GPUs: the usual one, one for each model, one for development."""
    if slurm.routed:
        # The scheduler chooses the partition by the GPUs of the job.
        has_gpus = slurm.gpus or any(map(_has_gpus, slurm.partitions.values()))
        return {"gpu": _changed(slurm, gpus_per_node=1)} if has_gpus else {}
    usual = _gpu_partitions(slurm, devel=False)
    purposes: dict[str, Request] = {}
    if usual:
        purposes["gpu"] = _gpu_request(slurm, usual[0])
    elif slurm.gpus:
        # The spec does not say which partition has them: the usual one, or Slurm's own choice.
        purposes["gpu"] = _changed(slurm, gpus_per_node=1)
    models: dict[str, str] = {}
    for name in usual:
        if model := _MODEL.search(slurm.partitions[name].gpu or ""):
            models.setdefault(model[0].lower().replace(" ", "-"), name)
    if len(models) > 1:
        for model_name, name in models.items():
            purposes[f"gpu-{model_name}"] = _gpu_request(slurm, name)
    development = _gpu_development(slurm, usual)
    if development:
        purposes["gpu-devel"] = development
    return purposes


def _gpu_partitions(slurm: Slurm, *, devel: bool) -> list[str]:
    """Return the partitions with GPUs: those for development, or all others.

    The partition of the site's usual jobs is the first.
    """
    names = []
    for name, partition in slurm.partitions.items():
        is_for_development = partition.purpose == "devel"
        if _has_gpus(partition) and _takes_jobs(partition) and is_for_development == devel:
            names.append(name)
    if slurm.partition in names:
        names.remove(slurm.partition)
        names.insert(0, slurm.partition)
    return names


def _gpu_request(slurm: Slurm, name: str) -> Request:
    partition = slurm.partitions[name]
    gpus = slurm.gpus_per_node or 1
    # Such a site charges the whole node.
    if partition.allocation == "node" and partition.gpus_per_node:
        gpus = partition.gpus_per_node
    return _changed(slurm, partition=name, gpus_per_node=gpus)


def _gpu_development(slurm: Slurm, usual: list[str]) -> Request | None:
    for name in usual[:1]:
        if qos := _development_qos(slurm, name):
            return _changed(_gpu_request(slurm, name), qos=qos)
    for name in _gpu_partitions(slurm, devel=True):
        return _gpu_request(slurm, name)
    return None


def _has_gpus(partition: Partition) -> bool:
    return bool(partition.gpu or partition.gpus_per_node)


def _takes_jobs(partition: Partition) -> bool:
    """Return whether sbatch can submit a job that names this partition."""
    return partition.named and not partition.submit_with and partition.purpose != "interactive"


def limits(site: SiteSpec) -> Iterator[tuple[str, Fields]]:
    """Yield the tables of the limits: rules for all jobs, partitions, QoS, and the sources."""
    slurm = site.slurm
    rules: Fields = {
        "needs_account": slurm.accounts.required or None,
        "needs_qos": slurm.qos_required or None,
        "forbidden_options": list(slurm.forbidden_options) or None,
    }
    facts: list[tuple[str, Fields, Slurm | Partition | Qos]] = [("rules", rules, slurm)]
    for name, partition in slurm.partitions.items():
        facts.append((f"partitions.{_key(name)}", _partition(partition), partition))
    for name, qos in slurm.qos_limits.items():
        facts.append((f"qos.{_key(name)}", _qos(qos), qos))
    used: dict[str, None] = {}
    for table, fields, fact in facts:
        if any(value is not None for value in fields.values()):
            sources = fact.source or slurm.source
            used |= dict.fromkeys(sources)
            yield table, fields | {"source": list(sources) or None}
        elif table != "rules":
            # A partition without limits is still one that the site has.
            yield table, {}
    if used:
        yield "sources", {_key(name): _citation(site, name) for name in used}


def _partition(partition: Partition) -> Fields:
    return {
        "default": partition.default or None,
        "qos": list(partition.qos) or None,
        "purpose": partition.purpose,
        "gpu": partition.gpu,
        "gpus_per_node": partition.gpus_per_node or None,
        "cores": partition.cores,
        "mem": partition.mem,
        "min_nodes": partition.min_nodes,
        "max_nodes": partition.max_nodes,
        "min_walltime": partition.min_walltime,
        "max_walltime": partition.max_walltime,
        "max_node_minutes": partition.max_node_minutes,
        "limits": [limit.model_dump(exclude_none=True) for limit in partition.limits] or None,
        "accounts": sorted(partition.accounts) or None,
        "submit_with": partition.submit_with,
        "not_named": not partition.named or None,
    }


def _qos(qos: Qos) -> Fields:
    return {
        "purpose": qos.purpose,
        "max_walltime": qos.max_walltime,
        "max_nodes": qos.max_nodes,
        "accounts": sorted(qos.accounts) or None,
    }


def _citation(site: SiteSpec, name: str) -> str:
    source = site.sources[name]
    reference = source.url or source.ref or name
    return f"{reference}, {source.checked}" if source.checked else reference


def _key(name: str) -> str:
    """Return a name as a key of TOML, in quotes if it has other characters than a bare key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
