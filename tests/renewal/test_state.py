"""What is remembered from one run to the next, and the lock that keeps runs apart."""

import json
import multiprocessing
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from generator.errors import GenError
from generator.renewal.deadline import Deadline
from generator.renewal.state import State, Store

FULL = State(100, "failed", "what was wrong", 60, 70, (1, 2), 3, ("x-app-1",))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A site's files in a folder that is not there yet."""
    return Store("musica", tmp_path / "state" / "gen")


def test_what_is_written_is_read_again_by_its_owner_alone(store: Store) -> None:
    assert store.read() == State()
    store.write(FULL)
    assert store.read() == FULL
    place = store.folder / "musica.json"
    assert (place.stat().st_mode & 0o777, store.folder.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half of it"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="bytes"),
        pytest.param(json.dumps({"at": "yesterday"}).encode(), id="a word for a time"),
        pytest.param(json.dumps({"issued": 3}).encode(), id="a number for several"),
    ],
)
def test_what_cannot_be_read_counts_as_nothing(store: Store, content: bytes) -> None:
    store.write(FULL)
    (store.folder / "musica.json").write_bytes(content)
    assert store.read() == State()


def test_what_another_version_wrote_is_read_as_far_as_it_is_known(store: Store) -> None:
    store.write(FULL)
    place = store.folder / "musica.json"
    place.write_text(json.dumps({"at": 100, "new": True}))
    assert store.read() == replace(State(), at=100)


def test_the_hook_finds_a_second_and_the_end_of_the_line(store: Store) -> None:
    store.due(1800000000)
    place = store.folder / "musica.due"
    assert place.read_text() == "1800000000\n"
    before = place.stat().st_ino
    store.due(1800000000)
    assert place.stat().st_ino == before, "the same is not written again"
    store.due(1800000001)
    assert place.read_text() == "1800000001\n"


def test_where_nothing_can_be_written_it_is_told_but_for_the_hook(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    store = Store("musica", tmp_path / "state" / "gen")
    store.due(1)
    with pytest.raises(GenError, match="not a directory"):
        store.write(State())
    with pytest.raises(GenError, match="not a directory"), store.lock(Deadline(1)):
        pass


def test_the_folder_for_a_renewal_is_empty_private_and_gone_afterwards(store: Store) -> None:
    with store.lock(Deadline(1)):
        left = store.folder / "musica.work"
        left.mkdir()
        (left / "secret").write_text("of a run that was killed")
        assert store.left()
        with store.work() as work:
            assert (list(work.iterdir()), work.stat().st_mode & 0o777) == ([], 0o700)
            (work / "file").write_text("x")
        assert not store.left()


def test_what_a_kill_left_beside_goes_when_its_run_is_no_more(store: Store) -> None:
    store.write(State())
    ended = subprocess.Popen(["true"])
    ended.wait(10)
    old, new = (store.folder / f".gen-{process}-0.tmp" for process in (ended.pid, os.getpid()))
    for path in (old, new):
        path.write_text("half")
    store.clean()
    assert (old.exists(), new.exists()) == (False, True)


def hold(store: Store, seconds: float) -> None:
    with store.lock(Deadline(5)):
        (store.folder / "held").touch()
        time.sleep(seconds)


def count(store: Store) -> None:
    with store.lock(Deadline(60)):
        state = store.read()
        time.sleep(0.01)
        store.write(replace(state, issued=(*state.issued, 1)))


def test_of_twenty_at_once_each_sees_what_the_one_before_did(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=count, args=(store,)) for _ in range(20)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert [other.exitcode for other in others] == [0] * 20
    assert len(store.read().issued) == 20


def test_nobody_waits_longer_than_the_deadline(store: Store) -> None:
    other = multiprocessing.get_context("fork").Process(target=hold, args=(store, 60))
    other.start()
    try:
        while not (store.folder / "held").exists():
            time.sleep(0.01)
        begun = time.monotonic()
        with (
            pytest.raises(GenError, match="another gen is still at work"),
            store.lock(Deadline(0.3)),
        ):
            pass
        assert 0.3 <= time.monotonic() - begun < 5
    finally:
        other.kill()
        other.join()
    with store.lock(Deadline(5)):
        pass  # the lock of a killed process is nobody's
