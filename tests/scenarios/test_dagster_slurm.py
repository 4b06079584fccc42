"""End to end: `dg launch` runs the project's assets as jobs, behind an sshd that takes certificates, on a real Slurm.

The site is MUSICA as it ships, but for its address, its host authority and where things lie. One thing is a stand-in:
`gen` on the PATH of the runs only writes down how it was called, since there is no certificate authority here.
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

# The site sets 65536. A test machine may not allow root as many (without CAP_SYS_RESOURCE): then it is one less than it
# has, which nobody else would set. Jobs start with 1024.
OPEN_FILES = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1)

# What a run leaves behind, as ssh does that shares its connection, ends with the run.
ALONE = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")

TRIAL = '''\
"""A module of the user's."""

import dagster as dg
import dagster_slurm as ds

from ..compute import PAYLOADS, Compute

# The hour that dagster-slurm waits where nobody says how long has five seconds here; all else in it is as installed.
run = ds.ComputeResource.run
run.__defaults__ = tuple(5 if value == 3600 else value for value in run.__defaults__)


@dg.asset
def fails(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "fails.py")).get_materialize_result()


@dg.asset
def lasts(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    return compute.run(context, str(PAYLOADS / "lasts.py")).get_materialize_result()


@dg.asset
def lasts_for_dagster_slurm(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    """As `lasts`, but without what the project adds."""
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
class Site:
    """A cluster, and the project of a person there."""

    cluster: Slurm
    rig: Rig
    project: Project
    port: int
    calls: Path
    """What `gen` was called with."""

    def job(self, asset: str, *fields: str) -> tuple[str, ...]:
        """Return fields of the newest job of an asset."""
        return [
            job[1:] for job in self.cluster.jobs("JobName", *fields) if job[0] == f"dagster_{asset}"
        ][-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("e2e")
    node = "CPUs=4 RealMemory=786432 Gres=gpu:4"  # Ray starts a process for each
    with (
        slurm(folder, PARTITIONS, QOS, node=node) as cluster,
        Rig(folder) as rig,
        tempfile.TemporaryDirectory() as short,  # as the sockets of Ray and of a shared connection want it
    ):
        port = login(rig, f"{cluster.set_env} HOME={folder} SLURM_TMPDIR={short}")
        key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")
        overlay = ("--set", 'ray.ray_start_args=["--include-dashboard=false"]')
        out = rig.compile(musica(rig, port, folder), *overlay, key=key).parents[1]
        project = Project(out / "musica-pipelines", Path(short), stand_in(folder), ALONE)
        (project.package / "defs" / "trial.py").write_text(TRIAL)
        (project.package / "payloads" / "fails.py").write_text(
            "raise SystemExit('nothing works')\n"
        )
        (project.package / "payloads" / "lasts.py").write_text(LASTS)
        project.dotenv(
            (out / ".env.musica").read_text(), CI_DEPLOYED_ENVIRONMENT_PATH=str(deployed(folder))
        )
        yield Site(cluster, rig, project, port, folder / "calls")


def login(rig: Rig, environment: str) -> int:
    """Start a login node that proves itself by a certificate and asks for one, and return its port."""
    host = rig.certify("ed25519", "ecdsa-hosts", "-h", "-n", "localhost")
    user = [f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub", "AuthorizedKeysFile none"]
    scp = "Subsystem sftp internal-sftp"
    return rig.serve(
        "login", ["ed25519"], f"HostCertificate {host}-cert.pub", *user, scp, environment
    ).port


def musica(rig: Rig, port: int, folder: Path) -> dict[str, object]:
    """Return the spec of MUSICA with another machine in its place."""
    spec = YAML(typ="safe").load(resources.CATALOGUE / "musica.yaml")
    spec["hosts"] = {"musica": {"host": "localhost", "port": port}}
    authority = {"hosts": "localhost", "key": rig.public("ecdsa-hosts")}
    spec["host_keys"] = {"asc": {"hosts": "musica", "authorities": authority, "source": "how-to"}}
    spec["deployment"]["base_path"] = str(folder / "base")
    assert spec["ray"]["pre_start_commands"] == "ulimit -n 65536"
    spec["ray"]["pre_start_commands"] = f"ulimit -n {OPEN_FILES}"
    return dict(spec)


def stand_in(folder: Path) -> Path:
    """Return a folder with another `gen`."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "gen").write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\n')
    (programs / "gen").chmod(0o755)
    return programs


def deployed(folder: Path) -> Path:
    """Return an environment as pixi-pack unpacks it: `activate.sh` and `env/`, here with the programs of the test."""
    place = folder / "deployed"
    place.mkdir()
    (place / "env").symlink_to(sys.prefix)
    (place / "activate.sh").write_text(f'export PATH="{sys.prefix}/bin:$PATH"\n')
    return place


@pytest.fixture
def running(need: Callable[..., None], request: pytest.FixtureRequest) -> Site:
    """Start the site for all tests here, only where its programs are."""
    need(*PROGRAMS, *sshd.PROGRAMS, root=True)
    found: Site = request.getfixturevalue("site")
    return found


def test_both_assets_run_as_jobs_in_the_partition_and_qos_of_the_site(running: Site) -> None:
    done = running.project.launch("corpus", "complexity")
    assert done.returncode == 0, done.stdout
    for asset in ("corpus", "complexity"):
        assert running.job(asset, "Partition", "QOS", "State") == (*PRODUCTION, "COMPLETED")
    assert running.job("corpus", "TimelimitRaw") == ("5",)  # its own; the other has the queue's
    assert running.project.metadata("corpus")["modules"] > 1000
    assert running.project.metadata("complexity")["functions"] > 10000
    assert running.project.metadata("complexity")["open_files"] == OPEN_FILES
    [job] = running.job("complexity", "JobID")
    assert "--include-dashboard=false" in running.cluster.run(
        "sacct", f"--jobs={job}", "--batch-script"
    )
    assert set(running.calls.read_text().splitlines()) == {
        "refresh musica"
    }  # Dagster's rebuilding has not lost it


def test_what_fails_fails_and_what_lasts_longer_than_dagster_slurm_waits_does_not(
    running: Site,
) -> None:
    """Its hour has five seconds in the module of the user's (TRIAL), and the jobs last for fifteen."""
    with running.project.setting(DAGSTER_DEPLOYMENT="staging_supercomputer"):
        done = running.project.launch("fails", "lasts", "lasts_for_dagster_slurm")
    assert done.returncode == 1
    assert "nothing works" in done.stdout
    assert running.job("fails", "Partition", "QOS", "State") == (*DEVEL, "FAILED")
    assert running.job("lasts", "Partition", "QOS", "State") == (*DEVEL, "COMPLETED")
    assert running.project.metadata("lasts")["slept"] == 15
    assert "Timed out after 5s" in done.stdout
    assert running.job("lasts_for_dagster_slurm", "State")[0].startswith("CANCELLED")


def test_a_machine_with_another_host_key_is_refused_with_the_reason(running: Site) -> None:
    other = running.rig.serve("other", ["ed25519-other"])
    before = len(running.cluster.jobs("JobID"))
    with running.project.setting(SLURM_EDGE_NODE_PORT=str(other.port)):
        done = running.project.launch("corpus")
    assert done.returncode == 1
    assert "Host key verification failed" in done.stdout
    assert other.logins() == []
    assert len(running.cluster.jobs("JobID")) == before


def test_a_shared_connection_with_too_long_a_name_is_told_before_the_job(running: Site) -> None:
    """dagster-slurm forgets what ssh adds to the name: it would run the job, and hear nothing of it."""
    name = f"cm-{TEST_USER.pw_name}@localhost:{running.port}"
    folder = running.project.home / ("x" * (95 - len(f"{running.project.home}//{name}")))
    before = len(running.cluster.jobs("JobID"))
    with running.project.setting(DAGSTER_SLURM_SSH_CONTROL_DIR=str(folder)):
        done = running.project.launch("corpus")
    assert done.returncode == 1
    assert (
        f"{name}: too long for ssh; DAGSTER_SLURM_SSH_CONTROL_DIR names a shorter folder"
        in done.stdout
    )
    assert len(running.cluster.jobs("JobID")) == before
