"""The forms that the texts of a spec must have: host names, fingerprints, walltimes.

Every text of a spec passes through one of these types, so none can carry a control character, a line break or an
invisible character into a generated file.
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


def _clean(value: str) -> str:
    """Refuse controls, line breaks, bidirectional overrides, and every space but the plain one."""
    for char in value:
        if not char.isprintable():
            raise ValueError(
                f"holds a control or invisible character (U+{ord(char):04X}), which no generated file may carry"
            )
    return value


def shown(value: str) -> str:
    """Quote a value for a message, cut to a length that fits a terminal line."""
    return repr(value if len(value) <= 60 else value[:57] + "...")


@dataclass(frozen=True)
class Form:
    """A pattern that a text must match whole, with the words that say so to a person.

    Only the placeholders named in ``template`` may stand in it; each counts as a value of its kind.
    """

    pattern: str
    words: str
    template: tuple[str, ...] = ()

    def check(self, value: str) -> str:
        """Return the value.

        Raises:
            ValueError: it has an invisible character, an unknown placeholder, or another form.
        """
        _clean(value)
        if len(value) > _LONGEST:
            raise ValueError(f"is longer than {_LONGEST} characters")
        plain = value
        if self.template:
            for name in names(value):
                if name not in self.template:
                    raise ValueError(
                        f"{{{name}}} is no placeholder here; there are {', '.join(self.template)}"
                    )
                plain = plain.replace(f"{{{name}}}", "x@x" if name == "email" else "x")
        if not re.fullmatch(self.pattern, plain):
            raise ValueError(f"{shown(value)} is not {self.words}")
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        pattern = {} if self.template else {"pattern": f"^(?:{self.pattern})$"}
        return handler(schema) | pattern


@dataclass(frozen=True)
class Check:
    """A function that refuses what a pattern cannot tell: a key that does not decode, a range that runs backwards."""

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
    """Return a walltime in seconds; the forms are those of sbatch(1), ``--time``."""
    days, dash, clock = walltime.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if dash:
        hours, minutes, secs = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, secs = parts
    else:
        hours, (minutes, secs) = 0, [*parts, 0][:2]
    return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + secs


# Slurm counts in units of 1024, and a number without a unit in mebibytes (sbatch(1), --mem).
_MEBIBYTES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}


def mebibytes(memory: str) -> float:
    """Return an amount of memory such as ``64G`` or ``4096M`` in mebibytes."""
    return float(memory.rstrip("KMGT")) * _MEBIBYTES.get(memory[-1], 1)


def numbers(node_range: str) -> tuple[str, ...]:
    """Return what a Slurm hostlist such as ``1-5`` or ``01,02,05`` counts, zeros in front kept.

    Raises:
        ValueError: a range runs backwards or counts more than 100 nodes.
    """
    found: list[str] = []
    for part in node_range.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not low <= high < low + 100 - len(found):
            raise ValueError(f"{shown(node_range)} counts backwards or beyond 100 nodes")
        found += [str(number).zfill(len(first)) for number in range(low, high + 1)]
    return tuple(found)


def _numbered(value: str) -> None:
    if "{n}" not in value:
        raise ValueError(f"{shown(value)} needs {{n}} where the number of the node stands")


def _unfilled(value: str) -> None:
    if names(value):
        raise ValueError(f"{shown(value)} holds a placeholder; write what it stands for")


def _no_switch(value: str) -> None:
    if value.lower() == "none":
        raise ValueError("none is what ssh takes for no jump at all (ssh_config(5), ProxyJump)")


def _some_time(value: str) -> None:
    if walltime_seconds(value) == 0:
        raise ValueError(
            f"{shown(value)} is no limit at all to Slurm (sbatch(1), --time); write the longest time"
        )


def _lead(value: str) -> None:
    if int(value.partition("@")[2]) > 65535:
        raise ValueError(
            f"{shown(value)} comes earlier than Slurm takes, 65535 seconds before the end (sbatch(1))"
        )


PERSONAL = tuple(PLACEHOLDERS)
# What may be part of a name that ssh takes: values that hold no @, which would part a user from a host.
_NAMING = ("account", "project", "site", "initial")
# For what placeholders stand for: were one left in it, it would reach a file as it is.
FILLED = Check(_unfilled)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_CLOCK = r"[0-9]{1,6}(?::[0-5]?[0-9]){0,2}"

Text = Annotated[str, Field(min_length=1, max_length=1000), Form(r"[\s\S]+", "a text")]
# A comment that ends in a backslash goes on in the next line of an environment file (systemd before 254).
Title = Annotated[
    str,
    Field(min_length=1, max_length=100),
    Form(r"[^\\]+", "a title (it may not hold a backslash)"),
]
Country = Annotated[str, Form(r"[A-Z]{2}", "a country code of two capitals (ISO 3166)")]
KeyPath = Annotated[
    str, Form(r"[^.=]+(?:\.[^.=]+)*", "keys with dots between, as in slurm.partition")
]
Slug = Annotated[str, Form(SLUG, "a name of small letters, digits and single dashes")]
Label = Annotated[
    str, Form(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", "a name of letters, digits and . _ + -")
]
Alias = Annotated[
    str,
    Form(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "an ssh alias (letters, digits and . _ -; it may not start with a dash)",
        _NAMING,
    ),
    Check(_no_switch),
]
HostName = Annotated[
    str,
    Field(max_length=253),  # RFC 1035
    Form(
        rf"{_LABEL}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+",
        "a host name or address (it may not start with a dash)",
        _NAMING,
    ),
    Meta(unit=str.lower),
]
NodeAlias = Annotated[
    str,
    Form(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "an ssh alias with {n} for the number", (*_NAMING, "n")
    ),
    Check(_numbered),
]
NodeHost = Annotated[
    str,
    Field(max_length=253),
    Form(_LABEL, "a host name with {n} for the number", (*_NAMING, "n")),
    Check(_numbered),
]
HostTemplate = Annotated[
    str,
    Form(r"%h(?:\.[A-Za-z0-9_-]+)+", "a host name that starts with %h, the name that was typed"),
    Meta(unit=str.lower),
]
Pattern = Annotated[str, Form(r"!?[A-Za-z0-9*?][A-Za-z0-9._*?-]{0,99}", "an ssh host pattern")]
UserName = Annotated[str, Form(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}", "a user name", PERSONAL)]
Email = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_][A-Za-z0-9_.+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*",
        "an e-mail address",
        PERSONAL,
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1, le=86400)]
Count = Annotated[int, Field(ge=1, le=10**9)]
# A path stands unquoted or in double quotes in five formats: what any of them would expand or split is refused.
LocalPath = Annotated[
    str,
    Form(
        r"(?:~/|/)[\w@+=:,./ ~-]*[\w@+=:,./~-]",
        "a path that starts with / or ~/, of letters, digits, spaces and @+=:,./~_-",
        PERSONAL,
    ),
]
RemotePath = Annotated[
    str,
    Form(r"/[A-Za-z0-9_@+=:,./-]+", "an absolute path of letters, digits and @+=:,./_-", PERSONAL),
]
Url = Annotated[
    str,
    Form(
        r"https://[A-Za-z0-9_.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_@+=:,./~%?&;-]*)?|http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?(?:/[A-Za-z0-9_@+=:,./~-]*)?",
        "an https:// address (http:// only on the loopback)",
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
        PERSONAL,
    ),
]
MasterUrl = Annotated[
    str, Form(r"spark://[A-Za-z0-9][A-Za-z0-9.:-]*", "a Spark master (spark://host:7077)")
]
Option = Annotated[str, Form(r"--?[A-Za-z][A-Za-z0-9_=:,./-]*", "a command line option")]
Fingerprint = Annotated[
    str,
    Form(r"SHA256:[A-Za-z0-9+/=]*", "a fingerprint as ssh-keygen -l prints it (SHA256:…)"),
    Check(_check_fingerprint),
]
RootFingerprint = Annotated[str, Form(r"[0-9a-f]{64}", "a SHA-256 of 64 small hexadecimal digits")]
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
    Check(_some_time),
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
        "a partition, or several with commas between",
    ),
]
Signal = Annotated[
    str,
    Form(r"(?:[BR]:)?[A-Z0-9]+@[0-9]{1,5}", "a signal and its lead in seconds (TERM@120)"),
    Check(_lead),
]
# Were a dash to start it, ssh would take it for an option of its own and not for the command to run.
Command = Annotated[
    str,
    Form(
        r"[A-Za-z0-9_@%+=:,./][A-Za-z0-9_@%+=:,./ -]*",
        "a command of letters, digits, spaces and @%+=:,./- (it may not start with a dash)",
    ),
]
