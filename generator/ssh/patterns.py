"""Patterns of host names as ssh matches them (ssh_config(5), PATTERNS)."""

import re
from collections import deque
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

from generator.errors import GenError

_NEVER = r"(?!)"
_OTHER_LETTERS = "abcdefghijklmnopqrstuvwxyz123456789-._~"
# Patterns of specs need a few dozen. This bounds the time for one that was made to take long.
_MAX_STATES = 5_000


def matches(patterns: Iterable[str], name: str) -> bool:
    """Return whether a list of patterns matches a name: at least one does, and none with a `!`.

    Case is ignored, as in a `Match host` line. A Host line is case-sensitive, but names that
    differ only in case are one machine to DNS, so such a match is worth a report.
    """
    positive, negative = _compiled(tuple(patterns))
    lowercase = name.lower()
    return bool(positive.match(lowercase)) and not negative.match(lowercase)


def is_pattern(text: str) -> bool:
    """Return whether a word in a Host line is a pattern, and not a name."""
    return any(special in text for special in "*?!")


def example(pattern: str, *, digit: str = "0", word: str = "any") -> str:
    """Return a name that a pattern matches."""
    return pattern.replace("?", digit).replace("*", word)


def common_name(pattern: str, other: str, excluded: Iterable[str] = ()) -> str | None:
    """Return a short name that two patterns match and no excluded one does, if there is any.

    An example of each pattern would not do: `?n-a001` and `cn-????` share only `cn-a001`.
    """
    if not is_pattern(pattern) and not is_pattern(other):
        is_common = pattern.lower() == other.lower() and not matches(excluded, pattern)
        return pattern if is_common else None
    wanted = (pattern.lower(), other.lower())
    texts = (*wanted, *(text.lower() for text in excluded))
    start = tuple(_skip_stars(text, {0}) for text in texts)
    pending = deque([(start, "")])
    visited = set()
    while pending:
        state, name = pending.popleft()
        ends = [len(text) in positions for text, positions in zip(texts, state, strict=True)]
        if name and all(ends[: len(wanted)]) and not any(ends[len(wanted) :]):
            return name
        for letter in _letters(texts):
            following = tuple(
                _step(text, positions, letter) for text, positions in zip(texts, state, strict=True)
            )
            # ssh takes a name that begins with a dash for an option.
            is_name = bool(name) or letter.isalnum()
            if is_name and all(following[: len(wanted)]) and following not in visited:
                visited.add(following)
                pending.append((following, name + letter))
        if len(visited) > _MAX_STATES:
            raise GenError(f"{pattern} and {other}: are too complex to compare; simplify them")
    return None


def _letters(patterns: Iterable[str]) -> list[str]:
    """Return the letters of some patterns, and one of no pattern: it stands for the others."""
    letters = sorted(set("".join(patterns)) - set("*?!") | {"0"})
    for letter in _OTHER_LETTERS:
        if letter not in letters:
            return [*letters, letter]
    return letters


def _step(pattern: str, positions: Iterable[int], letter: str) -> frozenset[int]:
    """Return the positions in a pattern at which a match may stand after one more letter."""
    following: set[int] = set()
    for position in positions:
        special = pattern[position : position + 1]
        if special == "*":
            following.add(position)
        elif special in ("?", letter):
            following.add(position + 1)
    return _skip_stars(pattern, following)


def _skip_stars(pattern: str, positions: Iterable[int]) -> frozenset[int]:
    """Add the positions behind each `*`, which may stand for nothing."""
    reached: set[int] = set()
    for position in positions:
        reached.add(position)
        while pattern[position : position + 1] == "*":
            position += 1
            reached.add(position)
    return frozenset(reached)


@lru_cache(maxsize=512)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    positive: list[str] = []
    negative: list[str] = []
    for pattern in patterns:
        # Only * and ? are special to ssh; to fnmatch [ is too.
        expression = translate(pattern.removeprefix("!").replace("[", "[[]").lower())
        if pattern.startswith("!"):
            negative.append(expression)
        else:
            positive.append(expression)
    return re.compile("|".join(positive) or _NEVER), re.compile("|".join(negative) or _NEVER)
