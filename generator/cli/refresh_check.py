"""`gen refresh SITE --check`, and the output that it shares with a renewal.

A status bar or a prompt may run it again and again. So it is apart from what a renewal imports.
"""

import os
from datetime import UTC, datetime

from generator.cli.output import data, say
from generator.clock import now
from generator.codec import report
from generator.formatting import clock, home, span
from generator.install.installed_account import installed_choice
from generator.loading.inputs import Choice
from generator.renewal import certificate_file, settings
from generator.renewal.result import RefreshResult
from generator.renewal.settings import Settings
from generator.ssh.certificate import NEVER


def check(choice: Choice, *, as_json: bool) -> int:
    """Print how long the certificate of a site lasts, and return 1 if it is due; change nothing."""
    site_settings = settings.read(installed_choice(choice), os.environ)
    result = RefreshResult(False, False, certificate_file.read(site_settings.certificate))
    print_result(site_settings, result, as_json)
    return int(certificate_file.is_due(result.certificate, site_settings, now()))


def print_result(site_settings: Settings, result: RefreshResult, as_json: bool) -> None:
    """Print the result of a run, with the certificate that is in place."""
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
    current = result.certificate
    if not current:
        path = home(site_settings.certificate)
        return f"there is no certificate at {path}; get one with: gen refresh {site_settings.words}"
    if certificate_file.starts_late(current, now()):
        start = clock(current.valid_after)
        return f"the certificate is not valid before {start}; is this machine's clock right?"
    if current.end == NEVER:
        return "the certificate is valid forever"
    left = current.end - now()
    end = clock(current.valid_before)
    if left <= 0:
        command = f"gen refresh {site_settings.words}"
        return f"the certificate expired at {end}; get a new one with: {command}"
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
        "due": certificate_file.is_due(current, site_settings, now()),
        "renewed": result.renewed,
        "rotated": result.rotated,
        "notes": list(result.notes),
    }
