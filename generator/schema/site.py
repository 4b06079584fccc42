"""A site: one cluster that people log in to."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from generator.schema.auth import Auth
from generator.schema.base import Day, Fact, Model, Source
from generator.schema.hosts import Compute, Host, HostKeys, JobEntry, Machine
from generator.schema.launchers import Ray, Spark
from generator.schema.meta import Meta, Weight
from generator.schema.slurm import Slurm
from generator.schema.text_types import Alias, Country, Label, Link, RemotePath, Slug, Text, Title


class Status(Fact):
    """Whether people still log in."""

    state: Literal["active", "retiring", "retired"] = "active"
    """What it is: in use, about to stop, or no more."""
    ends: Day | None = None
    """The last day (YYYY-MM-DD), where one was announced."""

    def words(self) -> str | None:
        """Return what to tell a person; of a site that is in use nothing but a note."""
        state = self.state if self.state != "active" else None
        return (
            ", ".join(filter(None, [state, f"until {self.ends}" if self.ends else None, self.note]))
            or None
        )


class Deployment(Fact):
    """Where projects put their files at the site."""

    base_path: RemotePath
    """Folder at the site that deployments go below."""


class Filesystem(Fact):
    """A place for files at the site."""

    path: Text
    """Path, in the site's words."""
    quota: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Quota, in the site's words."""
    purge_days: Annotated[int, Field(ge=1)] | None = None
    """Days after which files are removed."""
    on_compute_nodes: Literal["read-write", "read-only", "absent"] = "read-write"
    """What jobs can do there."""


class HttpApi(Fact):
    """An HTTP interface for machines, beside or instead of SSH."""

    kind: Text
    """What it is (`FirecREST v2`)."""
    url: Annotated[Link, Meta(weight=Weight.TRUST)]
    """Its address."""


class SiteSpec(Model):
    """One cluster that people log in to: its machines, keys, queues, and what is known from where."""

    site: Slug
    """Name of the site; the file is called the same."""
    title: Annotated[Title, Meta(weight=Weight.PROSE)]
    """Name for people."""
    operator: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Who runs it."""
    country: Annotated[Country | None, Meta(weight=Weight.PROSE)] = None
    """Country (ISO 3166 code)."""
    docs: Annotated[Link | None, Meta(weight=Weight.PROSE)] = None
    """The site's own documentation."""
    note: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """What a person should know first; shown by `gen show`, never compiled."""
    status: Status = Status.model_construct()
    """Whether people still log in."""
    sources: Mapping[Label, Source] = {}
    """Where the facts below were read."""
    hosts: Annotated[Mapping[Alias, Host], Field(min_length=1), Meta(weight=Weight.TRUST)]
    """Machines to log in to, by the alias that a person types; the first is the usual one."""
    compute: Annotated[Mapping[Slug, Compute], Meta(weight=Weight.TRUST)] = {}
    """Compute nodes, by a name for the group."""
    jobs: Annotated[Mapping[Alias, JobEntry], Meta(weight=Weight.TRUST)] = {}
    """Entries that start a Slurm job and log in to it, by alias."""
    host_keys: Annotated[Mapping[Slug, HostKeys], Meta(weight=Weight.TRUST)] = {}
    """What the machines prove themselves with."""
    auth: Annotated[Auth, Meta(weight=Weight.TRUST)]
    """How a person logs in."""
    multiplexing: Annotated[
        Literal["allowed", "required", "forbidden"],
        Meta(
            weight=Weight.TUNING,
            sentences={
                "forbidden": "one connection cannot carry several sessions",
                "required": "sessions must share one connection",
            },
        ),
    ] = "allowed"
    """Whether one connection may carry several sessions (ControlMaster)."""
    slurm: Slurm = Slurm.model_construct()
    """The queues."""
    deployment: Deployment | None = None
    """Where projects put their files."""
    ray: Annotated[Ray, Meta(weight=Weight.TUNING)] = Ray.model_construct()
    """What the site changes in dagster-slurm's Ray launcher."""
    spark: Annotated[Spark, Meta(weight=Weight.TUNING)] = Spark.model_construct()
    """What the site changes in dagster-slurm's Spark launcher."""
    filesystems: Mapping[Label, Filesystem] = {}
    """Places for files."""
    http_api: HttpApi | None = None
    """Interface for machines."""
    compute_internet: Annotated[
        bool | None,
        Meta(
            weight=Weight.TUNING,
            sentences={
                True: "compute nodes reach the internet",
                False: "compute nodes do not reach the internet",
            },
        ),
    ] = None
    """Whether compute nodes reach the internet; left out when the site does not say."""

    @property
    def usual_host(self) -> Machine:
        """Return the first host, which is the one that users log in to unless they name another."""
        alias, host = next(iter(self.hosts.items()))
        return host.machines(alias)[0]

    def machines(self) -> list[Machine]:
        """Return all machines to log in to, in the order of the spec: each host, then its nodes."""
        machines: list[Machine] = []
        for entry, host in self.hosts.items():
            machines += host.machines(entry)
        return machines

    def route(self, alias: str) -> list[Machine]:
        """Return a machine and the machines that ssh jumps through to reach it, the nearest jump first.

        `alias` and every `via` may be the alias of a node. The rules refuse a spec whose jumps form a circle.
        """
        machines = {machine.alias: machine for machine in self.machines()}
        route = [machines[alias]]
        while via := route[-1].host.via:
            route.append(machines[via])
        return route

    def auth_of(self, entry: Host | Compute) -> Auth:
        """Return how a person logs in to a machine: its own way, else the site's."""
        return entry.auth or self.auth

    def unverified(self, keys: HostKeys) -> bool:
        """Tell whether every source of these host keys is weak, so that ssh should not trust them unasked."""
        return all(self.sources[name].weak for name in keys.source)

    def pinned(self) -> Literal["yes", "in part", "unverified", "no"]:
        """Tell whether ssh knows every host's keys beforehand, some machine's, only such from weak sources, or none."""
        sure = {
            entry
            for keys in self.host_keys.values()
            if not self.unverified(keys)
            for entry in keys.hosts
        }
        if sure:
            return "yes" if sure.issuperset(self.hosts) else "in part"
        return "unverified" if self.host_keys else "no"
