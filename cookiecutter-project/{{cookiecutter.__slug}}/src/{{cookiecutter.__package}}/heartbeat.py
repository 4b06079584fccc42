# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""The sign of a run that its process is alive. The sensor `orphans` looks for runs that have stopped to give it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

TAG = "dagster_slurm/last_supervisor_heartbeat"
INTERVAL = 30
"""Seconds between two signs."""


@contextmanager
def heartbeats(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Give signs in a thread of its own: a command of ssh may hang for minutes."""
    ended = threading.Event()

    def beat() -> None:
        while True:
            instance.add_run_tags(run_id, {TAG: str(time.time())})
            if ended.wait(INTERVAL):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        # What the run does from here on is not at the site.
        instance.add_run_tags(run_id, {TAG: ""})
