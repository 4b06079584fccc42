"""`gen refresh SITE --on-connect`: renew before a connection, and hardly delay it.

A child process does the work. gen waits for it for some seconds only, so that nothing that hangs
(a server, a name server, a disk) delays ssh, and the child goes on. ssh then connects with the
certificate that it has.
"""

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from generator.cli.output import say
from generator.clock import Deadline
from generator.errors import GenError

# With the start of Python, which comes before, a connection is delayed by 3 s and 12 s at most. VS
# Code, for example, gives up after 15 s.
_LIMIT_WITH_CERTIFICATE = 1.5  # seconds
_LIMIT = 10.5  # seconds
_CHILD_LIMIT = 90  # seconds, after which the kernel ends a child that hangs
_VALID = b"\0"
"""The child's first byte: the certificate is valid, so ssh need not wait for a new one."""
Work = Callable[[Callable[[], None]], str | None]
_LONGEST_MESSAGE = 4096  # bytes
# The options of ssh(1); a colon marks those with an argument.
_SSH_OPTIONS = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"


def run(site: str, work: Work) -> int:
    """Do the work in a child process, print one line at most, and return 0.

    Args:
        site: the site of the connection.
        work: renews the certificate, and may return a line for the user; it calls its argument if
            the certificate is still valid.
    """
    if _is_control_command():
        return 0
    reader, writer = os.pipe()
    if not os.fork():
        os.close(reader)
        _work(site, work, writer)
    os.close(writer)
    message = _message(site, reader)
    os.close(reader)
    if message:
        say(message)
    return 0


def _work(site: str, work: Work, writer: int) -> NoReturn:
    """Do the work as the child, and send the message for the user, which is empty after success."""
    # Ctrl-C in the terminal is for ssh, and the terminal may be closed before the work is done.
    os.setsid()
    # The kernel's default action also ends a call that does not return, such as getaddrinfo(3).
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_CHILD_LIMIT)
    # A program that reads the standard error of ssh to its end must not wait for the child.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    message = ""
    try:
        message = work(lambda: _send(writer, _VALID)) or ""
    except GenError as error:
        message = str(error).splitlines()[0]
    except Exception as error:  # a bug must not keep the user from connecting
        message = (
            f"the certificate was not renewed ({type(error).__name__}); see gen refresh {site}"
        )
    if message and not message.startswith(f"{site}: "):
        message = f"{site}: {message}"
    _send(writer, message.encode(errors="replace")[:_LONGEST_MESSAGE])
    # Without the exit handlers of the parent.
    os._exit(0)


def _send(writer: int, content: bytes) -> None:
    # The parent may have stopped waiting.
    with suppress(OSError):
        os.write(writer, content)


def _message(site: str, reader: int) -> str:
    """Wait for the child within the limit, and return the line for the user."""
    deadline = Deadline(_LIMIT)
    content = b""
    while select.select([reader], [], [], deadline.left())[0]:
        part = os.read(reader, _LONGEST_MESSAGE)
        if not part:
            return content.removeprefix(_VALID).decode(errors="replace")
        if not content and part.startswith(_VALID):
            deadline = Deadline(_LIMIT_WITH_CERTIFICATE)
        content += part
    if content:
        return ""  # the connection works, and the renewal goes on
    return (
        f"{site}: the certificate is not renewed yet; gen goes on in the background; "
        f"see gen status {site}"
    )


def _is_control_command() -> bool:
    """Return whether ssh only talks to a shared connection (`ssh -O check HOST`).

    Prompts and scripts run such a command often, and it uses no certificate.
    """
    import getopt

    arguments = _ssh_arguments()
    # Options may stand before and after the host.
    for _ in range(2):
        try:
            options, arguments = getopt.getopt(arguments, _SSH_OPTIONS)
        except getopt.GetoptError:
            return False  # a newer ssh has other options
        if any(name == "-O" for name, _ in options):
            return True
        arguments = arguments[1:]
    return False


def _ssh_arguments() -> list[str]:
    """Return the arguments of the ssh that runs gen; none where there is no /proc (macOS)."""
    process = os.getppid()
    # ssh starts the user's shell, that starts /bin/sh, and that starts gen.
    for _ in range(4):
        directory = Path("/proc", str(process))
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")[:-1]
            status = (directory / "stat").read_text(errors="replace")
        except OSError:
            return []
        if words and Path(os.fsdecode(words[0])).name == "ssh":
            return [os.fsdecode(word) for word in words[1:]]
        # The name in parentheses may hold blanks (proc(5)); behind it are state and parent.
        process = int(status.rpartition(")")[2].split()[1])
    return []
