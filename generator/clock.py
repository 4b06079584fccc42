"""The time now, and a time limit that several steps share."""

import time


class Deadline:
    """The moment by which everything must be done.

    It is on the monotonic clock, since a user or NTP may set the other one meantime.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds, never below zero."""
        return max(self._end - time.monotonic(), 0.0)


def now() -> int:
    """Return the seconds since 1970 by this machine's clock."""
    return int(time.time())
