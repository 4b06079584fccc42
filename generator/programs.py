"""Run other programs: with a time limit, an output limit and, as a rule, without a terminal."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from time import monotonic
from typing import IO, NamedTuple

from generator.errors import GenError, reason
from generator.formatting import last_line

OUTPUT_LIMIT = 1024 * 1024
_INSTALL = {
    "ssh": "install the OpenSSH client",
    "ssh-keygen": "install the OpenSSH client",
    "ssh-keyscan": "install the OpenSSH client",
    "git": "install git",
}
# A repository may come from anybody, and names programs in its own settings (git-config(1)):
# core.fsmonitor runs whenever git reads the index, and hooks are for the user's own repositories.
GIT = ("git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
_POLL = 0.1  # seconds
# After a program has ended, one that it started may hold its output open: ssh does so for a shared
# connection.
_DRAIN = 1.0
# Seconds for a program to end at SIGTERM: ssh then ends the ssh of its jump host too.
_GRACE = 1.0
# POSIX promises that a pipe which can be written to takes so many bytes without blocking (pipe(7),
# PIPE_BUF).
_CHUNK = 512
_DEATH_SIGNAL = 1  # prctl(2), PR_SET_PDEATHSIG


class Outcome(NamedTuple):
    """The exit status and the output of a program."""

    command: tuple[str, ...]
    status: int
    """As the shell has it, but negative for a signal."""
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def text(self) -> str:
        """The standard output; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        """The standard error; bytes that are not UTF-8 are replaced."""
        return self.stderr.decode(errors="replace")

    @property
    def message(self) -> str:
        """Why the program failed, in one line for a user: its last line, or its status."""
        line = last_line(self.errors) or last_line(self.text)
        return line or f"{_name(self.command)} ended with status {self.status}"


class ProgramError(GenError):
    """A program gave no answer."""


class NotInstalledError(ProgramError):
    """The program is not on PATH."""


class StoppedError(ProgramError):
    """gen stopped the program; its output until then is at hand."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class TimeLimitError(StoppedError):
    """The program took longer than its time limit."""


class OutputLimitError(StoppedError):
    """The program printed more than its output limit."""


def run(
    command: Sequence[str],
    *,
    seconds: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    output_limit: int = OUTPUT_LIMIT,
    terminal: bool = False,
    end_with_gen: bool = False,
    hear: Callable[[str], None] | None = None,
) -> Outcome:
    """Run a program to its end, and return its status and output.

    `terminal` lets the program ask the user; otherwise it runs in a session without a terminal.
    `end_with_gen` ends the program when gen is killed; use it for a program with a secret in its
    environment. `hear` gets each line of the standard error as soon as it is printed.

    Raises:
        NotInstalledError: the program is not on PATH.
        TimeLimitError: the program took longer.
        OutputLimitError: the program printed more on one of its two outputs.
        ProgramError: the system cannot start the program.
    """
    child = _start(command, bool(stdin), environment, directory, terminal, end_with_gen)
    exchange = _Exchange(child, stdin, output_limit, hear)
    try:
        exchange.run(monotonic() + seconds)
    finally:
        _stop(child, whole_session=not terminal)
        exchange.close()
    stdout, stderr = bytes(exchange.stdout), bytes(exchange.stderr)
    outcome = Outcome(tuple(command), child.returncode, stdout, stderr)
    if exchange.too_long:
        limit = f"{output_limit // 1024} KiB"
        raise OutputLimitError(f"{_name(command)} printed more than {limit}", outcome)
    if exchange.too_late:
        raise TimeLimitError(f"{_name(command)} did not end within {ceil(seconds)} s", outcome)
    return outcome


def git(
    arguments: Sequence[str], *, seconds: float, stdin: bytes = b"", output_limit: int
) -> Outcome:
    """Ask git about a repository, without a program of the repository, a fetch or a change.

    Raises the errors of `run`.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C",  # callers read messages
        # A partial clone would fetch the files that it lacks, with a program that it names. git
        # before 2.39.4 knows only the second variable.
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_OPTIONAL_LOCKS": "0",  # not even the index is refreshed
    }
    return run(
        [*GIT, *arguments],
        seconds=seconds,
        stdin=stdin,
        environment=environment,
        output_limit=output_limit,
    )


