# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""How the job of a run is followed: a lost connection does not end it, and the run says why it waits or failed."""

import logging
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import dagster_slurm as ds
from dagster_pipes import PipesDefaultMessageWriter
from dagster_slurm.helpers.message_readers import SSHMessageReader
from dagster_slurm.helpers.ssh_helpers import normalize_slurm_state
from dagster_slurm.pipes_clients import local_pipes_client, slurm_pipes_client
from dagster_slurm.resources import compute, session

from .allocation import Allocation
from .connection import Connection
from .heartbeat import heartbeats
from .login import Login
from .requests import seconds
from .secret_checks import refuse_job

HOPELESS = re.compile(
    "PerJob|QOSMin|MaxMemPerLimit|Partition(Time|Node)Limit|PartitionConfig|BadConstraints|NotAllowed|not_permitted"
    "|Invalid(Account|QOS)|NeverSatisfied|ReservationDeleted"
)
"""Reasons of squeue(1) that do not end by themselves: limits of a single job, and rules about who may use what."""
LOG_LINES = 50
"""How many lines of each log the event of a failed job has."""
LOG = PipesDefaultMessageWriter.INCLUDE_STDIO_IN_MESSAGES_KEY
LONGEST_PAUSE = 10.0
"""Seconds between two attempts to read the messages of a payload."""


class Client(ds.SlurmPipesClient):
    """The client of dagster-slurm for one run of a payload."""

    op_context: dg.OpExecutionContext | None = None
    walltime = 0
    state = reason = run_dir = ""
    message_reader: Any = None

    def run(self, *, context: Any, extra_slurm_opts: dict[str, Any] | None = None, **options: Any) -> Any:
        """Run a payload as a job, or adopt the job of the run that this one continues."""
        limit = (extra_slurm_opts or {}).get("time_limit", self.slurm.queue.time_limit)
        self.walltime = seconds(limit)
        self.op_context = context.op_execution_context
        payload = [] if options.get("skip_payload_upload") else [options["payload_path"]]
        files = [*payload, *(options.get("extra_files") or [])]
        refuse_job(options.get("extra_env") or {}, options.get("extras") or {}, files)
        if self.session and isinstance(self.launcher, ds.RayLauncher):
            # The cluster of the allocation has them from its SETUP.
            alone = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if self.session.num_nodes == 1 else {}
            options["extra_env"] = {"RAY_AUTH_MODE": "token"} | alone | (options.get("extra_env") or {})
        with heartbeats(context.instance, context.run_id):
            return super().run(context=context, extra_slurm_opts=extra_slurm_opts, **options)

    def _attach_multiplexing_reporter(self, context: Any, ssh_pool: Any) -> None:
        super()._attach_multiplexing_reporter(context, ssh_pool)
        ssh_pool.in_session = self.session is not None

    def _wait_for_job_with_streaming(
        self, job_id: int, ssh_pool: Any, run_dir: str, message_reader: Any, *args: Any, **options: Any
    ) -> None:
        self.hold(ssh_pool)
        self.run_dir, self.message_reader = run_dir, message_reader
        with self.explained(job_id, ssh_pool):
            super()._wait_for_job_with_streaming(job_id, ssh_pool, run_dir, message_reader, *args, **options)

    def _validate_final_slurm_outcome(self, job_id: int, ssh_pool: Any) -> Any:
        with self.explained(job_id, ssh_pool):
            return super()._validate_final_slurm_outcome(job_id, ssh_pool)

    def _execute_in_session(self, *args: Any, **options: Any) -> Any:
        assert self.session
        self.hold(options["ssh_pool"])
        self.hold(self.session._ssh_pool)
        return super()._execute_in_session(*args, **options)

    def _reattach_session_step(self, **options: Any) -> Any:
        self.hold(options["ssh_pool"])
        return super()._reattach_session_step(**options)

    def hold(self, connection: Any) -> None:
        """Let a connection wait for ssh as long as the job may run."""
        connection.walltime = self.walltime
        connection.meanwhile = self.stop_if_cancelled
        connection.renew = Login().ensure

    def stop_if_cancelled(self) -> None:
        """End the wait for ssh if the user cancelled the run."""
        if self._is_run_canceling(self.op_context):
            ssh = self.slurm.ssh
            end = f"ssh -p {ssh.port} {ssh.user}@{ssh.host} scancel {self._current_job_id}"
            raise RuntimeError(f"cancelled while the connection is lost; end the job when it is back: {end}")

    def _get_job_state(self, job_id: int, ssh_pool: Any) -> str:
        """Return the state of a job, or nothing if Slurm does not know it; log why it is pending."""
        answer = ssh_pool.run(f"squeue --noheader --jobs={job_id} --format='%T|%r' 2>&1 || true")
        if known := re.search(r"^([A-Z_]+)\|(.*)$", answer, re.MULTILINE):
            # dagster-slurm takes COMPLETING, in which a failed job is too for a moment, for COMPLETED.
            self.state = known[1] if known[1] == "COMPLETING" else normalize_slurm_state(known[1])
            self.explain(job_id, known[2] if self.state == "PENDING" else "")
            return self.state
        command = f"sacct --allocations --noheader --parsable2 --jobs={job_id} --format=State 2>/dev/null || true"
        if accounted := ssh_pool.run(command).strip():
            return normalize_slurm_state(accounted.split()[0])
        if "error" in answer and "Invalid job id" not in answer:
            self.explain(job_id, f"Slurm does not answer: {answer.strip()}")
            return self.state
        return ""

    def explain(self, job_id: int, reason: str) -> None:
        """Log the reason why a job waits, if it is another one than before.

        Raises:
            Failure: the job would wait forever.
        """
        if reason in (self.reason, "None"):
            return
        self.reason = reason
        if HOPELESS.search(reason):
            raise dg.Failure(f"job {job_id} would wait forever: {reason}", allow_retries=False)
        if reason:
            self.logger.info(f"job {job_id} waits: {reason}")

    @contextmanager
    def explained(self, job_id: int, ssh_pool: Any) -> Iterator[None]:
        """Give an error about the job the exception of its payload and the ends of its logs."""
        try:
            yield
        except RuntimeError as error:
            if self._is_run_canceling(self.op_context):
                raise
            exception = getattr(self.message_reader, "closed_exception", None) or {}
            parts = [str(error), "".join([*(exception.get("stack") or []), exception.get("message") or ""])]
            for name in (f"slurm-{job_id}.err", f"slurm-{job_id}.out"):
                tail = ssh_pool.run(f"tail -n {LOG_LINES} {shlex.quote(f'{self.run_dir}/{name}')} 2>/dev/null || true")
                parts.append(tail and f"The last lines of {name}:\n{tail}")
            kept = {"files of the job": dg.MetadataValue.path(self.run_dir)}
            raise dg.Failure("\n\n".join(part.strip() for part in parts if part), metadata=kept) from None

    def _maybe_emit_final_logs(
        self, message_reader: Any, ssh_pool: Any, run_dir: str, job_id: int, *args: Any, **options: Any
    ) -> None:
        """Print what was not followed of the logs, as after a lost connection. dagster-slurm reads both a second time."""
        if self.session:
            super()._maybe_emit_final_logs(message_reader, ssh_pool, run_dir, job_id, *args, **options)
            return
        followed = getattr(message_reader, "_streamed_lines", {})
        for ending, name, stream in (("out", "stdout", sys.stdout), ("err", "stderr", sys.stderr)):
            log = shlex.quote(f"{run_dir}/slurm-{job_id}.{ending}")
            stream.write(ssh_pool.run(f"grep -a . {log} 2>/dev/null | tail -n +{followed.get(name, 0) + 1}"))

    def _get_asset_key_string(self, op_context: Any) -> str | None:
        """Return what a job is found by: dagster-slurm leaves the partition out, and would adopt the job of another."""
        asset = super()._get_asset_key_string(op_context)
        partition = None if self.session else self._get_partition_key_string(op_context)
        return f"{asset} {partition}" if partition else asset

    def _store_job_tags(self, op_context: Any, job_id: int, run_dir: str, asset_key: str | None) -> None:
        """Note the job in the tags of the run, where dagster-slurm overwrites that of another asset of the run."""
        super()._store_job_tags(op_context, job_id, run_dir, asset_key)
        asset = self._get_asset_key_string(op_context)
        assert asset
        fields = {"j": str(job_id), "r": run_dir, "a": asset}
        tags = {slurm_pipes_client._session_step_scoped_tag_key(asset, field): value for field, value in fields.items()}
        op_context.instance.add_run_tags(op_context.run_id, tags)


