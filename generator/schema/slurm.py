"""What a job may ask for: partitions, QoS, walltimes, accounts."""

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

Purpose = Literal["devel", "production"]


class Request(Model):
    """What a job asks for when nobody says otherwise."""

    partition: Partitions | None = None
    """Partition (`--partition`), or several with commas between; none where the scheduler picks."""
    qos: Annotated[Label | None, Meta(label="QoS")] = None
    """QoS (`--qos`); the first of the partition's when left out."""
    walltime: Walltime | None = None
    """Time limit (`--time`)."""
    nodes: Count | None = None
    """Number of nodes (`--nodes`)."""
    cpus: Count | None = None
    """CPUs for a task (`--cpus-per-task`)."""
    mem: Annotated[Memory | None, Meta(label="memory")] = None
    """Memory of a node (`--mem`)."""
    mem_per_cpu: Annotated[Memory | None, Meta(label="memory per CPU")] = None
    """Memory for a CPU (`--mem-per-cpu`); not together with `mem`."""
    gpus_per_node: Annotated[
        Annotated[int, Field(ge=0, le=1024)] | None, Meta(label="GPUs per node")
    ] = None
    """GPUs of a node (`--gres=gpu:N`)."""
    constraint: Label | None = None
    """Feature that the nodes must have (`--constraint`)."""
    reservation: Label | None = None
    """Reservation (`--reservation`), when administrators gave one."""
    signal: Signal | None = None
    """Signal before the time limit (`--signal`)."""


class Limit(Model):
    """A walltime that depends on the size of a job."""

    walltime: Walltime
    """Longest walltime for jobs of that size."""
    min_nodes: Count | None = None
    """Smallest such job, in nodes."""
    max_nodes: Count | None = None
    """Largest such job, in nodes."""
    max_gpus: Count | None = None
    """Largest such job, in GPUs."""


class Partition(Fact):
    """A partition, with the QoS that may be paired with it."""

    qos: Annotated[Several[Label], Meta(label="QoS")] = ()
    """QoS that jobs here may use, the usual one first."""
    purpose: Purpose | None = None
    """What it is for, where it is for one thing only."""
    default: bool = False
    """Slurm takes it when a job names none."""
    named: Annotated[bool, Meta(label="to be named")] = True
    """False where a job must not name it: the scheduler routes by resources or by login host."""
    cores: Count | None = None
    """CPU cores of a node."""
    mem: Annotated[Memory | None, Meta(label="memory")] = None
    """Memory of a node."""
    gpu: Annotated[Text | None, Meta(weight=Weight.PROSE, label="GPU")] = None
    """Kind of GPU, in the site's words."""
    gpus_per_node: Annotated[int, Field(ge=0, le=1024), Meta(label="GPUs per node")] = 0
    """GPUs of a node."""
    gres: Annotated[Label | None, Meta(label="GRES type")] = None
    """GPU type as `--gres=gpu:TYPE:N` wants it."""
    nodes: Count | None = None
    """How many nodes there are."""
    min_nodes: Count | None = None
    """Smallest job, in nodes."""
    max_nodes: Count | None = None
    """Largest job, in nodes."""
    allocation: Literal["core", "gpu", "node"] | None = None
    """The smallest unit that is given to a job."""
    cores_per_gpu: Annotated[Count | None, Meta(label="cores per GPU")] = None
    """Cores that come with each GPU, where the ratio is fixed."""
    default_walltime: Walltime | None = None
    """Time limit of a job that names none."""
    min_walltime: Walltime | None = None
    """Shortest time limit."""
    max_walltime: Walltime | None = None
    """Longest time limit."""
    limits: Several[Limit] = ()
    """Time limits that depend on the size of the job."""
    max_node_minutes: Count | None = None
    """Largest job, in nodes times minutes."""
    architecture: Annotated[Architecture | None, Meta(label="processor")] = None
    """Processor, where the site has several."""
    accounts: Annotated[Several[Label], Meta(unit=frozenset)] = ()
    """Accounts that may use it, where not all may."""
    submit_from: Alias | None = None
    """Alias of the login host that jobs must be submitted from."""
    submit_with: Annotated[Command | None, Meta(weight=Weight.TRUST)] = None
    """Command that submits, where it is not sbatch."""


class Qos(Fact):
    """Limits and purpose of a QoS."""

    purpose: Purpose | None = None
    """What it is for."""
    default: bool = False
    """Slurm takes it when a job names none."""
    max_walltime: Walltime | None = None
    """Longest time limit."""
    max_nodes: Count | None = None
    """Largest job, in nodes."""
    accounts: Annotated[Several[Label], Meta(unit=frozenset)] = ()
    """Accounts that may use it, where not all may."""
    preemptible: bool = False
    """Its jobs may be stopped for others."""


class AccountNeeds(Model):
    """What else a job must name when it is charged to an account."""

    needs: Annotated[Several[Literal["wckey", "reservation", "qos"]], Meta(unit=frozenset)] = ()
    """Options that must be given as well."""
    note: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """What the account is for."""


class Accounts(Fact):
    """Rules for the account that a job is charged to (`--account`)."""

    required: Annotated[
        bool | None,
        Meta(sentences={True: "jobs must name an account", False: "jobs need not name an account"}),
    ] = None
    """Whether jobs must name one; left out when the site does not say."""
    default: Label | None = None
    """The account of a job that names none."""
    form: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """How the site's account names look (`project_<id>`)."""
    known: Mapping[Label, AccountNeeds] = {}
    """Accounts that are the same for everybody."""


class Slurm(Request, Fact):
    """The queues of a site. The request fields at this level are what jobs ask for by default."""

    devel: Request = Request.model_construct()
    """What differs in a job that tries something out."""
    partitions: Mapping[Label, Partition] = {}
    """The partitions, by name."""
    qos_limits: Mapping[Label, Qos] = {}
    """The QoS, by name."""
    gpus: Annotated[Several[Text], Meta(label="GPUs")] = ()
    """Kinds of GPU, in the site's words, where its partitions don't tell."""
    accounts: Accounts = Accounts.model_construct()
    """Rules for accounts."""
    clusters: Label | None = None
    """Cluster to submit to (`--clusters`), where one login host serves several."""
    routed: Annotated[bool, Meta(sentences={True: "jobs name no partition"})] = False
    """True where jobs name no partition and the scheduler picks one."""
    qos_required: Annotated[bool, Meta(sentences={True: "jobs must name a QoS"})] = False
    """True where jobs must name a QoS."""
    reservations: Text | None = None
    """How reservations are had."""
    ignored_options: Annotated[Several[Option], Meta(unit=frozenset)] = ()
    """Options of sbatch that the site ignores."""
    forbidden_options: Annotated[Several[Option], Meta(unit=frozenset)] = ()
    """Options of sbatch that the site refuses."""

    def gpu_kinds(self) -> tuple[str, ...]:
        """Return every kind of GPU that is known."""
        named = (
            part.gpu or f"{part.gpus_per_node} per node"
            for part in self.partitions.values()
            if _has_gpu(part)
        )
        return tuple(dict.fromkeys([*self.gpus, *named]))

    def chosen_qos(self, request: Request) -> str | None:
        """Return the QoS of a request: the one it names, else the first of its partition's."""
        if request.qos:
            return request.qos
        partition = self.partitions.get(
            (request.partition or self.partition or "").partition(",")[0]
        )
        return partition.qos[0] if partition and partition.qos else None


def _has_gpu(partition: Partition) -> bool:
    return bool(partition.gpu or partition.gpus_per_node)
