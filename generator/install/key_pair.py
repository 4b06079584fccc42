"""The key pair of a site: make it with ssh-keygen, derive its public key, and check its size."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from generator import programs
from generator.compiler.result import FirstLogin
from generator.errors import GenError, os_errors_named
from generator.files import KEY_LIMIT, read_regular
from generator.formatting import home as shortened
from generator.ssh.keys import SHORTEST_RSA, rsa_bits

_SECONDS = 10
_TYPING_SECONDS = 120


@dataclass(frozen=True)
class MissingKeyPair:
    """A key pair that a site needs and that does not exist yet."""

    command: str
    """The command that makes it, as users write it."""
    rsa_command: str | None
    """The command for an RSA key, where the site accepts one."""
    private_key: Path

    @property
    def name(self) -> str:
        """The path of the private key, as users write it."""
        return shortened(self.private_key)

    def make(self, command: str) -> str:
        """Run one of the commands in the user's terminal, and return the public key.

        The user types the passphrase into ssh-keygen itself, so gen never sees it.
        """
        arguments: list[str] = []
        for word in shlex.split(command):
            # No shell runs the command, so nothing else would expand the tilde.
            is_path = word.startswith("~/")
            arguments.append(str(self.private_key) if is_path else word)
        status = programs.run_in_terminal(arguments)
        if status:
            raise GenError(
                f"ssh-keygen made no key pair (status {status}); "
                f"run this again, or: {shlex.join(arguments)}"
            )
        return read_public_key(self.private_key)


def missing_key_pair(login: FirstLogin, home: Path) -> MissingKeyPair | None:
    """Return the key pair to make for a first login, ``None`` if the site needs no new one.

    Where only the public half exists, the private one is in an agent or on a token.
    """
    if login.make_key is None or login.key is None:
        return None
    private_key = in_home(home, login.key)
    # lexists: a link to a disk that is not mounted is the user's key too.
    if os.path.lexists(private_key) or os.path.lexists(public_path(private_key)):
        return None
    return MissingKeyPair(login.make_key, login.make_rsa_key, private_key)


def lacks_public_key(private_key: Path) -> bool:
    """Return whether only the private half of a key pair exists."""
    return private_key.is_file() and not os.path.lexists(public_path(private_key))


def derive_public_key(private_key: Path, *, has_terminal: bool) -> None:
    """Write the public key of a private key, without overwriting anything.

    ssh-keygen itself asks for the passphrase of the key, in a terminal alone.
    """
    command = ["ssh-keygen", "-y", "-f", str(private_key)]
    # -P "": a key with a passphrase fails at once.
    outcome = programs.run([*command, "-P", ""], seconds=_SECONDS)
    if outcome.status and has_terminal:
        # Never a window: the terminal is where the user is.
        environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}
        outcome = programs.run(
            command, seconds=_TYPING_SECONDS, environment=environment, terminal=True
        )
    public_key = public_path(private_key)
    if outcome.status:
        quoted = shlex.quote(str(private_key))
        raise GenError(
            f"{public_key}: does not exist, and gen cannot derive it ({outcome.message}); "
            f"run: ssh-keygen -y -f {quoted} > {quoted}.pub"
        )
    with os_errors_named(public_key), public_key.open("xb") as file:
        file.write(outcome.stdout)


def read_public_key(private_key: Path) -> str:
    """Return the line of the public key beside a private key."""
    path = public_path(private_key)
    with os_errors_named(path):
        return read_regular(path, KEY_LIMIT).decode(errors="replace").partition("\n")[0].rstrip()


def refuse_short_key(private_key: Path) -> None:
    """Refuse an RSA key that is too short, judged by its public half."""
    try:
        bits = rsa_bits(read_public_key(private_key))
    except (GenError, ValueError):  # missing, or ssh says why it cannot use it
        return
    if bits is None or bits >= SHORTEST_RSA:
        return
    raise GenError(
        f"{shortened(private_key)}: is an RSA key of {bits} bits; keys of fewer than {SHORTEST_RSA}"
        " bits can be broken, so servers refuse them. Make another key, then name it with"
        f" --identity-file: ssh-keygen -t ed25519 -f {shlex.quote(f'{private_key}_new')}"
    )


def public_path(private_key: Path) -> Path:
    """Return the path of the public key beside a private key."""
    return Path(f"{private_key}.pub")


def in_home(home: Path, path: str) -> Path:
    """Return the path of a key, `~/` being the home directory."""
    return home / path.removeprefix("~/")
