"""The renewal status of a site on this machine: its certificate, the last run, the timer."""

import os
import pwd
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from generator import paths, programs
from generator.clock import now
from generator.errors import GenError
from generator.loading.inputs import Choice
from generator.renewal import certificate_file, credentials, settings
from generator.renewal.credentials import Credentials
from generator.renewal.settings import Settings
from generator.renewal.state import store
from generator.ssh.certificate import Certificate

_LINGER = Path("/var/lib/systemd/linger")
_TIME_LIMIT = 10  # seconds

CertificateState = Literal["valid", "due", "expired", "missing", "unreadable"]


@dataclass(frozen=True)
class Timer:
    """The timer or agent that runs `gen refresh`."""

    kind: Literal["systemd", "launchd"]
    installed: bool | None
    """``None`` if systemd does not answer."""
    running: bool | None
    next_run: int | None = None
    """Seconds since 1970, if known."""
    failure: str | None = None
    """Why the last run of the service failed, in systemd's words, if it did."""


@dataclass(frozen=True)
class RenewalStatus:
    """The renewal status of one site. Times are seconds since 1970, or ``None``."""

    site: str
    certificate: Path
    state: CertificateState
    valid_before: int | None
    due: int | None
    last_result: str | None
    """`renewed` or `failed`."""
    last_run: int | None
    message: str | None
    """The message of the last run, if it failed."""
    rotation_failure: str | None
    """Why the last run did not rotate the credentials, if it failed to."""
    app_password_expires: int | None
    api_token_expires: int | None
    credentials_error: str | None
    """The reason why the credentials file cannot be read."""
    timer: Timer | None
    """``None`` if there is neither systemd nor launchd."""
    linger: bool | None
    """Whether the timer runs while the user is logged out; ``None`` without systemd."""


def renewal_status(choice: Choice, environment: Mapping[str, str]) -> RenewalStatus:
    """Return the renewal status of a site.

    Raises:
        NoCertificateError: the site does not use certificates.
    """
    site_settings = settings.read(choice, environment)
    stored, error = _credentials(site_settings)
    current = certificate_file.read(site_settings.certificate)
    state = store(site_settings.site).read()
    return RenewalStatus(
        site=site_settings.site,
        certificate=site_settings.certificate,
        state=_certificate_state(site_settings, current, now()),
        valid_before=current.end if current else None,
        due=certificate_file.due_time(current, site_settings) if current else None,
        last_result=state.result or None,
        last_run=state.finished or None,
        message=state.message or None,
        rotation_failure=state.rotation_failure or None,
        app_password_expires=stored.app_password.expires,
        api_token_expires=stored.api_token.expires,
        credentials_error=error,
        timer=_timer(site_settings.site, environment),
        linger=lingers(),
    )


def lingers() -> bool | None:
    """Return whether timers run while the user is logged out; ``None`` without systemd or a user.

    logind keeps a file for each user who lingers (loginctl(1), enable-linger).
    """
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run any uid, and systemd manages no such user
        return None
    if not _LINGER.parent.is_dir():
        return None
    return (_LINGER / user).exists()


def sites() -> list[str]:
    """Return the sites that have a timer or a renewal on this machine."""
    home = Path.home()
    names = set()
    # Also the record of a renewal: a user may renew with cron, and have no timer of gen.
    for directory, start, end in paths.RENEWAL_TRACES:
        for path in (home / directory).glob(f"{start}*{end}"):
            names.add(path.name.removeprefix(start).removesuffix(end))
    return sorted(names)


def _certificate_state(
    site_settings: Settings, current: Certificate | None, second: int
) -> CertificateState:
    if not current:
        return "unreadable" if site_settings.certificate.exists() else "missing"
    if second >= current.valid_before:
        return "expired"
    return "due" if certificate_file.is_due(current, site_settings, second) else "valid"


def _credentials(site_settings: Settings) -> tuple[Credentials, str | None]:
    """Return the stored credentials, and the error if the file cannot be read."""
    path = site_settings.credentials_file
    if not path:
        return Credentials(), None
    try:
        return credentials.read(path), None
    except GenError as error:
        return Credentials(), f"{site_settings.site}: {error}"


def _timer(site: str, environment: Mapping[str, str]) -> Timer | None:
    if shutil.which("systemctl") and environment.get("XDG_RUNTIME_DIR"):
        return _systemd_timer(site, environment)
    if shutil.which("launchctl"):
        agent = f"gui/{os.getuid()}/{paths.agent_label(site)}"
        output = _output(("launchctl", "print", agent), environment)
        installed = (Path.home() / paths.installed_launchd_agent(site)).exists()
        return Timer("launchd", installed, output is not None)
    return None


def _systemd_timer(site: str, environment: Mapping[str, str]) -> Timer:
    names = "--property=LoadState,ActiveState,NextElapseUSecRealtime,Result,ExecMainStatus"
    # `show` is the output for programs (systemctl(1)); `list-timers` differs between versions.
    units = (paths.timer_name(site), paths.service_name(site))
    command = ("systemctl", "--user", "show", names, *units)
    output = _output(command, environment)
    # No user manager runs, as in a container or after su.
    if not output:
        return Timer("systemd", None, None)
    # A blank line separates the properties of the units.
    timer, _, service = output.partition("\n\n")
    properties = _properties(timer)
    return Timer(
        "systemd",
        installed=properties.get("LoadState") != "not-found",
        running=properties.get("ActiveState") == "active",
        next_run=_second(properties.get("NextElapseUSecRealtime", "")),
        failure=_failure(_properties(service)),
    )


def _properties(output: str) -> dict[str, str]:
    properties: dict[str, str] = {}
    for line in output.splitlines():
        name, _, value = line.partition("=")
        properties[name] = value
    return properties


def _failure(service: Mapping[str, str]) -> str | None:
    """Return why the last run of a service failed (systemd.service(5), `$SERVICE_RESULT`)."""
    result = service.get("Result", "success")
    if result == "success":
        return None
    if result == "exit-code":
        return f"status {service.get('ExecMainStatus', '')}"
    return result


def _output(command: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """Return the output of a program, or ``None`` if it failed."""
    # systemctl prints times in the zone and the language of the user.
    plain = {**environment, "TZ": "UTC", "LC_ALL": "C"}
    try:
        outcome = programs.run(command, seconds=_TIME_LIMIT, environment=plain)
    except GenError:
        return None
    return None if outcome.status else outcome.text


def _second(text: str) -> int | None:
    """Return a time of systemctl (`Sun 2026-11-22 20:20:00 UTC`) in seconds since 1970."""
    try:
        moment = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp())
