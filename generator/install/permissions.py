"""Find files that ssh refuses or ignores because other users may read or write them."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from generator import paths
from generator.errors import os_errors_named
from generator.ssh.config_files import Files, read_configuration, walk
from generator.workspace import writer

_GROUP_AND_OTHERS = 0o077
_WRITE_BY_OTHERS = 0o022


@dataclass(frozen=True)
class LoosePermission:
    """A file or directory that gives other users more rights than ssh accepts."""

    path: Path
    name: str
    """The path as users write it."""
    mode: int
    """The present mode without those rights."""
    problem: str

    @property
    def message(self) -> str:
        """The problem and the command that fixes it."""
        return f"{self.name}: {self.problem}; chmod {self.mode:o} {self.name}"


def loose_permissions(home: Path) -> tuple[LoosePermission, ...]:
    """Return the ssh directory, configuration files and private keys whose permissions are loose.

    The rules are those of ssh(1), section FILES.
    """
    directory = home / paths.SSH
    if not directory.is_dir():
        return ()
    permissions = list(_check(home, directory, _GROUP_AND_OTHERS, "other users can list it"))
    for path in _config_paths(home):
        problem = "other users can write to it, so ssh refuses it"
        permissions += _check(home, path, _WRITE_BY_OTHERS, problem)
    with os_errors_named(directory):
        entries = sorted(directory.iterdir())
    for path in entries:
        if _is_private_key(path):
            problem = "other users can read it, so ssh ignores this key"
            permissions += _check(home, path, _GROUP_AND_OTHERS, problem)
    return tuple(permissions)


def tighten(permissions: Iterable[LoosePermission]) -> None:
    """Set the proposed modes; links are followed."""
    for permission in permissions:
        writer.set_mode(permission.path, permission.mode)


def _check(home: Path, path: Path, forbidden: int, problem: str) -> Iterator[LoosePermission]:
    if not path.exists():
        return
    mode = path.stat().st_mode & 0o7777
    if mode & forbidden:
        yield LoosePermission(path, Files(home).name(path), mode & ~forbidden, problem)


def _config_paths(home: Path) -> list[Path]:
    names = {name for name, _ in walk(read_configuration(Files(home)).user)}
    files = {home / name.removeprefix("~/") for name in names}
    return sorted({home / paths.SSH_CONFIG, *files})


def _is_private_key(path: Path) -> bool:
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    # PEM and OpenSSH's own format both have these words in the first line (ssh-keygen(1), -m).
    with path.open("rb") as file:
        return b"PRIVATE KEY-----" in file.readline(80)
