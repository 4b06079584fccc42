"""The first login: a key pair by ssh-keygen, the public key to hand in, and permissions that ssh asks for."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from generator import paths
from generator.compiler.result import FirstLogin
from generator.errors import GenError, os_errors_named
from generator.ssh.config_files import Files, sources, walk
from generator.workspace import writer

Ask = Callable[[str], bool]
"""Asks a question of yes or no; answers no by itself where there is nobody."""


@dataclass(frozen=True)
class Loose:
    """A file or folder that others may do more with than ssh allows."""

    path: Path
    name: str
    """The path as a person writes it."""
    wanted: int
    """The mode that is left when that is taken from them."""
    why: str

    @property
    def message(self) -> str:
        """The finding and the command that mends it."""
        return f"{self.name}: {self.why}; chmod {self.wanted:o} {self.name}"


def key_pair(login: FirstLogin, home: Path, ask: Ask, say: Callable[[str], None]) -> None:
    """Offer to make the key pair that a site needs, where there is none, and show what to hand in.

    The passphrase is typed into ssh-keygen itself, which has the terminal meanwhile.

    Raises:
        GenError: ssh-keygen is not there, or made no key.
    """
    if login.make_key is None or login.key is None:
        return
    key = _at(home, login.key)
    if (
        key.exists() or Path(f"{key}.pub").exists()
    ):  # the public half alone: the other is in an agent or on a token
        return
    if not ask(f"{login.alias} needs a key pair. Make it with {login.make_key}?"):
        say(f"Later: {login.make_key}")
        return
    _keygen(
        [
            str(_at(home, word)) if word.startswith("~/") else word
            for word in shlex.split(login.make_key)
        ]
    )
    with os_errors_named(key):
        public = Path(f"{key}.pub").read_text()
    say(f"\nYour public key, in {login.key}.pub:\n\n{public.rstrip()}\n")
    if login.credential:
        say("It becomes good for a login with: " + "; ".join(login.credential))
    else:
        say(f"Hand it in: {login.submit or 'where the site takes public keys'}.")
    if login.max_keys:
        say(f"The site keeps {login.max_keys} public keys for one person, no more.")


def _at(home: Path, path: str) -> Path:
    """Return a path below the home folder that was given; ssh-keygen would take ~ for a name."""
    return home / path.removeprefix("~/")


def _keygen(command: list[str]) -> None:
    try:
        status = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        raise GenError(
            "ssh-keygen: is not there; install the OpenSSH client, then run this again"
        ) from None
    if status:
        raise GenError(
            f"ssh-keygen made no key (status {status}); run this again, or: {shlex.join(command)}"
        )


def loose(home: Path) -> tuple[Loose, ...]:
    """Return what ssh refuses or leaves unused for its permissions: the folder, configuration files, private keys.

    Raises:
        GenError: a file cannot be read.
    """
    return tuple(_loose(home))


def _loose(home: Path) -> Iterator[Loose]:
    folder = home / paths.SSH
    if not folder.is_dir():
        return
    # ssh(1), FILES; what group and others may do, by kind.
    limits = [(folder, 0o077, "others can look into it")]
    included = {name for name, _ in walk(sources(Files(home))[0])}
    for path in sorted({folder / "config", *(home / name.removeprefix("~/") for name in included)}):
        limits.append((path, 0o022, "others can write to it, and ssh refuses that"))
    with os_errors_named(folder):
        for path in sorted(folder.iterdir()):
            if _is_private_key(path):
                limits.append((path, 0o077, "others can read it, and ssh does not use such a key"))
    for path, forbidden, why in limits:
        if path.exists() and (mode := path.stat().st_mode & 0o7777) & forbidden:
            yield Loose(path, Files(home).name(path), mode & ~forbidden, why)


def _is_private_key(path: Path) -> bool:
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        return b"PRIVATE KEY-----" in file.readline(80)


def tighten(found: tuple[Loose, ...]) -> None:
    """Take from files what others may not do; links are followed.

    Raises:
        GenError: a file belongs to somebody else.
    """
    for one in found:
        writer.restrict(one.path, one.wanted)
