"""`dg launch` runs the assets of a project as jobs on a real Slurm, over ssh with certificates.

The site is the shipped MUSICA with another address, host authority and deployment directory. One
program is replaced: `gen` on the PATH of the runs only records its arguments, since these tests run
no certificate authority.
"""

import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sshd
from project import Project
from ruamel.yaml import YAML
from slurm import PROGRAMS, Slurm, slurm
from sshd import TEST_USER, Rig

from generator import resources

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

PARTITIONS = {"zen4_0768": "MaxTime=3-00:00:00", "zen4_0768_h100x4": "MaxTime=3-00:00:00"}
QOS = {"normal": "", "zen4_0768_h100x4": "", "dev_zen4_0768": "MaxWall=00:10:00 Flags=DenyOnLimit"}
PRODUCTION = ("zen4_0768_h100x4", "zen4_0768_h100x4")
DEVEL = ("zen4_0768", "dev_zen4_0768")

# The site sets 65536. A machine may not allow root as many (without CAP_SYS_RESOURCE). There the
# test sets one less than the limit, which no other program would set. Jobs start with 1024.
OPEN_FILES = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1)

# Processes that outlive a run, as the ssh of a shared connection does, end with their namespace.
OWN_NAMESPACE = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")

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


@dataclass(frozen=True)
class Deployment:
    """A cluster, and the project of a user there."""

    cluster: Slurm
    rig: Rig
    project: Project
    port: int
    gen_calls: Path
    """The arguments of each call of `gen`."""

    def job(self, asset: str, *fields: str) -> tuple[str, ...]:
        """Return fields of the newest job of an asset."""
        jobs = []
        for name, *values in self.cluster.jobs("JobName", *fields):
            if name == f"dagster_{asset}":
                jobs.append(tuple(values))
        return jobs[-1]

    def number_of_jobs(self) -> int:
        """Return how many jobs there have been."""
        return len(self.cluster.jobs("JobID"))


@pytest.fixture(scope="module")
def started_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("e2e")
    node = "CPUs=4 RealMemory=786432 Gres=gpu:4"  # Ray starts a process for each CPU
    with (
        slurm(directory, PARTITIONS, QOS, node=node) as cluster,
        Rig(directory) as rig,
        # A short path, because Ray and the shared connection put sockets below it.
        tempfile.TemporaryDirectory() as short,
    ):
        port = serve_login_node(rig, f"{cluster.set_env} HOME={directory} SLURM_TMPDIR={short}")
        key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")
        options = ("--set", 'ray.ray_start_args=["--include-dashboard=false"]')
        out = rig.compile(musica(rig, port, directory), *options, key=key).parents[1]
        project = Project(
            directory=out / "musica-pipelines",
            home=Path(short),
            programs=recording_gen(directory),
            prefix=OWN_NAMESPACE,
        )
        (project.package / "defs" / "trial.py").write_text(TRIAL)
        payloads = project.package / "payloads"
        (payloads / "fails.py").write_text("raise SystemExit('nothing works')\n")
        (payloads / "lasts.py").write_text(LASTS)
        environment = str(deployed_environment(directory))
        project.write_dotenv(
            (out / ".env.musica").read_text(), CI_DEPLOYED_ENVIRONMENT_PATH=environment
        )
        yield Deployment(cluster, rig, project, port, directory / "gen-calls")


def serve_login_node(rig: Rig, set_env: str) -> int:
    """Start a login node that has and requires certificates, and return its port."""
    host_key = rig.certify("ed25519", "ecdsa-hosts", "-h", "-n", "localhost")
    server = rig.serve(
        "login",
        ["ed25519"],
        f"HostCertificate {host_key}-cert.pub",
        f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub",
        "AuthorizedKeysFile none",
        "Subsystem sftp internal-sftp",  # for scp
        set_env,
    )
    return server.port


def musica(rig: Rig, port: int, directory: Path) -> dict[str, object]:
    """Return the spec of MUSICA with the login node of the test."""
    spec = YAML(typ="safe").load(resources.CATALOGUE / "musica.yaml")
    spec["hosts"] = {"musica": {"host": "localhost", "port": port}}
    authority = {"hosts": "localhost", "key": rig.public("ecdsa-hosts")}
    spec["host_keys"] = {"asc": {"hosts": "musica", "authorities": authority, "source": "how-to"}}
    spec["deployment"]["base_path"] = str(directory / "base")
    assert spec["ray"]["pre_start_commands"] == "ulimit -n 65536"
    # Ray needs many open files, and the limit of jobs is 1024.
    spec["ray"]["pre_start_commands"] = f"ulimit -n {OPEN_FILES}"
    return dict(spec)


def recording_gen(directory: Path) -> Path:
    """Return a directory with a `gen` that records its arguments."""
    programs = directory / "programs"
    programs.mkdir()
    gen = programs / "gen"
    gen.write_text(f'#!/bin/sh\necho "$@" >>{directory}/gen-calls\n')
    gen.chmod(0o755)
    return programs


def deployed_environment(directory: Path) -> Path:
    """Return an environment laid out as pixi-pack unpacks it, with the programs of the tests."""
    environment = directory / "deployed"
    environment.mkdir()
    (environment / "env").symlink_to(sys.prefix)
    (environment / "activate.sh").write_text(f'export PATH="{sys.prefix}/bin:$PATH"\n')
    return environment


@pytest.fixture
def deployment(need: Callable[..., None], request: pytest.FixtureRequest) -> Deployment:
    """Return the deployment that all tests share, started only where its programs are installed."""
    need(*PROGRAMS, *sshd.PROGRAMS, root=True)
    deployment: Deployment = request.getfixturevalue("started_deployment")
    return deployment


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
    """dagster-slurm waits five seconds here (TRIAL), and the jobs last fifteen."""
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
    """dagster-slurm ignores the suffix that ssh adds to the path.

    Without the check of the project it would run the job, and get no output.
    """
    name = f"cm-{TEST_USER.pw_name}@localhost:{deployment.port}"
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
