# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""Requests by purpose: what a job asks Slurm for, and what the site does not allow, with the limit and its source."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .site import setting

USUAL_CPUS = 2
USUAL_MEM = "4096M"
TIME_LIMIT = re.compile(r"\d+(:\d\d?){0,2}|\d+-\d\d?(:\d\d?){0,2}")
MEMORY = re.compile(r"(\d+)([KMGT]?)")
MEBIBYTES = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024 * 1024}

Site = Mapping[str, Any]
Job = dict[str, Any]
"""Options of dagster-slurm: partition, qos, time_limit, nodes, cpus_per_task, mem, gpus_per_node, account, …"""


class RequestError(ValueError):
    """A request that the site does not allow, with every reason."""


def job(site: Site, purpose: str, asked: Mapping[str, Any], extra: Mapping[str, Any], *, staging: bool) -> Job:
    """Return the options of a job for a purpose.

    `asked` are gpus, cpus, mem, nodes and walltime of an asset, and replace those of the purpose; None does not.
    `extra` are options of dagster-slurm, which replace all others. In staging the purpose for development is taken
    where the site has one.

    Raises:
        RequestError: the site has no such purpose, or does not allow the job.
    """
    requests = site.get("requests", {})
    name = in_staging(requests, purpose) if staging else purpose
    if name not in requests:
        raise RequestError(f"request={purpose!r}: {site['title']} has {', '.join(requests)}")
    request = dict(requests[name])
    if name == "default":
        request |= chosen_queue(site, request)
    options = with_asked(request, {key: value for key, value in asked.items() if value is not None})
    for option, variable in {"account": "SLURM_ACCOUNT", "reservation": "SLURM_RESERVATION"}.items():
        options[option] = setting(variable) or options[option]
    options |= extra
    refuse(site, options, f"request={purpose!r}")
    if request.get("gres") and options["gpus_per_node"]:
        # dagster-slurm writes it behind --gres=gpu:
        options["gpus_per_node"] = f"{request['gres']}:{options['gpus_per_node']}"
    return options


def in_staging(requests: Mapping[str, Any], purpose: str) -> str:
    """Return the name of the request for development of a purpose, or the purpose if the site has none."""
    development = "devel" if purpose == "default" else f"{purpose.partition('-')[0]}-devel"
    if purpose.endswith("devel") or development not in requests:
        return purpose
    return development


