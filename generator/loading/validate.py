"""Documents as models, or all their problems at once.

A problem is one line: `file:line: key: message`.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from generator.errors import Fault, GenError
from generator.loading import inputs, model_errors, overrides, yaml_document
from generator.loading.sound_part import faults_between_fields
from generator.loading.yaml_document import Node
from generator.schema import rules
from generator.schema.site import SiteSpec
from generator.schema.text_types import shown

M = TypeVar("M", bound=BaseModel)


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
        parts = [source]
        # An option names its key, so only a key below that one says more.
        if self.key and not (self.line is None and source.endswith(f" {self.key}")):
            parts.append(self.key)
        return ": ".join([*parts, self.message])


class SpecError(GenError):
    """Every fault of a document: first those of options, then those of the file by line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


# How an error of the YAML parser begins.
_LOCATION = re.compile(r"(?P<source>.+?):(?P<line>[1-9][0-9]*): (?P<message>.*)")


def problems_in(error: GenError, source: str) -> tuple[Problem, ...]:
    """Return the problems of a document that could not be loaded, one at least."""
    if isinstance(error, SpecError):
        return error.problems
    # A library prints its errors as text, with the line in front.
    if location := _LOCATION.fullmatch(str(error)):
        return (Problem(location["source"], int(location["line"]), "", location["message"]),)
    return (Problem(source, None, "", str(error).removeprefix(f"{source}: ")),)


def site(path: Path) -> SiteSpec:
    """Return the spec in a file.

    Raises:
        SpecError: every fault, each with file, line and key.
    """
    return spec(yaml_document.parse(inputs.file(path).content, str(path)), str(path))


def spec(root: Node, name: str, changes: Sequence[overrides.SpecChange] = ()) -> SiteSpec:
    """Return the spec in a document, with `--set` changes merged in and validated like the rest.

    Raises:
        SpecError: every fault, each with file, line and key, or with the option that
            brought the value.
    """
    return validated(SiteSpec, root, name, changes, rules.faults)


def validated(
    model: type[M],
    root: Node,
    name: str,
    changes: Sequence[overrides.SpecChange] = (),
    cross_check: Callable[[M], list[Fault]] = lambda _: [],
) -> M:
    """Return the model of a document.

    Raises:
        SpecError: every fault of single values, and those that `cross_check` finds between
            the values that are sound.
    """
    data = overrides.merged(root.data(), changes)
    try:
        # As JSON, because pydantic's strict mode reads dates and tuples from JSON and not from
        # Python's text and lists (docs.pydantic.dev, "Conversion Table").
        value = model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        faults = model_errors.faults(model, error)
        faults += faults_between_fields(model, data, cross_check)
        raise SpecError(problems(faults, root, name, changes)) from None
    if faults := cross_check(value):
        raise SpecError(problems(faults, root, name, changes))
    return value


def problems(
    faults: list[Fault], root: Node, name: str, changes: Sequence[overrides.SpecChange] = ()
) -> list[Problem]:
    """Return the faults with their locations: first those of options, then those of the file.

    Of several faults of one key only the first counts: the others follow from it.
    """
    first: dict[tuple[str, int | None, str], Problem] = {}
    for fault in faults:
        keys, node = root.find(fault.loc)
        option = _option(keys, root, changes)
        source: str = name
        line: int | None = node.line
        if option is not None:
            # The value is not in the file, so a line there would mislead.
            source, line = option, None
        key = ".".join(map(_key, keys))
        first.setdefault((source, line, key), Problem(source, line, key, fault.message))
    # sorted is stable: the faults of one line keep the order of the model.
    return sorted(first.values(), key=lambda problem: problem.line or 0)


def _option(
    keys: yaml_document.Keys, root: Node, changes: Sequence[overrides.SpecChange]
) -> str | None:
    """Return the option that brought the value of a key, if one did."""
    for change in changes:
        if keys[: len(change.keys)] == change.keys:
            return change.option
        # An option also brings the mappings on the way to its key that the document does not have.
        if change.keys[: len(keys)] == keys and not _has_mapping(root, keys):
            return change.option
    return None


def _has_mapping(root: Node, keys: yaml_document.Keys) -> bool:
    value = root.data()
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return isinstance(value, dict)


def _key(part: str | int) -> str:
    return str(part) if str(part).isprintable() else shown(str(part))
