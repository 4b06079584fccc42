"""The types of the texts in a spec: host names, fingerprints, walltimes.

Every text of a spec has one of these types, so no control character, line break or invisible
character of a spec reaches a generated file.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from generator.schema.meta import Meta
from generator.schema.names import SLUG
from generator.schema.placeholders import PLACEHOLDERS, names
from generator.ssh.keys import fingerprint_digest, key_blob

_LONGEST = 2000  # an RSA key of 8192 bits takes 1,400


def _check_characters(value: str) -> None:
    """Refuse controls, line breaks, bidirectional overrides, and every space but the plain one."""
    for char in value:
        # str.isprintable refuses the categories Other and Separator of Unicode, and allows the
        # space: this covers NUL, ESC, line breaks, zero-width and bidirectional characters.
        if not char.isprintable():
            raise ValueError(f"has a control or invisible character (U+{ord(char):04X}); remove it")


def shown(value: str) -> str:
    """Return a value in quotes for a message, cut to fit into a line of a terminal."""
    if len(value) > 60:
        value = value[:57] + "..."
    return repr(value)


@dataclass(frozen=True)
class Form:
    """A pattern that the whole text must match."""

    pattern: str
    noun: str
    """Description for messages: "a host name"."""
    template: tuple[str, ...] = ()
    """The placeholders that the text may have.

    Each counts as a letter, or as an address where it is `email`.
    """

    def check(self, value: str) -> str:
        """Return the value.

        Raises:
            ValueError: it has an invisible character, an unknown placeholder, or another form.
        """
        _check_characters(value)
        if len(value) > _LONGEST:
            raise ValueError(f"is longer than {_LONGEST} characters")
        filled = self._filled(value) if self.template else value
        if not re.fullmatch(self.pattern, filled):
            raise ValueError(f"{shown(value)} is not {self.noun}")
        return value

    def _filled(self, value: str) -> str:
        for name in names(value):
            if name not in self.template:
                known = ", ".join(self.template)
                raise ValueError(f"{{{name}}} is not a placeholder here; write one of {known}")
            # The pattern checks the text as it will look when it is filled in.
            value = value.replace(f"{{{name}}}", "x@x" if name == "email" else "x")
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # An editor that checks with the schema must not mark a placeholder as an error.
        pattern = {} if self.template else {"pattern": f"^(?:{self.pattern})$"}
        return handler(schema) | pattern


@dataclass(frozen=True)
class Check:
    """A function that checks more than a pattern can: that a key decodes, say."""

    function: Callable[[str], object]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(value: str) -> str:
            self.function(value)
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


@contextmanager
def _naming(value: str) -> Iterator[None]:
    """Put the value in front of the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{shown(value)} {error}") from None


def _check_fingerprint(value: str) -> None:
    with _naming(value):
        fingerprint_digest(value)


def _check_public_key(value: str) -> None:
    with _naming(value):
        key_blob(value)


_MULTIPLE = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> int:
    """Return a duration such as ``90s``, ``30m``, ``16h`` or ``1d`` in seconds."""
    return int(duration[:-1]) * _MULTIPLE[duration[-1]]


def walltime_seconds(walltime: str) -> int:
    """Return a walltime in seconds; it has one of the forms of sbatch(1), ``--time``."""
    days, dash, clock = walltime.rpartition("-")
    numbers = [int(part) for part in clock.split(":")]
    # With days, the first number is hours: D-HH[:MM[:SS]]. Without, one or two numbers are MM[:SS].
    if not dash and len(numbers) < 3:
        numbers = [0, *numbers]
    # Missing parts are zeros at the end: `1-12` is one day and twelve hours.
    hours, minutes, secs = [*numbers, 0, 0][:3]
    return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + secs


# Slurm counts in units of 1024, and a number without a unit in mebibytes (sbatch(1), --mem).
_MEBIBYTES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}


def mebibytes(memory: str) -> float:
    """Return an amount of memory such as ``64G`` or ``4096M`` in mebibytes."""
    return float(memory.rstrip("KMGT")) * _MEBIBYTES.get(memory[-1], 1)


def numbers(node_range: str) -> tuple[str, ...]:
    """Return the numbers of a Slurm hostlist such as `1-5` or `01,02`, with their leading zeros.

    Raises:
        ValueError: a range runs backwards, or there are more than 100 nodes.
    """
    listed: list[str] = []
    for part in node_range.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        # `1-999999999` is short to write and long to expand.
        if not low <= high < low + 100 - len(listed):
            raise ValueError(f"{shown(node_range)} counts backwards or has more than 100 nodes")
        for number in range(low, high + 1):
            listed.append(str(number).zfill(len(first)))
    return tuple(listed)


