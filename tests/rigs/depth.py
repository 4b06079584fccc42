"""How much the tests repeat: a sample by default, everything with `GEN_TEST_DEPTH=full`.

What repeats asks here how often: the examples of hypothesis, mutated documents,
tables with a row for each site. A test that takes long however it is cut carries the marker `long`;
the default run skips it.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

FULL = os.environ.get("GEN_TEST_DEPTH") == "full"

Row = TypeVar("Row")


def examples(number: int) -> int:
    """Return how many examples to try: in a full run `number`, by default a tenth, at least ten."""
    if FULL:
        return number
    # Below ten examples hypothesis hardly leaves the simplest values.
    return min(number, max(10, number // 10))


def sample(rows: Sequence[Row], size: int = 4) -> list[Row]:
    """Return all rows in a full run, by default `size` rows, spread from the first to the last."""
    if FULL or len(rows) <= size:
        return list(rows)
    if size == 1:
        return [rows[0]]
    # Spread, because neighbours in a sorted table tend to be alike.
    step = (len(rows) - 1) / (size - 1)
    return [rows[round(number * step)] for number in range(size)]
