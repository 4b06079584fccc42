"""A run survives an sshd that stops and a Dagster that is killed: one job, and success."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from dagster import DagsterRunStatus
from deployment import PROGRAMS, Deployment
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
'''
PAYLOAD = """\
import os
import time
from dagster_pipes import open_dagster_pipes

seconds = int(os.environ["DURATION"])
with open_dagster_pipes() as pipes:
    time.sleep(seconds)
    pipes.report_asset_materialization(metadata={"slept": seconds})
"""


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("e2e"), ASSETS, {"lasts": PAYLOAD}) as deployment:
        yield deployment


@pytest.fixture
def deployment(need: Callable[..., None], request: pytest.FixtureRequest) -> Deployment:
    """Return the deployment that all tests share, started only where its programs are installed."""
    need(*PROGRAMS, root=True)
    deployment: Deployment = request.getfixturevalue("started_deployment")
    return deployment


def state_of(deployment: Deployment, asset: str) -> str:
    """Return the state of the job of an asset in the queue, or nothing."""
    name = f"--name=dagster_{asset}"
    return deployment.cluster.run("squeue", "--noheader", "--format=%T", name).strip()


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        pytest.param("PENDING", 8, id="8 seconds while the job is queued"),
        pytest.param("RUNNING", 8, id="8 seconds while the job runs"),
        pytest.param("RUNNING", 60, id="60 seconds, in which the job ends"),
    ],
)
def test_a_run_waits_for_ssh_and_its_job_goes_on(
    deployment: Deployment, state: str, seconds: int
) -> None:
    if state == "PENDING":
        # A job that takes all CPUs of the node.
        deployment.cluster.run("sbatch", "--exclusive", "--output=/dev/null", "--wrap", "sleep 600")
    jobs_before = deployment.number_of_jobs()
    with ThreadPoolExecutor() as executor:
        launch = executor.submit(deployment.project.launch, "lasts")
        wait_until(lambda: launch.done() or state_of(deployment, "lasts") == state)
        # The run begins to follow its job.
        time.sleep(4)
        with deployment.rig.stopped(deployment.login_node):
            time.sleep(seconds)
        deployment.cluster.run("scancel", "--name=wrap")
        result = launch.result()
    assert result.returncode == 0, result.stdout
    assert deployment.job("lasts", "State") == ("COMPLETED",)
    assert deployment.number_of_jobs() == jobs_before + 1
    assert deployment.project.metadata("lasts")["slept"] == 20
    assert result.stdout.count("lost the connection to") == 1
    assert result.stdout.count(" is back after ") == 1


def test_a_run_whose_process_was_killed_is_started_again_and_adopts_its_job(
    deployment: Deployment,
) -> None:
    project = deployment.project
    jobs_before = deployment.number_of_jobs()
    runs_before = len(project.runs())
    with project.setting(PAYLOAD_SECONDS="100"):
        with project.serve() as dagster:
            dagster.submit_job_execution("__ASSET_JOB", asset_selection=["lasts"])
            wait_until(lambda: state_of(deployment, "lasts") == "RUNNING", seconds=300)
            # The run notes its job.
            time.sleep(5)

        def succeeded() -> bool:
            return project.runs()[0].status == DagsterRunStatus.SUCCESS

        with project.serve():
            wait_until(succeeded, (project.home / "dagster.log").read_text, seconds=400)
    statuses = [run.status for run in project.runs()[: -runs_before or None]]
    assert statuses == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
    assert deployment.number_of_jobs() == jobs_before + 1
    assert project.metadata("lasts")["slept"] == 100
