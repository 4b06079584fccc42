"""`gen refresh SITE`: renew the certificate when it is due, and say so."""

import json
import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from generator.cli.output import data, say
from generator.errors import GenError
from generator.formatting import clock, home, span
from generator.loading.inputs import Choice
from generator.renewal import process, renew, settings
from generator.renewal.context import ON_CONNECT, Wish, now, secret_names
from generator.renewal.key_files import certificate
from generator.renewal.renew import Outcome
from generator.renewal.settings import Settings
from generator.ssh.certificate import NEVER


def run(choice: Choice, wish: Wish, *, as_json: bool) -> int:
    """Look at the certificate of a site, and renew it when it is due.

    Raises:
        GenError: it could not be renewed; what was there before still is.
    """
    process.keep_memory_private()
    if wish.on_connect:
        return _on_connect(choice, wish)
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    found, outcome = _refresh(choice, replace(wish, terminal=terminal))
    _tell(found, outcome, as_json)
    return 0


def check(choice: Choice, *, as_json: bool) -> int:
    """Tell how long the certificate of a site lasts, and do no more; 1 where it is due."""
    found = settings.read(choice, os.environ)
    outcome = Outcome(False, False, certificate(found.certificate))
    _tell(found, outcome, as_json)
    return int(renew.pending(outcome.certificate, found, now()))


def _on_connect(choice: Choice, wish: Wish) -> int:
    """Renew before a connection: in bounded time, with a line at most, and never in the way of it."""
    late = threading.Timer(ON_CONNECT - 1, _give_up, [choice.site])  # Python took its time to start
    late.daemon = True
    late.start()
    try:
        _refresh(choice, wish)
    except GenError as error:
        say(str(error).splitlines()[0])
    except Exception as error:  # a bug is no reason to stand in the way either
        say(
            f"{choice.site}: the certificate was not renewed ({type(error).__name__}); see gen refresh {choice.site}"
        )
    late.cancel()
    return 0


def _refresh(choice: Choice, wish: Wish) -> tuple[Settings, Outcome]:
    environment = dict(os.environ)
    found = settings.read(choice, environment)
    for name in secret_names(found):
        os.environ.pop(name, None)  # libraries start programs too
    return found, renew.refresh(found, wish, environment)


def _give_up(site: str) -> None:
    """End at once: what is stuck, in a name server say, does not listen to anything gentler."""
    guard = threading.Timer(1, os._exit, [0])  # the disk may be what is stuck
    guard.daemon = True
    guard.start()
    message = f"{site}: the certificate was not renewed within {ON_CONNECT} s"
    os.write(2, f"{message}; see gen status {site}\n".encode())
    with suppress(Exception):
        renew.given_up(site, message)
    os._exit(0)


def _tell(found: Settings, outcome: Outcome, as_json: bool) -> None:
    there = outcome.certificate
    if as_json:
        data(json.dumps(_record(found, outcome), indent=2))
        return
    for note in outcome.notes:
        say(f"{found.site}: note: {note}")
    if outcome.rotated:
        say(f"{found.site}: credentials rotated")
    if not there:
        say(
            f"{found.site}: there is no certificate at {home(found.certificate)}; gen refresh {found.site} gets one"
        )
    elif there.valid_after > now():
        start = clock(there.valid_after)
        say(
            f"{found.site}: the certificate is not valid before {start}; is this machine's clock right?"
        )
    elif there.end == NEVER:
        say(f"{found.site}: the certificate is valid forever")
    else:
        what = "renewed, valid" if outcome.renewed else "the certificate is valid"
        left = there.end - now()
        ended = f"the certificate ended at {clock(there.valid_before)}; gen refresh {found.site} gets a new one"
        say(
            f"{found.site}: {what} until {clock(there.valid_before)} ({span(left)})"
            if left > 0
            else ended
        )


def _record(found: Settings, outcome: Outcome) -> dict[str, object]:
    there = outcome.certificate
    return {
        "format_version": "1.0",
        "site": found.site,
        "certificate": str(found.certificate),
        "valid_before": datetime.fromtimestamp(there.end, UTC).isoformat() if there else None,
        "seconds_left": there.end - now() if there else None,
        "due": renew.pending(there, found, now()),
        "renewed": outcome.renewed,
        "rotated": outcome.rotated,
        "notes": list(outcome.notes),
    }
