"""Reach the machines of a site without a login: their names, ports and host keys."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import Any

from generator import programs
from generator.clock import Deadline
from generator.errors import reason
from generator.probe.host_key_differences import NO_KEYS, OfferedKeys, parse_offered_keys

_KEY_TYPES = "ed25519,ecdsa,rsa"
# The share of the time that may pass before the login begins.
_SHARE = 0.7


@dataclass(frozen=True)
class Endpoint:
    """A machine that ssh connects to directly."""

    entry: str
    """Its entry in `hosts`."""
    host: str
    port: int
    needs_certificates: bool
    """Whether the spec has an authority for its host keys, or revoked keys."""


@dataclass(frozen=True)
class Reach:
    """How far gen reached a machine; `failure` says why not further."""

    resolved: bool = False
    open: bool = False
    failure: str = ""
    keys: OfferedKeys = NO_KEYS


def reach(endpoints: Sequence[Endpoint], deadline: Deadline) -> dict[str, Reach]:
    """Try to reach some machines at once; the result is by their entries in `hosts`."""
    until = Deadline(deadline.left() * _SHARE)
    results: dict[str, Reach] = {}
    threads: list[Thread] = []
    for endpoint in endpoints:
        results[endpoint.entry] = Reach(failure="no answer from the name server in time")
        # A name server that does not answer blocks getaddrinfo for long, so nothing waits for the
        # thread.
        arguments = (endpoint, results.__setitem__, until)
        thread = Thread(target=_try, args=arguments, daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(until.left())
    return dict(results)


def _try(endpoint: Endpoint, record: Callable[[str, Reach], None], until: Deadline) -> None:
    """Reach one machine, and record each step: the last one counts when the time is over."""
    try:
        addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        record(endpoint.entry, Reach(failure=reason(error)))
        return
    except UnicodeError as error:  # an empty label, or a label of more than 63 characters
        record(endpoint.entry, Reach(failure=str(error).lower()))
        return
    # Half of the time: the rest is for the keys, which say more than a closed port.
    failure = _connection_failure(addresses, Deadline(until.left() / 2))
    record(endpoint.entry, Reach(resolved=True, open=not failure, failure=failure))
    if not failure:
        keys = _offered_keys(endpoint, until)
        record(endpoint.entry, Reach(resolved=True, open=True, keys=keys))


def _connection_failure(addresses: Sequence[tuple[Any, ...]], until: Deadline) -> str:
    """Return why no address of a machine accepts a connection; an empty string if one does."""
    failure = ""
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        remaining = len(addresses) - number
        try:
            with socket.socket(family, kind, protocol) as connection:
                # Each address gets its share, so that an IPv6 address without a route cannot use up
                # the time of the IPv4 address behind it.
                connection.settimeout(max(0.1, until.left() / remaining))
                connection.connect(address)
                return ""
        except TimeoutError:
            failure = "no answer in time"
        except OSError as error:
            failure = reason(error)
    return failure


def _offered_keys(endpoint: Endpoint, until: Deadline) -> OfferedKeys:
    """Return the host keys of a machine, and its certificates if they matter."""
    seconds = max(1, int(until.left()))
    command = ["ssh-keyscan", "-p", str(endpoint.port), "-T", str(seconds), "-t", _KEY_TYPES]
    commands = [[*command, endpoint.host]]
    if endpoint.needs_certificates:
        commands.append([*command, "-c", endpoint.host])
    begun = monotonic()
    outputs: dict[int, str] = {}
    threads: list[Thread] = []
    for number, scan in enumerate(commands):
        thread = Thread(target=_scan, args=(scan, until, number, outputs.__setitem__))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    # ssh-keyscan does not say which algorithms it had no time for.
    complete = monotonic() - begun < seconds
    return parse_offered_keys("".join(outputs.values()), complete=complete)


def _scan(
    command: Sequence[str], until: Deadline, number: int, record: Callable[[int, str], None]
) -> None:
    try:
        outcome = programs.run(command, seconds=max(0.1, until.left()))
    except programs.StoppedError as error:
        outcome = error.outcome
    except programs.ProgramError:  # without ssh-keyscan, the ssh session still checks the key
        return
    record(number, outcome.text)
