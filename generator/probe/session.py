"""The one session at a site: what ssh is told, and what its own words say of how far it got."""

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import IO

from generator.errors import GenError

# What keeps a visit quiet: nothing is written here (known_hosts), nothing is forwarded, nobody is asked to trust a key.
_QUIET = (
    ("StrictHostKeyChecking", "yes"),
    ("UpdateHostKeys", "no"),
    ("ControlMaster", "no"),
    ("ForwardAgent", "no"),
    ("ForwardX11", "no"),
    ("ClearAllForwardings", "yes"),
    ("PermitLocalCommand", "no"),
    ("RequestTTY", "no"),
)


@dataclass(frozen=True)
class Session:
    """How a session went: what the remote command printed, and what ssh itself said."""

    printed: str
    words: str
    begun: float = 0
    """By the clock of this machine, in seconds since 1970."""
    ended: float = 0

    @property
    def host_key(self) -> str | None:
        """Algorithm and fingerprint of the key that the host proved itself with, or tried to."""
        found = re.findall(r"Server host (?:key|certificate): (\S+ SHA256:[\w+/]+)", self.words)
        return found[-1] if found else None

    @property
    def untrusted(self) -> bool:
        """Tell whether ssh did not take the host for the right one."""
        signs = ("Host key verification failed", "no matching host key type")
        return any(sign in self.words for sign in signs)

    @property
    def entered(self) -> bool:
        """Tell whether the site let the person in, or an open connection was there already."""
        return "Authenticated to " in self.words or "master session id" in self.words

    @property
    def half_way(self) -> bool:
        """Tell whether the site took the key, and wanted more."""
        return "with partial success" in self.words

    @property
    def denied(self) -> str | None:
        """The ways in that the site named when it refused."""
        found = re.findall(r"Permission denied \(([\w,@.-]*)\)", self.words)
        return found[-1] if found else None

    @property
    def last_words(self) -> str:
        """The last line of ssh that is meant for people."""
        lines = list(filter(_for_people, self.words.splitlines()))
        return (
            "".join(char for char in lines[-1] if char.isprintable())[:200]
            if lines
            else "no answer in time"
        )


def settings(seconds: float, *, interactive: bool, anew: bool) -> list[tuple[str, str]]:
    """Return what ssh is told for a visit; `anew` is to log in even where a connection is open already."""
    patience = ("ConnectTimeout", str(max(1, int(seconds))))
    return [
        ("BatchMode", "no" if interactive else "yes"),
        patience,
        *([("ControlPath", "none")] if anew else []),
        *_QUIET,
    ]


def config(site: bytes, first: Iterable[tuple[str, str]]) -> bytes:
    """Return a site's configuration with settings in front, where they win; the ssh of a jump host heeds them too."""
    return "".join(f"{keyword} {value}\n" for keyword, value in first).encode() + b"\n" + site


def run(
    ssh: Sequence[str],
    host: str,
    script: str,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> Session:
    """Run a script at a host, with options of ssh and bounded in time; what was printed until then counts.

    `tell` hears each line that ssh has for the person, as soon as it is there.

    Raises:
        GenError: there is no ssh.
    """
    # The level is no line of a file: the ssh of a jump host would read it too, and tell of the jump host.
    command = ["ssh", *ssh, "-o", "LogLevel=DEBUG1", "-T", host, "/bin/sh -s"]
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace"
        )
    except FileNotFoundError:
        raise GenError("ssh: not found; install OpenSSH's client") from None
    printed, words, begun = list[str](), list[str](), time.time()
    assert child.stdin and child.stdout and child.stderr  # noqa: S101 - for mypy: each is a pipe
    ears = [_ear(child.stdout, printed), _ear(child.stderr, words, tell)]
    with contextlib.suppress(OSError):  # it may have ended before it listened
        child.stdin.write(script)
    with contextlib.suppress(OSError):
        child.stdin.close()
    _ended(child, seconds)
    for ear in ears:
        ear.join(timeout=1)
    return Session("".join(printed), "".join(words), begun, time.time())


def _ear(stream: IO[str], heard: list[str], tell: Callable[[str], None] = lambda _: None) -> Thread:
    """Listen to a stream as long as it speaks."""

    def listen() -> None:
        with stream:
            for line in stream:
                heard.append(line)
                if _for_people(line):
                    tell(line.rstrip())

    ear = Thread(target=listen, daemon=True)
    ear.start()
    return ear


def _for_people(line: str) -> bool:
    return bool(line.strip()) and not re.match(
        r"debug\d|OpenSSH_|Authenticated to |Authenticated using ", line
    )


def _ended(child: subprocess.Popen[str], seconds: float) -> None:
    """Wait for a child, and end it when its time is over; it takes the ssh of a jump host with it."""
    for stop in (child.terminate, child.kill):
        try:
            child.wait(timeout=max(0.1, seconds))
            return
        except subprocess.TimeoutExpired:
            stop()
            seconds = 1
    child.wait()
