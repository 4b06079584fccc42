"""Where this machine can keep the sockets of shared connections.

The ssh configuration of a site is the same on every machine: it has the sockets in ~/.ssh. Where
that directory cannot hold them, ssh would log in, fail to create the socket, and end. So the file
for this machine, which ssh reads first, names another directory or turns sharing off.
"""

import os
import pwd
import re
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator import formatting, paths
from generator.install.site_blocks import names_by_value

# sun_path has 108 bytes on Linux and 104 on macOS, with a NUL at the end (unix(7)).
_MAX_PATH = 103 if sys.platform == "darwin" else 107
# While ssh creates the socket, its name ends with a dot and 16 letters (mux.c).
_LONGEST_NAME = len(paths.control_socket("x" * paths.POLICY_LETTERS, "")) - len("%C") + 40 + 17
_USUAL = "~/.ssh"
_OUR_SOCKET = re.compile(re.escape(f"{_USUAL}/{paths.CONTROL_SOCKET_PREFIX}") + r"([a-z2-7]+)-%C")
# Other characters would have a meaning for ssh or for the shell of a `Match exec`.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./-]+")


@dataclass(frozen=True)
class SocketDirectory:
    """The directory of the sockets on a machine whose ~/.ssh cannot hold them."""

    path: str | None
    """``None``: sessions do not share connections."""
    reason: str
    """Why it is not ~/.ssh."""

    @property
    def message(self) -> str:
        """The decision in one line."""
        if self.path:
            return f"shared connections: in {self.path}, because {self.reason}"
        return (
            f"shared connections: off, because {self.reason} and $XDG_RUNTIME_DIR names no "
            "directory that can hold their sockets"
        )


def _other_socket_directory(home: Path) -> SocketDirectory | None:
    """Return where the sockets go instead of ~/.ssh; ``None`` if they can be there."""
    ssh_directory = _directory_of_ssh(home)
    if ssh_directory is None:
        return None
    reason = _problem(ssh_directory)
    if reason is None:
        return None
    runtime_directory = os.environ.get("XDG_RUNTIME_DIR", "")
    if (
        _PLAIN_PATH.fullmatch(runtime_directory)
        and not _problem(Path(runtime_directory))
        and _stays_in_place(Path(runtime_directory))
    ):
        return SocketDirectory(runtime_directory, f"{_USUAL} {reason}")
    return SocketDirectory(None, f"{_USUAL} {reason}")


def _directory_of_ssh(home: Path) -> Path | None:
    """Return ~/.ssh as ssh finds it; ``None`` if ssh uses another home directory than gen."""
    # ssh takes `~` from the passwd database and ignores $HOME.
    try:
        ssh_home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
        is_same = ssh_home.samefile(home)
    except (KeyError, OSError):
        return None
    return ssh_home / ".ssh" if is_same else None


def _problem(directory: Path) -> str | None:
    """Return why a directory cannot hold the sockets; ``None`` if it can."""
    excess = len(os.fsencode(directory)) + _LONGEST_NAME - _MAX_PATH
    if excess > 0:
        return f"has a path that is {formatting.count(excess, 'byte')} too long for a socket"
    try:
        status = directory.stat()
    except FileNotFoundError:
        # gen creates ~/.ssh, with mode 0700 and on the filesystem of the home directory.
        return _bind_problem(directory.parent)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return "is not a directory of yours"
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return f"has mode {mode} (make it private: chmod 700 {directory})"
    return _bind_problem(directory)


def _stays_in_place(directory: Path) -> bool:
    """Return whether no other user can replace a directory by one of their own.

    ssh would use a socket there without a check of its owner.
    """
    for parent in Path(os.path.realpath(directory)).parents:
        status = parent.stat()
        if status.st_uid not in (os.geteuid(), 0):
            return False
        # In a sticky directory, only the owner of an entry can rename it.
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            return False
    return True


def _bind_problem(directory: Path) -> str | None:
    """Return why no socket can be created in a directory (AFS, exFAT and some mounts of WSL)."""
    path = directory / f"{paths.CONTROL_SOCKET_PREFIX}{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.bind(str(path))
        except OSError as error:
            return f"cannot hold sockets ({error.strerror})"
    path.unlink()
    return None


def machine_lines(home: Path, conf: bytes) -> list[str]:
    """Return the lines that ssh reads before a site's file; none if sockets can be in ~/.ssh."""
    entries = list(_sharing_entries(conf))
    directory = _other_socket_directory(home) if entries else None
    if directory is None:
        return []
    text = [f"# {directory.message}"]
    for names, policy in entries:
        if directory.path:
            # The directory ends with the last session of the user. A timer that ran then would
            # log in and fail.
            text += [
                f'Match host {names} exec "test -w {directory.path}"',
                "    ControlMaster auto",
                f"    ControlPath {paths.control_socket(policy, directory.path)}",
            ]
        text += [f"Match host {names}", "    ControlMaster no", "    ControlPath none"]
    return text


def policies(conf: bytes) -> set[str]:
    """Return the policies under which the ssh file of a site shares connections."""
    return {policy for _, policy in _sharing_entries(conf)}


def _sharing_entries(conf: bytes) -> Iterator[tuple[str, str]]:
    """Yield names and policy of each block of a site's file that shares connections."""
    for names, policy in names_by_value(conf, _policy):
        yield ",".join(names), policy


def _policy(settings: Mapping[str, str]) -> str | None:
    our_socket = _OUR_SOCKET.fullmatch(settings.get("controlpath", ""))
    return our_socket[1] if our_socket else None