def _check_node_number(value: str) -> None:
    if "{n}" not in value:
        raise ValueError(f"{shown(value)} needs {{n}} for the number of the node")


def _refuse_placeholders(value: str) -> None:
    if names(value):
        raise ValueError(f"{shown(value)} has a placeholder; write its value")


def _refuse_none(value: str) -> None:
    if value.lower() == "none":
        raise ValueError(
            "none means no jump to ssh (ssh_config(5), ProxyJump); choose another alias"
        )


def _refuse_zero(value: str) -> None:
    if walltime_seconds(value) == 0:
        raise ValueError(
            f"{shown(value)} means unlimited to Slurm (sbatch(1), --time); write the longest time"
        )


def _check_tokens(value: str) -> None:
    # ssh_config(5), TOKENS: of those for ProxyCommand, only the address of the machine is of use.
    if re.search(r"%(?![hp])", value):
        raise ValueError(f"{shown(value)} has a token of ssh other than %h and %p")


def _check_signal_time(value: str) -> None:
    # Slurm keeps the time in 16 bits.
    if int(value.partition("@")[2]) > 65535:
        raise ValueError(
            f"{shown(value)} is too early: Slurm sends a signal at most 65535 seconds"
            " before the end (sbatch(1))"
        )


ALL_PLACEHOLDERS = tuple(PLACEHOLDERS)
# A name for ssh must not have an @, which separates the user from the host; a user name and an
# address may.
_WITHOUT_AT = ("account", "project", "site", "initial")
# For the values of placeholders: a placeholder in them would reach a file as it is.
FILLED = Check(_refuse_placeholders)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_CLOCK = r"[0-9]{1,6}(?::[0-5]?[0-9]){0,2}"

