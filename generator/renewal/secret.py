"""A secret that no print, log, traceback, pickle or JSON shows."""

import hmac
from typing import NoReturn

from generator.errors import GenError


class Secret:
    """A password or token; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str, source: str) -> None:
        """Take a value from a source, which the message names when the value can be no secret of this kind.

        Raises:
            GenError: it is empty, or holds what no password or token does: a blank, a control, a letter beyond ASCII.
        """
        text = value.strip()
        if not text or not all("!" <= char <= "~" for char in text):
            raise GenError(
                f"{source}: holds no password or token in one word of ASCII; put the secret in, alone"
            )
        self._value = text

    def reveal(self) -> str:
        """Return the secret itself; to be called where it is sent or stored, and nowhere else."""
        return self._value

    def tail(self) -> str:
        """Return at most the last four characters, to tell one secret from another; of a short one, none."""
        return f"…{self._value[-4:]}" if len(self._value) >= 16 else "…"

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
