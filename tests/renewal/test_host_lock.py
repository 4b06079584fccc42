"""The lock between machines that share a home directory."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from generator.clock import Deadline
from generator.errors import GenError
from generator.renewal import host_lock
from generator.renewal.failures import PassingError

HERE = os.uname().nodename
# A machine of its own name that counts under the lock: without the lock, it would lose numbers.
COUNTER = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from generator.clock import Deadline
from generator.renewal import host_lock
directory, name = Path(sys.argv[1]), sys.argv[2]
os.uname = lambda: SimpleNamespace(nodename=name)
host_lock._POLL = 0.01
for _ in range(5):
    host_lock.acquire(directory / "musica.holder", Deadline(60))
    number = int((directory / "number").read_text())
    time.sleep(0.01)
    (directory / "number").write_text(str(number + 1))
    host_lock.release(directory / "musica.holder")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "musica.holder"


def held(path: Path, *, host: str = "other", left: int = 100) -> None:
    """Write the lock of a run, which is valid for some seconds more."""
    values = {"host": host, "machine": "0", "process": 7, "until": int(time.time()) + left}
    path.write_text(json.dumps({"format_version": "2.0", **values}))
    path.chmod(0o600)


def holder(path: Path) -> str:
    return str(json.loads(path.read_text())["host"])


def test_a_free_lock_is_taken_and_removed_again(path: Path) -> None:
    host_lock.acquire(path, Deadline(0))
    record = json.loads(path.read_text())
    assert (record["host"], record["process"]) == (HERE, os.getpid())
    assert 590 < record["until"] - time.time() <= 600
    assert path.stat().st_mode & 0o777 == 0o600
    host_lock.release(path)
    assert list(path.parent.iterdir()) == []


def test_the_lock_of_another_machine_is_respected_and_named(path: Path) -> None:
    held(path)
    begun = time.monotonic()
    waits: list[str] = []
    with pytest.raises(PassingError) as caught:
        host_lock.acquire(path, Deadline(1), lambda: waits.append("once"))
    assert waits == ["once"]
    assert time.monotonic() - begun >= 1
    assert re.fullmatch(
        rf"{path}: gen on other is still running, until \S+ \S+ UTC at the latest; "
        r"wait for it, then try again",
        str(caught.value),
    )
    assert holder(path) == "other"


@pytest.mark.parametrize(
    ("left", "host"),
    [
        pytest.param(-400, "other", id="that has ended"),
        # The clock of that machine is wrong by years: its lock must not stop all machines.
        pytest.param(100_000_000, "other", id="that ends in years"),
    ],
)
def test_a_lock_that_a_dead_run_left_is_taken_over(path: Path, left: int, host: str) -> None:
    held(path, left=left, host=host)
    host_lock.acquire(path, Deadline(0))
    assert holder(path) == HERE


def test_a_run_of_this_machine_that_was_killed_holds_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_lock.acquire(path, Deadline(0))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    # The caller has the flock, which the killed run lost.
    host_lock.acquire(path, Deadline(0))
    assert json.loads(path.read_text())["process"] == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format_version": "2.0"}'])
def test_a_broken_lock_is_taken_over(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    host_lock.acquire(path, Deadline(0))
    assert holder(path) == HERE


def test_a_lock_that_was_taken_over_is_neither_kept_nor_removed(path: Path) -> None:
    host_lock.acquire(path, Deadline(0))
    host_lock.keep(path)
    held(path)
    with pytest.raises(GenError) as caught:
        host_lock.keep(path)
    assert str(caught.value) == f"{path}: another machine has taken over this renewal; try again"
    host_lock.release(path)
    assert holder(path) == "other"


def test_the_lock_works_on_a_file_system_without_hard_links(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    host_lock.acquire(path, Deadline(0))
    assert holder(path) == HERE
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="third"))
    with pytest.raises(PassingError):
        host_lock.acquire(path, Deadline(0))


def test_of_many_machines_one_has_the_lock_at_a_time(path: Path) -> None:
    # They all find a dead lock, which each of them may take over.
    held(path, left=-400)
    (path.parent / "number").write_text("0")
    machines = []
    for number in range(6):
        command = [sys.executable, "-c", COUNTER, str(path.parent), f"machine-{number}"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        machines.append(subprocess.Popen(command, env=environment))
    assert [machine.wait(timeout=120) for machine in machines] == [0] * 6
    assert (path.parent / "number").read_text() == "30"
    assert [file.name for file in path.parent.iterdir()] == ["number"]
