"""The installed ssh: its version, its keywords, and its answer to `ssh -G`."""

import os
import re
from collections.abc import Mapping

from generator import programs

Version = tuple[int, int]

Settings = Mapping[str, tuple[str, ...]]
"""The answer of `ssh -G`: the values of each keyword, in lowercase."""

CUMULATIVE = {
    "identityfile",
    "certificatefile",
    "sendenv",
    "setenv",
    "localforward",
    "remoteforward",
    "dynamicforward",
}
"""The keywords whose values ssh adds up (ssh_config(5)); of others, it uses the first value."""

QUESTION_VARIABLE = "GEN_ASKS_SSH"
"""Set in the environment of a question to ssh.

ssh runs each `Match exec` before it answers. With this variable, that of an installed site does
nothing, whatever file ssh found it in.
"""
_SECONDS = 10

# The first version with each keyword, from the release notes (openssh.com/releasenotes.html).
# Every client in use supports the keywords that are older than these.
_SINCE: Mapping[str, Version] = {
    "certificatefile": (7, 2),
    "addkeystoagent": (7, 2),
    "include": (7, 3),
    "proxyjump": (7, 3),
    "remotecommand": (7, 6),
    "knownhostscommand": (8, 5),
}


def installed_version() -> Version | None:
    """Return the version of the installed ssh; ``None`` if it is not OpenSSH, or not installed."""
    try:
        outcome = programs.run(["ssh", "-V"], seconds=_SECONDS)
    except programs.ProgramError:
        return None
    return parse_version(outcome.errors)


def first_value(settings: Settings, keyword: str) -> str:
    """Return the first value of a keyword, or an empty text without any."""
    values = settings.get(keyword, ())
    return values[0] if values else ""


def question_environment() -> dict[str, str]:
    """Return the environment in which gen asks ssh for settings."""
    return {**os.environ, QUESTION_VARIABLE: "1"}


def parse_version(text: str) -> Version | None:
    """Return the version in the output of `ssh -V`, such as `OpenSSH_9.2p1 Debian-2`."""
    # Windows has `OpenSSH_for_Windows_8.1p1`.
    match = re.search(r"OpenSSH_(?:\w+_)?([0-9]+)\.([0-9]+)", text)
    return (int(match[1]), int(match[2])) if match else None


def unsupported_keywords(config: bytes, version: Version) -> tuple[str, ...]:
    """Return each keyword of a config that is newer than a version of ssh, with its own version."""
    words = re.findall(r"(?m)^[ \t]*([A-Za-z]+)\b", config.decode("utf-8", "replace"))
    unsupported: list[str] = []
    for word in dict.fromkeys(words):
        since = _SINCE.get(word.lower(), version)
        if since > version:
            unsupported.append(f"{word} (OpenSSH {since[0]}.{since[1]})")
    return tuple(unsupported)


def parse_settings(answer: str) -> Settings:
    """Return the settings in the answer of `ssh -G`."""
    settings: dict[str, tuple[str, ...]] = {}
    for line in answer.splitlines():
        keyword, _, value = line.partition(" ")
        settings[keyword] = (*settings.get(keyword, ()), value)
    return settings
