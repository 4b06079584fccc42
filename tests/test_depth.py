"""The samples of tables, and the turns of the tests that take long."""

import depth
import pytest

ROWS = list(range(136))
MODULES = [f"tests/test_{letter}.py" for letter in "abcdefghij"]


@pytest.fixture(autouse=True)
def _usual_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    # These tests are about the values that a run sets, and must not depend on those of this run.
    monkeypatch.setattr(depth, "FULL", False)
    monkeypatch.setattr(depth, "ROUND", None)


def test_a_sample_has_the_first_and_the_last_row() -> None:
    assert depth.sample(ROWS, 4) == [0, 45, 90, 135]
    assert depth.sample(ROWS, 1) == [0]
    assert depth.sample(ROWS[:3], 4) == [0, 1, 2]


def test_rounds_sample_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: set[int] = set()
    # Twenty rows of 136 lie seven or eight apart. The first day is some day of 2026.
    for number in range(20_784, 20_784 + 8):
        monkeypatch.setattr(depth, "ROUND", number)
        rows = depth.sample(ROWS, 20)
        assert len(set(rows)) == 20
        sampled.update(rows)
    assert sampled == set(ROWS)


def test_a_week_of_rounds_runs_every_long_test_once(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: list[str] = []
    for number in range(depth.SHARES):
        monkeypatch.setattr(depth, "ROUND", number)
        modules += depth.in_turn(MODULES)
    assert sorted(modules) == MODULES


def test_long_tests_run_in_rounds_and_in_full_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert depth.in_turn(MODULES) == set()
    monkeypatch.setattr(depth, "FULL", True)
    assert depth.in_turn(MODULES) == set(MODULES)
    assert depth.sample(ROWS, 4) == ROWS
