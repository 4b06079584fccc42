# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""The resources that run assets: those of dagster-slurm, with a login and a client of this project."""

import shutil
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_slurm as ds
from dagster_slurm.config.environment import ExecutionMode

from . import client, data
from .allocation import QUEUE_ALLOWANCE
from .data import LIMIT
from .login import SiteSlurm
from .ray_launcher import Ray
from .requests import RequestError, job, seconds, summary
from .site import chosen, connection, directory, missing, selected, setting

client.install()

PAYLOADS = Path(__file__).parent / "payloads"
DATA = Path(__file__).parents[2] / "data"
DEPLOYMENTS = {
    "development": ExecutionMode.LOCAL,
    "staging_supercomputer": ExecutionMode.SLURM,
    "production_supercomputer": ExecutionMode.SLURM,
    "production_supercomputer_run": ExecutionMode.SLURM,
    "production_supercomputer_hetjob": ExecutionMode.SLURM_HETJOB,
}


class Compute(ds.ComputeResource):
    """Runs a payload on this machine or as a job, and waits as long as the job may take."""

    @property
    def data_dir(self) -> str:
        """The directory that all payloads share; its `$HOME` is that of the machine where they run."""
        if self.slurm is None:
            return str(DATA)
        return directory("data_path") or f"{self.slurm.remote_base or '$HOME/pipelines'}/data"

    def fetch(self, path: str, limit: int = LIMIT) -> Path:
        """Return a file in the directory for data, a copy if that is at a site."""
        if self.slurm is None:
            return Path(self.data_dir, path)
        there = path if path.startswith(("/", "$HOME/")) else f"{self.data_dir}/{path}"
        here = there.removeprefix(f"{self.data_dir}/").lstrip("/")
        if ".." in Path(here).parts:
            raise ValueError(f"{path}: leaves the directory")
        return data.fetch(self.slurm.ssh, there, DATA / "fetched" / here, limit)

    def send(self, source: Path, path: str, limit: int = LIMIT) -> None:
        """Copy a file to the directory for data."""
        if self.slurm is not None:
            data.send(self.slurm.ssh, source, f"{self.data_dir}/{path}", limit)
            return
        target = Path(self.data_dir, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def _resolve_launcher(self, override: ds.ComputeLauncher | None) -> ds.ComputeLauncher:
        if type(override) is ds.RayLauncher:  # of an asset; dagster-slurm combines only launchers of one class
            override = Ray(**override.model_dump(exclude_unset=True))
        return super()._resolve_launcher(override)

    def offers(self, purpose: str) -> bool:
        """Return whether the selected site has a request for a purpose, such as `gpu`."""
        return self.slurm is not None and purpose in chosen()["requests"]

    def get_pipes_client(self, context: Any, launcher: ds.ComputeLauncher | None = None) -> Any:
        """Return the client of dagster-slurm. On this machine it works without pixi."""
        if self.mode != ExecutionMode.LOCAL:
            return super().get_pipes_client(context, launcher)
        return ds.LocalPipesClient(self._resolve_launcher(launcher), require_pixi=False)

    def run(
        self,
        context: dg.AssetExecutionContext,
        payload_path: str,
        launcher: ds.ComputeLauncher | None = None,
        extra_slurm_opts: dict[str, Any] | None = None,
        *args: Any,
        request: str = "default",
        gpus: int | None = None,
        cpus: int | None = None,
        mem: str | None = None,
        nodes: int | None = None,
        walltime: str | None = None,
        **options: Any,
    ) -> dg.PipesClientCompletedInvocation:
        """Run a payload. At a site it asks for a purpose: one of `[requests.…]` in sites/SITE.toml.

        `gpus` (of a node), `cpus` (of a task), `mem` (of a node), `nodes` and `walltime` replace those of the purpose.
        Further options are those of dagster-slurm, whose default for `poll_timeout` would end a job after an hour.

        Raises:
            Failure: the site does not allow the job; nothing is submitted.
        """
        if self.slurm is None:
            programs = f"{Path(sys.executable).parent}:{setting('PATH')}"  # ray is beside python
            options["extra_env"] = {"PATH": programs} | (options.get("extra_env") or {})
            return super().run(context, payload_path, launcher, extra_slurm_opts, *args, **options)
        if self.allocation_scope == ds.SlurmAllocationScope.RUN:
            # All assets of the run share the job of the purpose `default`.
            options.setdefault("poll_timeout", seconds(self.slurm.queue.time_limit) + QUEUE_ALLOWANCE)
            return super().run(context, payload_path, launcher, extra_slurm_opts, *args, **options)
        asked = {"gpus": gpus, "cpus": cpus, "mem": mem, "nodes": nodes, "walltime": walltime}
        try:
            wanted = job(chosen(), request, asked, extra_slurm_opts or {}, staging=in_staging())
        except RequestError as error:
            # Another try would be refused too.
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log.info(f"request {request}: {summary(wanted)}")
        launcher = with_gpus(launcher or self.default_launcher, wanted["gpus_per_node"])
        options.setdefault("poll_timeout", seconds(wanted["time_limit"]) + QUEUE_ALLOWANCE)
        return super().run(context, payload_path, launcher, wanted, *args, **options)


def with_gpus(launcher: ds.ComputeLauncher, gpus: int | str) -> ds.ComputeLauncher:
    """Return a launcher that uses the GPUs of a job, which may have a type in front (`a100:2`)."""
    if not isinstance(launcher, ds.RayLauncher):
        return launcher
    return launcher.model_copy(update={"num_gpus_per_node": int(str(gpus).rpartition(":")[2])})


def in_staging() -> bool:
    """Return whether jobs go to the queues for development."""
    return deployed().startswith("staging")


def deployed() -> str:
    """Return the deployment that is chosen."""
    return setting("DAGSTER_DEPLOYMENT") or "development"


def pool() -> str:
    """Return the name of the concurrency pool of all jobs at the selected site."""
    return "here" if deployed() == "development" else selected() or "here"


def resources() -> dict[str, Compute]:
    """Return a resource for each launcher.

    Raises:
        ValueError: DAGSTER_DEPLOYMENT or the site is unknown, or something that Slurm needs is missing.
    """
    deployment = deployed()
    if deployment not in DEPLOYMENTS:
        raise ValueError(f"DAGSTER_DEPLOYMENT={deployment}: choose one of {', '.join(DEPLOYMENTS)}")
    site = chosen()
    here = deployment == "development"
    where: dict[str, Any] = {"mode": DEPLOYMENTS[deployment]} | ({} if here else remote(site, deployment))
    ray, spark = ({} if here else launcher(site, name) for name in ("ray", "spark"))
    return {
        "compute": Compute(default_launcher=ds.BashLauncher(), **where),
        "compute_ray": Compute(default_launcher=Ray(**ray), **where, **run_scope(deployment)),
        "compute_spark": Compute(default_launcher=ds.SparkLauncher(**spark), **where),
    }


def run_scope(deployment: str) -> dict[str, Any]:
    """Return the fields that let the Ray assets of a run share one job and one Ray cluster."""
    return {"allocation_scope": ds.SlurmAllocationScope.RUN} if deployment.endswith("_run") else {}


def remote(site: dict[str, Any], deployment: str) -> dict[str, Any]:
    """Return the fields of a Compute that runs jobs.

    Raises:
        ValueError: names everything that is missing.
    """
    if lacks := list(missing(site, deployment)):
        raise ValueError("\n  ".join([f"DAGSTER_DEPLOYMENT={deployment} needs", *lacks]))
    slurm = SiteSlurm(
        ssh=connection(site),
        queue=queue(site),
        remote_base=directory("base_path"),
    )
    return {
        "slurm": slurm,
        "cleanup_on_failure": False,  # script, payload and logs of a failed job stay at the site
        "pre_deployed_env_path": setting("CI_DEPLOYED_ENVIRONMENT_PATH"),
    }


def launcher(site: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the fields of a launcher that the site changes. An empty text means None, which TOML does not have."""
    return {field: None if value == "" else value for field, value in site.get(name, {}).items()}


def queue(site: dict[str, Any]) -> ds.SlurmQueueConfig:
    """Return the queue of jobs that ask for nothing."""
    usual = job(site, "default", {}, {}, staging=in_staging())
    usual |= {"cpus": usual.pop("cpus_per_task"), "num_nodes": usual.pop("nodes")}
    return ds.SlurmQueueConfig(**usual | {"partition": usual["partition"] or ""})
