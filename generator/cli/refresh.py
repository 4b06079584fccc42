"""`gen refresh SITE`: renew the certificate if it is due, and report the result."""

import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from generator.cli.output import data, say
from generator.codec import report
from generator.errors import GenError
from generator.formatting import clock, home, span
from generator.loading.inputs import Choice
from generator.renewal import renew, settings
from generator.renewal.context import ON_CONNECT_LIMIT, RefreshOptions, now, secret_names
from generator.renewal.key_files import certificate
from generator.renewal.renew import RefreshResult
from generator.renewal.secret import keep_memory_private
from generator.renewal.settings import Settings
from generator.ssh.certificate import NEVER


def run(choice: Choice, options: RefreshOptions, *, as_json: bool) -> int:
    """Renew the certificate of a site if it is due; after a failure the old one is in place."""
    keep_memory_private()
    if options.on_connect:
        return _on_connect(choice, options)
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    site_settings, result = _refresh(choice, replace(options, terminal=terminal))
    _print(site_settings, result, as_json)
    return 0


def check(choice: Choice, *, as_json: bool) -> int:
    """Print how long the certificate of a site lasts, and return 1 if it is due; change nothing."""
    site_settings = settings.read(choice, os.environ)
    result = RefreshResult(False, False, certificate(site_settings.certificate))
    _print(site_settings, result, as_json)
    return int(renew.is_due(result.certificate, site_settings, now()))


def _on_connect(choice: Choice, options: RefreshOptions) -> int:
    """Renew before a connection: in bounded time, with one line at most, and always with status 0."""
    watchdog = threading.Timer(ON_CONNECT_LIMIT - 1, _give_up, [choice.site])
    watchdog.daemon = True
    watchdog.start()
    try:
        _refresh(choice, options)
    except GenError as error:
        say(str(error).splitlines()[0])
    except Exception as error:  # a bug must not keep the user from connecting
        say(
            f"{choice.site}: the certificate was not renewed ({type(error).__name__}); "
            f"see gen refresh {choice.site}"
        )
    watchdog.cancel()
    return 0


def _refresh(choice: Choice, options: RefreshOptions) -> tuple[Settings, RefreshResult]:
    environment = dict(os.environ)
    site_settings = settings.read(choice, environment)
    for name in secret_names(site_settings):
        os.environ.pop(name, None)  # libraries start programs too
    return site_settings, renew.refresh(site_settings, options, environment)


def _give_up(site: str) -> None:
    """End the process at once: a name server that hangs, for example, listens to nothing gentler."""
    # The disk may be the thing that hangs, so the record of the failure has a limit too.
    guard = threading.Timer(1, os._exit, [0])
    guard.daemon = True
    guard.start()
    message = f"{site}: the certificate was not renewed within {ON_CONNECT_LIMIT} s"
    os.write(2, f"{message}; see gen status {site}\n".encode())
    with suppress(Exception):
        renew.record_timeout(site, message)
    os._exit(0)


def _print(site_settings: Settings, result: RefreshResult, as_json: bool) -> None:
    if as_json:
        data(report(_record(site_settings, result)))
        return
    site = site_settings.site
    for note in result.notes:
        say(f"{site}: note: {note}")
    if result.rotated:
        say(f"{site}: credentials rotated")
    say(f"{site}: {_validity(site_settings, result)}")


def _validity(site_settings: Settings, result: RefreshResult) -> str:
    """Return how long the certificate lasts, and what to do if it does not."""
    site = site_settings.site
    current = result.certificate
    if not current:
        path = home(site_settings.certificate)
        return f"there is no certificate at {path}; get one with: gen refresh {site}"
    if current.valid_after > now():
        start = clock(current.valid_after)
        return f"the certificate is not valid before {start}; is this machine's clock right?"
    if current.end == NEVER:
        return "the certificate is valid forever"
    left = current.end - now()
    end = clock(current.valid_before)
    if left <= 0:
        return f"the certificate expired at {end}; get a new one with: gen refresh {site}"
    subject = "renewed, valid" if result.renewed else "the certificate is valid"
    return f"{subject} until {end} ({span(left)})"


def _record(site_settings: Settings, result: RefreshResult) -> dict[str, object]:
    current = result.certificate
    valid_before = None
    seconds_left = None
    if current:
        valid_before = datetime.fromtimestamp(current.end, UTC).isoformat()
        seconds_left = current.end - now()
    return {
        "site": site_settings.site,
        "certificate": str(site_settings.certificate),
        "valid_before": valid_before,
        "seconds_left": seconds_left,
        "due": renew.is_due(current, site_settings, now()),
        "renewed": result.renewed,
        "rotated": result.rotated,
        "notes": list(result.notes),
    }
