"""`dg launch` runs the assets of a project as jobs on a real Slurm, over ssh with certificates."""

from collections.abc import Iterator

import pytest
from deployment import OPEN_FILES, Deployment
from deployment import deployment as deployed
from sshd import TEST_USER

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

PRODUCTION = ("zen4_0768_h100x4", "zen4_0768_h100x4")
DEVEL = ("zen4_0768", "dev_zen4_0768")

TRIAL = '''\
"""A module of the user."""

import dagster as dg
import dagster_slurm as ds

from ..compute import PAYLOADS, Compute

# The installed dagster-slurm, except that it waits five seconds for a job and not one hour.
run = ds.ComputeResource.run
run.__defaults__ = tuple(5 if value == 3600 else value for value in run.__defaults__)


@dg.asset
def fails(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "fails.py")).get_materialize_result()


@dg.asset
def lasts(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "lasts.py")).get_materialize_result()


@dg.asset
def lasts_for_dagster_slurm(
    context: dg.AssetExecutionContext, compute: Compute
) -> dg.MaterializeResult:
    """Run `lasts` without the changes that the project makes to dagster-slurm."""
    return run(compute, context, str(PAYLOADS / "lasts.py")).get_materialize_result()
'''
LASTS = """\
import time
from dagster_pipes import open_dagster_pipes

time.sleep(15)
with open_dagster_pipes() as pipes:
    pipes.report_asset_materialization(metadata={"slept": 15})
"""


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    payloads = {"fails": "raise SystemExit('nothing works')\n", "lasts": LASTS}
    with deployed(tmp_path_factory.mktemp("e2e"), TRIAL, payloads) as deployment:
        yield deployment


def test_both_assets_run_as_jobs_in_the_partition_and_qos_of_the_site(
    deployment: Deployment,
) -> None:
    result = deployment.project.launch("corpus", "complexity")
    assert result.returncode == 0, result.stdout
    for asset in ("corpus", "complexity"):
        assert deployment.job(asset, "Partition", "QOS", "State") == (*PRODUCTION, "COMPLETED")
    # The time limit of its own; the other asset has that of the queue.
    assert deployment.job("corpus", "TimelimitRaw") == ("5",)
    assert deployment.project.metadata("corpus")["modules"] > 1000
    assert deployment.project.metadata("complexity")["functions"] > 10000
    assert deployment.project.metadata("complexity")["open_files"] == OPEN_FILES
    [job] = deployment.job("complexity", "JobID")
    script = deployment.cluster.run("sacct", f"--jobs={job}", "--batch-script")
    assert "--include-dashboard=false" in script
    # Dagster builds the resource again for each run; the renewal before a connection stays.
    assert set(deployment.gen_calls.read_text().splitlines()) == {"refresh musica"}


def test_a_failing_job_fails_and_a_job_longer_than_dagster_slurm_waits_succeeds(
    deployment: Deployment,
) -> None:
    # dagster-slurm waits five seconds here (TRIAL), and the jobs last fifteen.
    # Staging uses the queue for development, whose limits are in QOS.
    with deployment.project.setting(DAGSTER_DEPLOYMENT="staging_supercomputer"):
        result = deployment.project.launch("fails", "lasts", "lasts_for_dagster_slurm")
    assert result.returncode == 1
    assert "nothing works" in result.stdout
    assert deployment.job("fails", "Partition", "QOS", "State") == (*DEVEL, "FAILED")
    assert deployment.job("lasts", "Partition", "QOS", "State") == (*DEVEL, "COMPLETED")
    assert deployment.project.metadata("lasts")["slept"] == 15
    assert "Timed out after 5s" in result.stdout
    assert deployment.job("lasts_for_dagster_slurm", "State")[0].startswith("CANCELLED")


def test_a_machine_with_another_host_key_is_refused_with_the_reason(
    deployment: Deployment,
) -> None:
    # An impostor at another port of the same host: pinned by an authority, it has no certificate.
    impostor = deployment.rig.serve("impostor", ["ed25519-other"])
    jobs_before = deployment.number_of_jobs()
    with deployment.project.setting(SLURM_EDGE_NODE_PORT=str(impostor.port)):
        result = deployment.project.launch("corpus")
    assert result.returncode == 1
    assert "Host key verification failed" in result.stdout
    assert impostor.logins() == []
    assert deployment.number_of_jobs() == jobs_before


def test_a_shared_connection_with_too_long_a_path_fails_before_the_job_starts(
    deployment: Deployment,
) -> None:
    # dagster-slurm ignores the suffix that ssh adds to the path. Without the check of the project
    # it would run the job, and get no output.
    name = f"cm-{TEST_USER.pw_name}@localhost:{deployment.login_node.port}"
    home = deployment.project.home
    # 95 bytes fit into the 108 of a socket (unix(7)); with the suffix of ssh they do not.
    directory = home / ("x" * (95 - len(f"{home}//{name}")))
    jobs_before = deployment.number_of_jobs()
    with deployment.project.setting(DAGSTER_SLURM_SSH_CONTROL_DIR=str(directory)):
        result = deployment.project.launch("corpus")
    assert result.returncode == 1
    assert (
        f"{name}: too long for ssh; set DAGSTER_SLURM_SSH_CONTROL_DIR to a shorter directory"
        in result.stdout
    )
    assert deployment.number_of_jobs() == jobs_before
