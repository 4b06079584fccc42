"""The timer of a site that logs people in with a certificate: how it is started, stopped, and what it leaves."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from generator import paths

Commands = tuple[tuple[str, ...], ...]

_LAUNCHD = sys.platform == "darwin"
_WAIT = 20  # seconds


def starting(site: str, home: Path, *, launchd: bool, user: int) -> Commands:
    """Return the commands that have a timer run from now on, and after each login."""
    if launchd:
        domain = f"gui/{user}"
        return (
            *stopping(site, launchd=True, user=user),
            ("launchctl", "bootstrap", domain, str(home / paths.installed_launchd_agent(site))),
        )
    return _systemctl(("daemon-reload",), ("enable", "--now", paths.timer_name(site)))


def stopping(site: str, *, launchd: bool, user: int) -> Commands:
    """Return the commands that end a timer; one that does not run is no fault of theirs."""
    if launchd:
        return (("launchctl", "bootout", f"gui/{user}/{paths.agent_label(site)}"),)
    return _systemctl(
        ("disable", "--now", paths.timer_name(site)), ("stop", paths.service_name(site))
    )


def forgetting(site: str, *, launchd: bool) -> Commands:
    """Return the commands after which nothing speaks of units whose files are gone."""
    unit = paths.service_name(site)
    return () if launchd else _systemctl(("daemon-reload",), ("reset-failed", unit))


def _systemctl(*calls: Sequence[str]) -> Commands:
    return tuple(("systemctl", "--user", *call) for call in calls)


def units(site: str) -> tuple[PurePosixPath, PurePosixPath]:
    """Return where what starts by itself is installed: systemd's timer, launchd's agent."""
    return paths.installed_timer_unit(site), paths.installed_launchd_agent(site)


def start(site: str, home: Path) -> str | None:
    """Start the timer of a site, and return why it does not run, if so."""
    return _run(starting(site, home, launchd=_LAUNCHD, user=os.geteuid()))


def by_hand(site: str, home: Path) -> str:
    """Return the command for a person that starts a timer."""
    return shlex.join(starting(site, home, launchd=_LAUNCHD, user=os.geteuid())[-1])


def stop(site: str) -> None:
    """Stop the timer of a site; where no manager answers, none runs it."""
    _run(stopping(site, launchd=_LAUNCHD, user=os.geteuid()))


def forget(site: str) -> None:
    """Have the manager forget a timer that is gone."""
    _run(forgetting(site, launchd=_LAUNCHD))


def _run(commands: Commands) -> str | None:
    """Run commands, and return why the last did not succeed, if so."""
    why = None
    for command in commands:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_WAIT,
                check=False,
            )
        except OSError as error:
            return f"{command[0]}: {(error.strerror or str(error)).lower()}"
        except subprocess.TimeoutExpired:
            return f"{command[0]}: no answer in {_WAIT} seconds"
        words = (
            (done.stderr or done.stdout).strip().rpartition("\n")[2]
        )  # systemctl tells of links first
        why = (words or f"{command[0]} ended with {done.returncode}") if done.returncode else None
    return why
