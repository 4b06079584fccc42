"""How far a machine can be reached: its name, its port, and the host keys that it offers to anybody."""

import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import Any

from generator.probe.host_key_differences import NOTHING, Offered, offered

_KINDS = "ed25519,ecdsa,rsa"


@dataclass(frozen=True)
class Door:
    """A machine that ssh connects to directly."""

    entry: str
    """Its entry in `hosts`."""
    host: str
    port: int
    signed: bool
    """Whether the spec has an authority for its host keys."""


@dataclass(frozen=True)
class Reached:
    """How far one got: addresses, an open port, keys; `refusal` says why not further."""

    resolved: bool = False
    open: bool = False
    refusal: str = ""
    offered: Offered = NOTHING


class Deadline:
    """The moment by which everything is over."""

    def __init__(self, seconds: float) -> None:
        self.end = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self.end - monotonic())


def reach(doors: Sequence[Door], deadline: Deadline) -> dict[str, Reached]:
    """Try some machines at once, and return how far each was reached, by its entry."""
    found = {
        door.entry: Reached(refusal="no answer from the name server in time") for door in doors
    }
    until = Deadline(deadline.left() * 0.7)
    tries = [
        Thread(target=_try, args=(door, found.__setitem__, until), daemon=True) for door in doors
    ]
    for one in tries:
        one.start()
    for one in tries:
        one.join(until.left())
    return dict(found)


def _try(door: Door, tell: Callable[[str, Reached], None], until: Deadline) -> None:
    """Reach one machine; each step is told, so that the last one counts when the time is over."""
    try:
        addresses = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        tell(door.entry, Reached(refusal=str(getattr(error, "strerror", None) or error).lower()))
        return
    refusal = _connected(addresses, Deadline(until.left() / 2))
    tell(door.entry, Reached(resolved=True, open=not refusal, refusal=refusal))
    if not refusal:
        tell(door.entry, Reached(resolved=True, open=True, offered=_offered(door, until)))


def _connected(addresses: Sequence[tuple[Any, ...]], until: Deadline) -> str:
    """Return why no address of a machine takes a connection; nothing when one does."""
    refusal = ""
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.settimeout(max(0.1, until.left() / (len(addresses) - number)))
                probe.connect(address)
                return ""
        except TimeoutError:
            refusal = "no answer in time"
        except OSError as error:
            refusal = (error.strerror or str(error)).lower()
    return refusal


def _offered(door: Door, until: Deadline) -> Offered:
    """Return the keys of every algorithm that a machine offers; its certificates where the spec has an authority."""
    patience = max(1, int(until.left()))
    command = ["ssh-keyscan", "-p", str(door.port), "-T", str(patience), "-t", _KINDS]
    begun = monotonic()
    scans = [_scan([*command, *more, door.host]) for more in ([], ["-c"])[: 1 + door.signed]]
    text = ""
    for scan in scans:
        try:
            text += scan.communicate(timeout=max(0.1, until.left()))[0]
        except subprocess.TimeoutExpired:
            scan.kill()
            text += scan.communicate()[0]
    return offered(text, complete=monotonic() - begun < patience)


def _scan(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
