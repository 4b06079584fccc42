"""A time limit that several steps share."""

import time


class Deadline:
    """The moment by which everything must be done, on a clock that nobody can set (time.monotonic)."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds, never below zero."""
        return max(self._end - time.monotonic(), 0.0)
