"""The rules between the fields of a spec. Each rule yields every fault that it finds.

A fault names in `about` the values that its message is about: if one of them has a fault
itself, this one follows from it and is not reported.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from generator.errors import Fault, near
from generator.schema.auth import Certificate, CommandCertificateAuth, WithKey
from generator.schema.base import facts
from generator.schema.hosts import HostKeys
from generator.schema.names import RESERVED
from generator.schema.site import SiteSpec
from generator.schema.slurm import Request
from generator.schema.text_types import seconds, walltime_seconds
from generator.ssh.keys import fingerprint
from generator.ssh.patterns import matches

_MOST_MACHINES = 300  # the rules compare each name with every pattern
_MOST_FAULTS = 50  # a user fixes these first
_SHORTEST_RENEWAL = 15  # seconds, in which a timer makes three attempts
_FIRST = "ssh uses the first of the two"

Keys = tuple[str, ...]


def faults(site: SiteSpec) -> list[Fault]:
    """Return the faults between the fields of a site, 50 at most."""
    count = len(site.machines())
    if count > _MOST_MACHINES:
        message = f"has {count} machines to log in to; a site has at most {_MOST_MACHINES}"
        return [Fault(("hosts",), message)]
    return list(islice(_faults(site), _MOST_FAULTS))


def aliases(site: SiteSpec) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield every alias that a user may type, with the keys of its entry in front."""
    for machine in site.machines():
        yield ("hosts", machine.entry), machine.alias
    for alias in site.jobs:
        yield ("jobs", alias), alias


def _faults(site: SiteSpec) -> Iterator[Fault]:
    for rule in _RULES:
        yield from rule(site)


def _name_is_free(site: SiteSpec) -> Iterator[Fault]:
    if site.site in RESERVED:
        yield Fault(("site",), f"{site.site} is a name that gen itself uses; choose another")


def _aliases_are_unique(site: SiteSpec) -> Iterator[Fault]:
    owners: dict[str, tuple[str, str]] = {}
    for keys, alias in aliases(site):
        # Host lines are case-sensitive, but users would confuse aliases that differ only in case.
        owner = owners.setdefault(alias.lower(), keys)
        if owner != keys:
            yield Fault(keys, f"the alias {alias} is also an alias of {'.'.join(owner)}")


def _aliases_are_not_host_names(site: SiteSpec) -> Iterator[Fault]:
    machines: dict[str, list[tuple[str, str]]] = {}
    for machine in site.machines():
        machines.setdefault(machine.host_name.lower(), []).append((machine.entry, machine.alias))
    for keys, alias in aliases(site):
        for entry, alias_of_host in machines.get(alias.lower(), ()):
            if alias_of_host != alias:
                yield Fault(keys, f"the alias {alias} is also the host name of {entry}: {_FIRST}")


def _sources_exist(site: SiteSpec) -> Iterator[Fault]:
    for keys, fact in facts(site):
        for name in fact.source:
            if name not in site.sources:
                message = f"{name} is not an entry of sources{near(name, site.sources)}"
                yield Fault((*keys, "source"), message, about=(("sources", name),))
    for name, source in site.sources.items():
        if not (source.ref or source.url):
            yield Fault(("sources", name), "has neither ref nor url; give one of them")


def _jumps_go_to_machines(site: SiteSpec) -> Iterator[Fault]:
    machines = [machine.alias for machine in site.machines()]
    for keys, target in _jumps(site):
        if target not in machines:
            hint = near(target, machines)
            message = f"the jump goes to {target}, which is not a host or node of this site{hint}"
            yield Fault(keys, message, about=(("hosts", target),))


def _commands_of_jumps_have_a_jump_host(site: SiteSpec) -> Iterator[Fault]:
    for name, host in site.hosts.items():
        if host.proxy and not host.via:
            message = "runs on the jump host, and this host has none; name one in via"
            yield Fault(("hosts", name, "proxy"), message)


def _jumps_go_through_hosts_without_a_command(site: SiteSpec) -> Iterator[Fault]:
    commands = {}
    for machine in site.machines():
        if machine.host.command:
            commands[machine.alias] = machine.entry
    for keys, target in _jumps(site):
        if target in commands:
            message = f"{target} runs a command at each login, so ssh cannot jump through it"
            yield Fault(keys, message, about=(("hosts", commands[target], "command"),))


