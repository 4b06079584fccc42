"""A generated Dagster project of a user with a scratch home directory: `dg`, and its results."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import AssetKey, DagsterInstance, DagsterRun
from dagster_graphql import DagsterGraphQLClient
from ports import free_port
from waiting import wait_until

TOOLS = Path(sys.prefix, "bin")

TIMEOUT = 560
"""Seconds. Dagster and Ray need ten each to start, and ten times as much on a busy machine."""

# Processes that outlive a run, as the ssh of a shared connection does, end with their namespace.
OWN_NAMESPACE = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Project:
    """A project of a user."""

    directory: Path
    home: Path
    programs: Path = TOOLS
    """Directory of programs that come before all others on the PATH."""
    prefix: tuple[str, ...] = ()
    """Words before each command."""

    @property
    def package(self) -> Path:
        """The directory of its Python package."""
        return next((self.directory / "src").iterdir())

    @property
    def dagster_home(self) -> Path:
        """The directory in which Dagster records its runs."""
        return self.home / "dagster"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the user; those in `.env` override them."""
        return {
            "PATH": f"{self.programs}:{TOOLS}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "DAGSTER_HOME": str(self.dagster_home),
            # Tests must not reach any other machine.
            "DAGSTER_DISABLE_TELEMETRY": "1",
            # The project runs from its directory, without an installation.
            "PYTHONPATH": str(self.directory / "src"),
        }

    def launch(self, *assets: str) -> Result:
        """Materialize assets as the user does."""
        return self._launch("--assets", ",".join(assets))

    def launch_job(self, job: str) -> Result:
        """Run a job as the user does."""
        return self._launch("--job", job)

    def _launch(self, *selection: str) -> Result:
        self.dagster_home.mkdir(exist_ok=True)
        dg = [str(TOOLS / "dg"), "launch", *selection]
        return subprocess.run(
            [*self.prefix, *dg],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    @contextmanager
    def serve(self) -> Iterator[DagsterGraphQLClient]:
        """Run `dg dev`, with the daemon, and kill all its processes at the end of the block."""
        self.dagster_home.mkdir(exist_ok=True)
        shutil.copy(self.directory / "dagster_home" / "dagster.yaml", self.dagster_home)
        # The test has to know the port before dg starts.
        port = free_port()
        log = self.home / "dagster.log"
        with log.open("a") as output:
            child = subprocess.Popen(
                [*OWN_NAMESPACE, str(TOOLS / "dg"), "dev", "--port", str(port)],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

        def serves() -> bool:
            assert child.poll() is None, log.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                return True
            return False

        try:
            wait_until(serves, log.read_text, TIMEOUT)
            yield DagsterGraphQLClient("127.0.0.1", port_number=port)
        finally:
            child.kill()
            child.wait()

    def runs(self) -> list[DagsterRun]:
        """Return all runs, the newest first."""
        self.dagster_home.mkdir(exist_ok=True)
        with DagsterInstance.from_config(str(self.dagster_home)) as instance:
            return list(instance.get_runs())

    def write_dotenv(self, text: str, **variables: str) -> None:
        """Write the `.env` file that Dagster reads; of a repeated name the last value counts."""
        lines = "".join(f"{name}={value}\n" for name, value in variables.items())
        (self.directory / ".env").write_text(text + lines)

    @contextmanager
    def setting(self, **variables: str) -> Iterator[None]:
        """Change values in the `.env` file to the end of the block."""
        # Later lines override earlier ones, so the old text is kept and lines are added.
        before = (self.directory / ".env").read_text()
        self.write_dotenv(before, **variables)
        try:
            yield
        finally:
            self.write_dotenv(before)

    def metadata(self, asset: str) -> dict[str, Any]:
        """Return the metadata of the newest materialization of an asset."""
        with DagsterInstance.from_config(str(self.dagster_home)) as instance:
            event = instance.get_latest_materialization_event(AssetKey(asset))
        assert event and event.asset_materialization
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}
