"""The page about a project for a team: its services run, with a real Postgres behind them."""

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from dagster_graphql import DagsterGraphQLClient
from ports import free_port
from running import Gen
from usermanager import PROGRAMS, UNITS, UserManager, user_manager
from venvs import lend_packages
from waiting import wait_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.timeout(900),
    # Dagster's own client calls its library in an old way.
    pytest.mark.filterwarnings("ignore:Using variable_values:DeprecationWarning"),
]

PAGE = (Path(__file__).parents[2] / "docs" / "dagster-deployment.md").read_text()
# Debian keeps the server's programs of each version apart.
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql"))
PASSWORD = "words-of-dagster"  # noqa: S105 - of the test


def blocks(section: str, language: str) -> list[str]:
    """Return the blocks of a section of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    texts: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return texts


@contextmanager
def postgres(directory: Path, port: int) -> Iterator[None]:
    """Run a server, and the commands of the page that make the database."""
    directory.mkdir(mode=0o755)
    subprocess.run(["chown", "postgres", directory], check=True)

    def run(*command: str, typed: str = "") -> None:
        subprocess.run(
            ["runuser", "-u", "postgres", "--", *command],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=directory,
            env={"PATH": os.environ["PATH"], "PGHOST": str(directory), "PGPORT": str(port)},
            input=typed,
            check=True,
        )

    data = str(directory / "data")
    # As Debian's package does: others at this machine need their password, `postgres` does not.
    run(str(POSTGRES / "initdb"), "--auth-local=peer", "--auth-host=scram-sha-256", data)
    options = f"-h 127.0.0.1 -p {port} -k {directory}"
    run(str(POSTGRES / "pg_ctl"), "--wait", "-D", data, "-l", f"{data}/log", "-o", options, "start")
    try:
        _, *commands = blocks("Postgres", "sh")[0].splitlines()
        for command in commands:
            assert command.startswith("sudo -u postgres ")
            # Without a terminal the password is read from here, twice.
            run(*command.split()[3:], typed=f"{PASSWORD}\n{PASSWORD}\n")
        yield
    finally:
        run(str(POSTGRES / "pg_ctl"), "--wait", "-D", data, "-m", "fast", "stop")


@pytest.fixture
def manager(need: Callable[..., None]) -> Iterator[UserManager]:
    need(*PROGRAMS, "runuser", "psql", str(POSTGRES / "initdb"), root=True)
    with user_manager() as manager:
        yield manager


def install(pipelines: Path) -> None:
    """Type the first commands of the page, and let pip find the packages of the tests."""
    install_block = blocks("Install", "sh")[0]
    create_venv, _, install_packages = install_block.splitlines()[1].partition(" && ")
    subprocess.run(create_venv.split(), cwd=pipelines, check=True, timeout=120)
    lend_packages(pipelines / ".venv", "dagster-webserver", "dagster-daemon", "dg")
    pip = subprocess.run(
        ["bash", "-euc", install_packages],
        cwd=pipelines,
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert pip.returncode == 0, pip.stdout + pip.stderr


def write_services(manager: UserManager, port: int) -> None:
    """Write the units of the page, with another port."""
    units = dict(re.findall(r"/(dagster-\w+\.service)`[^`]*```ini\n(.*?)```", PAGE, re.DOTALL))
    assert set(units) == {"dagster-webserver.service", "dagster-daemon.service"}
    for name, text in units.items():
        text = text.replace("PACKAGE", "pipelines").replace("-p 3000", f"-p {port}")
        manager.write(UNITS / name, text)


def query(port: int, sql: str) -> str:
    """Ask the database as the user of Dagster."""
    return subprocess.run(
        ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "dagster", "-Atc", sql, "dagster"],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


def test_the_services_of_the_page_run_an_asset_and_keep_it_in_postgres(
    manager: UserManager, gen: Gen
) -> None:
    pipelines = manager.home / "pipelines"
    assert gen("project", "pipelines", "--site", "musica", "--out", str(manager.home)).status == 0
    install(pipelines)
    database_port, port = free_port(), free_port()
    [storage] = blocks("Postgres", "yaml")
    with (pipelines / "dagster_home" / "dagster.yaml").open("a") as file:
        file.write("\n" + storage.replace("5432", str(database_port)))
    secret = f"DAGSTER_PG_PASSWORD={PASSWORD}\n"
    manager.write(".config/dagster/postgres.env", secret, 0o600)
    [executor] = blocks("Executor", "python")
    module = pipelines / "src/pipelines/defs/resources.py"
    module.write_text(module.read_text().replace("return wiring()", executor.strip()))
    assert "in_process_executor" in module.read_text()
    write_services(manager, port)
    with postgres(manager.home.with_name("postgres"), database_port):
        for command in blocks("Services", "sh")[0].splitlines()[:2]:
            manager.systemctl(*command.split()[2:])
        wait_until(lambda: listens(port), lambda: status_of_services(manager), 300)
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        client.submit_job_execution("__ASSET_JOB", asset_selection=["corpus"])

        def status() -> str:
            return query(database_port, "SELECT status FROM runs")

        wait_until(
            lambda: status() in ("SUCCESS", "FAILURE"),
            lambda: status_of_services(manager),
            300,
        )
        assert status() == "SUCCESS"
        # A step with a process of its own would have this event.
        events = query(database_port, "SELECT dagster_event_type FROM event_logs")
        assert "ASSET_MATERIALIZATION" in events
        assert "STEP_WORKER_STARTING" not in events
        # The daemon is alive, and says so in the database too.
        heartbeats = "SELECT count(*) FROM daemon_heartbeats"
        wait_until(lambda: query(database_port, heartbeats) != "0", seconds=120)
        for unit in ("dagster-webserver", "dagster-daemon"):
            assert manager.shown(unit, "ActiveState") == "active"
            assert manager.shown(unit, "NRestarts") == "0"
            manager.systemctl("stop", unit)
    assert not (pipelines / "dagster_home" / "history").exists()
    # The packages are installed, and the files that run are those that gen keeps up to date.
    assert (pipelines / "data" / "corpus.csv").exists()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def status_of_services(manager: UserManager) -> str:
    return manager.run("systemctl", "--user", "status", "dagster-*").stdout
