"""Print docs/spec-reference.md: every key of a spec, from the models and their docstrings."""

import re
from collections.abc import Iterator
from typing import Any

from generator.schema.descriptions import json_schema
from generator.schema.placeholders import PLACEHOLDERS

HEAD = """\
# Spec reference

Every key that a spec may have. This page is made from the models in `generator/schema/`
(`just docs`). Keys in bold must be there. A key of the type “list” takes a single value too. Facts
take three more keys: `source` (names of entries in `sources`), `checked` (the day the fact was last
compared) and `note`.

## Placeholders

A spec has a placeholder for each value of a user; gen fills it in from the profile.

| placeholder | stands for |
| --- | --- |
"""
# The keys that each fact may have; the head of the page explains them once.
FACT = {"source", "checked", "note"}


def main() -> None:
    """Print the page."""
    schema = json_schema()
    lines = [f"| `{{{name}}}` | {meaning} |" for name, meaning in PLACEHOLDERS.items()]
    models: dict[str, Any] = {"SiteSpec": schema, **schema["$defs"]}
    print(HEAD + "\n".join(lines))
    for name in reached("SiteSpec", models):
        print(f"\n## {name}\n\n{models[name].get('description', '').strip()}\n")
        print("\n".join(rows(models[name])))


def reached(name: str, models: dict[str, Any]) -> list[str]:
    """Return the names of models in the order in which the page refers to them."""
    names = [name]
    # The list grows within the loop, which so reaches the models of models.
    for current in names:
        text = str(models[current].get("properties", {}))
        for reference in re.findall(r"#/\$defs/(\w+)", text):
            if reference not in names:
                names.append(reference)
    return names


def rows(model: dict[str, Any]) -> Iterator[str]:
    """Yield the table of a model's keys."""
    properties = model.get("properties", {})
    fact = set(properties) >= FACT
    yield "| key | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for key, value in properties.items():
        required = key in model.get("required", [])
        if fact and key in FACT and not required:
            continue
        shown = f"`{key}`"
        if required:
            shown = f"**{shown}**"
        # A cell is one line, which a bar would end.
        meaning = value.get("description", "").replace("\n", " ").replace("|", "\\|")
        yield f"| {shown} | {kind(value)} | {default(value)} | {meaning} |"


def kind(value: dict[str, Any]) -> str:
    """Return the type of a value in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{item}`" for item in value["enum"])
    if "oneOf" in value or "anyOf" in value:
        members = value.get("oneOf") or value["anyOf"]
        return kind_of_union(members)
    if value.get("type") == "array":
        if "items" not in value:
            return "list"
        return f"list of {kind(value['items'])}"
    if value.get("type") == "object":
        return kind_of_mapping(value)
    if value.get("format") == "date":
        return "date"
    words = {"string": "text", "integer": "number", "boolean": "true or false"}
    return words.get(value.get("type", ""), "value")


def kind_of_union(members: list[dict[str, Any]]) -> str:
    """Return the types of the members of a union, each of them once."""
    kinds: list[str] = []
    for member in members:
        # `null` is the value of a key that is left out, and no spec writes it.
        if member.get("type") != "null":
            kinds.append(kind(member))
    words: list[str] = []
    for name in kinds:
        # A list accepts a single value too, which the head of the page says once.
        if name not in words and f"list of {name}" not in kinds:
            words.append(name)
    return " or ".join(words)


def kind_of_mapping(value: dict[str, Any]) -> str:
    """Return the type of a mapping, with that of its values if the schema has it."""
    inner: dict[str, Any] = value.get("additionalProperties") or {}
    # pydantic describes a mapping with constrained keys by their pattern.
    for described in value.get("patternProperties", {}).values():
        inner = inner or described
    if not inner:
        return "mapping"
    return f"mapping to {kind(inner)}"


def default(value: dict[str, Any]) -> str:
    """Return the default of a key, empty for nothing and for a block of defaults."""
    default = value.get("default")
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    # In Python a bool is an int, and YAML writes it in lowercase.
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str | int):
        return f"`{default}`"
    return ""


if __name__ == "__main__":
    main()
