"""YAML → model, or every problem at once, a line each: `file:line: key: what is wrong`."""

import json
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from generator.errors import Fault, GenError, near
from generator.loading import inputs, overrides, yaml_document
from generator.loading.yaml_document import Node
from generator.schema import rules
from generator.schema.site import SiteSpec
from generator.schema.text_types import shown

M = TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One fault of a document, with its location."""

    source: str
    """The file, or the option that brought the value."""
    line: int | None
    """The line in the file; ``None`` for an option."""
    key: str
    """The key, with its parents: `hosts.mila.port`; empty for the document as a whole."""
    message: str

    def __str__(self) -> str:
        source = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (source, self.key, self.message) if part)


class SpecError(GenError):
    """The faults of a document: those of options first, then those of the file in the order of its lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


# How an error of the YAML parser begins.
_LOCATION = re.compile(r"(?P<source>.+?):(?P<line>[1-9][0-9]*): (?P<message>.*)")


def problems_in(error: GenError, source: str) -> tuple[Problem, ...]:
    """Return the problems of a document that could not be loaded, one at least."""
    if isinstance(error, SpecError):
        return error.problems
    if location := _LOCATION.fullmatch(str(error)):
        return (Problem(location["source"], int(location["line"]), "", location["message"]),)
    return (Problem(source, None, "", str(error).removeprefix(f"{source}: ")),)


def site(path: Path) -> SiteSpec:
    """Read a spec.

    Raises:
        SpecError: every fault, each with file, line and key.
        GenError: the file cannot be read, or is no YAML.
    """
    return spec(yaml_document.parse(inputs.file(path).content, str(path)), str(path))


def spec(root: Node, name: str, changes: Sequence[overrides.Change] = ()) -> SiteSpec:
    """Return the spec in a document, with `--set` changes merged in, and validated whole.

    Raises:
        SpecError: every fault, each with file, line and key (or the option that brought it).
    """
    return validated(SiteSpec, root, name, changes, rules.faults)


def validated(
    model: type[M],
    root: Node,
    name: str,
    changes: Sequence[overrides.Change] = (),
    cross_check: Callable[[M], list[Fault]] = lambda _: [],
) -> M:
    """Return the model of a document.

    Raises:
        SpecError: every fault, those between fields too as far as the rest can be understood.
    """
    data = overrides.merged(root.data(), changes)
    try:
        found = model.model_validate_json(json.dumps(data))
        faults = cross_check(found)
    except ValidationError as error:
        faults = [_fault(model, detail) for detail in _details(error)]
        faults += _cross_faults(model, data, cross_check)
    if faults:
        raise SpecError(problems(faults, root, name, changes))
    return found


def problems(
    faults: list[Fault], root: Node, name: str, changes: Sequence[overrides.Change] = ()
) -> list[Problem]:
    """Return the faults with their locations: those of options first, then those of the file by line.

    Of several faults of one key only the first counts: the others follow from it.
    """
    by_place: dict[tuple[str, int | None, str], Problem] = {}
    for fault in faults:
        keys, node = root.find(fault.loc)
        option = _option(keys, changes)
        source, line = (name, node.line) if option is None else (option, None)
        key = ".".join(map(_key, keys))
        by_place.setdefault((source, line, key), Problem(source, line, key, fault.message))
    return sorted(by_place.values(), key=lambda problem: problem.line or 0)


def _option(keys: tuple[str | int, ...], changes: Sequence[overrides.Change]) -> str | None:
    """Return the option that brought the value of a key, if one did."""
    for change in changes:
        if keys[: len(change.keys)] == change.keys:
            return change.option
    return None


def _key(part: str | int) -> str:
    return str(part) if str(part).isprintable() else shown(str(part))


# What stands in for a part that is missing whole, while the other parts are checked against one another.
_STAND_INS: Mapping[str, Any] = {
    "site": "site",
    "title": "title",
    "hosts": {"host": {"host": "host"}},
    "auth": {"method": "agent"},
}


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False)


