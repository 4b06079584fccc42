"""Wait for a condition, with a bound that a busy machine does not reach."""

import time
from collections.abc import Callable

PATIENCE = 120
"""Seconds. A server starts in less than one; beside other test runs it may need a hundred."""


def wait_until(
    condition: Callable[[], object],
    explanation: Callable[[], str] = lambda: "",
    seconds: float = PATIENCE,
) -> None:
    """Wait until a condition holds; after `seconds` fail with the explanation, such as a log."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain\n{explanation()}"
        # Short, because tests wait for many servers; each look costs little.
        time.sleep(0.02)
