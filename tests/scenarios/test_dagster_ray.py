"""Ray in a job on a machine that others use too: its resources, its ports and its token."""

import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

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
def shares(context: dg.AssetExecutionContext, compute_ray: Compute) -> dg.MaterializeResult:
    return compute_ray.run(
        context, str(PAYLOADS / "shares.py"), cpus=1, mem="1000M"
    ).get_materialize_result()
'''
# The port of the dashboard, and every address on which a process of the job listens.
PAYLOAD = """\
import os
import re
import subprocess
import time
from pathlib import Path

import ray
from dagster_pipes import open_dagster_pipes

ray.init()
resources = ray.cluster_resources()
job = f"SLURM_JOB_ID={os.environ['SLURM_JOB_ID']}".encode()
addresses = set()
for line in subprocess.check_output(["ss", "-Hltnp"], text=True).splitlines():
    pid = re.search("pid=([0-9]+)", line)
    if pid and job in Path("/proc", pid[1], "environ").read_bytes().split(bytes(1)):
        addresses.add(line.split()[3].rpartition(":")[0])
with open_dagster_pipes() as pipes:
    port = os.environ["RAY_DASHBOARD_ADDRESS"].rpartition(":")[2]
    Path("~/dashboard-port").expanduser().write_text(port)
    while not Path("~/looked").expanduser().exists():
        time.sleep(0.2)
    pipes.report_asset_materialization(
        metadata={
            "cpus": resources["CPU"],
            "memory": resources["memory"],
            "objects": resources["object_store_memory"],
            "addresses": sorted(addresses),
        }
    )
"""


NODE = "CPUs=2 RealMemory=8000"


@pytest.fixture
def deployment(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    need(*PROGRAMS, "ip", "ss", "curl", root=True)
    directory = tmp_path_factory.mktemp("e2e")
    payloads = {"shares": PAYLOAD}
    with deployed(directory, ASSETS, payloads, NODE, dashboard=True) as deployment:
        yield deployment


@pytest.fixture
def deployment_of_two_nodes(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    need(*PROGRAMS, root=True)
    directory = tmp_path_factory.mktemp("e2e")
    with deployed(directory, ASSETS, {"shares": PAYLOAD}, NODE, nodes=2) as deployment:
        yield deployment


@contextmanager
def namespace() -> Iterator[Callable[[str], str]]:
    """Make a network namespace with one link to this machine, and give a curl that runs there."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    here, there = "10.251.77.1", "10.251.77.2"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, timeout=60)

    inside = ("nsenter", "--net", "--target", str(holder.pid))
    link = ("ip", "link", "add", "gen-ray0", "type", "veth", "peer", "name", "gen-ray1")
    try:
        # The process has its namespace a moment after its start.
        wait_until(
            lambda: (
                "lo"
                in subprocess.run(
                    [*inside, "ip", "link"], capture_output=True, text=True, check=False
                ).stdout
            )
        )
        run(*link, "netns", str(holder.pid))
        run("ip", "address", "add", f"{here}/30", "dev", "gen-ray0")
        run("ip", "link", "set", "gen-ray0", "up")
        run(*inside, "ip", "address", "add", f"{there}/30", "dev", "gen-ray1")
        run(*inside, "ip", "link", "set", "gen-ray1", "up")

        def curl(port: str) -> str:
            command = [
                "curl",
                "--silent",
                "--show-error",
                "--max-time",
                "3",
                f"http://{here}:{port}/",
            ]
            result = subprocess.run(
                [*inside, *command], capture_output=True, text=True, check=False
            )
            return result.stdout + result.stderr

        yield curl
    finally:
        holder.kill()
        holder.wait()
        subprocess.run(["ip", "link", "delete", "gen-ray0"], capture_output=True, check=False)


def status_of_dashboard(port: str, path: str, **headers: str) -> int:
    """Return the HTTP status with which the dashboard answers on this machine."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_ray_has_the_resources_of_its_job_and_only_this_machine_and_a_token_reach_it(
    deployment: Deployment,
) -> None:
    home = deployment.rig.directory
    port_file = home / "dashboard-port"
    with ThreadPoolExecutor() as executor, namespace() as curl_elsewhere:
        launch = executor.submit(deployment.project.launch, "shares")
        try:
            wait_until(lambda: launch.done() or port_file.exists(), seconds=300)
            assert port_file.exists(), launch.result().stdout
            port = port_file.read_text()
            token = (home / ".ray" / "auth_token").read_text()
            assert (home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
            assert status_of_dashboard(port, "/api/version", Authorization=f"Bearer {token}") == 200
            assert status_of_dashboard(port, "/nodes?view=summary") == 401
            # 7: could not connect; 28: connected, and no answer in time (curl(1)).
            assert "curl: (7)" in curl_elsewhere(port)
            with socket.create_server(("", 0)) as reachable:
                assert "curl: (28)" in curl_elsewhere(str(reachable.getsockname()[1]))
        finally:
            (home / "looked").touch()
        result = launch.result()
    assert result.returncode == 0, result.stdout
    metadata = deployment.project.metadata("shares")
    assert metadata["cpus"] == 1
    # 1000 MiB, of which 30 % are for objects.
    assert metadata["memory"] == 734003000
    assert metadata["objects"] == 314572000
    assert metadata["addresses"] == ["127.0.0.1", "[::ffff:127.0.0.1]"]


def test_the_ray_asset_of_the_example_runs_on_two_nodes(
    deployment_of_two_nodes: Deployment,
) -> None:
    deployment = deployment_of_two_nodes
    result = deployment.project.launch_job("library_on_two_nodes")
    assert result.returncode == 0, result.stdout
    assert deployment.job("complexity", "NNodes", "NodeList", "State") == (
        *("2", "node[1-2]"),
        "COMPLETED",
    )
    metadata = deployment.project.metadata("complexity")
    # The payload notes where its tasks ran, four for each CPU.
    assert metadata["nodes"] == ["node1", "node2"]
    assert metadata["tasks"] == 16
