"""How much the tests repeat: a sample by default, everything with `GEN_TEST_DEPTH=full`.

What repeats asks here how often: the examples of hypothesis, mutated documents,
tables with a row for each site. A test that takes long however it is cut carries the marker `long`;
the default run skips it.
"""

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

FULL = os.environ.get("GEN_TEST_DEPTH") == "full"
# For a nightly run, which sets it to the number of the day. Each round has other rows of a sample
# and other long tests, so that a week runs all of them.
ROUND = int(os.environ["GEN_TEST_ROUND"]) if "GEN_TEST_ROUND" in os.environ else None
SHARES = 7
"""Number of rounds in which every long test runs once."""

Row = TypeVar("Row")


def examples(number: int) -> int:
    """Return how many examples to try: in a full run `number`, by default a tenth, at least ten."""
    if FULL:
        return number
    # Below ten examples hypothesis hardly leaves the simplest values.
    return min(number, max(10, number // 10))


def sample(rows: Sequence[Row], size: int = 4) -> list[Row]:
    """Return all rows in a full run, by default `size` rows, spread from the first to the last.

    A round begins at a later row.
    """
    if FULL or len(rows) <= size:
        return list(rows)
    # Spread, because neighbours in a sorted table tend to be alike.
    step = (len(rows) - 1) / max(1, size - 1)
    sampled = []
    for number in range(size):
        position = round(number * step) + (ROUND or 0)
        sampled.append(rows[position % len(rows)])
    return sampled


def in_turn(modules: Iterable[str]) -> set[str]:
    """Return the modules whose long tests run: all in a full run, a share of them in a round."""
    ordered = sorted(set(modules))
    if FULL:
        return set(ordered)
    if ROUND is None:
        return set()
    return set(ordered[ROUND % SHARES :: SHARES])