def run_in_terminal(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> int:
    """Run a program that the user sees and answers, without a time limit, and return its status.

    Its output goes to the standard error, since the standard output of gen is for data.

    Raises:
        NotInstalledError: the program is not on PATH.
        ProgramError: the system cannot start the program.
    """
    sys.stderr.flush()
    with _start_errors(command):
        child = subprocess.run(
            command, env=environment, cwd=directory, stdout=sys.stderr.fileno(), check=False
        )
    return child.returncode


@contextlib.contextmanager
def _broken_pipes_reported() -> Iterator[None]:
    """Make a write to a program that has ended an error; SIGPIPE would end gen silently."""
    # `gen` leaves the signal at its default for its own output, so this thread alone blocks it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        yield
    finally:
        if signal.SIGPIPE in signal.sigpending():
            signal.sigwait({signal.SIGPIPE})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Exchange:
    """Writes the input of a program and reads its two outputs, within the limits."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        stdin: bytes,
        output_limit: int,
        hear: Callable[[str], None] | None,
    ) -> None:
        self.child = child
        self.unwritten = stdin
        self.output_limit = output_limit
        self.hear = hear
        self.unheard = b""
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.too_long = False
        self.too_late = False
        self.selector = selectors.DefaultSelector()
        if child.stdin:
            self.selector.register(child.stdin, selectors.EVENT_WRITE, self._write)
        if child.stdout:
            self.selector.register(child.stdout, selectors.EVENT_READ, self._read_stdout)
        if child.stderr:
            self.selector.register(child.stderr, selectors.EVENT_READ, self._read_stderr)

    def run(self, deadline: float) -> None:
        """Go on until the program ends, or one of the limits is reached."""
        drained = float("inf")
        while self.selector.get_map():
            for key, _ in self.selector.select(_POLL):
                key.data(key.fileobj)
            if max(len(self.stdout), len(self.stderr)) > self.output_limit:
                self.too_long = True
                return
            now = monotonic()
            if self.child.poll() is not None:
                drained = min(drained, now + _DRAIN)
                if now >= drained:
                    return
            elif now >= deadline:
                self.too_late = True
                return
        try:
            self.child.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            self.too_late = True

    def close(self) -> None:
        """Close the pipes; `hear` gets a last line without an end."""
        if self.hear and self.unheard:
            self.hear(self.unheard.decode(errors="replace"))
        self.selector.close()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            with _broken_pipes_reported():
                written = os.write(pipe.fileno(), self.unwritten[:_CHUNK])
        except BrokenPipeError:  # the program does not read its input
            self._done(pipe)
            return
        self.unwritten = self.unwritten[written:]
        if not self.unwritten:
            self._done(pipe)

    def _read_stdout(self, pipe: IO[bytes]) -> None:
        self.stdout += self._read(pipe)

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        chunk = self._read(pipe)
        self.stderr += chunk
        if self.hear:
            *lines, self.unheard = (self.unheard + chunk).split(b"\n")
            for line in lines:
                self.hear(line.decode(errors="replace"))

    def _read(self, pipe: IO[bytes]) -> bytes:
        chunk = os.read(pipe.fileno(), 65_536)
        if not chunk:
            self._done(pipe)
        return chunk

    def _done(self, pipe: IO[bytes]) -> None:
        self.selector.unregister(pipe)
        pipe.close()


def _start(
    command: Sequence[str],
    has_input: bool,
    environment: Mapping[str, str] | None,
    directory: Path | None,
    terminal: bool,
    end_with_gen: bool,
) -> subprocess.Popen[bytes]:
    with _start_errors(command):
        return subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # Without a terminal of its own, no program can ask for a password behind gen's output
            # (setsid(2)).
            start_new_session=not terminal,
            preexec_fn=_death_signal() if end_with_gen else None,
        )


@contextlib.contextmanager
def _start_errors(command: Sequence[str]) -> Iterator[None]:
    name = _name(command)
    try:
        yield
    except FileNotFoundError:
        remedy = _INSTALL.get(name, "install it or add its directory to PATH")
        raise NotInstalledError(f"{name} is not installed; {remedy}, then try again") from None
    except OSError as error:
        raise ProgramError(f"{command[0]}: {reason(error)}") from None


def _stop(child: subprocess.Popen[bytes], *, whole_session: bool) -> None:
    """End a program that still runs, with those that it started in its session."""
    if child.poll() is not None:
        return
    # SIGTERM first, so that a program can remove its temporary files.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if whole_session:
                # The whole session: a shell passes no signal on to the program that it waits for.
                os.killpg(child.pid, number)
            else:
                child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)
    child.wait()


def _death_signal() -> Callable[[], object] | None:
    """Return a function with which a child asks Linux to be killed when this process ends."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return lambda: prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _name(command: Sequence[str]) -> str:
    return Path(command[0]).name
