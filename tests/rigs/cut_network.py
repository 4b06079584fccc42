"""A network namespace whose loopback leads to servers of the machine, and that can be cut."""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PROGRAMS = ("ip", "nsenter")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET in sched.h


@dataclass(frozen=True)
class CutNetwork:
    """The network of a process in a namespace of its own."""

    process: int

    @property
    def entrance(self) -> tuple[str, ...]:
        """Words before a command that run it in this network."""
        return ("nsenter", f"--net=/proc/{self.process}/ns/net")

    def up(self) -> None:
        """Connect the network; the kernel gives the loopback its address again."""
        self._run("ip", "link", "set", "lo", "up")

    def down(self) -> None:
        """Cut the network: the kernel answers that it is unreachable."""
        self._run("ip", "link", "set", "lo", "down")
        # With its address, the loopback would swallow every packet instead.
        self._run("ip", "address", "flush", "dev", "lo")

    def _run(self, *command: str) -> None:
        subprocess.run([*self.entrance, *command], check=True, timeout=60)


@contextmanager
def cut_network(process: int, ports: Sequence[int]) -> Iterator[CutNetwork]:
    """Lead some ports of the loopback in the namespace of a process to those of the machine."""
    network = CutNetwork(process)
    network.up()
    listeners: list[socket.socket] = []
    # A socket stays in the namespace of the thread that created it.
    thread = threading.Thread(target=_listen, args=(process, ports, listeners))
    thread.start()
    thread.join()
    assert len(listeners) == len(ports), "no listeners in the namespace"
    try:
        for listener in listeners:
            threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield network
    finally:
        for listener in listeners:
            # close alone does not wake a thread that waits in accept.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def _listen(process: int, ports: Sequence[int], listeners: list[socket.socket]) -> None:
    descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
    try:
        # os.setns exists from Python 3.12 on.
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
        for port in ports:
            listeners.append(socket.create_server(("127.0.0.1", port)))
    finally:
        os.close(descriptor)


def _serve(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_forward, args=(client, port), daemon=True).start()


def _forward(client: socket.socket, port: int) -> None:
    with client, suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
