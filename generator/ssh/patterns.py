"""Patterns of host names as ssh matches them (ssh_config(5), PATTERNS)."""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

_NEVER = r"(?!)"


def matches(patterns: Iterable[str], name: str) -> bool:
    """Return whether a list of patterns matches a name: at least one does, and none with a `!`."""
    positive, negative = _compiled(tuple(patterns))
    lowercase = name.lower()
    return bool(positive.match(lowercase)) and not negative.match(lowercase)


def is_pattern(text: str) -> bool:
    """Return whether a word in a Host line is a pattern, and not a name."""
    return any(special in text for special in "*?!")


def example(pattern: str, *, digit: str = "0", word: str = "any") -> str:
    """Return a name that a pattern matches."""
    return pattern.replace("?", digit).replace("*", word)


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
