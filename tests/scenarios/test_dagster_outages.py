"""A run and its job survive an sshd that stops and a Dagster that is killed: one job, and success."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from deployment import PROGRAMS, Deployment
from deployment import deployment as deployed
from waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(900)]

ASSETS = '''\
"""A module of the user."""

import dagster as dg

from ..compute import PAYLOADS, Compute


@dg.asset
def lasts(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "lasts.py")).get_materialize_result()
'''
PAYLOAD = """\
import time
from dagster_pipes import open_dagster_pipes

with open_dagster_pipes() as pipes:
    time.sleep(20)
    pipes.report_asset_materialization(metadata={"slept": 20})
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
