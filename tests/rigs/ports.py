"""Ports of the loopback for servers that need to know their port before they start."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

# Linux takes the ports of outgoing connections, and those for a bind to port 0, from 32768 on
# (ip(7), ip_local_port_range). Ray takes 10002 to 19999 for its workers. Nothing takes a port
# between the two unasked.
_FIRST, _LAST = 20000, 32000
_LOCKS = Path(tempfile.gettempdir(), f"gen-test-ports-{os.geteuid()}")


def free_port() -> int:
    """Reserve a port until this process ends, and return it.

    Another test process may take a port that was only looked at, before the server binds it. So
    each process locks, in one file for all, the byte at the number of its port. The kernel drops
    the locks when the process ends.
    """
    for port in _untried_ports():
        if _lock(port) and not _is_bound(port):
            return port
    raise AssertionError(f"no free port from {_FIRST} to {_LAST - 1}")


@cache
def _untried_ports() -> Iterator[int]:
    """Return one iterator over all ports, whose start differs between processes."""
    size = _LAST - _FIRST
    start = os.getpid() * 101 % size
    return iter([_FIRST + (start + number) % size for number in range(size)])


@cache
def _lock_file() -> BinaryIO:
    """Open the file, once: when a process closes any descriptor of it, its locks end (fcntl(2))."""
    return _LOCKS.open("ab")


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


def _is_bound(port: int) -> bool:
    """Return whether another server has the port, on any address of this machine."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False
