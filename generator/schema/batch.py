"""The queues of a site whose scheduler is not Slurm.

gen shows them; dagster-slurm cannot submit to them.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from generator.schema.base import Fact, Several
from generator.schema.meta import Meta, Weight
from generator.schema.slurm import Accounts, Purpose
from generator.schema.text_types import Command, Count, Label, Memory, Text, Walltime

Scheduler = Literal["slurm", "pbs", "lsf", "flux", "sge", "htcondor", "pjm", "none"]

SCHEDULER_NAMES: Mapping[str, str] = {
    "slurm": "Slurm",
    "pbs": "PBS",
    "lsf": "LSF",
    "flux": "Flux",
    "sge": "Grid Engine",
    "htcondor": "HTCondor",
    "pjm": "Fujitsu PJM",
    "none": "none",
}
WITHOUT_SLURM = "gen leaves out SLURM_* variables and the Dagster project, which need Slurm"
"""Remark about a site with another scheduler."""


class Queue(Fact):
    """A queue, its nodes and its limits."""

    purpose: Purpose | None = None
    """Purpose, if it has only one."""
    default: bool = False
    """True if the scheduler uses it for jobs that name none."""
    cores: Count | None = None
    """Number of CPU cores of a node."""
    mem: Annotated[Memory | None, Meta(label="memory")] = None
    """Memory of a node."""
    gpu: Annotated[Text | None, Meta(weight=Weight.PROSE, label="GPU")] = None
    """Kind of GPU, in the words of the site's documentation."""
    gpus_per_node: Annotated[int, Field(ge=0, le=1024), Meta(label="GPUs per node")] = 0
    """Number of GPUs of a node."""
    min_nodes: Count | None = None
    """Smallest number of nodes of a job."""
    max_nodes: Count | None = None
    """Largest number of nodes of a job."""
    max_walltime: Walltime | None = None
    """Longest time limit."""


class Batch(Fact):
    """The queues of a site without Slurm, and how jobs get there."""

    submit: Annotated[Command | None, Meta(weight=Weight.TRUST)] = None
    """Command that submits a job."""
    queues: Mapping[Label, Queue] = {}
    """Queues, by name."""
    gpus: Annotated[Several[Text], Meta(label="GPUs")] = ()
    """Kinds of GPU, in the words of the site's documentation, if its queues do not name them."""
    accounts: Accounts = Accounts.model_construct()
    """Rules for accounts."""
