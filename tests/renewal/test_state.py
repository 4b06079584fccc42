"""The state that one run leaves for the next, and the lock that keeps runs apart."""

import json
import multiprocessing
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from generator.clock import Deadline
from generator.errors import GenError
from generator.renewal.state import State, Store

FULL = State(
    finished=100,
    result="failed",
    message="the message",
    failed_on_connect=50,
    notified=60,
    pause_until=70,
    issued=(1, 2),
    rotated=3,
    known_tokens=("x-app-1",),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The state files of a site, in a directory that does not exist yet."""
    return Store("musica", tmp_path / "state" / "gen")


def test_a_written_state_is_read_again_and_only_its_owner_can_read_it(store: Store) -> None:
    assert store.read() == State()
    store.write(FULL)
    assert store.read() == FULL
    path = store.directory / "musica.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.directory.stat().st_mode & 0o777 == 0o700


# A umask of 777 gives even the owner nothing: gen sets each mode itself.
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o007, 0o077, 0o777])
def test_the_state_is_private_whatever_the_umask(store: Store, umask: int) -> None:
    previous = os.umask(umask)
    try:
        store.write(FULL)
    finally:
        os.umask(previous)
    for directory in (store.directory, store.directory.parent):
        assert directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / "musica.json").stat().st_mode & 0o777 == 0o600
    assert store.read() == FULL


@pytest.mark.parametrize("name", [".", "musica.json"])
def test_a_state_that_other_users_can_write_is_refused(store: Store, name: str) -> None:
    store.write(FULL)
    path = store.directory / name
    path.chmod(0o777)
    message = f"^{path}: other users can write to it .mode 777.; run chmod go-w {path}, and check"
    with pytest.raises(GenError, match=message):
        store.read()
    with pytest.raises(GenError, match=message):
        store.write(State())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="bytes"),
        pytest.param(b"[" * 100_000, id="deep nesting"),
        # int() refuses more than 4,300 digits (CVE-2020-10735) with a ValueError of its own.
        pytest.param(b'{"issued": ' + b"9" * 5000 + b"}", id="a number of 5,000 digits"),
        pytest.param(json.dumps({"finished": "yesterday"}).encode(), id="text for a time"),
        pytest.param(json.dumps({"finished": True}).encode(), id="true for a time"),
        pytest.param(json.dumps({"issued": 3}).encode(), id="a number for a list"),
        pytest.param(json.dumps({"issued": ["x"]}).encode(), id="text in a list of times"),
        pytest.param(json.dumps({"known_tokens": [1]}).encode(), id="a number in a list of text"),
    ],
)
def test_an_unreadable_state_counts_as_none(store: Store, content: bytes) -> None:
    store.write(FULL)
    (store.directory / "musica.json").write_bytes(content)
    assert store.read() == State()


def test_a_fifo_in_place_of_the_state_counts_as_none(store: Store) -> None:
    store.directory.mkdir(parents=True)
    os.mkfifo(store.directory / "musica.json")
    assert store.read() == State()


def test_keys_of_another_version_are_ignored(store: Store) -> None:
    store.write(FULL)
    (store.directory / "musica.json").write_text(json.dumps({"finished": 100, "new": True}))
    assert store.read() == State(finished=100)


class TestDue:
    """The file that ssh reads: from when to ask for a renewal, and when gen wrote that."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        path = tmp_path / "id-cert.pub"
        path.touch()
        return path

    def test_it_has_two_seconds_and_is_not_written_again_without_need(
        self, store: Store, certificate: Path
    ) -> None:
        store.write_due(1800000000, certificate)
        path = store.directory / "musica.due"
        due, since = path.read_text().splitlines()
        assert due == "1800000000"
        assert abs(int(since) - time.time()) < 60
        # Each connection may write it, and a home on NFS makes writes slow.
        before = path.stat().st_ino
        store.write_due(1800000000, certificate)
        assert path.stat().st_ino == before
        store.write_due(1800000001, certificate)
        assert path.read_text().splitlines()[0] == "1800000001"

    @pytest.mark.parametrize("change", ["newer certificate", "clock was ahead", "old format"])
    def test_it_is_written_again_if_ssh_would_not_take_it(
        self, store: Store, certificate: Path, change: str
    ) -> None:
        store.write_due(1800000000, certificate)
        path = store.directory / "musica.due"
        match change:
            case "newer certificate":
                second = path.stat().st_mtime + 1
                os.utime(certificate, (second, second))
            case "clock was ahead":
                path.write_text("1800000000\n1800000000\n")
            case "old format":
                path.write_text("1800000000\n")
        before = path.stat().st_ino
        store.write_due(1800000000, certificate)
        assert path.stat().st_ino != before


def test_an_unwritable_directory_is_an_error_except_for_the_file_of_ssh(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    store = Store("musica", tmp_path / "state" / "gen")
    store.write_due(1, tmp_path / "id-cert.pub")
    with pytest.raises(GenError, match="not a directory"):
        store.write(State())
    with pytest.raises(GenError, match="not a directory"), store.lock(Deadline(1)):
        pass


def test_the_work_directory_is_empty_private_and_deleted_afterwards(store: Store) -> None:
    with store.lock(Deadline(1)):
        path = store.directory / "musica.work"
        path.mkdir()
        (path / "secret").write_text("of a run that was killed")
        assert store.has_work_directory()
        with store.work_directory() as work:
            assert list(work.iterdir()) == []
            assert work.stat().st_mode & 0o777 == 0o700
            (work / "file").write_text("x")
        assert not store.has_work_directory()


def test_scratch_files_of_a_dead_process_are_deleted_and_those_of_a_living_one_stay(
    store: Store,
) -> None:
    store.write(State())
    # A process id that certainly has no process.
    dead = subprocess.Popen(["true"])
    dead.wait(10)
    of_dead = store.directory / f".gen-{dead.pid}-0.tmp"
    of_living = store.directory / f".gen-{os.getpid()}-0.tmp"
    of_dead.write_text("half")
    of_living.write_text("half")
    store.clean()
    assert (of_dead.exists(), of_living.exists()) == (False, True)


def hold(store: Store, seconds: float) -> None:
    with store.lock(Deadline(5)):
        (store.directory / "held").touch()
        time.sleep(seconds)


def count(store: Store) -> None:
    with store.lock(Deadline(60)):
        state = store.read()
        time.sleep(0.01)
        store.write(replace(state, issued=(*state.issued, 1)))


def test_twenty_processes_at_once_each_see_the_work_of_the_one_before(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    # A timer, ssh and a user may all start a renewal in one moment. Without the lock some of twenty
    # increments are lost.
    processes = [context.Process(target=count, args=(store,)) for _ in range(20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 20
    assert len(store.read().issued) == 20


def test_a_run_does_not_wait_longer_than_its_deadline_for_the_lock(store: Store) -> None:
    holder = multiprocessing.get_context("fork").Process(target=hold, args=(store, 60))
    holder.start()
    try:
        while not (store.directory / "held").exists():
            time.sleep(0.01)
        begin = time.monotonic()
        waits: list[float] = []
        with (
            pytest.raises(GenError, match="another gen is still running"),
            store.lock(Deadline(0.3), lambda: waits.append(time.monotonic())),
        ):
            pass
        assert [moment - begin < 0.3 for moment in waits] == [True]
        assert 0.3 <= time.monotonic() - begin < 5
    finally:
        holder.kill()
        holder.join()
    with store.lock(Deadline(5), lambda: pytest.fail("waits for nobody")):
        pass  # the system releases the lock of a killed process
