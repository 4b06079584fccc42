"""Placeholders in a spec for the values of a user, written ``{user}``."""

import re
from collections.abc import Mapping

PLACEHOLDERS: Mapping[str, str] = {
    "user": "your user name at the site",
    "initial": "the first letter of your user name",
    "email": "your e-mail address, as the certificate authority knows it",
    "account": "the account (project, allocation) that jobs are charged to",
    "project": "the project that is part of names and paths at the site",
    "client_id": "the id of your OIDC client",
    "site": "the name of the site",
}

PROFILE_KEYS: Mapping[str, str] = {"initial": "user", "project": "allocation"}
"""The key of the profile for a placeholder of another name."""

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def names(text: str) -> list[str]:
    """Return the names in braces, in their order."""
    return _PLACEHOLDER.findall(text)


def expand(text: str, values: Mapping[str, str | None]) -> str | None:
    """Return a text with each placeholder replaced by its value, or ``None`` if a value is unknown.

    A half-filled text would end up in an artifact. A value that has braces itself is not
    expanded again.
    """
    if any(values.get(name) is None for name in names(text)):
        return None
    # A function, because `sub` would read backslashes in a value as group references.
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)