def chosen_queue(site: Site, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the partition and the QoS of the environment; another partition brings its own QoS."""
    partition, qos = setting("SLURM_PARTITION"), setting("SLURM_QOS")
    if partition and partition != request.get("partition"):
        known = site.get("partitions", {}).get(partition.split(",")[0], {}).get("qos", [None])
        return {"partition": partition, "qos": qos or known[0]}
    return {"qos": qos} if qos else {}


def with_asked(request: Mapping[str, Any], asked: Mapping[str, Any]) -> Job:
    """Return the options of dagster-slurm for a request and what an asset asks for."""
    gpus = asked.get("gpus", request.get("gpus_per_node", 0))
    cpus = asked.get("cpus") or request.get("cpus") or request.get("cpus_per_gpu", 0) * gpus
    return {
        "partition": request.get("partition"),
        "qos": request.get("qos"),
        "time_limit": str(asked.get("walltime", request["time_limit"])),
        "nodes": asked.get("nodes", request.get("num_nodes", 1)),
        "cpus_per_task": cpus or USUAL_CPUS,
        "gpus_per_node": gpus,
        "account": request.get("account"),
        "reservation": request.get("reservation"),
        "signal_before_timeout": request.get("signal_before_timeout"),
        **memory(request, asked, gpus),
    }


def memory(request: Mapping[str, Any], asked: Mapping[str, Any], gpus: int) -> Job:
    """Return the memory of a job: as asked, else that of the request; an empty text leaves it to the site."""
    if asked.get("mem"):
        return {"mem": asked["mem"], "mem_per_cpu": None}
    if "mem" in request or "mem_per_cpu" in request:
        return {"mem": request.get("mem") or None, "mem_per_cpu": request.get("mem_per_cpu")}
    if not gpus:
        return {"mem": USUAL_MEM, "mem_per_cpu": None}
    # Many sites give a job with GPUs the memory that belongs to them, and refuse another amount.
    share = MEMORY.fullmatch(request.get("mem_per_gpu", ""))
    return {"mem": f"{int(share[1]) * gpus}{share[2]}" if share else None, "mem_per_cpu": None}


def refuse(site: Site, options: Mapping[str, Any], request: str) -> None:
    """Refuse a job that Slurm would reject or never start.

    Raises:
        RequestError: with every reason.
    """
    if reasons := list(forbidden(site, options)):
        raise RequestError("\n  ".join([f"{request}: {site['title']} does not allow this job", *reasons]))


def forbidden(site: Site, job: Mapping[str, Any]) -> Iterator[str]:
    """Yield every reason why the site does not allow a job; without any limit in `sites/` there is none."""
    if not TIME_LIMIT.fullmatch(job["time_limit"]):
        yield f"walltime={job['time_limit']}: is not a time limit of Slurm (90, 1:30:00, 2-12)"
        return
    if job["mem"] and not MEMORY.fullmatch(job["mem"]):
        yield f"mem={job['mem']}: is not an amount of memory (64G, 4096M)"
        return
    rules = site.get("rules", {})
    yield from forbidden_by_rules(site, rules, job)
    known = site.get("partitions", {})
    for name in partition_names(known, job):
        if name not in known:
            yield f"partition={name}: the site has {', '.join(known)}"
            continue
        yield from beyond_partition(site, name, known[name], job)
    if qos := job["qos"]:
        yield from unpaired(known, qos)
        yield from beyond_qos(site, qos, site.get("qos", {}).get(qos, {}), job)


def partition_names(known: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """Return the partitions of a job; one that names none has the site's default, which GPUs may change."""
    if job["partition"]:
        return job["partition"].split(",") if known else []
    if job["gpus_per_node"]:
        return []
    return [name for name, limits in known.items() if limits.get("default")]


def forbidden_by_rules(site: Site, rules: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the rules for all jobs of a site do not allow."""
    because = source(site, rules)
    if rules.get("needs_account") and not job["account"]:
        yield f"account: a job must name one; set SLURM_ACCOUNT in .env{because}"
    if rules.get("needs_qos") and not job["qos"]:
        yield f"qos: a job must name one{because}"
    for option in rules.get("forbidden_options", []):
        name = option.removeprefix("--").replace("-", "_")
        if job.get(name):
            yield f"{name}={job[name]}: the site refuses {option}{because}"


def beyond_partition(site: Site, name: str, limits: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a partition does not allow."""
    where = f"the partition {name}"
    because = source(site, limits)
    if command := limits.get("submit_with"):
        yield f"partition={name}: jobs are submitted with {command}, not with sbatch{because}"
    if limits.get("not_named") and job["partition"]:
        yield f"partition={name}: a job must not name it{because}"
    yield from beyond_node(site, where, limits, job)
    if job["nodes"] < limits.get("min_nodes", 1):
        yield f"nodes={job['nodes']}: {where} starts at {limits['min_nodes']}{because}"
    shortest = limits.get("min_walltime")
    if shortest and seconds(job["time_limit"]) < seconds(shortest):
        yield f"walltime={job['time_limit']}: {where} starts at {shortest}{because}"
    most = limits.get("max_node_minutes")
    if most and job["nodes"] * seconds(job["time_limit"]) > 60 * most:
        yield f"nodes={job['nodes']}, walltime={job['time_limit']}: {where} allows {most} minutes × nodes{because}"
    yield from beyond_size(where, limits.get("limits", []), job, because)
    if job["qos"] and limits.get("qos") and job["qos"] not in limits["qos"]:
        yield f"qos={job['qos']}: {where} has {', '.join(limits['qos'])}{because}"
    yield from beyond_both(where, limits, job, because)


def beyond_size(where: str, rows: list[dict[str, Any]], job: Mapping[str, Any], because: str) -> Iterator[str]:
    """Yield a walltime that a partition does not allow for a job of this size, by the longest limit that covers it."""
    gpus = job["nodes"] * job["gpus_per_node"]
    longest = max((seconds(row["walltime"]) for row in rows if covers(row, job["nodes"], gpus)), default=0)
    if not rows or seconds(job["time_limit"]) <= longest:
        return
    allowed = []
    for row in rows:
        sizes = [f"{key}={value}" for key, value in row.items() if key != "walltime"]
        allowed.append(f"{row['walltime']} for {' '.join(sizes)}" if sizes else row["walltime"])
    asked = f"nodes={job['nodes']}, " + (f"gpus={job['gpus_per_node']}, " if gpus else "")
    yield f"{asked}walltime={job['time_limit']}: {where} allows {', '.join(allowed)}{because}"


def covers(limit: Mapping[str, Any], nodes: int, gpus: int) -> bool:
    """Return whether a limit is for jobs of a size. One that counts GPUs is not for jobs without any."""
    if "max_gpus" in limit and not 0 < gpus <= limit["max_gpus"]:
        return False
    return bool(limit.get("min_nodes", 1) <= nodes <= limit.get("max_nodes", nodes))


def beyond_node(site: Site, where: str, limits: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the nodes of a partition do not have."""
    because = source(site, limits)
    gpus = most_gpus(site, limits)
    if gpus is not None and job["gpus_per_node"] > gpus:
        yield f"gpus={job['gpus_per_node']}: a node of {where} has {gpus or 'none'}{because}"
        # CPUs and memory may follow from the GPUs, so that they would be wrong for the same reason.
        return
    if job["cpus_per_task"] > limits.get("cores", job["cpus_per_task"]):
        yield f"cpus={job['cpus_per_task']}: a node of {where} has {limits['cores']}{because}"
    if job["mem"] and "mem" in limits and mebibytes(job["mem"]) > mebibytes(limits["mem"]):
        yield f"mem={job['mem']}: a node of {where} has {limits['mem']}{because}"


def most_gpus(site: Site, limits: Mapping[str, Any]) -> int | None:
    """Return the number of GPUs of a node, or None if the spec does not say."""
    if "gpus_per_node" in limits or "gpu" in limits:
        return limits.get("gpus_per_node")
    if any("max_gpus" in row for row in limits.get("limits", [])):
        return None
    are_known = any("gpu" in others or "gpus_per_node" in others for others in site["partitions"].values())
    return 0 if are_known else None


def unpaired(known: Mapping[str, Any], qos: str) -> Iterator[str]:
    """Yield a QoS that no partition has, if the partitions of the site name theirs."""
    pairs = {name: limits["qos"] for name, limits in known.items() if "qos" in limits}
    if pairs and not any(qos in names for names in pairs.values()):
        yield f"qos={qos}: no partition of the site has it"


def beyond_qos(site: Site, name: str, limits: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a QoS does not allow."""
    yield from beyond_both(f"the QoS {name}", limits, job, source(site, limits))


def beyond_both(where: str, limits: Mapping[str, Any], job: Mapping[str, Any], because: str) -> Iterator[str]:
    """Yield what a partition or a QoS does not allow by limits that both have."""
    if limits.get("purpose") == "interactive":
        yield f"{where} is for interactive jobs only{because}"
    longest = limits.get("max_walltime")
    if longest and seconds(job["time_limit"]) > seconds(longest):
        yield f"walltime={job['time_limit']}: {where} allows {longest}{because}"
    if job["nodes"] > limits.get("max_nodes", job["nodes"]):
        yield f"nodes={job['nodes']}: {where} allows {limits['max_nodes']}{because}"
    accounts = limits.get("accounts")
    if accounts and job["account"] and job["account"] not in accounts:
        yield f"account={job['account']}: {where} is for {', '.join(accounts)}{because}"


def source(site: Site, limits: Mapping[str, Any]) -> str:
    """Return where a limit is from, in parentheses."""
    sources = [site["sources"][name] for name in limits.get("source", [])]
    return f" ({'; '.join(sources)})" if sources else ""


def mebibytes(memory: str) -> float:
    """Return an amount of memory of Slurm, such as 64G, in mebibytes (sbatch(1), --mem)."""
    match = MEMORY.fullmatch(memory)
    return int(match[1]) * MEBIBYTES[match[2]] if match else 0


def seconds(walltime: str) -> int:
    """Return a time limit of Slurm in seconds: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S (sbatch(1), --time)."""
    days, _, clock = walltime.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, rest = [*parts, 0, 0][:3] if days or len(parts) == 3 else [0, *parts, 0][:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + rest


def summary(job: Mapping[str, Any]) -> str:
    """Return a job in a line, for the log of a run."""
    names = {"partition": "", "qos": "QoS ", "account": "account ", "reservation": "reservation ", "mem": "memory "}
    parts = [f"{label}{job[name]}" for name, label in names.items() if job[name]]
    counts = {"nodes": "nodes", "cpus_per_task": "CPUs", "gpus_per_node": "GPUs per node"}
    parts += [f"{job[name]} {label}" for name, label in counts.items() if job[name]]
    return ", ".join([*parts, f"walltime {job['time_limit']}"])
