"""What is told to a person instead of a traceback."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class GenError(Exception):
    """Something for the user to mend: the message says what, where and how. The exit status is 2."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a spec or profile: the keys that lead to it, and what is wrong."""

    loc: tuple[str | int, ...]
    message: str


def near(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for a word that is nearly one of the known ones, else nothing."""
    from difflib import get_close_matches

    few = (
        [name for name in known if abs(len(name) - len(word)) <= 3][:60] if len(word) <= 40 else []
    )
    found = get_close_matches(word, few, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


@contextmanager
def os_errors_named(path: Path) -> Iterator[None]:
    """Turn an OSError into a GenError that names the path."""
    try:
        yield
    except OSError as error:
        raise GenError(f"{path}: {(error.strerror or str(error)).lower()}") from None
