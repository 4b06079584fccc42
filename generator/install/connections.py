"""The shared connections that are open, and how to end them.

A connection has a socket whose name holds the policy under which it was let in; the ssh file of a
site says which policies are the site's. ssh itself answers whether a socket has a master
(ssh_config(5), ControlPath; ssh(1), -O).
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generator import paths, programs
from generator.errors import GenError
from generator.install import sharing
from generator.workspace import writer

_SECONDS = 5
_SOCKET = re.compile(
    rf"{re.escape(paths.CONTROL_SOCKET_PREFIX)}([a-z2-7]{{{paths.POLICY_LETTERS}}})-[0-9a-f]+"
)
_MASTER = re.compile(r"Master running \(pid=([0-9]+)\)")


@dataclass(frozen=True)
class Connection:
    """The socket of a shared connection."""

    socket: Path
    policy: str
    since: int
    """When it was opened, in seconds since 1970."""
    process: int | None
    """The process that holds it; ``None`` if the socket was left by one that was killed."""


def connections(home: Path) -> list[Connection]:
    """Return the shared connections of the user, the oldest first."""
    opened: list[Connection] = []
    for directory in _directories(home):
        for path in sorted(directory.glob(f"{paths.CONTROL_SOCKET_PREFIX}*")):
            name = _SOCKET.fullmatch(path.name)
            status = path.lstat()
            # A socket of another user would answer for a connection that is not ours.
            if name and stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid():
                opened.append(Connection(path, name[1], int(status.st_mtime), _master(path)))
    return sorted(opened, key=lambda connection: connection.since)


def site_connections(opened: list[Connection], conf: bytes) -> list[Connection]:
    """Return those connections that the ssh file of a site allows to use."""
    policies = sharing.policies(conf)
    return [connection for connection in opened if connection.policy in policies]


def end(connection: Connection) -> str | None:
    """End a shared connection with its sessions, and return why it is still open, if so."""
    if connection.process is None:
        writer.remove(connection.socket)
        return None
    try:
        outcome = programs.run(_ssh(connection.socket, "exit"), seconds=_SECONDS)
    except programs.TimeLimitError:
        return f"does not answer; end it with: kill {connection.process}"
    except GenError as error:
        return str(error)
    return outcome.message if outcome.status else None


def _directories(home: Path) -> Iterator[Path]:
    """Yield where sockets may be: in ~/.ssh, or where gen install puts them instead."""
    runtime_directory = os.environ.get("XDG_RUNTIME_DIR", "")
    for directory in (home / paths.SSH, Path(runtime_directory)):
        if directory.is_absolute() and directory.is_dir():
            yield directory


def _master(path: Path) -> int | None:
    """Return the process of a connection, as ssh says."""
    try:
        outcome = programs.run(_ssh(path, "check"), seconds=_SECONDS)
    except GenError:
        return None
    answer = _MASTER.search(outcome.errors)
    return int(answer[1]) if answer else None


def _ssh(path: Path, command: str) -> list[str]:
    # The name of the host does not matter, since the socket is given; no configuration is read.
    # A per cent sign would be a token (ssh_config(5), TOKENS).
    control_path = str(path).replace("%", "%%")
    return ["ssh", "-F", "none", "-S", control_path, "-O", command, "--", "gen"]
