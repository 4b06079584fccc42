"""An asset asks for a purpose at a real Slurm that is shaped like MUSICA.

A job that the site forbids stays away from it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from deployment import Deployment
from deployment import deployment as deployed

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

NODE = "CPUs=192 RealMemory=786432 Gres=gpu:4"

ASSETS = '''\
"""A module of the user."""

import dagster as dg

from ..compute import PAYLOADS, Compute

FORBIDDEN = {
    "walltime over the QoS": {"request": "devel", "walltime": "2:00:00"},
    "walltime over the partition": {"request": "gpu", "walltime": "4-0"},
    "a QoS without a partition": {"extra_slurm_opts": {"qos": "normal"}},
    "GPUs": {"request": "gpu", "gpus": 8},
    "memory": {"request": "gpu", "mem": "1T"},
    "CPUs": {"cpus": 193},
    "a QoS for interactive jobs": {"request": "gpu-devel"},
    "nodes": {"request": "devel", "nodes": 3},
    "a purpose": {"request": "tea"},
}


@dg.asset
def trains(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(
        context, str(PAYLOADS / "trains.py"), request="gpu", gpus=1, walltime="2:00:00"
    ).get_materialize_result()


@dg.asset
def asks(context: dg.AssetExecutionContext, compute: Compute) -> None:
    for name, options in FORBIDDEN.items():
        try:
            compute.run(context, str(PAYLOADS / "trains.py"), **options)
        except dg.Failure as failure:
            context.log.info(f"refused {name}: {failure.description}")
'''
TRAINS = """\
import os
from dagster_pipes import open_dagster_pipes

with open_dagster_pipes() as pipes:
    pipes.report_asset_materialization(metadata={"gpus": os.environ["SLURM_GPUS_ON_NODE"]})
"""

MUSICA = "MUSICA (Multi-Site Computer Austria)"
H100 = "the partition zen4_0768_h100x4"
# In each refusal the sources follow in parentheses; tests/compiler/test_job_requests.py has them.
REFUSALS = {
    "walltime over the QoS": "walltime=2:00:00: the QoS dev_zen4_0768 allows 00:10:00",
    "walltime over the partition": f"walltime=4-0: {H100} allows 3-00:00:00",
    "a QoS without a partition": "qos=normal: no partition of the site has it",
    "GPUs": f"gpus=8: a node of {H100} has 4",
    "memory": f"mem=1T: a node of {H100} has 768G",
    "CPUs": f"cpus=193: a node of {H100} has 192",
    "a QoS for interactive jobs": "the QoS dev_zen4_0768_h100x4 is for interactive jobs only",
    "nodes": "nodes=3: the QoS dev_zen4_0768 allows 2",
    "a purpose": f"request='tea': {MUSICA} has default, devel, gpu, gpu-devel",
}


# These take the place of facts in the site's file.
LIMITS = {
    'gpu = "NVIDIA': 'max_walltime = "3-00:00:00"\ngpu = "NVIDIA',
    "[qos.dev_zen4_0768]\n": "[qos.dev_zen4_0768]\nmax_nodes = 2\n",
    '[qos.dev_zen4_0768_h100x4]\npurpose = "devel"': (
        '[qos.dev_zen4_0768_h100x4]\npurpose = "interactive"'
    ),
}


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("requests")
    with deployed(directory, ASSETS, {"trains": TRAINS}, NODE) as user:
        yield user


def test_an_asset_that_asks_for_a_gpu_gets_its_partition_and_its_share_of_a_node(
    deployment: Deployment,
) -> None:
    result = deployment.project.launch("trains")
    assert result.returncode == 0, result.stdout
    queue = deployment.job("trains", "Partition", "QOS", "TimelimitRaw", "State")
    assert queue == ("zen4_0768_h100x4", "zen4_0768_h100x4", "120", "COMPLETED")
    [requested] = deployment.job("trains", "ReqTRES")
    values = dict(part.split("=") for part in requested.split(","))
    assert (values["cpu"], values["mem"], values["gres/gpu"]) == ("48", "172G", "1")
    assert deployment.project.metadata("trains")["gpus"] == "1"
    [job] = deployment.job("trains", "JobID")
    # dagster-slurm gives the options on the command line of sbatch.
    line = deployment.cluster.run(
        "sacct", f"--jobs={job}", "--format=SubmitLine%1000", "--parsable2"
    )
    assert "--gres=gpu:1" in line


@contextmanager
def changed_facts(user: Deployment, changes: Mapping[str, str]) -> Iterator[None]:
    """Replace text in the site's file, to the end of the block.

    MUSICA's documentation has no such limits.
    """
    file = user.project.package / "sites" / "musica.toml"
    facts = file.read_text()
    changed = facts
    for old, new in changes.items():
        assert old in changed
        changed = changed.replace(old, new)
    file.write_text(changed)
    try:
        yield
    finally:
        file.write_text(facts)


def test_nothing_that_the_site_forbids_is_submitted(deployment: Deployment) -> None:
    jobs_before = deployment.number_of_jobs()
    with changed_facts(deployment, LIMITS):
        result = deployment.project.launch("asks")
    assert result.returncode == 0, result.stdout
    for name, reason in REFUSALS.items():
        _, found, message = result.stdout.partition(f"refused {name}: ")
        assert found, result.stdout
        assert reason in message.partition("refused ")[0]
    assert deployment.number_of_jobs() == jobs_before


def test_a_job_without_an_account_is_refused_when_the_project_loads(deployment: Deployment) -> None:
    jobs_before = deployment.number_of_jobs()
    with changed_facts(deployment, {"[sources]": "[rules]\nneeds_account = true\n[sources]"}):
        result = deployment.project.launch("trains")
    assert result.returncode == 1
    assert "account: a job must name one; set SLURM_ACCOUNT in .env" in result.stdout
    assert deployment.number_of_jobs() == jobs_before
