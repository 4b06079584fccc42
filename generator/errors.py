"""The errors that a user sees instead of a traceback.

Any function of the package may raise GenError, so docstrings do not repeat it. They name only the
errors that a caller catches.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_LONGEST_WORD = 40
_MOST_CANDIDATES = 60


class GenError(Exception):
    """An error that the user can fix: the message says what is wrong, where, and how to fix it.

    The exit status is 2.
    """


class Fault(NamedTuple):
    """One fault in a spec or a profile: the keys that lead to the value, and the message."""

    loc: tuple[str | int, ...]
    message: str
    about: tuple[tuple[str | int, ...], ...] = ()
    """The other values that the message is about, such as the host that a jump names.

    Their faults explain this one.
    """


def near(word: str, known: Iterable[str], advice: str = "") -> str:
    """Return `; did you mean NAME?` if the word resembles a known name, and the advice after it.

    Case does not count. The result is empty without such a name and without advice.
    """
    name = _nearest(word, known)
    if name is None:
        return f"; {advice}" if advice else ""
    return f"; did you mean {name}? Otherwise {advice}" if advice else f"; did you mean {name}?"


def _nearest(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    # difflib needs quadratic time, and both the word and the names may come from a file.
    if len(word) > _LONGEST_WORD:
        return None
    # Lengths are quick to compare, and a typing error changes few letters.
    candidates = [name for name in known if abs(len(name) - len(word)) <= 3][:_MOST_CANDIDATES]
    by_lowercase = {name.lower(): name for name in candidates}
    matches = get_close_matches(word.lower(), by_lowercase, n=1, cutoff=0.6)
    return by_lowercase[matches[0]] if matches else None


def reason(error: OSError) -> str:
    """Return the operating system's message in lowercase, without the path and the error number."""
    return (error.strerror or str(error)).lower()


@contextmanager
def os_errors_named(path: Path) -> Iterator[None]:
    """Turn an OSError into a GenError that names the path."""
    try:
        yield
    except OSError as error:
        raise GenError(f"{path}: {reason(error)}") from None
