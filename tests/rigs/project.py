"""A generated Dagster project in the hands of a person whose home is a scratch folder: `dg`, and what runs came to."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import AssetKey, DagsterInstance

TOOLS = Path(sys.prefix, "bin")

TIMEOUT = 560
"""Seconds; Dagster and Ray need ten each to start, and a busy machine ten times as much."""

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Project:
    """A project of a person."""

    folder: Path
    home: Path
    programs: Path = TOOLS
    """Folder of programs that are found before all others."""
    before: tuple[str, ...] = ()
    """Words before a command."""

    @property
    def package(self) -> Path:
        """The folder of its Python package."""
        return next((self.folder / "src").iterdir())

    @property
    def store(self) -> Path:
        """Dagster's home: what runs came to."""
        return self.home / "dagster"

    @property
    def environment(self) -> dict[str, str]:
        """The person's variables, which those in `.env` beat."""
        return {
            "PATH": f"{self.programs}:{TOOLS}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "DAGSTER_HOME": str(self.store),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(self.folder / "src"),
        }

    def launch(self, *assets: str) -> Result:
        """Materialize assets as the person does."""
        self.store.mkdir(exist_ok=True)
        return subprocess.run(
            [*self.before, str(TOOLS / "dg"), "launch", "--assets", ",".join(assets)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def dotenv(self, text: str, **more: str) -> None:
        """Write the file that Dagster reads; of a name that comes twice the last counts."""
        (self.folder / ".env").write_text(
            text + "".join(f"{name}={value}\n" for name, value in more.items())
        )

    @contextmanager
    def setting(self, **more: str) -> Iterator[None]:
        """Have other values in that file for a while."""
        before = (self.folder / ".env").read_text()
        self.dotenv(before, **more)
        try:
            yield
        finally:
            self.dotenv(before)

    def metadata(self, asset: str) -> dict[str, Any]:
        """Return what the newest materialization of an asset tells."""
        with DagsterInstance.from_config(str(self.store)) as instance:
            event = instance.get_latest_materialization_event(AssetKey(asset))
        assert event and event.asset_materialization
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}
