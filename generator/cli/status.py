"""`gen status [SITE]`: the installed files of this machine, and the status of its certificates."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from generator import paths
from generator.cli.output import data, say
from generator.clock import now
from generator.codec import report
from generator.errors import GenError, near
from generator.formatting import clock, home, printable, span
from generator.install import record, status
from generator.install.installed_account import installed_choice
from generator.install.plan import home_directory
from generator.install.status import InstalledSite
from generator.loading.catalogue import sites as sites_with_spec
from generator.loading.inputs import Choice, file, usual_profile
from generator.renewal.failures import NoCertificateError
from generator.renewal.secret import keep_memory_private
from generator.renewal.status import RenewalStatus, Timer, renewal_status, sites
from generator.ssh.certificate import NEVER


def run(site: str | None, specs: Path | None, profile: Path | None, *, as_json: bool) -> int:
    """Print the status of a site, or of every site that is installed or renewed on this machine.

    Returns 1 if an installed file has changed, ssh does not read it, or its timer does not run.
    Errors of single sites are raised after the rest is printed.
    """
    keep_memory_private()
    installed = status.installed_sites(home_directory(), site)
    names = _sites_to_read(site, installed)
    renewals, errors = _renewals(site, names, installed, specs, profile)
    problems: list[str] = []
    if site is None:
        problems = _profile_problems(specs, profile, errors)
    if as_json:
        _print_json(installed, renewals, problems)
    elif installed or renewals:
        _print_text(installed, renewals)
    elif not names:
        say("Nothing is installed here yet. Begin with: gen install SITE")
    for problem in problems:
        say(problem)
    if errors:
        raise GenError("\n".join(errors))
    is_current = all(item.is_current for item in installed.values())
    # Without systemd's answer, it is not known whether the timer runs.
    timers = [renewals[name].timer for name in installed if name in renewals]
    is_stopped = any(timer and (timer.running is False or timer.failure) for timer in timers)
    return int(is_stopped or not is_current or bool(problems))


def _profile_problems(specs: Path | None, named: Path | None, errors: list[str]) -> list[str]:
    """Return a message for each site of the profile that gen does not know."""
    path = named or usual_profile()
    if path is None or not path.exists():
        return []
    # Imported only here, because it imports pydantic.
    from generator.compiler.build import parsed_profile

    try:
        sites_of_profile = parsed_profile(file(path)).sites
    except GenError as error:
        errors.append(str(error))
        return []
    known = {*sites_with_spec(specs), *record.installed(home_directory())}
    problems: list[str] = []
    for name in sites_of_profile:
        if name not in known:
            hint = near(name, known) or "; gen list prints the names"
            problems.append(f"{home(path)}: sites.{name}: no such site{hint}")
    return problems


def _sites_to_read(site: str | None, installed: Mapping[str, InstalledSite]) -> list[str]:
    """Return the sites of which the certificate is looked at."""
    with_renewal = sites()
    if site is None:
        return with_renewal
    if site in installed and site not in with_renewal:
        return []  # a site without a certificate is not an error
    return [site]


def _renewals(
    site: str | None,
    names: list[str],
    installed: Mapping[str, InstalledSite],
    specs: Path | None,
    profile: Path | None,
) -> tuple[dict[str, RenewalStatus], list[str]]:
    """Return the renewal status of each site, and the errors of those that cannot be read."""
    with_spec = sites_with_spec(specs)
    renewals = {}
    errors = []
    for name in names:
        if site is None and name not in with_spec and name not in installed:
            # Not an error: the state of a deleted site would otherwise fail every later run.
            say(
                f"{name}: note: was renewed here once, and no longer has a spec;"
                f" to forget that: gen uninstall {name}"
            )
            continue
        try:
            choice = installed_choice(Choice(name, specs, profile, {}, ()))
            renewals[name] = renewal_status(choice, os.environ)
        except NoCertificateError:
            if name not in installed:
                say(f"{name}: is not installed; install it with: gen install {name}")
        except GenError as error:
            errors.append(str(error))
    for item in renewals.values():
        if item.credentials_error:
            errors.append(item.credentials_error)
    return renewals, errors


def _print_json(
    installed: Mapping[str, InstalledSite],
    renewals: Mapping[str, RenewalStatus],
    problems: list[str],
) -> None:
    # asdict keeps the keys without a value, which a program can then rely on.
    values = {
        "installed": [asdict(item) for item in installed.values()],
        "sites": [asdict(item) for item in renewals.values()],
        "profile_problems": problems,
    }
    data(report(values))


def _print_text(
    installed: Mapping[str, InstalledSite], renewals: Mapping[str, RenewalStatus]
) -> None:
    paragraphs = []
    for name in sorted({*installed, *renewals}):
        lines: list[str] = []
        if name in installed:
            lines += status.status_lines(installed[name])
        if name in renewals:
            lines += _lines(renewals[name])
        paragraphs.append("\n".join(lines))
    data("\n\n".join(paragraphs))


def _lines(item: RenewalStatus) -> list[str]:
    lines = [f"{item.site}: {_validity(item)}", f"  certificate   {home(item.certificate)}"]
    if item.due is not None and item.due < NEVER:
        lines.append(f"  renewed from  {clock(item.due)}")
    if item.last_run:
        lines.append(f"  last renewal  {item.last_result} at {clock(item.last_run)}")
    if item.message:
        lines.append(f"                {printable(item.message)}")
    if item.rotation_failure:
        lines.append(f"  rotation      failed: {printable(item.rotation_failure)}")
    for label, expires in (
        ("app password", item.app_password_expires),
        ("api token   ", item.api_token_expires),
    ):
        if expires:
            verb = "expires" if expires > now() else "expired"
            lines.append(f"  {label}  {verb} at {clock(expires)}")
    if item.timer:
        lines.append(f"  timer         {_timer(item.timer, item.site)}")
    if item.timer and item.timer.kind == "systemd" and item.linger is not None:
        lines.append(f"  linger        {_linger(item.linger)}")
    return lines


def _validity(item: RenewalStatus) -> str:
    if item.state == "missing":
        return "there is no certificate"
    if item.valid_before is None:
        return "the file is not a certificate"
    if item.valid_before == NEVER:
        return "the certificate is valid forever"
    left = item.valid_before - now()
    if left <= 0:
        return f"the certificate expired at {clock(item.valid_before)}"
    due = ", and due for renewal" if item.state == "due" else ""
    return f"the certificate is valid until {clock(item.valid_before)} ({span(left)}){due}"


def _timer(timer: Timer, site: str) -> str:
    if timer.installed is None:
        return "unknown: systemctl --user does not answer"
    if timer.running:
        failure = ""
        if timer.failure:
            journal = f"journalctl --user -u {paths.service_name(site)}"
            failure = f"; the last run failed ({timer.failure}), see: {journal}"
        if timer.next_run:
            return f"next run at {clock(timer.next_run)}{failure}"
        return f"running{failure}"
    if not timer.installed:
        return f"not installed; install it with: gen install {site}"
    if timer.kind == "systemd":
        start = f"systemctl --user enable --now {paths.timer_name(site)}"
        return f"not running; start it with: {start}"
    return "not running"


def _linger(linger: bool) -> str:
    if linger:
        return "yes"
    # Not $USER, which su and sudo may leave at another user's name.
    user = pwd.getpwuid(os.getuid()).pw_name
    return f"no: the timer stops when you log out; keep it with: loginctl enable-linger {user}"
