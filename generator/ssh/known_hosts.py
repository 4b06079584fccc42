"""The lines of a known_hosts file for a host, as ssh-keygen finds them.

The format is that of sshd(8), SSH_KNOWN_HOSTS_FILE_FORMAT.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from generator import programs
from generator.errors import GenError
from generator.formatting import printable
from generator.ssh.client import question_environment
from generator.ssh.keys import ALGORITHMS

# Marker, host names, and the key; what follows is a comment, which may look like a key too.
_LINE = re.compile(
    rf"(?:(@[a-z-]+)[ \t]+)?([^@#\s]\S*)[ \t]+({'|'.join(ALGORITHMS)})[ \t]+([A-Za-z0-9+/]+=*)"
)
_WITH_PORT = re.compile(r"\[(.*)\]:\d+")
_SECONDS = 20


class KnownKeys(NamedTuple):
    """The keys in some lines, without those that the same lines revoke."""

    keys: tuple[str, ...]
    """Host keys (`TYPE BASE64`)."""
    authorities: tuple[tuple[str, str], ...]
    """Pattern of the hosts, and key of an authority that signs for them."""


def lines(host: str, path: Path) -> list[str]:
    """Return the lines of a file that are for a host; `host` has a port as in known_hosts.

    ssh-keygen also finds hashed names (ssh_config(5), HashKnownHosts) and patterns.
    """
    command = ("ssh-keygen", "-F", host, "-f", str(path))
    outcome = programs.run(command, seconds=_SECONDS, environment=question_environment())
    if outcome.status > 1:  # with 1, ssh-keygen says that it does not know the host
        raise GenError(f"{printable(' '.join(command))}: {outcome.message}")
    # Each line comes with a comment that says where it is.
    return [line for line in outcome.text.splitlines() if line and not line.startswith("#")]


def keys(known_lines: Iterable[str]) -> KnownKeys:
    """Return the keys in lines; those of types that gen does not pin are left out."""
    host_keys: dict[str, None] = {}
    authorities: dict[tuple[str, str], None] = {}
    revoked = set[str]()
    for line in known_lines:
        match = _LINE.match(line.strip())
        if match is None:
            continue
        marker, names, key_type, blob = match.groups()
        key = f"{key_type} {blob}"
        if marker == "@revoked":
            revoked.add(key)
        elif marker == "@cert-authority":
            for pattern in names.split(","):
                if not pattern.startswith("!"):
                    authorities[_WITH_PORT.sub(r"\1", pattern), key] = None
        elif marker is None:
            host_keys[key] = None
    return KnownKeys(
        tuple(key for key in host_keys if key not in revoked),
        tuple(entry for entry in authorities if entry[1] not in revoked),
    )
