"""Run `gen` in the process of the test, through its entry point."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from generator import __main__


class Result(NamedTuple):
    """The exit status and the output of a run of gen."""

    status: int
    out: str
    err: str


Gen = Callable[..., Result]


def running(monkeypatch: pytest.MonkeyPatch, read_output: Callable[[], tuple[str, str]]) -> Gen:
    """Return a function that runs gen with some arguments.

    `read_output` returns the output since its last call.
    """

    def run(*arguments: str) -> Result:
        # Through the entry point, because that is where errors become exit statuses.
        monkeypatch.setattr(sys, "argv", ["gen", *arguments])
        status = 0
        try:
            __main__.main()
        except SystemExit as end:
            status = int(end.code or 0)
        return Result(status, *read_output())

    return run
