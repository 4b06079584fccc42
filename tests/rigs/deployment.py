"""The project of a user at MUSICA, with a real sshd and a real Slurm in place of the site.

The site is the shipped MUSICA with another address, host authority and deployment directory. One
program is replaced: `gen` on the PATH of the runs only records its arguments, since these tests run
no certificate authority.
"""

import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sshd
from project import OWN_NAMESPACE, Project
from ruamel.yaml import YAML
from slurm import PROGRAMS as SLURM_PROGRAMS
from slurm import Slurm, slurm
from sshd import TEST_USER, Rig, SshServer

from generator import resources

PROGRAMS = (*SLURM_PROGRAMS, *sshd.PROGRAMS)

PARTITIONS = {"zen4_0768": "MaxTime=3-00:00:00", "zen4_0768_h100x4": "MaxTime=3-00:00:00"}
QOS = {"normal": "", "zen4_0768_h100x4": "", "dev_zen4_0768": "MaxWall=00:10:00 Flags=DenyOnLimit"}
# The site sets 65536. A machine may not allow root as many (without CAP_SYS_RESOURCE). There the
# test sets one less than the limit, which no other program would set. Jobs start with 1024.
OPEN_FILES = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1)


@dataclass(frozen=True)
class Deployment:
    """A cluster, and the project of a user there."""

    cluster: Slurm
    rig: Rig
    project: Project
    login_node: SshServer
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


@contextmanager
def deployment(
    directory: Path,
    assets: str,
    payloads: Mapping[str, str],
    node: str = "CPUs=4 RealMemory=786432 Gres=gpu:4",  # Ray starts a process for each CPU
    nodes: int = 1,
    dashboard: bool = False,
) -> Iterator[Deployment]:
    """Run a cluster and a login node, and compile a project with further assets and payloads."""
    with (
        slurm(directory, PARTITIONS, QOS, node=node, nodes=nodes) as cluster,
        Rig(directory) as rig,
        # A short path, because Ray and the shared connection put sockets below it.
        tempfile.TemporaryDirectory() as short,
    ):
        environment = f"{cluster.set_env} HOME={directory} SLURM_TMPDIR={short}"
        login_node = serve_login_node(rig, environment)
        key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")
        options = [] if dashboard else ["--set", 'ray.ray_start_args=["--include-dashboard=false"]']
        spec = musica(rig, login_node.port, directory)
        out = rig.compile(spec, *options, key=key).parents[1]
        project = Project(
            directory=out / "musica-pipelines",
            home=Path(short),
            programs=recording_gen(directory),
            prefix=OWN_NAMESPACE,
        )
        (project.package / "defs" / "trial.py").write_text(assets)
        for name, text in payloads.items():
            (project.package / "payloads" / f"{name}.py").write_text(text)
        project.write_dotenv(
            (out / ".env.musica").read_text(),
            CI_DEPLOYED_ENVIRONMENT_PATH=str(deployed_environment(directory)),
        )
        yield Deployment(cluster, rig, project, login_node, directory / "gen-calls")


def serve_login_node(rig: Rig, set_env: str) -> SshServer:
    """Start a login node that has and requires certificates."""
    host_key = rig.certify("ed25519", "ecdsa-hosts", "-h", "-n", "localhost")
    return rig.serve(
        "login",
        ["ed25519"],
        f"HostCertificate {host_key}-cert.pub",
        f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub",
        "AuthorizedKeysFile none",
        "Subsystem sftp internal-sftp",  # for scp
        set_env,
    )


def musica(rig: Rig, port: int, directory: Path) -> dict[str, object]:
    """Return the spec of MUSICA with the login node of the test."""
    spec = YAML(typ="safe").load(resources.CATALOGUE / "musica.yaml")
    spec["hosts"] = {"musica": {"host": "localhost", "port": port}}
    authority = {"hosts": "localhost", "key": rig.public("ecdsa-hosts")}
    spec["host_keys"] = {"asc": {"hosts": "musica", "authorities": authority, "source": "how-to"}}
    spec["deployment"]["base_path"] = str(directory / "base")
    assert spec["ray"]["pre_start_commands"].startswith("ulimit -n 65536 ||")
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
