"""A site: one cluster that users log in to."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from generator.schema.auth import Auth
from generator.schema.base import Day, Fact, Model, Source
from generator.schema.batch import Batch, Scheduler
from generator.schema.hosts import Compute, Host, HostKeys, JobEntry, Machine, RevokedKeys
from generator.schema.launchers import Ray, Spark
from generator.schema.meta import Meta, Weight
from generator.schema.slurm import Slurm
from generator.schema.text_types import Alias, Country, Label, Link, RemotePath, Slug, Text, Title


class Status(Fact):
    """Status of a site: whether users can log in, and until when."""

    state: Literal["active", "retiring", "retired"] = "active"
    """`active`, `retiring` (it will stop) or `retired` (it has stopped)."""
    ends: Day | None = None
    """Last day (YYYY-MM-DD), if the site announced one."""

    def words(self) -> str | None:
        """Return the status as a text: the state unless it is active, the last day, the note.

        ``None`` without any.
        """
        parts: list[str] = []
        if self.state != "active":
            parts.append(self.state)
        if self.ends:
            parts.append(f"until {self.ends}")
        if self.note:
            parts.append(self.note)
        return ", ".join(parts) or None


class LoginNodes(Fact):
    """The rules for programs on login nodes, which all users share."""

    not_for: Annotated[Text | None, Meta(weight=Weight.PROSE, label="not for")] = None
    """Programs that must not run there, as the end of the sentence "Login nodes are not for"."""
    # "Does not say" differs from no: `gen show` then prints nothing.
    remote_editors: Annotated[
        bool | None, Meta(weight=Weight.PROSE, label="remote servers of editors (VS Code)")
    ] = None
    """Whether the remote server of an editor (VS Code) may run there; left out if the
    documentation does not say."""


# Where sites have homes: /home/USER, /home/GROUP/USER, /users/USER, /u/USER.
_HOMES = ("home", "homes", "users", "u")


def _path_weight(path: str) -> Weight:
    """Return the weight of a directory whose files jobs run: outside a home, others may write."""
    _, top, *below = path.split("/")
    is_home = top in _HOMES and "{user}" in below and ".." not in below
    return Weight.ACCESS if is_home else Weight.TRUST


class Deployment(Fact):
    """Directory for the files of projects at the site."""

    base_path: Annotated[RemotePath, Meta(weigh=_path_weight)]
    """Directory at the site below which projects are deployed."""
    data_path: Annotated[RemotePath | None, Meta(weight=Weight.TRUST)] = None
    """Directory at the site for the data of projects, as on scratch; else `data` below
    `base_path`."""


class Filesystem(Fact):
    """A file system of the site."""

    path: Text
    """Path, in the words of the site's documentation."""
    quota: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Quota, in the words of the site's documentation."""
    purge_days: Annotated[int, Field(ge=1)] | None = None
    """Number of days after which the site deletes files."""
    on_compute_nodes: Literal["read-write", "read-only", "absent"] = "read-write"
    """Access for jobs."""


class HttpApi(Fact):
    """An HTTP API of the site, beside SSH or instead of it."""

    kind: Text
    """Name and version (`FirecREST v2`)."""
    url: Annotated[Link, Meta(weight=Weight.TRUST)]
    """Address of the API."""


