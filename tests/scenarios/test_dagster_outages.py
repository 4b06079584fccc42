"""A run survives an sshd that stops and a Dagster that is killed: one job, and success."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from deployment import Deployment
from deployment import deployment as deployed
from waiting import wait_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.timeout(900),
    # Dagster's own client calls its library in an old way.
    pytest.mark.filterwarnings("ignore:Using variable_values:DeprecationWarning"),
]

ASSETS = '''\
"""A module of the user."""

import os

import dagster as dg

from ..compute import PAYLOADS, Compute


@dg.asset
def lasts(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    duration = {"DURATION": os.environ.get("PAYLOAD_SECONDS", "20")}
    return compute.run(
        context, str(PAYLOADS / "lasts.py"), extra_env=duration
    ).get_materialize_result()


@dg.asset
def shares(context: dg.AssetExecutionContext, compute_ray: Compute) -> dg.MaterializeResult:
    duration = {"DURATION": os.environ.get("PAYLOAD_SECONDS", "20")}
    return compute_ray.run(
        context, str(PAYLOADS / "lasts.py"), extra_env=duration
    ).get_materialize_result()


@dg.asset(deps=[shares])
def shares_too(context: dg.AssetExecutionContext, compute_ray: Compute) -> dg.MaterializeResult:
    return compute_ray.run(
        context, str(PAYLOADS / "lasts.py"), extra_env={"DURATION": "1"}
    ).get_materialize_result()


both = dg.define_asset_job(
    "both", selection=["shares", "shares_too"], executor_def=dg.in_process_executor
)
'''
PAYLOAD = """\
import os
import time
from dagster_pipes import open_dagster_pipes

if "RAY_ADDRESS" in os.environ:
    import ray

    ray.init()
open(os.path.expanduser("~/began"), "w").close()
seconds = int(os.environ["DURATION"])
with open_dagster_pipes() as pipes:
    time.sleep(seconds)
    pipes.report_asset_materialization(metadata={"slept": seconds})
"""


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("e2e"), ASSETS, {"lasts": PAYLOAD}) as deployment:
        yield deployment


def job_is(deployment: Deployment, state: str) -> bool:
    """Return whether a job of the project is pending, or runs and its payload has begun."""
    jobs = deployment.cluster.run("squeue", "--noheader", "--format=%T %j").splitlines()
    found = any(job.startswith(f"{state} dagster_") for job in jobs)
    return found and (state == "PENDING" or began(deployment).exists())


def began(deployment: Deployment) -> Path:
    """Return the file that a payload makes when it begins."""
    return deployment.rig.directory / "began"


def fill_the_node(deployment: Deployment) -> None:
    """Submit a job that takes all CPUs of the node, so that others wait."""
    deployment.cluster.run("sbatch", "--exclusive", "--output=/dev/null", "--wrap", "sleep 900")


def empty_the_node(deployment: Deployment) -> None:
    deployment.cluster.run("scancel", "--name=wrap")


SHARED = "production_supercomputer_run"
"""The deployment in which the Ray assets of a run share one job and one cluster."""


@pytest.mark.parametrize(
    ("asset", "state", "seconds"),
    [
        pytest.param("lasts", "PENDING", 8, id="8 seconds while the job is queued"),
        pytest.param("lasts", "RUNNING", 8, id="8 seconds while the job runs"),
        pytest.param("lasts", "RUNNING", 60, id="60 seconds, in which the job ends"),
        pytest.param("shares", "PENDING", 8, id="8 seconds while an allocation is queued"),
        pytest.param("shares", "RUNNING", 8, id="8 seconds while a step of an allocation runs"),
        pytest.param("shares", "RUNNING", 60, id="60 seconds, in which the step ends"),
    ],
)
def test_a_run_waits_for_ssh_and_its_job_goes_on(
    deployment: Deployment, asset: str, state: str, seconds: int
) -> None:
    began(deployment).unlink(missing_ok=True)
    if state == "PENDING":
        fill_the_node(deployment)
    jobs_before = deployment.number_of_jobs()
    project = deployment.project
    with (
        project.setting(DAGSTER_DEPLOYMENT=deployment_of(asset)),
        ThreadPoolExecutor() as executor,
    ):
        launch = executor.submit(project.launch, asset)
        wait_until(lambda: launch.done() or job_is(deployment, state), seconds=300)
        # The run begins to follow its job.
        time.sleep(4)
        with deployment.rig.stopped(deployment.login_node):
            time.sleep(seconds)
        empty_the_node(deployment)
        result = launch.result()
    assert result.returncode == 0, result.stdout
    if asset == "lasts":
        assert deployment.job("lasts", "State") == ("COMPLETED",)
    assert deployment.number_of_jobs() == jobs_before + 1
    assert project.metadata(asset)["slept"] == 20
    assert result.stdout.count("lost the connection to") == 1
    assert result.stdout.count(" is back after ") == 1


def deployment_of(asset: str) -> str:
    """Return the deployment in which the job of an asset is its own, or an allocation."""
    return SHARED if asset == "shares" else "production_supercomputer"


def test_the_ray_assets_of_a_run_share_one_job(deployment: Deployment) -> None:
    jobs_before = deployment.number_of_jobs()
    with deployment.project.setting(DAGSTER_DEPLOYMENT=SHARED):
        result = deployment.project.launch_job("both")
    assert result.returncode == 0, result.stdout
    assert deployment.number_of_jobs() == jobs_before + 1
    assert deployment.project.metadata("shares")["slept"] == 20
    assert deployment.project.metadata("shares_too")["slept"] == 1


@pytest.mark.parametrize(
    ("asset", "state"),
    [
        pytest.param("lasts", "PENDING", id="a job in the queue"),
        pytest.param("lasts", "RUNNING", id="a job that runs"),
        pytest.param("shares", "PENDING", id="an allocation in the queue"),
        pytest.param("shares", "RUNNING", id="a step of an allocation"),
    ],
)
def test_a_run_whose_process_was_killed_is_started_again_and_adopts_its_job(
    deployment: Deployment, asset: str, state: str
) -> None:
    began(deployment).unlink(missing_ok=True)
    project = deployment.project
    if state == "PENDING":
        fill_the_node(deployment)
    jobs_before = deployment.number_of_jobs()
    runs_before = len(project.runs())
    # A job that runs must still do so when Dagster is back and has noticed.
    seconds = 20 if state == "PENDING" else 100
    with project.setting(PAYLOAD_SECONDS=str(seconds), DAGSTER_DEPLOYMENT=deployment_of(asset)):
        with project.serve() as dagster:
            dagster.submit_job_execution("__ASSET_JOB", asset_selection=[asset])
            wait_until(lambda: job_is(deployment, state), seconds=300)
            # The run notes its job.
            time.sleep(5)

        def adopts() -> bool:
            return (
                len(project.runs()) == runs_before + 2
                and project.runs()[0].status == DagsterRunStatus.STARTED
            )

        def succeeded() -> bool:
            return project.runs()[0].status == DagsterRunStatus.SUCCESS

        log = (project.home / "dagster.log").read_text
        with project.serve():
            wait_until(adopts, log, seconds=400)
            if state == "PENDING":
                assert job_is(deployment, state)
                empty_the_node(deployment)
            wait_until(succeeded, log, seconds=400)
    statuses = [run.status for run in project.runs()[: -runs_before or None]]
    assert statuses == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
    assert deployment.number_of_jobs() == jobs_before + 1
    assert project.metadata(asset)["slept"] == seconds
