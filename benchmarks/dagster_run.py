"""The wall time of a small asset in a project of gen and with plain dagster-slurm, in one run.

Run it as root, where sshd and Slurm are installed: `python benchmarks/dagster_run.py`. Both
assets run the same payload as a job on the same Slurm over the same sshd; only the classes that
follow the job differ. Bound: the median of the ratios of five pairs is 1.05 at most. Of the time
of plain dagster-slurm, the payload spends five seconds in the shutdown of Pipes, which waits for
the log that it sends with its messages. The project follows the log on its own, so its payloads
send none; with `--log` they send it here too, which compares the rest.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 5
BOUND = 1.05
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "rigs"))

from deployment import Deployment, deployment  # noqa: E402 - it is below tests/rigs
from project import OWN_NAMESPACE, TOOLS  # noqa: E402

PAYLOAD = """\
from dagster_pipes import open_dagster_pipes

with open_dagster_pipes() as pipes:
    pipes.report_asset_materialization(metadata={"number": 1})
"""
ASSETS = '''\
"""The asset of the benchmark."""

import os

import dagster as dg

from .. import client
from ..compute import PAYLOADS, Compute

if os.environ.get("BENCHMARK_LOG"):
    client.Messages.read_messages = client.SSHMessageReader.read_messages


@dg.asset
def small(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "small.py")).get_materialize_result()
'''
PLAIN = '''\
"""The same asset with the classes of dagster-slurm."""

import os
from pathlib import Path

import dagster as dg
import dagster_slurm as ds
from musica_pipelines.site import chosen, connection

SLURM = ds.SlurmResource(
    ssh=connection(chosen()),
    queue=ds.SlurmQueueConfig(
        partition=os.environ["SLURM_PARTITION"],
        qos=os.environ["SLURM_QOS"],
        time_limit="00:10:00",
        cpus=1,
        mem="",
    ),
    remote_base=os.environ["SLURM_DEPLOYMENT_BASE_PATH"],
)
COMPUTE = ds.ComputeResource(
    mode="slurm",
    slurm=SLURM,
    default_launcher=ds.BashLauncher(),
    pre_deployed_env_path=os.environ["CI_DEPLOYED_ENVIRONMENT_PATH"],
)
SMALL = Path(__file__).parent / "src/musica_pipelines/payloads/small.py"


@dg.asset
def small(context: dg.AssetExecutionContext, compute: ds.ComputeResource) -> dg.MaterializeResult:
    return compute.run(context, str(SMALL)).get_materialize_result()


defs = dg.Definitions(assets=[small], resources={"compute": COMPUTE})
'''


def seconds(site: Deployment, source: list[str]) -> float:
    """Return the time in which `dagster asset materialize` runs the asset."""
    project = site.project
    project.dagster_home.mkdir(exist_ok=True)
    command = [str(TOOLS / "dagster"), "asset", "materialize", *source, "--select", "small"]
    began = time.monotonic()
    result = subprocess.run(
        [*OWN_NAMESPACE, *command],
        cwd=project.directory,
        env=project.environment | {"BENCHMARK_LOG": "1" if "--log" in sys.argv else ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(result.stdout + result.stderr)
    return time.monotonic() - began


def main() -> None:
    """Measure both in turn, and print the median of the ratios."""
    ratios = []
    with (
        tempfile.TemporaryDirectory() as directory,
        deployment(Path(directory), ASSETS, {"small": PAYLOAD}) as site,
    ):
        (site.project.directory / "plain.py").write_text(PLAIN)
        sources = {
            "project": ["--module-name", "musica_pipelines.definitions"],
            "plain": ["--python-file", "plain.py"],
        }
        for pair in range(PAIRS):
            # The second one finds warmer caches, so that the two take turns.
            names = sorted(sources, reverse=pair % 2 == 1)
            took = {name: seconds(site, sources[name]) for name in names}
            ratios.append(took["project"] / took["plain"])
            print(f"project {took['project']:5.1f} s   plain {took['plain']:5.1f} s")
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.2f} (bound {BOUND})")
    sys.exit(ratio > BOUND)


if __name__ == "__main__":
    os.umask(0o022)
    main()