class SiteSpec(Model):
    """One cluster that users log in to: its machines, host keys and queues, with sources."""

    site: Slug
    """Name of the site, which is also the name of the file."""
    title: Annotated[Title, Meta(weight=Weight.PROSE)]
    """Title of the site, for humans."""
    operator: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Organisation that runs the site."""
    country: Annotated[Country | None, Meta(weight=Weight.PROSE)] = None
    """Country (ISO 3166 code)."""
    docs: Annotated[Link | None, Meta(weight=Weight.TRUST)] = None
    """Address of the site's documentation."""
    note: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Note for users; `gen show` prints it first, and no artifact has it."""
    status: Status = Status.model_construct()
    """Status of the site."""
    sources: Mapping[Label, Source] = {}
    """Sources of the facts below, by name."""
    hosts: Annotated[Mapping[Alias, Host], Field(min_length=1), Meta(weight=Weight.TRUST)]
    """Machines to log in to, by the alias that a user types; the first is the usual one."""
    compute: Annotated[Mapping[Slug, Compute], Meta(weight=Weight.TRUST)] = {}
    """Groups of compute nodes, by name."""
    jobs: Annotated[Mapping[Alias, JobEntry], Meta(weight=Weight.TRUST)] = {}
    """Aliases that start a Slurm job and log in to it."""
    login_nodes: LoginNodes = LoginNodes.model_construct()
    """Rules for programs on login nodes."""
    host_keys: Annotated[Mapping[Slug, HostKeys], Meta(weight=Weight.TRUST)] = {}
    """Host keys of the machines, by a name for each set."""
    revoked_keys: Annotated[Mapping[Slug, RevokedKeys], Meta(weight=Weight.TRUST)] = {}
    """Host keys and authorities that ssh must refuse, by a name for each incident."""
    auth: Annotated[Auth, Meta(weight=Weight.TRUST)]
    """Login method."""
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
    scheduler: Scheduler = "slurm"
    """Program that schedules jobs. Unless it is Slurm, gen writes no Slurm variables and no
    Dagster project."""
    slurm: Slurm = Slurm.model_construct()
    """Queues and their limits."""
    batch: Batch = Batch.model_construct()
    """Queues and their limits, if the scheduler is not Slurm."""
    deployment: Deployment | None = None
    """Directory for the files of projects."""
    ray: Annotated[Ray, Meta(weight=Weight.TUNING)] = Ray.model_construct()
    """Settings of dagster-slurm's Ray launcher."""
    spark: Annotated[Spark, Meta(weight=Weight.TUNING)] = Spark.model_construct()
    """Settings of dagster-slurm's Spark launcher."""
    filesystems: Mapping[Label, Filesystem] = {}
    """File systems, by name."""
    http_api: HttpApi | None = None
    """HTTP API."""
    # "Does not say" differs from no: `gen show` then prints nothing.
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
    """Whether compute nodes reach the internet; left out if the documentation does not say."""

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
        """Return a machine, then the machines that ssh jumps through, the nearest first.

        `alias` and every `via` may be the alias of a node. The rules refuse a spec whose jumps
        form a circle.
        """
        # A later machine cannot replace an earlier one: the rules refuse two of one alias.
        machines = {machine.alias: machine for machine in self.machines()}
        route = [machines[alias]]
        while via := route[-1].host.via:
            route.append(machines[via])
        return route

    def nodes_with_key_in_home(self) -> list[Compute]:
        """Return the groups of compute nodes that look for the user's key in the home directory."""
        return [nodes for nodes in self.compute.values() if nodes.key_in_home]

    def login_node_rules(self) -> list[str]:
        """Return the rules for programs on login nodes, a sentence each."""
        rules: list[str] = []
        if self.login_nodes.not_for:
            rules.append(f"Login nodes are not for {self.login_nodes.not_for}.")
        if self.login_nodes.remote_editors is False:
            commands = " or ".join(f"ssh {alias}" for alias in self.jobs)
            location = f"in a job ({commands})" if commands else "on a compute node"
            rules.append(f"The remote server of an editor (VS Code) belongs {location}, not there.")
        return rules

    def auth_of(self, entry: Host | Compute) -> Auth:
        """Return the login method of a machine: its own, else that of the site."""
        return entry.auth or self.auth

    def gpu_kinds(self) -> tuple[str, ...]:
        """Return every kind of GPU that the spec names, whatever the scheduler."""
        kinds = [*self.slurm.gpu_kinds(), *self.batch.gpus]
        for queue in self.batch.queues.values():
            if queue.gpu:
                kinds.append(queue.gpu)
            elif queue.gpus_per_node:
                kinds.append(f"{queue.gpus_per_node} per node")
        return tuple(dict.fromkeys(kinds))

    def unverified(self, keys: HostKeys) -> bool:
        """Return whether every source of these host keys is weak.

        gen then pins them only if the user accepts unverified keys.
        """
        return all(self.sources[name].weak for name in keys.source)

    def pinned(self) -> Literal["yes", "in part", "unverified", "no"]:
        """Return which hosts have pinned keys: all, some, only with unverified keys, or none."""
        verified: set[str] = set()
        for keys in self.host_keys.values():
            if keys.has_keys and not self.unverified(keys):
                verified.update(keys.hosts)
        if verified:
            return "yes" if verified.issuperset(self.hosts) else "in part"
        return "unverified" if any(keys.has_keys for keys in self.host_keys.values()) else "no"
