"""`--set slurm.partition=zen4_0768`: changes to a spec, made before it is validated."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.errors import GenError
from generator.loading import yaml_document


@dataclass(frozen=True)
class Change:
    """One value put at one place; the keys lead to it from the top of the spec."""

    keys: tuple[str, ...]
    value: Any
    option: str
    """How the person gave it, for messages: `--set slurm.partition`."""

    def __str__(self) -> str:
        """Return it as `--set` takes it, the value as JSON, which is YAML."""
        return f"{'.'.join(self.keys)}={json.dumps(self.value, ensure_ascii=False)}"


def change(text: str, option: str = "--set") -> Change:
    """Read `KEY.KEY=VALUE`, the value as YAML; `null` takes a key out.

    Raises:
        GenError: there is no `=`, a key is empty, the value is no YAML, or any is larger than a spec takes.
    """
    if len(text) > yaml_document.LARGEST:
        raise GenError(
            f"{option}: holds {len(text)} characters; a spec has at most {yaml_document.LARGEST}"
        )
    path, equals, value = text.partition("=")
    _bounded(path, option)
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise GenError(
            f"{option} {text}: write KEY.KEY=VALUE, as in {option} slurm.partition=zen4_0768"
        )
    return Change(keys, yaml_document.value(value, f"{option} {path}"), f"{option} {path.strip()}")


def _bounded(path: str, option: str) -> None:
    keys = path.split(".")
    longest = max(map(len, keys))
    if len(keys) > yaml_document.DEEPEST:
        raise GenError(
            f"{option}: {len(keys)} keys; a spec has at most {yaml_document.DEEPEST} below each other"
        )
    if longest > yaml_document.LONGEST_KEY:
        raise GenError(
            f"{option}: a key of {longest} characters; a spec has none beyond {yaml_document.LONGEST_KEY}"
        )
    if not path.isprintable():
        raise GenError(f"{option}: holds a character that cannot be printed ({path[:60]!r})")


def merged(data: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """Return the data with the changes put in; mappings on the way that are missing are made."""
    result = dict(data)
    for item in changes:
        level = result
        for key in item.keys[:-1]:
            below = level.get(key)
            level[key] = dict(below) if isinstance(below, dict) else {}
            level = level[key]
        if item.value is None:
            level.pop(item.keys[-1], None)
        else:
            level[item.keys[-1]] = item.value
    return result
