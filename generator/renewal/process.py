"""Other programs, run with a time limit, without a terminal, and with no more of the environment than they need."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from generator.errors import GenError
from generator.renewal.deadline import Deadline
from generator.renewal.secret import Secret

_NEEDED = {
    *(
        "HOME",
        "PATH",
        "USER",
        "LOGNAME",
        "LANG",
        "TMPDIR",
        "STEPPATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
}
_LONGEST = 60.0
_ADVICE = "Re-run with STEPDEBUG=1"  # the last line of step's, below the one that tells
_DUMPABLE, _DEATH_SIGNAL = 4, 1  # prctl(2)


def keep_memory_private() -> None:
    """Let no core file and no other process of the user's show what this one knows (prctl(2), PR_SET_DUMPABLE)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if prctl := _prctl():
        prctl(_DUMPABLE, 0)


def needed(environment: Mapping[str, str], **more: str) -> dict[str, str]:
    """Return the part of an environment that a program needs which asks nobody."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in _NEEDED or name.startswith("LC_")
    }
    return {**kept, "TZ": "UTC", **more}


def program(name: str, hint: str) -> str:
    """Return where a program lies.

    Raises:
        GenError: it is not on PATH.
    """
    found = shutil.which(name)
    if not found:
        raise GenError(f"{name} is not on PATH; {hint}")
    return found


def output(
    words: Sequence[str],
    environment: Mapping[str, str],
    deadline: Deadline,
    secrets: Sequence[Secret] = (),
) -> str:
    """Run a program to its end, and return what it printed.

    Raises:
        GenError: it failed or took too long; with its last line, less any of the secrets.
    """
    name = Path(words[0]).name
    limit = min(_LONGEST, deadline.left())
    child = subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent(),
    )
    try:
        printed = child.communicate(timeout=limit)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise GenError(f"{name} did not end within {limit:.0f} s") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    for secret in secrets:
        printed = printed.replace(secret.reveal(), "…")
    if child.returncode:
        raise GenError(f"{name} failed: {_last_line(printed) or f'status {child.returncode}'}")
    return printed


def shown(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program that a person sees and answers, and return its status; what it prints goes to stderr."""
    sys.stderr.flush()
    return subprocess.run(
        words, env=environment, stdout=sys.stderr.fileno(), check=False
    ).returncode


def _last_line(text: str) -> str:
    """Return the last line of a program's output that says something, fit for a message."""
    lines = [
        "".join(char for char in line if char.isprintable()).strip() for line in text.splitlines()
    ]
    return next(
        (line[:300] for line in reversed(lines) if line and not line.startswith(_ADVICE)), ""
    )


def _end_with_parent() -> Callable[[], object] | None:
    """Return what makes a child end when this process is killed: it holds a token in its environment."""
    prctl = _prctl()
    return (lambda: prctl(_DEATH_SIGNAL, signal.SIGKILL)) if prctl else None


def _prctl() -> Callable[[int, int], object] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    found: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return found
