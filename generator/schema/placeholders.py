"""Placeholders in a spec for the values of a user, written ``{user}``."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

PLACEHOLDERS: Mapping[str, str] = {
    "user": "your user name at the site",
    "initial": "the first letter of your user name",
    "email": "your e-mail address, as the certificate authority knows it",
    "account": "the account (project, allocation) that jobs are charged to",
    "project": "the project that is part of names and paths at the site",
    "client_id": "the id of your OIDC client",
    "site": "the name of the site",
}

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def names(text: str) -> list[str]:
    """Return the names in braces, in their order."""
    return _PLACEHOLDER.findall(text)


def expand(text: str, values: Mapping[str, str | None]) -> str | None:
    """Return a text with each placeholder replaced by its value, or ``None`` if a value is unknown.

    A half-filled text would end up in an artifact. A value that has braces itself is not expanded again.
    """
    if any(values.get(name) is None for name in names(text)):
        return None
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def filled(model: M, fill: Callable[[str], str | None]) -> M:
    """Return a copy of a model with the placeholders of all its texts filled in, those of the models in it too.

    A text that needs an unknown value keeps its placeholders, so `names` returns what is missing.
    """
    values = {name: _filled(getattr(model, name), fill) for name in type(model).model_fields}
    # model_copy does not validate again: a filled text may have characters that a template may not
    # have.
    return model.model_copy(update=values)


def _filled(value: Any, fill: Callable[[str], str | None]) -> Any:
    if isinstance(value, str):
        text = fill(value)
        return value if text is None else text
    if isinstance(value, tuple):
        return tuple(_filled(item, fill) for item in value)
    if isinstance(value, BaseModel):
        return filled(value, fill)
    return value
