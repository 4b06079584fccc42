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
        shown = f"**`{key}`**" if required else f"`{key}`"
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
        kinds = [kind(member) for member in members if member.get("type") != "null"]
        # A list accepts a single value too, which the head of the page says once.
        kinds = [name for name in kinds if f"list of {name}" not in kinds]
        return " or ".join(dict.fromkeys(kinds))
    if value.get("type") == "array":
        return f"list of {kind(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object":
        inner: dict[str, Any] = value.get("additionalProperties") or next(
            iter(value.get("patternProperties", {}).values()), {}
        )
        return f"mapping to {kind(inner)}" if inner else "mapping"
    words = {"string": "text", "integer": "number", "boolean": "true or false"}
    return "date" if value.get("format") == "date" else words.get(value.get("type", ""), "value")


def default(value: dict[str, Any]) -> str:
    """Return the default of a key, empty for nothing and for a block of defaults."""
    default = value.get("default")
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str | int):
        return f"`{default}`"
    return ""


if __name__ == "__main__":
    main()
