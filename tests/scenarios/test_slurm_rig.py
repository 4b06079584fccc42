"""The Slurm of other tests is real: it has its limits, keeps accounts, and ends with the test."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import slurm as slurm_rig
from slurm import PROGRAMS, Slurm, slurm
from waiting import wait_until

pytestmark = pytest.mark.system

# The names of partitions and QoS at MUSICA.
PARTITIONS = {"zen4_0768": "MaxTime=01:00:00", "zen4_0768_h100x4": "MaxTime=3-00:00:00"}
QOS = {"zen4_0768": "", "dev_zen4_0768": "MaxWall=00:10:00 Flags=DenyOnLimit"}


@pytest.fixture(scope="module")
def started_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm(tmp_path_factory.mktemp("rig"), PARTITIONS, QOS, ("first", "second")) as cluster:
        yield cluster


@pytest.fixture
def cluster(need: Callable[..., None], request: pytest.FixtureRequest) -> Slurm:
    """Return the Slurm that all tests here share, started only where its programs are installed."""
    need(*PROGRAMS, root=True)
    cluster: Slurm = request.getfixturevalue("started_cluster")
    return cluster


def test_the_accounting_records_where_and_how_a_job_ran(cluster: Slurm) -> None:
    assert cluster.run("srun", "--job-name=first", "hostname")
    queue = ("--partition=zen4_0768_h100x4", "--qos=dev_zen4_0768", "--account=second")
    # More than this machine has: the node only promises it.
    resources = ("--gres=gpu:2", "--mem=700G", "--cpus-per-task=96")
    show_gpus = ("sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    output = cluster.run("srun", "--job-name=second", *queue, *resources, *show_gpus)
    assert output == "0,1\n"
    assert cluster.attempt("srun", "--job-name=third", "false").returncode == 1
    assert cluster.jobs("JobName", "Partition", "QOS", "Account", "State", "ExitCode")[-3:] == [
        ("first", "zen4_0768", "zen4_0768", "first", "COMPLETED", "0:0"),
        ("second", "zen4_0768_h100x4", "dev_zen4_0768", "second", "COMPLETED", "0:0"),
        ("third", "zen4_0768", "zen4_0768", "first", "FAILED", "1:0"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--partition=long"], "invalid partition", id="a partition that is missing"),
        pytest.param(["--qos=long"], "Invalid qos", id="a QoS that is missing"),
        pytest.param(["--account=third"], "Invalid account", id="an account that is missing"),
        pytest.param(["--time=2:00:00"], "time limit", id="longer than the partition allows"),
        pytest.param(
            ["--time=20", "--qos=dev_zen4_0768"],
            "QOSMaxWallDurationPerJobLimit",
            id="longer than the QoS allows",
        ),
        pytest.param(
            ["--gres=gpu:5"],
            "node configuration is not available",
            id="more GPUs than the node has",
        ),
    ],
)
def test_a_job_that_a_site_would_refuse_is_refused(
    cluster: Slurm, options: list[str], message: str
) -> None:
    result = cluster.attempt("srun", *options, "true")
    assert result.returncode == 1
    assert message in result.stderr


def start_sleep(cluster: Slurm, seconds: str) -> None:
    """Submit a job that starts a process in its own session, and wait until the process runs."""
    # In its own session the process would outlive all daemons, if the namespace did not end it.
    cluster.run("sbatch", "--output=/dev/null", "--wrap", f"setsid sleep {seconds} & wait")
    wait_until(lambda: sleeps(seconds), lambda: cluster.run("squeue"))


def sleeps(seconds: str) -> bool:
    """Return whether a process sleeps for this many seconds."""
    command = ["pgrep", "--full", "--exact", f"sleep {seconds}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def short_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a shorter path than `tmp_path`: that of a socket is limited."""
    return tmp_path_factory.mktemp("rig")


def test_two_run_side_by_side_and_end_with_the_block(
    need: Callable[..., None], short_directory: Path
) -> None:
    need(*PROGRAMS, "pgrep", root=True)
    # A length of sleep that no other test run uses, to find the process by.
    seconds = f"{os.getpid()}.25"
    nodes = ("sinfo", "--noheader", "--format=%R %T")
    with slurm(short_directory, {"one": ""}, {"normal": ""}, name="one") as first:
        with slurm(short_directory, {"two": ""}, {"normal": ""}, name="two") as second:
            start_sleep(second, seconds)
            assert first.run(*nodes) == "one idle\n"
            assert second.run(*nodes) == "two mixed\n"
        assert not sleeps(seconds)
        assert first.run("srun", "echo", "still here") == "still here\n"


SCRIPT = """\
import sys
from pathlib import Path
from slurm import slurm

with slurm(Path(sys.argv[1]), {"one": ""}, {"normal": ""}) as cluster:
    print(cluster.conf, flush=True)
    input()
"""


def test_it_ends_with_a_test_that_is_killed(
    need: Callable[..., None], short_directory: Path
) -> None:
    need(*PROGRAMS, "pgrep", root=True)
    # A length that the test above does not use.
    seconds = f"{os.getpid()}.75"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(short_directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(slurm_rig.__file__).parent)},
    ) as test:
        assert test.stdout
        conf = test.stdout.readline().strip()
        start_sleep(Slurm(Path(conf)), seconds)
        # SIGKILL leaves the test no time to end the daemons itself.
        test.kill()
    wait_until(lambda: not sleeps(seconds))
