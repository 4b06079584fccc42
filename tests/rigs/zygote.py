"""A process that has imported gen and forks for each run, so that a run starts at once.

It reads a JSON array for each run: the arguments of gen, the home directory, the output file, and
whether to wait. It prints the process id, and then the exit status. A process that waits is stopped
until a tracer continues it.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from generator import __main__
from generator.cli import install, uninstall  # noqa: F401
from generator.loading import validate  # noqa: F401 - imported for the runs
from generator.schema import rules  # noqa: F401


def run(arguments: list[str], home: str, output: str, wait: bool) -> None:
    """Run gen in this process."""
    os.environ["HOME"] = home
    os.chdir(Path(home).parent)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    sys.argv = ["gen", *arguments]
    if wait:
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.02)  # the tracer is attached by now, and nothing traced has happened yet
    __main__.main()


def serve() -> None:
    """Fork for each line of stdin."""
    for line in sys.stdin:
        arguments, home, output, wait = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 70
            try:
                run(arguments, home, output, wait)
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                os._exit(status)
        if wait:
            os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)  # noqa: T201
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
