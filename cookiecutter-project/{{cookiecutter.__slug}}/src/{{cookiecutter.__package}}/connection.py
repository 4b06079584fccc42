# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""The connection that all commands to a login node share. It waits for ssh when ssh is lost."""

import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import dagster as dg
from dagster_slurm.helpers.ssh_pool import SSHConnectionPool

from .secret_checks import refuse_file, refuse_text

PATIENCE = 300.0
"""Seconds to wait for ssh while there is no job."""
SHORT_PAUSE, LONG_PAUSE, REFUSED_PAUSE = 2.0, 30.0, 300.0
"""Seconds between attempts to log in. Sites block accounts that try often after a refused login."""
ONCE = """\
mark=~/.cache/dagster-once/MARK
mkdir -p ~/.cache/dagster-once && find ~/.cache/dagster-once -mindepth 1 -mtime +1 -delete
if mkdir $mark 2>/dev/null; then
  {
COMMAND
  } >$mark/output
  echo $? >$mark/status
fi
for _ in $(seq 60); do [ -s $mark/status ] && break; sleep 1; done
cat $mark/output
exit $(cat $mark/status)
"""
"""Runs a command at its first attempt only. Later attempts print the output of the first, which may have got through."""


def nothing() -> None:
    """Do nothing."""


class Connection(SSHConnectionPool):
    """The connection of dagster-slurm. There a run fails, and its job is cancelled, when ssh fails once."""

    lost: ClassVar[dict[str, float]] = {}
    """When each login node was lost. A process has several connections to it, and logs an event once."""
    lock: ClassVar[threading.Lock] = threading.Lock()
    walltime: float | None = None
    """Seconds to wait for ssh while there is a job; None while there is no job."""
    meanwhile: Callable[[], None] = staticmethod(nothing)
    """Called each second of the wait. An exception ends the wait."""
    renew: Callable[[], None] = staticmethod(nothing)
    """Called if the site refuses the login while there is a job: the certificate may have expired."""
    in_session = False
    """True if jobs are steps of an allocation, whose logs are not followed."""
    reported = False

    @property
    def node(self) -> str:
        """The login node, as ssh takes it."""
        return f"{self.config.user}@{self.config.host}"

    def run(self, cmd: str, timeout: int | None = None) -> str:
        """Run a command at the site, again if the connection was lost.

        Raises:
            RuntimeError: the command failed, the site refuses the login, or ssh did not come back in time.
        """
        submits = "sbatch " in cmd or "nohup bash " in cmd
        command = ONCE.replace("MARK", uuid.uuid4().hex).replace("COMMAND", cmd) if submits else cmd
        repeated = False
        while True:
            try:
                output = super().run(command, timeout)
            except RuntimeError as error:
                # ssh exits with 255 if it fails itself (ssh(1)). So may a command, but then ssh works right after it.
                if "(exit 255)" not in str(error) or (not self.was_lost() and repeated):
                    raise RuntimeError(str(error).replace(command, cmd)) from None
                repeated = True
            else:
                self.report_single_logins()
                return output

    def write_file(self, content: str, remote_path: str) -> None:
        """Write a file at the site, such as the script of a job."""
        refuse_text(remote_path, content)
        super().write_file(content, remote_path)

    def upload_file(self, local_path: str, remote_path: str) -> None:
        """Copy a file to the site, again if that fails while ssh works."""
        refuse_file(local_path)
        try:
            super().upload_file(local_path, remote_path)
        except RuntimeError:
            self.run("true")
            super().upload_file(local_path, remote_path)

    def was_lost(self) -> bool:
        """Wait until ssh works, and return whether it did not at first.

        Raises:
            RuntimeError: ssh did not come back in time, or waiting does not help.
        """
        deadline = time.monotonic() + (self.walltime or PATIENCE)
        pause, lost = SHORT_PAUSE, False
        while True:
            self.share()
            try:
                super().run("true", timeout=60)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                lost = True
                why = str(error).partition("stderr: ")[2].strip() or "ssh does not answer"
                refused = "Permission denied" in why
                if "Host key verification failed" in why or (refused and self.walltime is None):
                    raise
                if time.monotonic() > deadline:
                    raise
                if refused:
                    why = self.renewal_failure() or why
                    pause = REFUSED_PAUSE
                self.note_loss(why)
                self.wait(pause)
                pause = min(2 * pause, LONG_PAUSE)
            else:
                self.note_return()
                return lost

    def wait(self, seconds: float) -> None:
        """Wait, unless the user cancels the run."""
        for _ in range(int(seconds)):
            self.meanwhile()
            time.sleep(1)

    def renewal_failure(self) -> str | None:
        """Renew the certificate, and return what the user has to do if that does not help."""
        try:
            self.renew()
        except dg.Failure as failure:
            return failure.description
        return None

    def note_loss(self, why: str) -> None:
        """Log once that the login node was lost."""
        with self.lock:
            if self.node in self.lost:
                return
            self.lost[self.node] = time.monotonic()
        patience = (self.walltime or PATIENCE) / 60
        self.logger.warning(f"lost the connection to {self.node}; waiting up to {patience:.0f} min for it: {why}")

    def note_return(self) -> None:
        """Log once that the login node is back."""
        with self.lock:
            since = self.lost.pop(self.node, None)
        if since is not None:
            self.logger.info(f"the connection to {self.node} is back after {time.monotonic() - since:.0f} s")

    def share(self) -> None:
        """Start the shared connection again if it ended. dagster-slurm would then log in for each command."""
        with self._lock:
            self._last_master_check = time.monotonic()
            if self._fallback_unsupported or self._master_is_alive():
                return
            self.control_path = self._prepare_control_path()
            self._master_started = self._fallback_mode = False
            self._start_master()

    def _spawn_master(self) -> None:
        # ssh -M does not replace the socket of a connection that was killed: it would share nothing, and stay for ever.
        if self.control_path:
            Path(self.control_path).unlink(missing_ok=True)
        super()._spawn_master()

    def _ensure_master_alive(self, *, force: bool = False) -> None:
        due = time.monotonic() - self._last_master_check > self.MASTER_CHECK_INTERVAL_SECONDS
        if self.multiplexing_active and (due or force):
            self.share()

    def _report_multiplexing_state(self) -> None:
        """Report nothing yet: the shared connection also fails to start if ssh does."""

    def report_single_logins(self) -> None:
        """Report once that ssh works, but cannot share a connection."""
        if self._fallback_mode and not self.reported:
            self.reported = True
            super()._report_multiplexing_state()
