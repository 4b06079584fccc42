"""The commands that start and stop the timer of a site, for systemd and launchd."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from generator import paths, programs

Commands = tuple[tuple[str, ...], ...]

_LAUNCHD = sys.platform == "darwin"
# systemd answers within a second; on a loaded login node it was seen to take ten.
_SECONDS = 20


def start_commands(site: str, home: Path, *, launchd: bool, user: int) -> Commands:
    """Return the commands that start a timer now and at each login."""
    if launchd:
        # Bootstrapping an agent that is loaded fails (launchctl(1)), so it is booted out first.
        load = (
            "launchctl",
            "bootstrap",
            f"gui/{user}",
            str(home / paths.installed_launchd_agent(site)),
        )
        return (*stop_commands(site, launchd=True, user=user), load)
    return _systemctl(("daemon-reload",), ("enable", "--now", paths.timer_name(site)))


def stop_commands(site: str, *, launchd: bool, user: int) -> Commands:
    """Return the commands that stop a timer; they may fail if it does not run."""
    if launchd:
        return (("launchctl", "bootout", f"gui/{user}/{paths.agent_label(site)}"),)
    return _systemctl(
        ("disable", "--now", paths.timer_name(site)), ("stop", paths.service_name(site))
    )


def forget_commands(site: str, *, launchd: bool) -> Commands:
    """Return the commands after which systemd no longer lists units whose files are gone."""
    if launchd:
        return ()
    return _systemctl(("daemon-reload",), ("reset-failed", paths.service_name(site)))


def _systemctl(*calls: Sequence[str]) -> Commands:
    return tuple(("systemctl", "--user", *call) for call in calls)


def unit_paths(site: str) -> tuple[PurePosixPath, PurePosixPath]:
    """Return the installed files that start by themselves: systemd's timer, launchd's agent."""
    return paths.installed_timer_unit(site), paths.installed_launchd_agent(site)


def sites_with_units(sites: Iterable[str], files: Iterable[PurePosixPath]) -> list[str]:
    """Return the sites with a file of `unit_paths` among some files."""
    file_set = set(files)
    return [site for site in sites if not file_set.isdisjoint(unit_paths(site))]


def start(site: str, home: Path) -> str | None:
    """Start the timer of a site, and return why it does not run, if so."""
    return _run(start_commands(site, home, launchd=_LAUNCHD, user=os.geteuid()))


def manual_start(site: str, home: Path) -> str:
    """Return the command with which a user starts a timer."""
    return shlex.join(start_commands(site, home, launchd=_LAUNCHD, user=os.geteuid())[-1])


def stop(site: str) -> None:
    """Stop the timer of a site. Failures are ignored: without a manager, no timer runs."""
    _run(stop_commands(site, launchd=_LAUNCHD, user=os.geteuid()))


def forget(site: str) -> None:
    """Have the service manager forget a timer whose files are deleted."""
    _run(forget_commands(site, launchd=_LAUNCHD))


def _run(commands: Commands) -> str | None:
    """Run commands, and return why the last one failed, if it did."""
    failure = None
    for command in commands:
        try:
            outcome = programs.run(command, seconds=_SECONDS)
        except programs.ProgramError as error:
            # Without the program, the next command fails too.
            return str(error)
        failure = None
        if outcome.status:
            failure = outcome.message
    return failure
