"""The resources that assets run on: dagster-slurm's, with what it leaves to its caller."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_slurm as ds
from dagster_slurm.config.environment import ExecutionMode
from pydantic import PrivateAttr

from .site import chosen, connection, master, missing, queue, setting

PAYLOADS = Path(__file__).parent / "payloads"
DATA = Path(__file__).parents[2] / "data"
DEPLOYMENTS = {
    "development": ExecutionMode.LOCAL,
    "staging_supercomputer": ExecutionMode.SLURM,
    "production_supercomputer": ExecutionMode.SLURM,
    "production_supercomputer_session": ExecutionMode.SLURM_SESSION,
    "production_supercomputer_session_cluster_reuse": ExecutionMode.SLURM_SESSION,
    "production_supercomputer_hetjob": ExecutionMode.SLURM_HETJOB,
}
QUEUE_ALLOWANCE = 24 * 3600
"""Seconds that a job may wait before its walltime begins."""
SOCKET = (103 if sys.platform == "darwin" else 107) - 17
"""Bytes for the name of a connection that is shared: those of a socket, less what ssh adds while it makes one."""


class Login:
    """What is done before each connection, so that ssh has nothing to ask."""

    def __init__(self) -> None:
        self.site = chosen()

    def ensure(self) -> None:
        """Renew the certificate if it is due, or see that a person has opened a connection to share.

        A renewal that fails only leaves a warning: the certificate may still be good, and the timer tries again.

        Raises:
            Failure: no connection can be shared, or the site asks a person and nobody has logged in.
        """
        if renew := self.site.get("renew"):
            try:
                subprocess.run(renew, check=True, capture_output=True, text=True, timeout=300)
            except (OSError, subprocess.SubprocessError) as error:
                why = getattr(error, "stderr", None) or error
                dg.get_dagster_logger().warning(f"the certificate was not looked after: {why}")
        ssh = connection(self.site)
        shared = ssh.control_socket_path()
        if shared and len(shared.encode()) > SOCKET:  # the job would run, and nothing of it come back
            raise dg.Failure(f"{shared}: too long for ssh; DAGSTER_SLURM_SSH_CONTROL_DIR names a shorter folder")
        if asks := self.site.get("asks"):
            check = ["ssh", "-O", "check", "-o", f"ControlPath={shared}", f"{ssh.user}@{ssh.host}"]
            if subprocess.run(check, check=False, capture_output=True, timeout=30).returncode:
                raise dg.Failure(
                    f"{self.site['title']} asks {asks} at each login. Log in once, then run again:\n{master(ssh)}"
                )


class SiteSlurm(ds.SlurmResource):
    """Slurm behind a login.

    Dagster makes resources anew from their fields for each run: what `set_auth_provider` was given is lost then, a
    default is not.
    """

    _auth_provider: object = PrivateAttr(default_factory=Login)


class Compute(ds.ComputeResource):
    """Runs a payload here or as a job, and waits as long as the job may take."""

    @property
    def data_dir(self) -> str:
        """Folder that all payloads see; `$HOME` in it is that of the machine they run on."""
        if self.slurm is None:
            return str(DATA)
        return f"{self.slurm.remote_base or '$HOME/pipelines'}/data"

    def get_pipes_client(self, context: Any, launcher: ds.ComputeLauncher | None = None) -> Any:
        """Return dagster-slurm's client; on this machine it needs no pixi."""
        if self.mode != ExecutionMode.LOCAL:
            return super().get_pipes_client(context, launcher)
        return ds.LocalPipesClient(self._resolve_launcher(launcher), require_pixi=False)

    def run(self, context: dg.AssetExecutionContext, payload_path: str, *args: Any, **options: Any) -> Any:
        """Run a payload; see dagster-slurm for the options. Without `poll_timeout` a job would end after an hour."""
        if self.slurm is None:
            programs = f"{Path(sys.executable).parent}:{setting('PATH')}"  # ray is beside python
            options["extra_env"] = {"PATH": programs} | (options.get("extra_env") or {})
        else:
            limit = (options.get("extra_slurm_opts") or {}).get("time_limit", self.slurm.queue.time_limit)
            options.setdefault("poll_timeout", seconds(limit) + QUEUE_ALLOWANCE)
        return super().run(context, payload_path, *args, **options)


def seconds(walltime: str) -> int:
    """Return a time limit of Slurm in seconds (sbatch(1), --time): M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    days, _, clock = walltime.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, rest = [*parts, 0, 0][:3] if days or len(parts) == 3 else [0, *parts, 0][:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + rest


def resources() -> dict[str, Compute]:
    """Return a resource for each launcher.

    Raises:
        ValueError: DAGSTER_DEPLOYMENT or the site is unknown, or something that Slurm needs is missing.
    """
    deployment = setting("DAGSTER_DEPLOYMENT") or "development"
    if deployment not in DEPLOYMENTS:
        raise ValueError(f"DAGSTER_DEPLOYMENT={deployment}: choose one of {', '.join(DEPLOYMENTS)}")
    site = chosen()
    here = deployment == "development"
    where: dict[str, Any] = {"mode": DEPLOYMENTS[deployment]} | ({} if here else remote(site, deployment))
    ray, spark = ({} if here else launcher(site, name) for name in ("ray", "spark"))
    return {
        "compute": Compute(default_launcher=ds.BashLauncher(), **where),
        "compute_ray": Compute(default_launcher=ds.RayLauncher(**ray), **where),
        "compute_spark": Compute(default_launcher=ds.SparkLauncher(**spark), **where),
    }


def remote(site: dict[str, Any], deployment: str) -> dict[str, Any]:
    """Return the fields of a Compute that runs jobs.

    Raises:
        ValueError: with all that is missing.
    """
    if lacks := list(missing(site, deployment)):
        raise ValueError("\n  ".join([f"DAGSTER_DEPLOYMENT={deployment} needs", *lacks]))
    slurm = SiteSlurm(
        ssh=connection(site),
        queue=queue(site, deployment),
        remote_base=setting("SLURM_DEPLOYMENT_BASE_PATH"),
    )
    session = ds.SlurmSessionResource(slurm=slurm, num_nodes=slurm.queue.num_nodes, time_limit=slurm.queue.time_limit)
    return {
        "slurm": slurm,
        "session": session if "session" in deployment else None,
        "enable_cluster_reuse": deployment.endswith("cluster_reuse"),
        "pre_deployed_env_path": setting("CI_DEPLOYED_ENVIRONMENT_PATH"),
    }


def launcher(site: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the site changes in a launcher; an empty text stands for None, which TOML does not have."""
    return {field: None if value == "" else value for field, value in site.get(name, {}).items()}