def _cross_faults(
    model: type[M], data: Any, cross_check: Callable[[M], list[Fault]]
) -> list[Fault]:
    """Check between the fields that are sound.

    Faulty values are taken out, with what cannot stand without them, until the rest is valid. What is then said of
    the places or the names that went is no fault of the person's, and is left out.
    """
    gone: list[Location] = []
    names: set[str] = set()
    while data:
        try:
            found = cross_check(model.model_validate_json(json.dumps(data)))
        except ValidationError as error:
            before = len(gone)
            for detail in _details(error)[::-1]:
                if loc := _take_out(data, detail):
                    gone.append(loc)
                    names |= {str(loc[-1])} if detail["type"] == "missing" else set()
            if len(gone) == before:
                return []
        else:
            return [
                fault
                for fault in found
                if not any(loc[: len(fault.loc)] == fault.loc for loc in gone)
                and names.isdisjoint(fault.message.replace(",", " ").split())
            ]
    return []


def _take_out(data: Any, detail: ErrorDetails) -> Location | None:
    """Take a faulty value out of the data, or what lacks a value; return its place, if there was anything to take."""
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "missing":
        if len(loc) == 1 and loc[0] in _STAND_INS:
            data[loc[0]] = _STAND_INS[str(loc[0])]
            return loc
        loc = loc[:-1]
    parent: Any = None
    key: Any = None
    for part in loc:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and part in range(len(data))
        ):
            parent, key = data, part
            data = parent[key]
        elif (isinstance(data, dict) and data.get("method") != part) or isinstance(data, list):
            return None  # it went with something around it
    if parent is None:
        return None
    del parent[key]
    return loc


_WORDS: Mapping[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda _: "is missing",
    "string_type": lambda detail: (
        f'is not a text; put it in quotes: "{detail["input"]}"'
        if isinstance(detail["input"], int | float)
        else "is not a text"
    ),
    "value_error": lambda detail: str(detail.get("ctx", {}).get("error", detail["msg"])),
    "too_short": lambda _: "holds nothing; it needs one at least",
    "union_tag_not_found": lambda _: "needs a method",
}


def _fault(model: type[BaseModel], detail: ErrorDetails) -> Fault:
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Fault(loc, f"there is no such key{near(str(loc[-1]), _keys_at(model, loc[:-1]))}")
    if kind == "literal_error":
        allowed = detail["ctx"]["expected"]
        return Fault(loc, f"must be {allowed}{near(str(detail['input']), _quoted(allowed))}")
    if kind == "union_tag_invalid":
        allowed = detail["ctx"]["expected_tags"]
        return Fault(
            (*loc, "method"),
            f"must be one of {allowed}{near(str(detail['ctx']['tag']), _quoted(allowed))}",
        )
    return Fault(loc, words(detail))


def words(detail: ErrorDetails) -> str:
    """Say what is wrong with one value; pydantic's own words where we have none that are better."""
    own = _WORDS.get(detail["type"])
    return own(detail) if own else detail["msg"][:1].lower() + detail["msg"][1:]


def refusal(error: ValidationError, place: Callable[[str], str]) -> GenError:
    """Return what to tell of values that stand in no document: a line for each, with the place of its key in front."""
    return GenError(
        "\n".join(f"{place(str(item['loc'][0]))}: {words(item)}" for item in _details(error))
    )


def _quoted(expected: str) -> list[str]:
    return [word for number, word in enumerate(expected.split("'")) if number % 2]


def _keys_at(annotation: Any, loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that a model takes at a place, so that a misspelt one can be named rightly."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return list(annotation.model_fields)
        field = annotation.model_fields.get(str(loc[0]))
        return _keys_at(field.annotation, loc[1:]) if field else _keys_at(annotation, loc[1:])
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _keys_at(arguments[0], loc)
    if isinstance(get_origin(annotation), type) and issubclass(
        get_origin(annotation), Mapping | tuple
    ):
        return _keys_at(
            arguments[-1] if issubclass(get_origin(annotation), Mapping) else arguments[0], loc[1:]
        )
    if get_origin(annotation) in (typing.Union, type(int | str)):
        return [key for argument in arguments for key in _keys_at(_member(argument, loc), loc)]
    return []


def _member(annotation: Any, loc: tuple[int | str, ...]) -> Any:
    """Leave a member of a union out when the loc names another one by its tag."""
    field = getattr(annotation, "model_fields", {}).get("method")
    if field and loc and loc[0] not in get_args(field.annotation):
        return None
    return annotation
