"""How a site stands on this machine: its certificate, the last renewal, the timer, and whether that runs unattended."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from generator import paths
from generator.errors import GenError
from generator.loading.inputs import Choice
from generator.renewal import credentials, renew, settings
from generator.renewal.context import now
from generator.renewal.key_files import certificate
from generator.renewal.settings import Settings, Step
from generator.renewal.state import store
from generator.ssh.certificate import Certificate

_LINGER = Path("/var/lib/systemd/linger")
_LIMIT = 10


@dataclass(frozen=True)
class Timer:
    """What looks at the certificate; `next` is a second since 1970, where that is known."""

    kind: Literal["systemd", "launchd"]
    installed: bool | None
    """``None`` where nobody answers."""
    running: bool | None
    next: int | None = None


@dataclass(frozen=True)
class Standing:
    """How one site stands. Times are seconds since 1970, ``None`` where there is none."""

    site: str
    certificate: Path
    state: Literal["valid", "due", "ended", "missing", "unreadable"]
    valid_before: int | None
    due: int | None
    last: str | None
    """`renewed` or `failed`."""
    last_at: int | None
    message: str | None
    """What the last renewal said when it failed."""
    app_password_ends: int | None
    fault: str | None
    """Why the credentials file cannot be read."""
    timer: Timer | None
    """``None`` where neither systemd nor launchd is asked."""
    lingers: bool | None
    """Whether the timer runs while nobody is logged in; ``None`` where there is no systemd."""


def standing(choice: Choice, environment: Mapping[str, str]) -> Standing:
    """Return how a site stands.

    Raises:
        NoCertificateError: the site has none.
        GenError: the spec or the profile cannot be read.
    """
    own = settings.read(choice, environment)
    ends, fault = _app_password_ends(own)
    found, past = certificate(own.certificate), store(own.site).read()
    return Standing(
        site=own.site,
        certificate=own.certificate,
        state=_state(own, found, now()),
        valid_before=found.end if found else None,
        due=renew.due(found, own) if found else None,
        last=past.result or None,
        last_at=past.at or None,
        message=past.message or None,
        app_password_ends=ends,
        fault=fault,
        timer=_timer(own.site, environment),
        lingers=lingers(),
    )


def lingers() -> bool | None:
    """Tell whether a user's timers run while nobody is logged in; ``None`` where there is no systemd (loginctl(1))."""
    return (
        (_LINGER / pwd.getpwuid(os.getuid()).pw_name).exists() if _LINGER.parent.is_dir() else None
    )


def sites() -> list[str]:
    """Return the sites that have a timer or a renewal on this machine."""
    home = Path.home()
    names: set[str] = set()
    for directory, start, end in paths.RENEWAL_TRACES:
        names.update(_between(home / directory, start, end))
    return sorted(names)


def _between(folder: Path, start: str, end: str) -> Iterator[str]:
    for path in folder.glob(f"{start}*{end}"):
        yield path.name.removeprefix(start).removesuffix(end)


def _state(
    own: Settings, found: Certificate | None, second: int
) -> Literal["valid", "due", "ended", "missing", "unreadable"]:
    if not found:
        return "unreadable" if own.certificate.exists() else "missing"
    if second >= found.valid_before:
        return "ended"
    return "due" if renew.pending(found, own, second) else "valid"


def _app_password_ends(own: Settings) -> tuple[int | None, str | None]:
    """Return when the app password ends, and why that cannot be told."""
    authentik = own.way.authentik if isinstance(own.way, Step) else None
    try:
        return credentials.kept(
            authentik.credentials_file
        ).app_password.expires if authentik else None, None
    except GenError as error:
        return None, f"{own.site}: {error}"


def _timer(site: str, environment: Mapping[str, str]) -> Timer | None:
    if shutil.which("systemctl") and environment.get("XDG_RUNTIME_DIR"):
        names = (
            "--property=LoadState,ActiveState,NextElapseUSecRealtime",
            paths.timer_name(site),
        )
        lines = _output(("systemctl", "--user", "show", *names), environment)
        if not lines:
            return Timer("systemd", None, None)
        found = dict(line.partition("=")[::2] for line in lines.splitlines())
        there, runs = found.get("LoadState") != "not-found", found.get("ActiveState") == "active"
        return Timer("systemd", there, runs, _second(found.get("NextElapseUSecRealtime", "")))
    if shutil.which("launchctl"):
        shown = _output(
            ("launchctl", "print", f"gui/{os.getuid()}/{paths.agent_label(site)}"), environment
        )
        there = (Path.home() / paths.installed_launchd_agent(site)).exists()
        return Timer("launchd", there, shown is not None)
    return None


def _output(words: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """Return what a program prints; ``None`` where it fails."""
    try:
        done = subprocess.run(
            words,
            env={**environment, "TZ": "UTC", "LC_ALL": "C"},
            capture_output=True,
            timeout=_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _second(text: str) -> int | None:
    """Return a time as systemctl prints it in UTC (`Sun 2026-11-22 20:20:00 UTC`)."""
    try:
        return int(
            datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
        )
    except ValueError:
        return None
