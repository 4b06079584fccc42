"""The Slurm that other tests run on is one: it has the limits it was given, keeps the books, and is gone afterwards."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm import PROGRAMS, Slurm, slurm

pytestmark = pytest.mark.system

PARTITIONS = {"zen4_0768": "MaxTime=01:00:00", "zen4_0768_h100x4": "MaxTime=3-00:00:00"}
QOS = {"zen4_0768": "", "dev_zen4_0768": "MaxWall=00:10:00 Flags=DenyOnLimit"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm(tmp_path_factory.mktemp("rig"), PARTITIONS, QOS, ("first", "second")) as cluster:
        yield cluster


@pytest.fixture
def running(need: Callable[..., None], request: pytest.FixtureRequest) -> Slurm:
    """Start one Slurm for all tests here, only where there is one."""
    need(*PROGRAMS, root=True)
    found: Slurm = request.getfixturevalue("cluster")
    return found


def test_the_books_tell_where_and_how_a_job_ran(running: Slurm) -> None:
    gpus = ("--gres=gpu:2", "--mem=700G", "--cpus-per-task=96")
    assert running.run("srun", "--job-name=first", "hostname")
    devel = ("--partition=zen4_0768_h100x4", "--qos=dev_zen4_0768", "--account=second")
    assert (
        running.run(
            "srun", "--job-name=second", *devel, *gpus, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"
        )
        == "0,1\n"
    )
    assert running.ask("srun", "--job-name=third", "false").returncode == 1
    assert running.jobs("JobName", "Partition", "QOS", "Account", "State", "ExitCode")[-3:] == [
        ("first", "zen4_0768", "zen4_0768", "first", "COMPLETED", "0:0"),
        ("second", "zen4_0768_h100x4", "dev_zen4_0768", "second", "COMPLETED", "0:0"),
        ("third", "zen4_0768", "zen4_0768", "first", "FAILED", "1:0"),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--partition=long"], "invalid partition", id="a partition that there is not"),
        pytest.param(["--qos=long"], "Invalid qos", id="a QoS that there is not"),
        pytest.param(["--account=third"], "Invalid account", id="an account that there is not"),
        pytest.param(["--time=2:00:00"], "time limit", id="longer than the partition lets"),
        pytest.param(
            ["--time=20", "--qos=dev_zen4_0768"],
            "QOSMaxWallDurationPerJobLimit",
            id="longer than the QoS lets",
        ),
        pytest.param(
            ["--gres=gpu:5"],
            "node configuration is not available",
            id="more GPUs than the node has",
        ),
    ],
)
def test_what_a_site_would_refuse_is_refused(
    running: Slurm, options: list[str], words: str
) -> None:
    result = running.ask("srun", *options, "true")
    assert result.returncode == 1
    assert words in result.stderr


def sleep_on(cluster: Slurm, seconds: str) -> None:
    """Submit a job that leaves a process of its own session behind, and wait until that runs."""
    cluster.run("sbatch", "--output=/dev/null", "--wrap", f"setsid sleep {seconds} & wait")
    deadline = time.monotonic() + 30
    while not asleep(seconds):
        assert time.monotonic() < deadline, cluster.run("squeue")
        time.sleep(0.05)


def asleep(seconds: str) -> bool:
    command = ["pgrep", "--full", "--exact", f"sleep {seconds}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shorter name than a test's own, as sockets want it."""
    return tmp_path_factory.mktemp("rig")


def test_two_run_side_by_side_and_end_with_the_block(
    need: Callable[..., None], folder: Path
) -> None:
    need(*PROGRAMS, "pgrep", root=True)
    seconds = f"{os.getpid()}.25"
    with slurm(folder, {"one": ""}, {"normal": ""}, name="one") as one:
        with slurm(folder, {"two": ""}, {"normal": ""}, name="two") as two:
            sleep_on(two, seconds)
            assert [
                cluster.run("sinfo", "--noheader", "--format=%R %T") for cluster in (one, two)
            ] == [
                "one idle\n",
                "two mixed\n",
            ]
        assert not asleep(seconds)
        assert one.run("srun", "echo", "still here") == "still here\n"


def test_it_ends_with_a_test_that_is_killed(need: Callable[..., None], folder: Path) -> None:
    need(*PROGRAMS, "pgrep", root=True)
    seconds = f"{os.getpid()}.75"
    script = (
        "import sys; from pathlib import Path; from slurm import slurm\n"
        "with slurm(Path(sys.argv[1]), {'one': ''}, {'normal': ''}) as one: print(one.conf, flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    ) as other:
        assert other.stdout
        sleep_on(Slurm(Path(other.stdout.readline().strip())), seconds)
        other.kill()
    deadline = time.monotonic() + 10
    while asleep(seconds):
        assert time.monotonic() < deadline
        time.sleep(0.05)