Text = Annotated[str, Field(min_length=1, max_length=1000), Form(r"[\s\S]+", "a text")]
# A title becomes a comment in an environment file, where a backslash at the end continues it in the
# next line (systemd before 254).
Title = Annotated[
    str,
    Field(min_length=1, max_length=100),
    Form(r"[^\\]+", "a title (it must not have a backslash)"),
]
Country = Annotated[str, Form(r"[A-Z]{2}", "a country code of two uppercase letters (ISO 3166)")]
KeyPath = Annotated[
    str, Form(r"[^.=]+(?:\.[^.=]+)*", "keys separated by dots, as in slurm.partition")
]
Slug = Annotated[str, Form(SLUG, "a name of lowercase letters, digits and single dashes")]
Label = Annotated[
    str, Form(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", "a name of letters, digits and . _ + -")
]
Alias = Annotated[
    str,
    Form(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "an ssh alias (letters, digits and . _ -; it must not start with a dash)",
        _WITHOUT_AT,
    ),
    Check(_refuse_none),
]
HostName = Annotated[
    str,
    Field(max_length=253),  # RFC 1035
    Form(
        rf"{_LABEL}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+",
        "a host name or address (it must not start with a dash)",
        _WITHOUT_AT,
    ),
    Meta(unit=str.lower),
]
NodeAlias = Annotated[
    str,
    Form(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "an ssh alias with {n} for the number",
        (*_WITHOUT_AT, "n"),
    ),
    Check(_check_node_number),
]
NodeHost = Annotated[
    str,
    Field(max_length=253),
    Form(_LABEL, "a host name with {n} for the number", (*_WITHOUT_AT, "n")),
    Check(_check_node_number),
]
HostTemplate = Annotated[
    str,
    Form(
        r"%h(?:\.[A-Za-z0-9_-]+)+", "a host name that starts with %h, the name that the user types"
    ),
    Meta(unit=str.lower),
]
Pattern = Annotated[str, Form(r"!?[A-Za-z0-9*?][A-Za-z0-9._*?-]{0,99}", "an ssh host pattern")]
UserName = Annotated[
    str, Form(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}", "a user name", ALL_PLACEHOLDERS)
]
Email = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_][A-Za-z0-9_.+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*",
        "an e-mail address",
        ALL_PLACEHOLDERS,
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
# ssh_config(5) takes any integer; more than a day is a mistake in the unit.
Seconds = Annotated[int, Field(ge=1, le=86400)]
Count = Annotated[int, Field(ge=1, le=10**9)]
# Paths are written unquoted or in double quotes into five formats. A character that one of them
# would expand or split is refused.
LocalPath = Annotated[
    str,
    Form(
        r"(?:~/|/)[\w@+=:,./ ~-]*[\w@+=:,./~-]",
        "a path that starts with / or ~/, of letters, digits, spaces and @+=:,./~_-",
        ALL_PLACEHOLDERS,
    ),
]
RemotePath = Annotated[
    str,
    Form(
        r"/[A-Za-z0-9_@+=:,./-]+",
        "an absolute path of letters, digits and @+=:,./_-",
        ALL_PLACEHOLDERS,
    ),
]
Url = Annotated[
    str,
    Form(
        r"https://[A-Za-z0-9_.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_@+=:,./~%?&;-]*)?"
        r"|http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?(?:/[A-Za-z0-9_@+=:,./~-]*)?",
        "an https:// address (http:// only on the loopback)",
    ),
]
HttpsUrl = Annotated[
    str,
    Form(
        r"https://[A-Za-z0-9_.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_@+=:,./~%?&;-]*)?",
        "an https:// address",
    ),
]
Link = Annotated[
    str, Form(r"https?://[A-Za-z0-9_.-]+(?::[0-9]+)?(?:/[^\s<>\x22'`\\]*)?", "a web address")
]
Argument = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_@%+=:,./{}~*?-][A-Za-z0-9_@%+=:,./{} ~*?-]*",
        "an argument of letters, digits, spaces and @%+=:,./~-",
        ALL_PLACEHOLDERS,
    ),
]
Program = Annotated[
    str,
    Form(
        r"(?:(?:~/|/)[\w@+=:,./ ~-]*)?[\w+.][\w+.-]*",
        "the name of a program, or a path that starts with / or ~/",
    ),
]
MasterUrl = Annotated[
    str, Form(r"spark://[A-Za-z0-9][A-Za-z0-9.:-]*", "a Spark master (spark://host:7077)")
]
Option = Annotated[str, Form(r"--?[A-Za-z][A-Za-z0-9_=:,./-]*", "a command line option")]
# MD5 fingerprints are left out: ssh prints SHA256 since OpenSSH 6.8.
Fingerprint = Annotated[
    str,
    Form(r"SHA256:[A-Za-z0-9+/=]*", "a fingerprint as ssh-keygen -l prints it (SHA256:…)"),
    Check(_check_fingerprint),
]
RootFingerprint = Annotated[
    str, Form(r"[0-9a-f]{64}", "a SHA-256 of 64 lowercase hexadecimal digits")
]
FileDigest = RootFingerprint
PublicKey = Annotated[
    str,
    Form(
        r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+={0,2}",
        "a public key (TYPE BASE64, no comment)",
    ),
    Check(_check_public_key),
]
Walltime = Annotated[
    str,
    Form(
        rf"{_CLOCK}|[0-9]{{1,3}}-[0-9]{{1,2}}(?::[0-5]?[0-9]){{0,2}}",
        "a walltime (MM, MM:SS, HH:MM:SS or D-HH[:MM[:SS]])",
    ),
    Check(_refuse_zero),
    Meta(unit=walltime_seconds),
]
Duration = Annotated[
    str, Form(r"[1-9][0-9]{0,5}[smhd]", "a duration (90s, 30m, 16h, 1d)"), Meta(unit=seconds)
]
Memory = Annotated[
    str, Form(r"[1-9][0-9]{0,8}[KMGT]?", "an amount of memory (64G, 4096M)"), Meta(unit=mebibytes)
]
NodeRange = Annotated[
    str,
    Form(
        r"[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?)*",
        "node numbers (1-5 or 01,02,05)",
    ),
    Check(numbers),
]
Partitions = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:,[A-Za-z0-9_][A-Za-z0-9_.+-]*)*",
        "a partition, or several separated by commas",
    ),
]
Signal = Annotated[
    str,
    Form(r"(?:[BR]:)?[A-Z0-9]+@[0-9]{1,5}", "a signal and its seconds before the end (TERM@120)"),
    Check(_check_signal_time),
]
# ssh would read a dash at the start as an option of its own, not as the command to run.
Command = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_@%+=:,./][A-Za-z0-9_@%+=:,./ -]*",
        "a command of letters, digits, spaces and @%+=:,./- (it must not start with a dash)",
    ),
]
JumpCommand = Annotated[Command, Check(_check_tokens)]
