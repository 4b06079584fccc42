"""Faults in the words of a spec, from the errors of pydantic."""

import typing
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from generator.errors import Fault, GenError, near
from generator.schema.auth import Auth
from generator.schema.base import Fact

Location = tuple[str | int, ...]

# Words that mean the same elsewhere, and do not look alike.
_OTHER_WORDS: Mapping[str, str] = {
    "through": "via",  # of compute nodes and jobs; a host has `via`
    "via": "through",
    "hostname": "host",
    "username": "user",
    "key": "identity_file",
    "project": "allocation",  # of a profile, before it had this name
}
_OTHER_METHODS: Mapping[str, str] = {"password": "keyboard", "key": "publickey"}


def faults(model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """Return a fault for each error in the data of a model."""
    return [_fault(model, detail) for detail in details(error)]


def refusal(error: ValidationError, source: Callable[[str], str]) -> GenError:
    """Return the error for values that are not from a document, such as options.

    Each line starts with the source of its value.
    """
    lines = []
    for detail in details(error):
        key = str(detail["loc"][0])
        lines.append(f"{source(key)}: {_message(detail)}")
    return GenError("\n".join(lines))


def details(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors that pydantic found, without links to its documentation."""
    # The links would lead to pages about Python code, which the author of a spec does not write.
    return error.errors(include_url=False)


def location(detail: ErrorDetails) -> Location:
    """Return the keys that lead to a value.

    pydantic marks an error of a key itself with a part of its own, which is left out.
    """
    # `[key]` is pydantic-core's mark for the key of a mapping.
    return tuple(part for part in detail["loc"] if part != "[key]")


def _fault(model: type[BaseModel], detail: ErrorDetails) -> Fault:
    loc = location(detail)
    kind = detail["type"]
    if kind == "extra_forbidden":
        hint = _similar(str(loc[-1]), _keys_at(model, loc[:-1]), _OTHER_WORDS)
        return Fault(loc, f"there is no such key{hint}")
    if kind in _SHAPES:
        return Fault(loc, _shape_fault(model, detail))
    if kind == "literal_error":
        allowed = detail["ctx"]["expected"]
        hint = near(str(detail["input"]), _quoted(allowed))
        return Fault(loc, f"must be {allowed}{hint}")
    if kind == "union_tag_invalid":
        allowed = detail["ctx"]["expected_tags"]
        hint = _similar(str(detail["ctx"]["tag"]), _quoted(allowed), _OTHER_METHODS)
        return Fault((*loc, "method"), f"must be one of {allowed}{hint}")
    return Fault(loc, _message(detail))


# The shape of a value, by pydantic's name of the error: one of the two for JSON and for Python.
_SHAPES: Mapping[str, str] = {
    "model_type": "mapping",
    "model_attributes_type": "mapping",
    "dict_type": "mapping",
    "tuple_type": "list",
    "list_type": "list",
}


def _shape_fault(model: type[BaseModel], detail: ErrorDetails) -> str:
    """Return the fault of a value that has another shape than its key takes, with an example."""
    loc, kind = location(detail), detail["type"]
    if _SHAPES[kind] == "list":
        return "is not a list; write a list, such as [a, b]"
    all_keys = _keys_at(model, loc)
    # Every fact may have these keys, so they would explain little.
    keys = [key for key in all_keys if key not in Fact.model_fields]
    example, value = "NAME", "…"
    if "method" in all_keys:
        # Many authors write `auth: agent`.
        example, value = "method", _method(detail["input"])
    elif keys and kind != "dict_type":
        # The keys of a dict are names that the author chooses.
        example = keys[0]
    return f"is not a mapping; write a mapping, such as {{ {example}: {value} }}"


def _method(value: object) -> str:
    """Return a value as the login method that it names; an ellipsis for another value."""
    method = _OTHER_METHODS.get(str(value), str(value))
    for member in get_args(get_args(Auth)[0]):
        if method in get_args(member.model_fields["method"].annotation):
            return method
    return "…"


def _similar(word: str, known: list[str], other_words: Mapping[str, str]) -> str:
    """Return a question for the known word that was meant, by its meaning or by its letters."""
    other = other_words.get(word)
    if other in known:
        return f"; did you mean {other}?"
    return near(word, known)


def _message(detail: ErrorDetails) -> str:
    """Return the fault of a value, in pydantic's own words where they are good enough."""
    match detail["type"]:
        case "missing":
            return "is missing"
        # YAML reads 2024 as a number: the author forgot the quotes.
        case "string_type" if isinstance(detail["input"], int | float):
            return f'is not a text; put it in quotes: "{detail["input"]}"'
        case "string_type":
            return "is not a text"
        case "value_error":
            return str(detail.get("ctx", {}).get("error", detail["msg"]))
        case "too_short":
            return "is empty; it needs at least one"
        case "union_tag_not_found":
            return "needs a method"
    message = detail["msg"]
    return message[:1].lower() + message[1:]


def _quoted(expected: str) -> list[str]:
    """Return the words in single quotes of a text such as `'login', 'jump' or 'transfer'`."""
    # pydantic gives the allowed values only as text for messages.
    return expected.split("'")[1::2]


def _keys_at(annotation: Any, loc: Location) -> list[str]:
    """Return the keys that a model takes at a location, to suggest one for a misspelt key."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _keys_of_model(annotation, loc)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _keys_at(arguments[0], loc)
    if origin in (typing.Union, UnionType):
        keys: list[str] = []
        for member in arguments:
            if not _is_excluded(member, loc):
                keys += _keys_at(member, loc)
        return keys
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _keys_at(arguments[1], loc[1:])
    if isinstance(origin, type) and issubclass(origin, tuple):
        return _keys_at(arguments[0], loc[1:])
    return []


def _keys_of_model(model: type[BaseModel], loc: Location) -> list[str]:
    if not loc:
        return list(model.model_fields)
    field = model.model_fields.get(str(loc[0]))
    if field is None:  # the tag of a union, which pydantic adds to a location
        return _keys_at(model, loc[1:])
    return _keys_at(field.annotation, loc[1:])


def _is_excluded(member: Any, loc: Location) -> bool:
    """Return whether a location names, by its tag, another member of a union."""
    field = getattr(member, "model_fields", {}).get("method")
    if field is None or not loc:
        return False
    return loc[0] not in get_args(field.annotation)
