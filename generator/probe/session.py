"""The one ssh session at a site: its settings, and how far it got by ssh's own messages."""

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator import programs
from generator.formatting import printable

Setting = tuple[str, str]
_LONGEST_MESSAGE = 200
# These keep a probe from changing anything: ssh does not write known_hosts, forward anything, or
# ask about a key.
_HARMLESS: tuple[Setting, ...] = (
    ("StrictHostKeyChecking", "yes"),
    ("UpdateHostKeys", "no"),
    ("ControlMaster", "no"),
    ("ForwardAgent", "no"),
    ("ForwardX11", "no"),
    ("ClearAllForwardings", "yes"),
    ("PermitLocalCommand", "no"),
    ("RequestTTY", "no"),
)
# Messages for developers, and those that ssh prints at every login.
_NOT_FOR_USERS = re.compile(r"debug\d|OpenSSH_|Authenticated to |Authenticated using ")


@dataclass(frozen=True)
class Session:
    """The output of the remote command, and the messages of ssh."""

    output: str
    messages: str
    begun: float = 0
    """By the clock of this machine, in seconds since 1970."""
    ended: float = 0

    @property
    def host_key(self) -> str | None:
        """Algorithm and fingerprint of the last key that a host offered."""
        # The keys of jump hosts come first.
        offers = re.findall(r"Server host (?:key|certificate): (\S+ SHA256:[\w+/]+)", self.messages)
        return _last(offers)

    @property
    def is_untrusted(self) -> bool:
        """Whether ssh refused the host because of its key."""
        # The second one: the host has no key of an algorithm that HostKeyAlgorithms names.
        return bool(
            re.search("Host key verification failed|no matching host key type", self.messages)
        )

    @property
    def is_authenticated(self) -> bool:
        """Whether the site accepted the user, or ssh used a connection that was open already."""
        # The second is the message of a multiplexed session, which does not log in (mux.c).
        return "Authenticated to " in self.messages or "master session id" in self.messages

    @property
    def is_half_authenticated(self) -> bool:
        """Whether the site accepted the key, and asked for more."""
        return "with partial success" in self.messages

    @property
    def accepted_methods(self) -> str | None:
        """The methods that the site named when it refused the user; ``None`` if it did not."""
        refusals = re.findall(r"Permission denied \(([\w,@.-]*)\)", self.messages)
        return _last(refusals)

    @property
    def has_too_many_failures(self) -> bool:
        """Whether the server ended the connection because ssh offered too many keys."""
        # The words of sshd (auth.c, auth_maxtries_exceeded).
        return "Too many authentication failures" in self.messages

    @property
    def last_message(self) -> str:
        """The last message of ssh that is meant for users, in one harmless line."""
        messages = [line for line in self.messages.splitlines() if _is_for_users(line)]
        if not messages:
            return "no answer in time"
        return printable(messages[-1], _LONGEST_MESSAGE)


def settings(seconds: float, *, interactive: bool, new_connection: bool) -> list[Setting]:
    """Return the settings of ssh for a probe.

    `new_connection` makes ssh log in even if a shared connection is open.
    """
    chosen = [
        # In batch mode, ssh fails where it would ask for a password or a passphrase.
        ("BatchMode", "no" if interactive else "yes"),
        ("ConnectTimeout", str(max(1, int(seconds)))),
    ]
    if new_connection:
        chosen.append(("ControlPath", "none"))
    return [*chosen, *_HARMLESS]


def config(site: bytes, first: Iterable[Setting]) -> bytes:
    """Return a site's configuration with settings in front, where they win.

    They are lines of the file and not options, so that the ssh of a jump host uses them too.
    """
    lines = [f"{keyword} {value}\n" for keyword, value in first]
    return "".join(lines).encode() + b"\n" + site


def run_with_config(
    conf: bytes,
    first: Iterable[Setting],
    host: str,
    script: str,
    seconds: float,
    report: Callable[[str], None] | None = None,
) -> Session:
    """Run a script at a host of a configuration, which need not be installed; see `run`.

    The settings in `first` win, as in `config`.
    """
    with tempfile.TemporaryDirectory(prefix="gen-") as directory:  # only the user can read it
        path = Path(directory) / "ssh_config"
        path.write_bytes(config(conf, first))
        return run(("-F", str(path)), host, script, seconds, report)


def run(
    options: Sequence[str],
    host: str,
    script: str,
    seconds: float,
    report: Callable[[str], None] | None = None,
) -> Session:
    """Run a script at a host; the output until the time limit counts.

    `report` gets each message that ssh has for the user, as soon as it is printed. ssh may ask for
    a password on the terminal.
    """
    # LogLevel is not a line of the file: the ssh of a jump host would read it too, and its
    # messages would mix with those about the host.
    command = ["ssh", *options, "-o", "LogLevel=DEBUG1", "-T", host, "/bin/sh -s"]

    def hear(line: str) -> None:
        if report and _is_for_users(line):
            report(printable(line.rstrip()))

    begun = time.time()
    try:
        outcome = programs.run(
            command, seconds=seconds, stdin=script.encode(), terminal=True, hear=hear
        )
    except programs.StoppedError as error:
        outcome = error.outcome
    return Session(outcome.text, outcome.errors, begun, time.time())


def _last(texts: Sequence[str]) -> str | None:
    return texts[-1] if texts else None


def _is_for_users(line: str) -> bool:
    return bool(line.strip()) and not _NOT_FOR_USERS.match(line)
