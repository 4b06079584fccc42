"""The machines that ssh jumps through to a host, from its ProxyJump settings."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from generator.ssh.client import Settings, first_value

# ssh_config(5), ProxyJump: `[user@]host[:port]`, or an ssh URI.
_JUMP = re.compile(r"(?:ssh://)?(?:([^@]+)@)?([\w.-]+)(?::(\d+))?/?")
MOST_JUMPS = 8
"""The jumps of a configuration may form a circle, so no longer route is followed."""


class Jump(NamedTuple):
    """A host of a ProxyJump setting, as it is written."""

    name: str
    user: str | None
    port: str | None


class Waypoint(NamedTuple):
    """A machine on the way to a host."""

    host_name: str
    port: str
    user: str


def jumps(value: str) -> list[Jump]:
    """Return the hosts of a ProxyJump setting, in ssh's order; none if there is no jump.

    Raises:
        ValueError: a host is not of the form of ssh_config(5), such as an IPv6 address.
    """
    if value in ("", "none"):
        return []
    hosts: list[Jump] = []
    for text in value.split(","):
        match = _JUMP.fullmatch(text)
        if match is None:
            raise ValueError(text)
        user, name, port = match.groups()
        hosts.append(Jump(name, user, port))
    return hosts


def route(
    settings: Settings, ask: Callable[[str], Settings], depth: int = 0
) -> tuple[Waypoint | str, ...]:
    """Return the machines on the way to the host with some settings; `ask` has those of a name."""
    value = first_value(settings, "proxyjump")
    try:
        hosts: Sequence[Jump] = jumps(value)
    except ValueError:
        return (value,)
    machines: list[Waypoint | str] = []
    for number, jump in enumerate(hosts):
        jump_settings = ask(jump.name)
        # ssh reaches the others through the one before, whatever their own configuration says.
        if number == 0 and depth < MOST_JUMPS:
            machines += route(jump_settings, ask, depth + 1)
        host_name = first_value(jump_settings, "hostname")
        port = jump.port or first_value(jump_settings, "port")
        user = jump.user or first_value(jump_settings, "user")
        machines.append(Waypoint(host_name, port, user))
    return tuple(machines)
