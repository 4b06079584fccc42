"""The commands that the timer and ssh run for a site: whether they find them, and a link if not.

A program that a desktop or systemd starts has a short PATH, whatever the user's shell has. The
units and the configuration of ssh search ~/.local/bin, so a link there serves both.
"""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from generator import paths, programs
from generator.compiler.account import Account
from generator.compiler.renewal_schedule import renewable_auth
from generator.errors import GenError
from generator.install.record import CommandLink
from generator.schema.auth import StepAuth
from generator.workspace import writer

_SECONDS = 10
_SYSTEM_DIRECTORIES = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class MissingCommand:
    """A command that the timer and ssh do not find."""

    name: str
    elsewhere: Path | None
    """Where the shell of this run finds it."""

    @property
    def link(self) -> PurePosixPath:
        """Path of the link below the home directory with which they find it."""
        return paths.LOCAL_PROGRAMS / self.name

    @property
    def message(self) -> str:
        """The missing command, with the one that fixes it."""
        if self.elsewhere is None:
            return f"{self.name}: is not installed, so the timer and ssh cannot run it"
        target = shlex.quote(str(self.elsewhere))
        command = f"mkdir -p ~/{paths.LOCAL_PROGRAMS} && ln -sfn {target} ~/{self.link}"
        return f"{self.name}: the timer and ssh do not find it; run: {command}"


def search_path(home: Path, site: str) -> str:
    """Return the PATH with which the timer of a site searches commands.

    systemd knows drop-ins of the user too. Without its answer, it is the PATH of our own unit.
    """
    command = ("systemctl", "--user", "show", "--property=Environment", paths.service_name(site))
    try:
        outcome = programs.run(command, seconds=_SECONDS)
    except GenError:
        return _own_search_path(home)
    if not outcome.status:
        for assignment in _words(outcome.text.strip().removeprefix("Environment=")):
            if assignment.startswith("PATH="):
                return assignment.removeprefix("PATH=")
    return _own_search_path(home)


def missing_commands(home: Path, account: Account) -> list[MissingCommand]:
    """Return the commands of a site that its timer and ssh would not find."""
    search = _with_command_directory(search_path(home, account.site.site), home, account)
    missing: list[MissingCommand] = []
    for name in command_names(account):
        if shutil.which(name, path=search) is None:
            missing.append(MissingCommand(name, _place(name)))
    return missing


def shell_messages(home: Path, account: Account) -> list[str]:
    """Return a line for each command that the timer and ssh find, and the shell of this run not.

    There the user types `gen refresh`.
    """
    messages: list[str] = []
    shell = _with_command_directory(os.environ.get("PATH", os.defpath), home, account)
    of_timer = search_path(home, account.site.site)
    for name in command_names(account):
        # The user has just run gen, whatever PATH has.
        if name == "gen" or shutil.which(name, path=shell):
            continue
        path = shutil.which(name, path=of_timer)
        if path:
            directory = shlex.quote(str(Path(path).parent))
            messages.append(
                f"{name}: only the timer and ssh find it; for gen refresh in this shell, run: "
                f'export PATH="$PATH":{directory}'
            )
    return messages


def command_names(account: Account) -> list[str]:
    """Return the commands that a renewal for a site needs, without those that are given as paths.

    A path is found or not, whatever the PATH is, and the renewal says which.
    """
    auth = renewable_auth(account.site)
    if auth is None:
        return []
    name = account.profile.step_binary if isinstance(auth, StepAuth) else auth.command[0]
    return ["gen"] if "/" in name else ["gen", name]


def planned_link(home: Path, command: MissingCommand) -> CommandLink:
    """Return the link with which the timer and ssh find a command."""
    path = home / command.link
    # A link that leads nowhere may be one to an environment that is gone.
    if command.elsewhere is None or (os.path.lexists(path) and not path.is_symlink()):
        raise GenError(f"{path}: is in the way; {command.message}")
    return CommandLink(str(command.link), str(command.elsewhere), not path.parent.exists())


def make_link(home: Path, link: CommandLink) -> None:
    """Make a link that the record has already."""
    writer.link(home / link.path, link.target)


def _with_command_directory(search: str, home: Path, account: Account) -> str:
    """Return a PATH with the directory of the site's command before it, as gen refresh has it."""
    if account.profile.command_directory:
        directory = account.profile.command_directory.replace("~", str(home), 1)
        search = f"{directory}:{search}"
    return search


def _own_search_path(home: Path) -> str:
    directories = f"{home / paths.LOCAL_PROGRAMS}:{_SYSTEM_DIRECTORIES}"
    if sys.platform == "darwin":
        return f"/opt/homebrew/bin:{directories}"
    return directories


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _place(name: str) -> Path | None:
    """Return where this run finds a command; gen itself is beside its Python."""
    beside = Path(sys.executable).with_name("gen")
    if name == "gen" and beside.exists():
        return beside
    path = shutil.which(name)
    return Path(path).absolute() if path else None
