"""Filling in the placeholders of a whole part of a spec."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel

from generator.schema.placeholders import expand, names

M = TypeVar("M", bound=BaseModel)


def resolved(model: M, values: Mapping[str, str | None]) -> M:
    """Return a copy of a model in which every text has its placeholders filled in.

    A text of which a value is not known stays as it is: `known` finds it.
    """
    update = {}
    for name in type(model).model_fields:
        update[name] = _resolved(getattr(model, name), values)
    # model_copy does not validate: the values were validated as those of the profile.
    return model.model_copy(update=update)


def known(text: str) -> str | None:
    """Return a resolved text, or ``None`` if it still has a placeholder."""
    return None if names(text) else text


def _resolved(value: object, values: Mapping[str, str | None]) -> object:
    if isinstance(value, str):
        filled = expand(value, values)
        return value if filled is None else filled
    if isinstance(value, tuple):
        return tuple(_resolved(item, values) for item in value)
    if isinstance(value, BaseModel):
        return resolved(value, values)
    return value
