"""What must hold between the fields of a spec. Each rule yields every fault it finds."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from generator.errors import Fault, near
from generator.schema.auth import Certificate, CommandCertificateAuth
from generator.schema.base import facts
from generator.schema.site import SiteSpec
from generator.schema.slurm import Request
from generator.schema.text_types import seconds, walltime_seconds
from generator.ssh.patterns import matches

_MOST_NAMES = 300  # to log in to; each is compared with every pattern
_SHORTEST_RENEWAL = 15  # seconds: three looks of a timer
_MOST_FAULTS = 50  # a person mends these first
_FIRST = "ssh takes the first of the two"


def aliases(site: SiteSpec) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield every alias that a person may type, with the keys of the entry that it is of."""
    for machine in site.machines():
        yield ("hosts", machine.entry), machine.alias
    for alias in site.jobs:
        yield ("jobs", alias), alias


def _aliases_are_unique(site: SiteSpec) -> Iterator[Fault]:
    seen: dict[str, tuple[str, str]] = {}
    for keys, alias in aliases(site):
        first = seen.setdefault(alias.lower(), keys)
        if first != keys:
            yield Fault(keys, f"the alias {alias} is also that of {'.'.join(first)}")


def _aliases_are_no_host_names(site: SiteSpec) -> Iterator[Fault]:
    owners: dict[str, list[tuple[str, str]]] = {}
    for machine in site.machines():
        owners.setdefault(machine.host_name.lower(), []).append((machine.entry, machine.alias))
    for keys, alias in aliases(site):
        for entry, other in owners.get(alias.lower(), ()):
            if other != alias:
                yield Fault(keys, f"the alias {alias} is also the host name of {entry}: {_FIRST}")


def _sources_lead_somewhere(site: SiteSpec) -> Iterator[Fault]:
    for keys, fact in facts(site):
        for name in fact.source:
            if name not in site.sources:
                message = f"no source is called {name}{near(name, site.sources)}"
                yield Fault((*keys, "source"), message, about=(("sources", name),))
    for name, source in site.sources.items():
        if not (source.ref or source.url):
            yield Fault(("sources", name), "leads nowhere: give ref or url")


def _jumps_lead_somewhere(site: SiteSpec) -> Iterator[Fault]:
    known = {machine.alias for machine in site.machines()}
    targets = [(("hosts", name, "via"), host.via) for name, host in site.hosts.items() if host.via]
    targets += [
        (("compute", name, "through"), nodes.through) for name, nodes in site.compute.items()
    ]
    targets += [(("jobs", name, "through"), job.through) for name, job in site.jobs.items()]
    for loc, target in targets:
        if target not in known:
            yield Fault(
                loc,
                f"the jump goes to {target}, which is no host of this site{near(target, known)}",
                about=(("hosts", target),),
            )


def _jumps_form_no_circle(site: SiteSpec) -> Iterator[Fault]:
    entries = {machine.alias: machine.entry for machine in site.machines()}
    jumps = {name: entries.get(host.via or "") for name, host in site.hosts.items()}
    for circle in _circles(jumps):
        for position, name in enumerate(circle):
            passed = [*circle[position:], *circle[:position], name]
            yield Fault(
                ("hosts", name, "via"), f"the jump comes back to itself ({' → '.join(passed)})"
            )