def _jumps(site: SiteSpec) -> Iterator[tuple[Keys, str]]:
    """Yield the target of each jump, with the keys of the field that names it in front."""
    for name, host in site.hosts.items():
        if host.via:
            yield ("hosts", name, "via"), host.via
    for name, nodes in site.compute.items():
        yield ("compute", name, "through"), nodes.through
    for name, job in site.jobs.items():
        yield ("jobs", name, "through"), job.through


def _jumps_form_no_circle(site: SiteSpec) -> Iterator[Fault]:
    entries = {machine.alias: machine.entry for machine in site.machines()}
    jumps = {name: entries.get(host.via or "") for name, host in site.hosts.items()}
    for circle in _circles(jumps):
        for position, name in enumerate(circle):
            path = " → ".join([*circle[position:], *circle[:position], name])
            yield Fault(("hosts", name, "via"), f"the jumps form a circle ({path})")


def _circles(jumps: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Yield the circles among entries that each lead to one other at most.

    The time is linear in the number of entries.
    """
    settled = set[str]()
    for start in jumps:
        path = list[str]()
        name: str | None = start
        while name and name not in settled:
            settled.add(name)
            path.append(name)
            name = jumps[name]
        # The walk ended at an entry of an earlier walk, or closed a circle with itself.
        if name in path:
            yield path[path.index(name) :]


def _compute_patterns_exclude_login_hosts(site: SiteSpec) -> Iterator[Fault]:
    for group, nodes in site.compute.items():
        keys = ("compute", group, "match")
        for machine in site.machines():
            # A user may type either name. A dict, since both may be equal.
            for name in dict.fromkeys((machine.alias, machine.host_name)):
                if matches(nodes.patterns(), name):
                    yield Fault(
                        keys,
                        f"the patterns match the login host {name}, so ssh would jump from it"
                        " to itself; exclude it in also, with a pattern that starts with !",
                    )
        # ssh_config(5), PATTERNS: a negated match never produces a positive result by itself.
        if all(pattern.startswith("!") for pattern in nodes.match):
            yield Fault(keys, "all patterns start with !, so they match nothing")


def _compute_patterns_are_in_one_group(site: SiteSpec) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for group, nodes in site.compute.items():
        for pattern in nodes.patterns():
            if pattern.startswith("!"):
                continue
            # Of two equal patterns ssh would use the first block, and never the second.
            owner = owners.setdefault(pattern.lower(), group)
            if owner != group:
                message = f"the pattern {pattern} is also a pattern of {owner}: {_FIRST}"
                yield Fault(("compute", group), message)


def _keys_in_homes_exist(site: SiteSpec) -> Iterator[Fault]:
    for group, nodes in site.compute.items():
        method = site.auth_of(nodes).method
        if nodes.key_in_home and not isinstance(site.auth_of(nodes), WithKey):
            message = f"needs a login with a key file, and the method of these nodes is {method}"
            yield Fault(("compute", group, "key_in_home"), message, about=(("auth",),))


def _host_keys_belong_to_hosts(site: SiteSpec) -> Iterator[Fault]:
    entries = {*site.hosts, *site.compute}
    owners: dict[str, str] = {}
    for name, keys in site.host_keys.items():
        if not (keys.has_keys or keys.known_hosts):
            message = "has no key; give fingerprints, keys, authorities or known_hosts"
            yield Fault(("host_keys", name), message)
        loc = ("host_keys", name, "hosts")
        for entry in keys.hosts:
            if entry not in entries:
                message = f"{entry} is not an entry of hosts or compute{near(entry, entries)}"
                yield Fault(loc, message, about=(("hosts", entry), ("compute", entry)))
            owner = owners.setdefault(entry, name)
            if owner != name:
                yield Fault(loc, f"host_keys.{owner} already has the keys of {entry}")
            if keys.known_hosts and entry in site.compute:
                message = f"{entry} has patterns for names, and a list is searched for whole names"
                yield Fault((*loc[:2], "known_hosts"), message)
        yield from _authorities_sign_for_hosts(site, name, keys)


def _revoked_keys_are_not_pinned(site: SiteSpec) -> Iterator[Fault]:
    pinned: dict[str, str] = {}
    for name, keys in site.host_keys.items():
        for values in keys.fingerprints.values():
            pinned.update(dict.fromkeys(values, name))
        for key in (*keys.keys, *(authority.key for authority in keys.authorities)):
            pinned[fingerprint(key)] = name
    for name, revoked in site.revoked_keys.items():
        revoked_values = (*revoked.fingerprints, *map(fingerprint, revoked.keys))
        if not revoked_values:
            yield Fault(("revoked_keys", name), "has no key; give fingerprints or keys")
        for value in revoked_values:
            if value in pinned:
                message = (
                    f"{value} is revoked, but host_keys.{pinned[value]} pins it; delete the pin"
                )
                yield Fault(("revoked_keys", name), message)


def _authorities_sign_for_hosts(site: SiteSpec, name: str, keys: HostKeys) -> Iterator[Fault]:
    if not keys.authorities:
        return
    for machine in site.machines():
        if machine.entry not in keys.hosts:
            continue
        if not any(matches([authority.hosts], machine.host_name) for authority in keys.authorities):
            message = f"no authority of this entry signs keys of {machine.host_name}"
            yield Fault(("host_keys", name, "authorities"), message)


def _requests_fit_the_queues(site: SiteSpec) -> Iterator[Fault]:
    requests: list[tuple[Keys, Request]] = [
        (("slurm",), site.slurm),
        (("slurm", "devel"), site.slurm.devel),
    ]
    for keys, request in requests:
        yield from _memory_is_given_once(keys, request)
        yield from _partitions_fit(site, keys, request)
        yield from _batch_jobs_may_run(site, keys, request)
        yield from _signal_comes_after_the_start(keys, request)
        yield from _walltime_fits(site, keys, request)


def _memory_is_given_once(keys: Keys, request: Request) -> Iterator[Fault]:
    # sbatch(1): --mem, --mem-per-cpu and --mem-per-gpu are mutually exclusive.
    if request.mem and request.mem_per_cpu:
        yield Fault((*keys, "mem_per_cpu"), "Slurm accepts mem or mem_per_cpu, not both")


def _partitions_fit(site: SiteSpec, keys: Keys, request: Request) -> Iterator[Fault]:
    """Check that the partitions of a request exist and have its QoS.

    A spec that names no QoS at any partition says nothing about them, so the QoS of a request
    may be right.
    """
    partitions = site.slurm.partitions
    for name in _partition_names(site, request):
        if name not in partitions:
            # A request for development jobs without a partition takes that of the usual request,
            # whose fault is reported already.
            if request.partition:
                message = f"the site has no partition {name}{near(name, partitions)}"
                about = (("slurm", "partitions", name),)
                yield Fault((*keys, "partition"), message, about=about)
        elif request.qos and _all_qos(site) and request.qos not in partitions[name].qos:
            allowed = ", ".join(partitions[name].qos) or "none"
            hint = near(request.qos, partitions[name].qos)
            message = f"the QoS {request.qos} is not one of the partition {name} (it has {allowed})"
            yield Fault((*keys, "qos"), message + hint)


def _batch_jobs_may_run(site: SiteSpec, keys: Keys, request: Request) -> Iterator[Fault]:
    # Every job of a project is submitted with sbatch.
    partitions, qos_limits = site.slurm.partitions, site.slurm.qos_limits
    for name in (request.partition or "").split(","):
        if name in partitions and partitions[name].purpose == "interactive":
            message = f"the partition {name} is for interactive jobs only, not for sbatch"
            yield Fault((*keys, "partition"), message)
    limits = qos_limits.get(request.qos or "")
    if limits and limits.purpose == "interactive":
        message = f"the QoS {request.qos} is for interactive jobs only, not for sbatch"
        yield Fault((*keys, "qos"), message)


def _partition_names(site: SiteSpec, request: Request) -> list[str]:
    names = (request.partition or site.slurm.partition or "").split(",")
    return [name for name in names if name]


def _all_qos(site: SiteSpec) -> set[str]:
    """Return the QoS that any partition names."""
    return {qos for partition in site.slurm.partitions.values() for qos in partition.qos}


def _qos_limits_belong_to_partitions(site: SiteSpec) -> Iterator[Fault]:
    known = _all_qos(site)
    if not known:
        return
    for qos in site.slurm.qos_limits:
        if qos not in known:
            message = f"no partition has the QoS {qos}{near(qos, known)}"
            yield Fault(("slurm", "qos_limits", qos), message)


def _signal_comes_after_the_start(keys: Keys, request: Request) -> Iterator[Fault]:
    if not request.walltime or not request.signal:
        return
    # sbatch(1), --signal=[R|B:]SIG_NUM[@SIG_TIME]: the time is in seconds before the end.
    before_the_end = int(request.signal.partition("@")[2])
    if before_the_end >= walltime_seconds(request.walltime):
        message = f"{request.signal} comes before a job of {request.walltime} has started"
        yield Fault((*keys, "signal"), message)


def _walltime_fits(site: SiteSpec, keys: Keys, request: Request) -> Iterator[Fault]:
    if not request.walltime:
        return
    limits: list[tuple[str, str | None]] = []
    for name in _partition_names(site, request):
        if partition := site.slurm.partitions.get(name):
            limits.append((f"the partition {name}", partition.max_walltime))
    qos = site.slurm.chosen_qos(request)
    if qos and qos in site.slurm.qos_limits:
        # Both limits hold, unless the QoS overrides that of the partition (sacctmgr(1),
        # PartitionTimeLimit).
        limits.append((f"the QoS {qos}", site.slurm.qos_limits[qos].max_walltime))
    for owner, longest in limits:
        if longest and walltime_seconds(request.walltime) > walltime_seconds(longest):
            message = f"{request.walltime} is longer than {owner} allows ({longest})"
            yield Fault((*keys, "walltime"), message)


def _submit_hosts_exist(site: SiteSpec) -> Iterator[Fault]:
    for name, partition in site.slurm.partitions.items():
        host = partition.submit_from
        if host and host not in site.hosts:
            keys = ("slurm", "partitions", name, "submit_from")
            message = f"{host} is not a host of this site{near(host, site.hosts)}"
            yield Fault(keys, message, about=(("hosts", host),))


def _queues_fit_the_scheduler(site: SiteSpec) -> Iterator[Fault]:
    if site.scheduler == "slurm":
        if site.batch.model_fields_set:
            message = (
                "is for a scheduler other than Slurm;"
                " set scheduler, or describe the queues in slurm"
            )
            yield Fault(("batch",), message)
        return
    blocks = {"slurm": site.slurm.model_fields_set, "jobs": site.jobs}
    blocks |= {"ray": site.ray.model_fields_set, "spark": site.spark.model_fields_set}
    for name, content in blocks.items():
        if content:
            hint = "; describe the queues in batch" if name == "slurm" else ""
            message = f"needs Slurm, and the scheduler of this site is {site.scheduler}{hint}"
            yield Fault((name,), message, about=(("scheduler",),))


def _certificates_can_be_renewed(site: SiteSpec) -> Iterator[Fault]:
    auth = site.auth
    if not isinstance(auth, Certificate):
        return
    if isinstance(auth, CommandCertificateAuth) and auth.each_connection:
        return  # no timer renews it
    for name, duration in (("lifetime", auth.lifetime), ("renew_before", auth.renew_before)):
        if duration and seconds(duration) < _SHORTEST_RENEWAL:
            message = (
                f"is too short ({duration}): a timer needs {_SHORTEST_RENEWAL}s to renew in time"
            )
            yield Fault(("auth", name), message)
    if auth.lifetime and auth.renew_before and seconds(auth.renew_before) >= seconds(auth.lifetime):
        yield Fault(("auth", "renew_before"), f"must be shorter than the lifetime, {auth.lifetime}")


# The order of the faults of one key: only the first is reported.
_RULES: tuple[Callable[[SiteSpec], Iterator[Fault]], ...] = (
    _name_is_free,
    _aliases_are_unique,
    _aliases_are_not_host_names,
    _sources_exist,
    _jumps_go_to_machines,
    _jumps_form_no_circle,
    _commands_of_jumps_have_a_jump_host,
    _jumps_go_through_hosts_without_a_command,
    _compute_patterns_exclude_login_hosts,
    _compute_patterns_are_in_one_group,
    _keys_in_homes_exist,
    _host_keys_belong_to_hosts,
    _revoked_keys_are_not_pinned,
    _qos_limits_belong_to_partitions,
    _requests_fit_the_queues,
    _submit_hosts_exist,
    _queues_fit_the_scheduler,
    _certificates_can_be_renewed,
)
