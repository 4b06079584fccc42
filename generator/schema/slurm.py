"""The queues of a site: partitions, QoS, walltimes, accounts."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from generator.schema.base import Fact, Model, Several
from generator.schema.hosts import Architecture
from generator.schema.meta import Meta, Weight
from generator.schema.text_types import (
    Alias,
    Command,
    Count,
    Label,
    Memory,
    Option,
    Partitions,
    Signal,
    Text,
    Walltime,
)

Purpose = Literal["devel", "production", "interactive"]


class Request(Model):
    """The resources that a job requests by default."""

    partition: Partitions | None = None
    """Partition (`--partition`), or several with commas; left out if the scheduler chooses."""
    qos: Annotated[Label | None, Meta(label="QoS")] = None
    """QoS (`--qos`); by default the first QoS of the partition."""
    walltime: Walltime | None = None
    """Time limit (`--time`)."""
    nodes: Count | None = None
    """Number of nodes (`--nodes`)."""
    cpus: Count | None = None
    """Number of CPUs for a task (`--cpus-per-task`)."""
    mem: Annotated[Memory | None, Meta(label="memory")] = None
    """Memory on a node (`--mem`)."""
    mem_per_cpu: Annotated[Memory | None, Meta(label="memory per CPU")] = None
    """Memory for a CPU (`--mem-per-cpu`); not together with `mem`."""
    gpus_per_node: Annotated[
        Annotated[int, Field(ge=0, le=1024)] | None, Meta(label="GPUs per node")
    ] = None
    """Number of GPUs on a node (`--gres=gpu:N`)."""
    constraint: Label | None = None
    """Feature that the nodes must have (`--constraint`)."""
    reservation: Label | None = None
    """Reservation (`--reservation`), if administrators gave one."""
    signal: Signal | None = None
    """Signal before the time limit (`--signal`)."""


class Limit(Model):
    """A limit of the walltime for jobs of some size."""

    walltime: Walltime
    """Longest walltime for jobs of this size."""
    min_nodes: Count | None = None
    """Smallest number of nodes."""
    max_nodes: Count | None = None
    """Largest number of nodes."""
    max_gpus: Count | None = None
    """Largest number of GPUs."""


class Partition(Fact):
    """A partition, its nodes and its limits."""

    qos: Annotated[Several[Label], Meta(label="QoS")] = ()
    """QoS that jobs may use here, the usual one first."""
    purpose: Purpose | None = None
    """Purpose, if it has only one."""
    default: bool = False
    """True if Slurm uses it for jobs that name none."""
    # Some sites route jobs by their resources, and refuse a partition in a request.
    named: Annotated[bool, Meta(label="to be named")] = True
    """False if jobs must not name it: the scheduler chooses it by resources or by login host."""
    cores: Count | None = None
    """Number of CPU cores of a node."""
    mem: Annotated[Memory | None, Meta(label="memory")] = None
    """Memory of a node."""
    gpu: Annotated[Text | None, Meta(weight=Weight.PROSE, label="GPU")] = None
    """Kind of GPU, in the words of the site's documentation."""
    gpus_per_node: Annotated[int, Field(ge=0, le=1024), Meta(label="GPUs per node")] = 0
    """Number of GPUs of a node."""
    gres: Annotated[Label | None, Meta(label="GRES type")] = None
    """GPU type for `--gres=gpu:TYPE:N`."""
    nodes: Count | None = None
    """Number of nodes."""
    min_nodes: Count | None = None
    """Smallest number of nodes of a job."""
    max_nodes: Count | None = None
    """Largest number of nodes of a job."""
    allocation: Literal["core", "gpu", "node"] | None = None
    """Smallest unit that Slurm allocates to a job."""
    cores_per_gpu: Annotated[Count | None, Meta(label="cores per GPU")] = None
    """Number of cores for each GPU, if the ratio is fixed."""
    default_walltime: Walltime | None = None
    """Time limit of jobs that name none."""
    min_walltime: Walltime | None = None
    """Shortest time limit."""
    max_walltime: Walltime | None = None
    """Longest time limit."""
    limits: Several[Limit] = ()
    """Time limits that depend on the size of a job."""
    max_node_minutes: Count | None = None
    """Largest product of nodes and minutes of a job."""
    architecture: Annotated[Architecture | None, Meta(label="processor")] = None
    """Processor, if the site has several kinds."""
    accounts: Annotated[Several[Label], Meta(unit=frozenset)] = ()
    """Accounts that may use it, if not all may."""
    submit_from: Alias | None = None
    """Alias of the login host that jobs must be submitted from."""
    submit_with: Annotated[Command | None, Meta(weight=Weight.TRUST)] = None
    """Command that submits jobs, if it is not sbatch."""


