"""`--set slurm.partition=zen4_0768`: changes to a spec, made before it is validated."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from generator.errors import GenError
from generator.loading import yaml_document


class SpecChange(NamedTuple):
    """A new value for one key; the keys lead to it from the top of the spec."""

    keys: tuple[str, ...]
    value: Any
    option: str
    """The option that brought it, for messages: `--set slurm.partition`."""

    def __str__(self) -> str:
        """Return the change as an argument of `--set`; the value is JSON, which is YAML too."""
        return f"{'.'.join(self.keys)}={json.dumps(self.value, ensure_ascii=False)}"


def change(text: str, option: str = "--set") -> SpecChange:
    """Read `KEY.KEY=VALUE`, whose value is YAML; `null` deletes the key."""
    # Checked before the text is split: a CI job may pass on a text of a pull request.
    if len(text) > yaml_document.LARGEST:
        raise GenError(
            f"{option}: has {len(text)} characters; a spec has at most {yaml_document.LARGEST}"
        )
    path, equals, value = text.partition("=")
    _check_size(path, option)
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise GenError(
            f"{option} {text}: write KEY.KEY=VALUE, as in {option} slurm.partition=zen4_0768"
        )
    return SpecChange(
        keys, yaml_document.value(value, f"{option} {path}"), f"{option} {path.strip()}"
    )


def _check_size(path: str, option: str) -> None:
    keys = path.split(".")
    longest = max(map(len, keys))
    if len(keys) > yaml_document.DEEPEST:
        raise GenError(
            f"{option}: has {len(keys)} keys; a spec is at most {yaml_document.DEEPEST} levels deep"
        )
    if longest > yaml_document.LONGEST_KEY:
        raise GenError(
            f"{option}: has a key of {longest} characters;"
            f" a spec has at most {yaml_document.LONGEST_KEY}"
        )
    # The key appears in messages and in the lock.
    if not path.isprintable():
        raise GenError(f"{option}: has a character that cannot be printed ({path[:60]!r})")


def merged(data: Mapping[str, Any], changes: Sequence[SpecChange]) -> dict[str, Any]:
    """Return the data with the changes applied.

    Missing mappings on the way to a key are created.
    """
    result = dict(data)
    for change in changes:
        *parents, key = change.keys
        level = result
        for parent in parents:
            below = level.get(parent)
            # A text or a list gives way to a mapping. Validation then reports the key, with the
            # option that brought it.
            if not isinstance(below, dict):
                below = {}
            # A copy: the caller's data, and that of the document, must stay as they are.
            level[parent] = dict(below)
            level = level[parent]
        if change.value is None:
            level.pop(key, None)
        else:
            level[key] = change.value
    return result
