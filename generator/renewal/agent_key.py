"""A key that is in the ssh agent alone, with its certificate (ssh-add(1)).

Only the public key and the certificate stay on the disk. ssh finds the private key by them in the
agent (ssh_config(5), IdentityFile), and gen sees by them when the certificate is due.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from generator.clock import Deadline, now
from generator.errors import GenError, os_errors_named
from generator.files import KEY_LIMIT, read_regular
from generator.formatting import home
from generator.renewal import certificate_file, child_process
from generator.renewal.settings import Settings
from generator.ssh.certificate import Certificate
from generator.ssh.keys import key_blob
from generator.workspace import writer

_INSTALL = "install the OpenSSH client"
_SOCKET = "SSH_AUTH_SOCK"
_LIST_LIMIT = 5  # seconds


def certificate(
    settings: Settings, environment: Mapping[str, str], *, is_for_user: bool
) -> Certificate | None:
    """Return the certificate of a site, ``None`` if the agent has no key for it any more.

    A timer may not know the agent of the user's session, and must not replace its key.
    """
    current = certificate_file.read(settings.certificate)
    if not current or not settings.key_in_agent:
        return current
    if not environment.get(_SOCKET) and not is_for_user:
        return current
    try:
        # A run that was killed may have left the public key of another certificate.
        if key_blob(read_regular(_public_key(settings), KEY_LIMIT)) != current.public_key:
            return None
        # `ssh-add -T` would test one key, but not before OpenSSH 8.0.
        lines = _ssh_add(("-L",), environment, Deadline(_LIST_LIMIT)).splitlines()
    except (OSError, ValueError, GenError):
        return None
    return current if any(_is_key(line, current) for line in lines) else None


def new_key(
    settings: Settings, path: Path, environment: Mapping[str, str], deadline: Deadline
) -> bytes:
    """Make a key pair in a private directory, and return the line of its public key."""
    if os.path.lexists(settings.key):
        name = home(settings.key)
        raise GenError(
            f"{settings.key}: exists, and with key_in_agent the key is in the agent alone; "
            f"run: mv {name} {name}.old"
        )
    if not environment.get(_SOCKET):
        raise GenError(
            f"{settings.site}: there is no ssh agent, where key_in_agent of your profile keeps the "
            "key; run: eval $(ssh-agent)"
        )
    options = ("-q", "-t", "ed25519", "-N", "", "-C", settings.site, "-f", str(path))
    needed = child_process.needed(environment)
    child_process.output(("ssh-keygen", *options), needed, deadline, install=_INSTALL)
    return read_regular(path.with_name(f"{path.name}.pub"), KEY_LIMIT)


def add(
    settings: Settings,
    path: Path,
    certificate: Certificate,
    environment: Mapping[str, str],
    deadline: Deadline,
) -> None:
    """Move a private key, with the certificate beside it, into the agent until that expires."""
    lifetime = max(certificate.end - now(), 1)
    _ssh_add(("-q", "-t", str(lifetime), str(path)), environment, deadline)
    writer.remove(path)
    line = read_regular(path.with_name(f"{path.name}.pub"), KEY_LIMIT)
    public = _public_key(settings)
    with os_errors_named(public):
        writer.write_private(public, line, 0o644, public.with_name(settings.scratch_name))


def _public_key(settings: Settings) -> Path:
    return settings.key.with_name(f"{settings.key.name}.pub")


def _is_key(line: str, certificate: Certificate) -> bool:
    try:
        return key_blob(line) == certificate.public_key
    except ValueError:
        return False


def _ssh_add(arguments: tuple[str, ...], environment: Mapping[str, str], deadline: Deadline) -> str:
    needed = child_process.needed(environment, **{_SOCKET: environment.get(_SOCKET, "")})
    return child_process.output(("ssh-add", *arguments), needed, deadline, install=_INSTALL)
