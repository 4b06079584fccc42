# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""The allocation that the Ray assets of a run share: it may wait in the queue, and outlasts the process of the run."""

import shlex
from typing import Any

import dagster_slurm as ds

from .heartbeat import heartbeats
from .requests import seconds

QUEUE_ALLOWANCE = 24 * 3600
"""Seconds that a job may wait in the queue."""
DIRECTORY = "dagster_slurm/session_allocation_dir"
"""The tag of a run that names the directory of its allocation. A run that continues it inherits its tags."""


class Allocation(ds.SlurmSessionResource):
    """The allocation of dagster-slurm. There a run fails whose allocation is not started within two minutes."""

    def _create_allocation(self, context: Any) -> Any:
        run = context.run
        if run is None:
            return super()._create_allocation(context)
        directory = run.tags.get(DIRECTORY) or f"{self.slurm.remote_base}/allocations/dagster_{run.run_id}"
        context.instance.add_run_tags(run.run_id, {DIRECTORY: directory})
        connection: Any = self._require_ssh_pool()
        connection.walltime = seconds(self.time_limit)
        # A process that was killed while its allocation waited has left its lock.
        start = int(context.instance.get_run_record_by_id(run.run_id).start_time or 0)
        lock = f"{shlex.quote(directory)} -maxdepth 1 -name .allocation.lock ! -newermt @{start}"
        connection.run(f"find {lock} 2>/dev/null | xargs -r rm -r")
        with heartbeats(context.instance, run.run_id):
            return super()._create_allocation(context)

    def _submit_allocation(self, *, allocation_id: str, working_dir: str, **options: Any) -> Any:
        queue = f"squeue --me --noheader --name={shlex.quote(allocation_id)} --format=%i"
        submitted = self._require_ssh_pool().run(queue).split()
        if not submitted:
            return super()._submit_allocation(allocation_id=allocation_id, working_dir=working_dir, **options)
        job_id = int(submitted[0])
        self.logger.info(f"the allocation of the run waits already: job {job_id}")
        directory = f"{working_dir}/jobs/{job_id}"
        allocation = self._make_allocation(
            slurm_job_id=job_id, nodes=[], working_dir=directory, session_dir=working_dir
        )
        self._wait_for_allocation_start(job_id, directory, QUEUE_ALLOWANCE)
        self._load_allocation_nodes(allocation)
        return allocation

    def _wait_for_allocation_start(self, job_id: int, working_dir: str, timeout: int) -> None:
        super()._wait_for_allocation_start(job_id, working_dir, QUEUE_ALLOWANCE)
