"""The key pair of a site: whether one has to be made, and making it with ssh-keygen."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from generator import programs
from generator.compiler.result import FirstLogin
from generator.errors import GenError, os_errors_named
from generator.files import KEY_LIMIT, read_regular


@dataclass(frozen=True)
class MissingKeyPair:
    """A key pair that a site needs and that does not exist yet."""

    command: str
    """The command that makes it, as users write it."""
    arguments: tuple[str, ...]
    """The same for the system: ssh-keygen itself does not expand a tilde."""
    public_key: Path


def missing_key_pair(login: FirstLogin, home: Path) -> MissingKeyPair | None:
    """Return the key pair to make for a first login, ``None`` if the site needs no new one.

    Where only the public half exists, the private one is in an agent or on a token.
    """
    if login.make_key is None or login.key is None:
        return None
    private_key = _in_home(home, login.key)
    public_key = Path(f"{private_key}.pub")
    if private_key.exists() or public_key.exists():
        return None
    arguments: list[str] = []
    for word in shlex.split(login.make_key):
        # No shell runs the command, so nothing else would expand the tilde.
        if word.startswith("~/"):
            word = str(_in_home(home, word))
        arguments.append(word)
    return MissingKeyPair(login.make_key, tuple(arguments), public_key)


def make_key_pair(missing: MissingKeyPair) -> str:
    """Run ssh-keygen in the user's terminal, and return the public key.

    The user types the passphrase into ssh-keygen itself, so gen never sees it.
    """
    status = programs.run_in_terminal(missing.arguments)
    if status:
        raise GenError(
            f"ssh-keygen made no key pair (status {status}); "
            f"run this again, or: {shlex.join(missing.arguments)}"
        )
    with os_errors_named(missing.public_key):
        return read_regular(missing.public_key, KEY_LIMIT).decode().rstrip()


def _in_home(home: Path, path: str) -> Path:
    return home / path.removeprefix("~/")
