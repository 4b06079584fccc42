"""Checks between the fields of a document that has faults: on the part of it that is sound.

A user fixes all faults of a spec in one go, so those between fields (a jump to an unknown host)
must be reported together with those of single values (a port that is not a number). Faulty
values are removed until the rest is valid; then the rules run. A fault that only follows from
the removal is not reported.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from generator.errors import Fault
from generator.loading.model_errors import Location, details, location

M = TypeVar("M", bound=BaseModel)

# These keys replace required ones that are missing, so that the rest can be checked all the same.
_STAND_INS: Mapping[object, Any] = {
    "site": "site",
    "title": "title",
    "hosts": {"host": {"host": "host"}},
    "auth": {"method": "agent"},
}


def faults_between_fields(
    model: type[M], data: Any, cross_check: Callable[[M], list[Fault]]
) -> list[Fault]:
    """Return the faults between the fields that are sound. The data is changed."""
    removed: list[Location] = []
    while data:
        try:
            sound = model.model_validate_json(json.dumps(data))
        except ValidationError as error:
            faulty = _remove_faulty(data, error)
            # Nothing could be removed, so the next turn would find the same errors: an endless
            # loop.
            if not faulty:
                return []
            removed += faulty
            continue
        return [fault for fault in cross_check(sound) if not _follows(fault, removed)]
    return []


def _follows(fault: Fault, removed: list[Location]) -> bool:
    """Return whether a fault is about something that was removed, or about a part of it."""
    # In both directions: the removal of a block takes its values away, and a removed value leaves
    # its block incomplete.
    for concerned in (fault.loc, *fault.about):
        for loc in removed:
            length = min(len(concerned), len(loc))
            if concerned[:length] == loc[:length]:
                return True
    return False


def _remove_faulty(data: Any, error: ValidationError) -> list[Location]:
    """Remove each faulty value, and return the locations.

    The last error comes first, so that the indices of a list stay right.
    """
    removed: list[Location] = []
    for detail in reversed(details(error)):
        loc = _remove(data, detail)
        if loc:
            removed.append(loc)
    return removed


def _remove(data: Any, detail: ErrorDetails) -> Location:
    """Remove a faulty value, or the block that lacks a value.

    Return its location, or () if it is gone already.
    """
    loc = location(detail)
    if detail["type"] == "missing":
        if len(loc) == 1 and loc[0] in _STAND_INS:
            data[loc[0]] = _STAND_INS[loc[0]]
            return loc
        # A block without a required value is useless as a whole.
        loc = loc[:-1]
    parents: list[Any] = []
    path: list[str | int] = []
    value = data
    for part in loc:
        # An error before this one may have removed the value, or a block around it.
        if _has(value, part):
            parents.append(value)
            path.append(part)
            value = value[part]
        elif not _is_added(value, part):
            return ()
    if not path:
        return ()
    del parents[-1][path[-1]]
    return tuple(path)


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _is_added(value: Any, part: str | int) -> bool:
    """Return whether pydantic added a part to a location that the document does not have.

    It adds the tag of a union, and the index of a single value that stands for a list.
    """
    if isinstance(value, dict):
        return bool(value.get("method") == part)
    return not isinstance(value, list)
