"""The text of a spec: a new one, and one with changes written into it, where every other byte stays."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from generator.errors import GenError
from generator.loading import yaml_document
from generator.loading.overrides import Change, merged


def fresh(data: Mapping[str, Any]) -> str:
    """Return the text of a new spec, in block style."""
    from ruamel.yaml import YAML

    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.dump(dict(data), stream)
    return "# yaml-language-server: $schema=../docs/site-spec.schema.json\n" + stream.getvalue()


def edited(content: bytes, changes: Sequence[Change], name: str) -> bytes:
    """Return a spec with changes made to it, one after the other.

    Raises:
        GenError: the text is written in a way that a change cannot be made to it alone (anchors, say).
    """
    for change in changes:
        wanted = merged(yaml_document.parse(content, name).data(), [change])
        content = _edited(content, change)
        try:
            done = yaml_document.parse(content, name).data()
        except GenError:
            done = None
        if done != _without_empty(wanted, change):
            raise GenError(
                f"{name}: cannot be changed by gen as it is written; write {change} by hand"
            )
    return content


def _without_empty(data: dict[str, Any], change: Change) -> dict[str, Any]:
    """Take out the mapping that a removed key was the last one of: a block that is empty has no text."""
    if change.value is not None or len(change.keys) < 2:
        return data
    level = data
    for key in change.keys[:-2]:
        level = level[key]
    if level.get(change.keys[-2]) == {}:
        return merged(data, [Change(change.keys[:-1], None, change.option)])
    return data


def _edited(content: bytes, change: Change) -> bytes:
    text = content.decode("utf-8-sig")
    mark = content[: len(content) - len(text.encode())]
    newline = "\r\n" if "\r\n" in text else "\n"
    start, end, new = _splice(text, change)
    return mark + (text[:start] + new.replace("\n", newline) + text[end:]).encode()


def _splice(text: str, change: Change) -> tuple[int, int, str]:
    """Return which part of the text makes way for what."""
    node, depth = _composed(text), 0
    while pair := _pair(node, change.keys[depth]):
        above, (key, node), depth = node, pair, depth + 1
        if depth < len(change.keys):
            continue
        if change.value is None:
            return (
                _removal(text, above, key, node)
                if len(above.value) > 1
                else _splice(text, _above(change))
            )
        if _inline(node):
            return node.start_mark.index, node.end_mark.index, _flow(change.value)
        return (
            *_removal(text, above, key, node)[:2],
            _line(change.keys[-1], change.value, key.start_mark.column),
        )
    if change.value is None:
        return 0, 0, ""
    value = change.value
    for name in reversed(change.keys[depth + 1 :]):
        value = {name: value}
    return _insertion(text, node, change.keys[depth], value)


def _inline(node: Any) -> bool:
    """Tell whether a value stands in its line, and not in lines of its own below the key."""
    return bool(node.style not in ("|", ">") if node.id == "scalar" else node.flow_style)


def _above(change: Change) -> Change:
    return Change(change.keys[:-1], None, change.option)


def _composed(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(pure=True).compose(text)


def _pair(node: Any, key: str) -> tuple[Any, Any] | None:
    if node.id != "mapping":
        return None
    return next(((one, value) for one, value in node.value if one.value == key), None)


def _removal(text: str, above: Any, key: Any, node: Any) -> tuple[int, int, str]:
    """Return the part that a key takes: its lines in a block, its place between commas within braces."""
    if not above.flow_style:
        start = (
            text.rindex("\n", 0, key.start_mark.index) + 1
            if "\n" in text[: key.start_mark.index]
            else 0
        )
        return start, _end_of_line(text, _last(node)), ""
    if above.value[0][0] is key:
        return key.start_mark.index, above.value[1][0].start_mark.index, ""
    before = above.value[[one for one, _ in above.value].index(key) - 1][1]
    return before.end_mark.index, node.end_mark.index, ""


def _insertion(text: str, node: Any, key: str, value: Any) -> tuple[int, int, str]:
    """Return where a new key goes: below the last of its block, or before the brace that closes."""
    if node.flow_style:
        if not node.value:
            return node.start_mark.index, node.end_mark.index, _flow({key: value})
        end = node.value[-1][1].end_mark.index
        return end, end, f", {_flow(key)}: {_flow(value)}"
    end = _end_of_line(text, _last(node))
    column = node.value[0][0].start_mark.column
    return end, end, ("" if text[:end].endswith("\n") else "\n") + _line(key, value, column)


def _line(key: str, value: Any, column: int) -> str:
    return f"{' ' * column}{_flow(key)}: {_flow(value)}\n"


def _last(node: Any) -> int:
    """Return where the text of a node ends; that of a block ends with its last value."""
    if node.id == "scalar" or node.flow_style:
        end: int = node.end_mark.index
        return end
    last = node.value[-1]
    return _last(last[1] if node.id == "mapping" else last)


def _end_of_line(text: str, index: int) -> int:
    """Return the index behind the line that a value ends in; a text in lines of its own takes blank ones along."""
    end = text.find("\n", len(text[:index].rstrip()))
    return len(text) if end < 0 else end + 1


def _flow(value: Any) -> str:
    """Return a value in one line, with quotes only where YAML would read it otherwise."""
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{_flow(key)}: {_flow(one)}' for key, one in value.items())} }}"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str):
        return value if _plain(value) else json.dumps(value, ensure_ascii=False)
    return "true" if value is True else "false" if value is False else str(value)


def _plain(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_~/][\w./@+:~-]*(?<!:)", text)) and _read(text) == text


def _read(text: str) -> Any:
    try:
        return yaml_document.value(text, "value")
    except GenError:
        return None
