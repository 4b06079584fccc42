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

_PUBLIC_KEY = re.compile(rf"(?:{'|'.join(ALGORITHMS)}) [A-Za-z0-9+/]+=*")
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
    found = outcome.text.splitlines()
    return [line for line in found if line and not line.startswith("#")]


def keys(known_lines: Iterable[str]) -> KnownKeys:
    """Return the keys in lines; those of types that gen does not pin are left out."""
    host_keys: dict[str, None] = {}
    authorities: dict[tuple[str, str], None] = {}
    revoked = set[str]()
    for line in known_lines:
        key = _PUBLIC_KEY.search(line)
        if key is None:
            continue
        if line.startswith("@revoked "):
            revoked.add(key[0])
        elif line.startswith("@cert-authority "):
            for pattern in line.split()[1].split(","):
                if not pattern.startswith("!"):
                    authorities[_WITH_PORT.sub(r"\1", pattern), key[0]] = None
        else:
            host_keys[key[0]] = None
    return KnownKeys(
        tuple(key for key in host_keys if key not in revoked),
        tuple(entry for entry in authorities if entry[1] not in revoked),
    )
