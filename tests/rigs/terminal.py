"""A pseudo-terminal in which a program asks, and a test answers."""

import codecs
import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path


class Terminal:
    """A process in a terminal of 24 lines; the test types, and collects the output."""

    def __init__(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        columns: int = 80,
    ) -> None:
        self.shown, self._seen = "", 0
        # A read may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._screen, inside = os.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        # A worker of xdist ignores SIGINT, and its children would inherit that.
        text = ["setsid", "--ctty", "--wait", "env", "--default-signal=INT", *command]
        self._child = subprocess.Popen(
            text, stdin=inside, stdout=inside, stderr=inside, env=environment, cwd=directory
        )
        os.close(inside)

    def expect(self, text: str) -> None:
        """Wait for a new text in the output."""
        deadline = time.monotonic() + 120
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < deadline and self._read(), f"no {text!r} in {self.shown}"
        self._seen = self.shown.index(text, self._seen) + len(text)

    def type(self, line: str) -> None:
        """Type a line, after a question: ssh-keygen discards earlier input."""
        os.write(self._screen, line.encode() + b"\r")

    def answer(self, *answers: tuple[str, str]) -> None:
        """Wait for each question, and type its answer."""
        for question, reply in answers:
            self.expect(question)
            self.type(reply)

    def interrupt(self) -> int:
        """Type Ctrl-C until the process ends, and return its status.

        Python may miss one that comes between the prompt and the wait for input.
        """
        deadline = time.monotonic() + 120
        while self._child.poll() is None:
            assert time.monotonic() < deadline, self.shown
            os.write(self._screen, b"\x03")
            ready, _, _ = select.select([self._screen], [], [], 2)
            # The echo comes first, and after the last output the end of it.
            while ready and self._read():
                ready, _, _ = select.select([self._screen], [], [], 2)
        return self.end()

    def end(self) -> int:
        """Wait for the end, and return the status."""
        while self._read():
            pass
        return self._child.wait(timeout=120)

    def close(self) -> None:
        """Hang up, which ends whatever still waits for an answer."""
        os.close(self._screen)
        self._child.wait(timeout=120)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], 30)
        assert ready, f"nothing more after {self.shown}"
        try:
            output = os.read(self._screen, 4096)
        except OSError:  # Linux says so when the other side has ended
            output = b""
        self.shown += self._decoder.decode(output)
        return bool(output)
