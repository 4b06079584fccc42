"""`gen` run in the process of the test, as its entry point runs it."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from generator import __main__


class Result(NamedTuple):
    """What a run of gen came to."""

    status: int
    out: str
    err: str


Gen = Callable[..., Result]


def running(monkeypatch: pytest.MonkeyPatch, printed: Callable[[], tuple[str, str]]) -> Gen:
    """Return what runs gen with some arguments; `printed` tells what was printed since it was last asked."""

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["gen", *arguments])
        status = 0
        try:
            __main__.main()
        except SystemExit as end:
            status = int(end.code or 0)
        return Result(status, *printed())

    return run