def _circles(jumps: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Yield the circles among entries that each lead to one other at most, in time linear in their number."""
    settled = set[str]()
    for start in jumps:
        passed = list[str]()
        name: str | None = start
        while name and name not in settled:
            settled.add(name)
            passed.append(name)
            name = jumps[name]
        # The walk ended at an entry of an earlier walk, or closed a circle with itself.
        if name in passed:
            yield passed[passed.index(name) :]


def _compute_patterns_spare_logins(site: SiteSpec) -> Iterator[Fault]:
    for group, nodes in site.compute.items():
        patterns = tuple(nodes.patterns())
        for machine in site.machines():
            for name in dict.fromkeys((machine.alias, machine.host_name)):
                if matches(patterns, name):
                    hint = "ssh would jump through it to itself; leave it out with a pattern in also that starts with !"
                    yield Fault(
                        ("compute", group, "match"),
                        f"the patterns catch the login host {name}; {hint}",
                    )
        if all(pattern.startswith("!") for pattern in nodes.match):
            yield Fault(("compute", group, "match"), "patterns that all start with ! match nothing")


def _compute_patterns_are_of_one_group(site: SiteSpec) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for group, nodes in site.compute.items():
        for pattern in nodes.patterns():
            if not pattern.startswith("!") and seen.setdefault(pattern.lower(), group) != group:
                first = seen[pattern.lower()]
                yield Fault(
                    ("compute", group), f"the pattern {pattern} is also one of {first}: {_FIRST}"
                )


def _host_keys_belong_to_hosts(site: SiteSpec) -> Iterator[Fault]:
    known = {*site.hosts, *site.compute}
    taken: dict[str, str] = {}
    for name, keys in site.host_keys.items():
        if not (keys.fingerprints or keys.keys or keys.authorities):
            yield Fault(("host_keys", name), "holds no key: give fingerprints, keys or authorities")
        for entry in keys.hosts:
            if entry not in known:
                yield Fault(
                    ("host_keys", name, "hosts"),
                    f"{entry} is no entry of hosts or compute{near(entry, known)}",
                    about=(("hosts", entry), ("compute", entry)),
                )
            if taken.setdefault(entry, name) != name:
                yield Fault(
                    ("host_keys", name, "hosts"),
                    f"{entry} has its keys from host_keys.{taken[entry]} already",
                )
        signed_for = [authority.hosts for authority in keys.authorities]
        for machine in site.machines():
            if machine.entry not in keys.hosts or not signed_for:
                continue
            if not any(matches([hosts], machine.host_name) for hosts in signed_for):
                yield Fault(
                    ("host_keys", name, "authorities"),
                    f"no authority here signs for {machine.host_name}",
                )


def _requests_can_be_met(site: SiteSpec) -> Iterator[Fault]:
    slurm = site.slurm
    paired = {qos for partition in slurm.partitions.values() for qos in partition.qos}
    if paired:
        for qos in slurm.qos_limits:
            if qos not in paired:
                yield Fault(
                    ("slurm", "qos_limits", qos),
                    f"no partition pairs with the QoS {qos}{near(qos, paired)}",
                )
    requests: list[tuple[tuple[str, ...], Request]] = [
        (("slurm",), slurm),
        (("slurm", "devel"), slurm.devel),
    ]
    for loc, request in requests:
        if request.mem and request.mem_per_cpu:
            yield Fault(
                (*loc, "mem_per_cpu"),
                "mem and mem_per_cpu exclude each other: Slurm takes one of them",
            )
        partitions = (request.partition or slurm.partition or "").split(",")
        for name in filter(None, partitions):
            if name not in slurm.partitions:
                if request.partition:
                    yield Fault(
                        (*loc, "partition"),
                        f"the site has no partition {name}{near(name, slurm.partitions)}",
                        about=(("slurm", "partitions", name),),
                    )
            elif request.qos and paired and request.qos not in slurm.partitions[name].qos:
                allowed = ", ".join(slurm.partitions[name].qos) or "none"
                hint = near(request.qos, slurm.partitions[name].qos)
                yield Fault(
                    (*loc, "qos"),
                    f"the partition {name} does not pair with the QoS {request.qos}, only with {allowed}{hint}",
                )
        if request.walltime and request.signal:
            lead = int(request.signal.partition("@")[2])
            if lead >= walltime_seconds(request.walltime):
                yield Fault(
                    (*loc, "signal"),
                    f"{request.signal} comes before a job of {request.walltime} has started",
                )
        yield from _walltime_fits(site, loc, request)


def _walltime_fits(site: SiteSpec, loc: tuple[str, ...], request: Request) -> Iterator[Fault]:
    if not request.walltime:
        return
    slurm = site.slurm
    qos = slurm.chosen_qos(request)
    names = (request.partition or slurm.partition or "").split(",")
    limits = [
        (f"the partition {name}", slurm.partitions[name].max_walltime)
        for name in names
        if name in slurm.partitions
    ]
    if qos and qos in slurm.qos_limits:
        limits.append((f"the QoS {qos}", slurm.qos_limits[qos].max_walltime))
    for what, longest in limits:
        if longest and walltime_seconds(request.walltime) > walltime_seconds(longest):
            yield Fault(
                (*loc, "walltime"), f"{request.walltime} is longer than {what} allows ({longest})"
            )


def _submit_hosts_exist(site: SiteSpec) -> Iterator[Fault]:
    for name, partition in site.slurm.partitions.items():
        if partition.submit_from and partition.submit_from not in site.hosts:
            hint = near(partition.submit_from, site.hosts)
            yield Fault(
                ("slurm", "partitions", name, "submit_from"),
                f"{partition.submit_from} is no host of this site{hint}",
                about=(("hosts", partition.submit_from),),
            )


def _certificates_can_be_renewed(site: SiteSpec) -> Iterator[Fault]:
    auth = site.auth
    if not isinstance(auth, Certificate) or (
        isinstance(auth, CommandCertificateAuth) and auth.each_connection
    ):
        return
    for name, duration in (("lifetime", auth.lifetime), ("renew_before", auth.renew_before)):
        if duration and seconds(duration) < _SHORTEST_RENEWAL:
            yield Fault(
                ("auth", name),
                f"{duration} is too short: a timer needs {_SHORTEST_RENEWAL}s to renew in time",
            )
    if auth.lifetime and auth.renew_before and seconds(auth.renew_before) >= seconds(auth.lifetime):
        yield Fault(("auth", "renew_before"), f"must be shorter than the lifetime, {auth.lifetime}")


_RULES: tuple[Callable[[SiteSpec], Iterator[Fault]], ...] = (
    _aliases_are_unique,
    _aliases_are_no_host_names,
    _sources_lead_somewhere,
    _jumps_lead_somewhere,
    _jumps_form_no_circle,
    _compute_patterns_spare_logins,
    _compute_patterns_are_of_one_group,
    _host_keys_belong_to_hosts,
    _requests_can_be_met,
    _submit_hosts_exist,
    _certificates_can_be_renewed,
)


def faults(site: SiteSpec) -> list[Fault]:
    """Return what does not hold between the fields of a site, up to a number that a person can mend."""
    names = len(site.machines())
    if names > _MOST_NAMES:
        return [
            Fault(("hosts",), f"gives {names} names to log in to; a site has at most {_MOST_NAMES}")
        ]
    return list(islice((fault for rule in _RULES for fault in rule(site)), _MOST_FAULTS))
