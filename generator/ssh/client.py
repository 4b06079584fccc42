"""The ssh of this machine: its version, what it is too old for, and what it prints of its configuration."""

import re
import subprocess
from collections.abc import Mapping

Version = tuple[int, int]

Settings = Mapping[str, tuple[str, ...]]
"""What `ssh -G` prints: the values of each keyword, in small letters."""

_SECONDS = 10

# The release notes of OpenSSH (openssh.com/releasenotes.html) say with which version each came. Older keywords than
# the oldest here are known to every client that still runs.
_SINCE: Mapping[str, Version] = {
    "certificatefile": (7, 2),
    "addkeystoagent": (7, 2),
    "include": (7, 3),
    "proxyjump": (7, 3),
    "remotecommand": (7, 6),
    "knownhostscommand": (8, 5),
}


def client() -> Version | None:
    """Return the version of the ssh that is there; ``None`` if it is no OpenSSH, or there is none."""
    try:
        told = subprocess.run(
            ["ssh", "-V"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return version(told.stderr)


def version(words: str) -> Version | None:
    """Return the version in what `ssh -V` prints (`OpenSSH_9.2p1 Debian-2`, `OpenSSH_for_Windows_8.1p1`)."""
    found = re.search(r"OpenSSH_(?:\w+_)?([0-9]+)\.([0-9]+)", words)
    return (int(found[1]), int(found[2])) if found else None


def too_new(config: bytes, client: Version) -> tuple[str, ...]:
    """Return each keyword of a config that this client does not know, with the version that brought it."""
    words = re.findall(r"(?m)^[ \t]*([A-Za-z]+)\b", config.decode("utf-8", "replace"))
    return tuple(
        f"{word} (OpenSSH {'.'.join(map(str, _SINCE[word.lower()]))})"
        for word in dict.fromkeys(words)
        if _SINCE.get(word.lower(), client) > client
    )


def settings(printed: str) -> Settings:
    """Read what `ssh -G` printed."""
    found: dict[str, tuple[str, ...]] = {}
    for line in printed.splitlines():
        keyword, _, value = line.partition(" ")
        found[keyword] = (*found.get(keyword, ()), value)
    return found
