"""A process that has imported gen and forks for each run of it, so that a run takes no time to start.

Reads a JSON array for each run: the arguments of gen, the home folder, a file for its output, and whether to wait. It
answers with the number of the process, stopped if it is to wait until somebody traces it and wakes it up, and then with
its exit status.
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
    """Be gen."""
    os.environ["HOME"] = home
    os.chdir(Path(home).parent)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    sys.argv = ["gen", *arguments]
    if wait:
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.02)  # whoever traces is there by now; nothing of what is traced is done before
    __main__.main()


def serve() -> None:
    """Fork for each line."""
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
