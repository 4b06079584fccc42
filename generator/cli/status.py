"""`gen status [SITE]`: what is installed on this machine, and how its certificates stand."""

import json
import os
import pwd
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from generator import paths
from generator.cli.output import data, say
from generator.errors import GenError
from generator.formatting import clock, home, span
from generator.install import status
from generator.install.plan import home_directory
from generator.loading.catalogue import sites as sites_with_spec
from generator.loading.inputs import Choice
from generator.renewal import process
from generator.renewal.context import now
from generator.renewal.settings import NoCertificateError
from generator.renewal.status import Standing, Timer, sites, standing
from generator.ssh.certificate import NEVER


def run(site: str | None, specs: Path | None, profile: Path | None, *, as_json: bool) -> int:
    """Print how a site stands, or each one that is installed, or has a timer or a renewal here.

    Returns 1 where an installed file is not as it was.

    Raises:
        GenError: a spec, the profile or a credentials file cannot be read; what can be told is printed before.
    """
    process.keep_memory_private()
    here = {
        name: one
        for name, one in status.installed_sites(home_directory()).items()
        if site in (None, name)
    }
    timed = sites()
    known = sites_with_spec(specs)
    names = timed if site is None else [site] if site in timed or site not in here else []
    found, faults = dict[str, Standing](), list[str]()
    for name in names:
        if site is None and name not in known:
            say(f"{name}: note: was renewed here once, and has no spec any more")
            continue
        try:
            found[name] = standing(Choice(name, specs, profile, {}, ()), os.environ)
        except NoCertificateError:
            if name not in here:
                say(f"{name}: is not installed here; gen install {name}")
        except GenError as error:
            faults.append(str(error))
    faults += [item.fault for item in found.values() if item.fault]
    if as_json:
        report = {
            "installed": [asdict(one) for one in here.values()],
            "sites": [asdict(item) for item in found.values()],
        }
        data(json.dumps({"format_version": "1.0", **report}, indent=2, default=str))
    elif here or found:
        data(
            "\n\n".join(
                "\n".join(_told(here.get(name), found.get(name)))
                for name in sorted({*here, *found})
            )
        )
    elif not names:
        say("Nothing is installed or renewed on this machine yet; gen install SITE is the start")
    if faults:
        raise GenError("\n".join(faults))
    return 0 if all(one.is_current for one in here.values()) else 1


def _told(here: status.InstalledSite | None, item: Standing | None) -> Iterator[str]:
    yield from status.status_lines(here) if here else ()
    yield from _lines(item) if item else ()


def _lines(item: Standing) -> Iterator[str]:
    yield f"{item.site}: {_words(item)}"
    yield f"  certificate   {home(item.certificate)}"
    if item.due is not None and item.due < NEVER:
        yield f"  renewed from  {clock(item.due)}"
    if item.last_at:
        yield f"  last renewal  {item.last} at {clock(item.last_at)}"
    if item.message:
        yield f"                {item.message}"
    if item.app_password_ends:
        yield f"  app password  ends at {clock(item.app_password_ends)}"
    if item.timer:
        yield f"  timer         {_timer(item.timer, item.site)}"
    if item.timer and item.timer.kind == "systemd" and item.lingers is not None:
        stops = f"no: the timer stops when you log out; loginctl enable-linger {pwd.getpwuid(os.getuid()).pw_name}"
        yield f"  linger        {'yes' if item.lingers else stops}"


def _words(item: Standing) -> str:
    if item.valid_before is None:
        return f"{'there is no certificate' if item.state == 'missing' else 'what is there is no certificate'}"
    if item.valid_before == NEVER:
        return "the certificate is valid forever"
    left = item.valid_before - now()
    if left <= 0:
        return f"the certificate ended at {clock(item.valid_before)}"
    due = ", and is due" if item.state == "due" else ""
    return f"the certificate is valid until {clock(item.valid_before)} ({span(left)}){due}"


def _timer(timer: Timer, site: str) -> str:
    if timer.installed is None:
        return "not known: systemctl --user does not answer"
    if timer.running:
        return f"next look at {clock(timer.next)}" if timer.next else "running"
    if not timer.installed:
        return f"not installed; gen install {site}"
    start = f"; systemctl --user enable --now {paths.timer_name(site)}"
    return f"not running{start if timer.kind == 'systemd' else ''}"
