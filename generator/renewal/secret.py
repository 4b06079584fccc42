"""Secrets, which no print, log, traceback, pickle, JSON or core file shows."""

import hmac
import sys
from typing import NoReturn

from generator.errors import GenError

_DUMPABLE = 4  # PR_SET_DUMPABLE
_SHORTEST_WITH_TAIL = 16


class Secret:
    """A password or a token; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str, source: str) -> None:
        """Take a value and the source that an error names.

        A value with a space, a control character or a letter beyond ASCII is refused: it is not a
        password or token, and a line break in it would end an HTTP header.
        """
        text = value.strip()
        if not text or not all("!" <= char <= "~" for char in text):
            raise GenError(
                f"{source}: is not one word of ASCII, as a password or token is;"
                " store the secret there and nothing else"
            )
        self._value = text

    def reveal(self) -> str:
        """Return the secret itself; call it only where the secret is sent or stored."""
        return self._value

    def tail(self) -> str:
        """Return the last four characters, by which a user recognizes a long secret."""
        return f"…{self._value[-4:]}" if len(self._value) >= _SHORTEST_WITH_TAIL else "…"

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


def keep_memory_private() -> None:
    """Keep the memory out of core files, and away from the user's other processes.

    PR_SET_DUMPABLE also decides who may attach a debugger or read /proc/PID/mem (prctl(2)).
    """
    import resource

    # A core file of a crash would have every secret of the run.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DUMPABLE, 0)