class Messages(SSHMessageReader):
    """The reader of a payload's messages. It tries to reconnect as long as the job runs."""

    def __init__(self, *args: Any, **options: Any) -> None:
        patient = {"max_reconnect_attempts": sys.maxsize, "max_reconnect_interval": LONGEST_PAUSE}
        super().__init__(*args, **options | patient)
        # Its warnings at each attempt stay out of the events of the run: the connection says that it is lost.
        self.logger = logging.getLogger(__name__)

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[dict[str, Any]]:
        """Leave the log out of the messages where it is followed too: each line would arrive twice."""
        with super().read_messages(handler) as parameters:
            # With it, a payload also takes five seconds to end.
            yield parameters | {LOG: getattr(self._ssh_pool, "in_session", False)}

    def _await_closed(self, timeout: float, interval: float = 0.02) -> bool:
        waits_to_reconnect = self._proc is not None and self._proc.poll() is not None
        return super()._await_closed(2 * LONGEST_PAUSE if waits_to_reconnect else timeout, interval)


class LocalMessages(dg.PipesFileMessageReader):
    """The reader of the messages of a payload on this machine, without its log, which is printed.

    That of dagster-slurm stops when the payload ends, and loses the messages that it has not read by then.
    """

    def __init__(self, messages_path: str, **_: Any) -> None:
        super().__init__(messages_path)


def install() -> None:
    """Let dagster-slurm use these classes, for which it has no setting."""
    for module in (slurm_pipes_client, session, compute):
        module.SSHConnectionPool = Connection  # type: ignore[attr-defined]
    slurm_pipes_client.SSHMessageReader = Messages  # type: ignore[attr-defined]
    local_pipes_client.LocalMessageReader = LocalMessages  # type: ignore[assignment,attr-defined]
    compute.SlurmSessionResource = Allocation  # type: ignore[attr-defined]
    compute.SlurmPipesClient = Client  # type: ignore[attr-defined]