class Qos(Fact):
    """A QoS: its purpose and limits."""

    purpose: Purpose | None = None
    """Purpose."""
    default: bool = False
    """True if Slurm uses it for jobs that name none."""
    max_walltime: Walltime | None = None
    """Longest time limit."""
    max_nodes: Count | None = None
    """Largest number of nodes of a job."""
    accounts: Annotated[Several[Label], Meta(unit=frozenset)] = ()
    """Accounts that may use it, if not all may."""
    preemptible: bool = False
    """True if Slurm may stop its jobs for others."""


class AccountNeeds(Model):
    """Further options that jobs of an account need."""

    needs: Annotated[Several[Literal["wckey", "reservation", "qos"]], Meta(unit=frozenset)] = ()
    """Options that a job must have too."""
    note: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Purpose of the account."""


class Accounts(Fact):
    """Rules for the accounts that pay for jobs (`--account`)."""

    required: Annotated[
        bool | None,
        Meta(sentences={True: "jobs must name an account", False: "jobs need not name an account"}),
    ] = None
    """Whether jobs must name an account; left out if the site's documentation does not say."""
    default: Label | None = None
    """Account of jobs that name none."""
    form: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Form of the account names (`project_<id>`)."""
    known: Mapping[Label, AccountNeeds] = {}
    """Accounts that are the same for all users."""


class Slurm(Request, Fact):
    """The queues of a site.

    The fields at this level that a request has too are the defaults of all jobs.
    """

    devel: Request = Request.model_construct()
    """Defaults that differ for development jobs."""
    partitions: Mapping[Label, Partition] = {}
    """Partitions, by name."""
    qos_limits: Mapping[Label, Qos] = {}
    """QoS, by name."""
    gpus: Annotated[Several[Text], Meta(label="GPUs")] = ()
    """Kinds of GPU, in the words of the site, if its partitions do not name them."""
    accounts: Accounts = Accounts.model_construct()
    """Rules for accounts."""
    clusters: Label | None = None
    """Cluster to submit to (`--clusters`), if one login host serves several."""
    routed: Annotated[bool, Meta(sentences={True: "jobs name no partition"})] = False
    """True if jobs name no partition and the scheduler chooses one."""
    qos_required: Annotated[bool, Meta(sentences={True: "jobs must name a QoS"})] = False
    """True if jobs must name a QoS."""
    reservations: Text | None = None
    """How users get a reservation."""
    ignored_options: Annotated[Several[Option], Meta(unit=frozenset)] = ()
    """Options of sbatch that the site ignores."""
    forbidden_options: Annotated[Several[Option], Meta(unit=frozenset)] = ()
    """Options of sbatch that the site refuses."""

    def gpu_kinds(self) -> tuple[str, ...]:
        """Return every kind of GPU that the spec names."""
        kinds = list(self.gpus)
        for partition in self.partitions.values():
            if partition.gpu:
                kinds.append(partition.gpu)
            elif partition.gpus_per_node:
                kinds.append(f"{partition.gpus_per_node} per node")
        return tuple(dict.fromkeys(kinds))

    def chosen_qos(self, request: Request) -> str | None:
        """Return the QoS of a request: its own, else the first one of its partition for sbatch."""
        if request.qos:
            return request.qos
        # Of several partitions Slurm takes the one that starts the job first (sbatch(1),
        # --partition), so no QoS is right for all of them: that of the first is taken.
        names = (request.partition or self.partition or "").split(",")
        partition = self.partitions.get(names[0])
        if partition is None or not partition.qos:
            return None
        for qos in partition.qos:
            limits = self.qos_limits.get(qos)
            if limits is None or limits.purpose != "interactive":
                return qos
        # A project refuses jobs in it, and says why.
        return partition.qos[0]
