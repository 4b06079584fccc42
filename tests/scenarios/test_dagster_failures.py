"""A run that fails says why, keeps the files of its job, and starts again only where that helps."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster_graphql import DagsterGraphQLClient
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

import dagster as dg

from ..compute import PAYLOADS, Compute


@dg.asset
def fails(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "fails.py")).get_materialize_result()


@dg.asset
def waits(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "fails.py")).get_materialize_result()


@dg.asset
def talks(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "talks.py")).get_materialize_result()


@dg.asset
def is_refused(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    options = {"reservation": "a-holiday"}
    return compute.run(
        context, str(PAYLOADS / "fails.py"), extra_slurm_opts=options
    ).get_materialize_result()
'''
PAYLOAD = """\
from dagster_pipes import open_dagster_pipes

def divide():
    return 1 / 0

with open_dagster_pipes() as pipes:
    print("a line of the log")
    divide()
"""
# 20,000 lines of 1.6 MB, of which the last ones are printed when the payload has reported already.
TALKS = """\
from dagster_pipes import open_dagster_pipes

with open_dagster_pipes() as pipes:
    for number in range(19000):
        print(f"line {number:05} {'x' * 70}")
    pipes.report_asset_materialization(metadata={"lines": 20000})
for number in range(19000, 20000):
    print(f"line {number:05} {'x' * 70}")
"""


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    payloads = {"fails": PAYLOAD, "talks": TALKS}
    with deployed(tmp_path_factory.mktemp("e2e"), ASSETS, payloads) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def dagster(started_deployment: Deployment) -> Iterator[DagsterGraphQLClient]:
    """Run Dagster with its daemon, which starts failed runs again."""
    with started_deployment.project.serve() as client:
        yield client


def failure_of_newest_run(deployment: Deployment) -> str:
    """Return the message of the event with which the step of the newest run failed."""
    with DagsterInstance.from_config(str(deployment.project.dagster_home)) as instance:
        [run] = instance.get_runs(limit=1)
        [event] = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_FAILURE)
    assert event.dagster_event
    error = event.dagster_event.step_failure_data.error
    assert error
    return error.to_string()


def test_the_event_of_a_failed_job_has_the_traceback_and_the_log_and_the_files_are_kept(
    deployment: Deployment,
) -> None:
    assert deployment.project.launch("fails").returncode == 1
    message = failure_of_newest_run(deployment)
    assert "Final state: FAILED" in message
    assert "in divide\n    return 1 / 0" in message
    assert "ZeroDivisionError: division by zero" in message
    assert "The last lines of slurm-" in message
    assert "a line of the log" in message
    [directory] = deployment.job("fails", "WorkDir")
    kept = {path.name for path in Path(directory).iterdir()}
    assert {"job.sh", "fails.py", "messages.jsonl"} <= kept
    assert any(name.startswith("slurm-") for name in kept)


def test_each_line_of_a_long_log_arrives_once(deployment: Deployment) -> None:
    result = deployment.project.launch("talks")
    assert result.returncode == 0, result.stdout[-5000:]
    assert deployment.project.metadata("talks")["lines"] == 20000
    numbers = [int(number) for number in re.findall(r"line (\d{5}) x{70}", result.stdout)]
    assert sorted(numbers) == list(range(20000))


def test_a_run_logs_in_once_also_after_a_shared_connection_that_was_killed(
    deployment: Deployment,
) -> None:
    # The connection of this run ends with its namespace, and leaves its socket.
    deployment.project.launch("fails")
    logins_before = len(deployment.login_node.logins())
    deployment.project.launch("fails")
    assert len(deployment.login_node.logins()) == logins_before + 1


def test_a_run_says_why_its_job_waits_and_fails_at_once_if_it_would_wait_forever(
    deployment: Deployment,
) -> None:
    cluster = deployment.cluster
    # A job that takes all CPUs of the node.
    cluster.run("sbatch", "--exclusive", "--output=/dev/null", "--wrap", "sleep 600")
    name = "--name=dagster_waits"
    try:
        with ThreadPoolExecutor() as executor:
            launch = executor.submit(deployment.project.launch, "waits")
            wait_until(lambda: cluster.run("squeue", "--noheader", "--states=PENDING", name))
            time.sleep(6)
            cluster.run(
                *("scontrol", "update", "PartitionName=zen4_0768_h100x4", "AllowQos=normal")
            )
            result = launch.result(timeout=120)
    finally:
        cluster.run("scancel", "--name=wrap")
        cluster.run("scontrol", "update", "PartitionName=zen4_0768_h100x4", "AllowQos=ALL")
    assert result.returncode == 1
    assert result.stdout.count(" waits: Resources") == 1
    assert "would wait forever: PartitionConfig" in failure_of_newest_run(deployment)
    assert deployment.job("waits", "State")[0].startswith("CANCELLED")


@pytest.mark.parametrize(
    ("asset", "tags", "expected_jobs"),
    [
        pytest.param("fails", {}, [1], id="a payload that fails"),
        pytest.param("is_refused", {}, [0], id="a submission that Slurm refuses"),
        pytest.param(
            "fails",
            {"dagster/max_retries": "1", "dagster/retry_on_asset_or_op_failure": "true"},
            [1, 1],
            id="a payload that fails, in a run that asks for another try",
        ),
    ],
)
def test_dagster_starts_a_failed_run_again_only_if_the_run_asks_for_it(
    deployment: Deployment,
    dagster: DagsterGraphQLClient,
    asset: str,
    tags: dict[str, str],
    expected_jobs: list[int],
) -> None:
    project = deployment.project
    jobs_before = deployment.number_of_jobs()
    runs_before = len(project.runs())
    dagster.submit_job_execution("__ASSET_JOB", asset_selection=[asset], tags=tags)
    expected_runs = runs_before + len(expected_jobs)

    def all_failed() -> bool:
        runs = project.runs()
        failed = runs[0].status == DagsterRunStatus.FAILURE
        # Dagster notes at the end of a run whether it will start the run again.
        return len(runs) == expected_runs and failed and "dagster/will_retry" in runs[0].tags

    wait_until(all_failed, lambda: str(project.runs()[0]), seconds=300)
    assert project.runs()[0].tags["dagster/will_retry"] == "false"
    assert deployment.number_of_jobs() == jobs_before + sum(expected_jobs)
    if asset == "is_refused":
        assert "Requested reservation is invalid" in failure_of_newest_run(deployment)
    if len(expected_jobs) == 2:
        (first, _, end), (second, start, _) = deployment.cluster.jobs("WorkDir", "Start", "End")[
            -2:
        ]
        assert first != second
        assert end <= start
