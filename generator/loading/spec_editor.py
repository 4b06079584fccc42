"""The text of a spec: of a new one, and of one that is changed in place.

A change keeps every other byte: comments, quotes, and the order of keys are the author's.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.errors import GenError
from generator.loading import yaml_document
from generator.loading.overrides import SpecChange, merged


@dataclass(frozen=True)
class _Splice:
    """A part of a text, from one index to another, and the text that replaces it."""

    start: int
    end: int
    text: str = ""


def fresh(data: Mapping[str, Any], directory: Path) -> str:
    """Return the text of a new spec in a directory, in block style."""
    from ruamel.yaml import YAML

    stream = io.StringIO()
    # The round-trip dumper writes block style and keeps the order of keys.
    yaml = YAML()
    # ruamel's default of 80 would fold most lines that name a source.
    yaml.width = 120
    # A value that is used twice, such as today's date, would become an anchor, which a spec may not
    # have.
    yaml.representer.ignore_aliases = lambda _: True
    yaml.dump(dict(data), stream)
    return f"# yaml-language-server: $schema={_schema(directory)}\n{stream.getvalue()}"


def _schema(directory: Path) -> str:
    """Return the schema for editors: that of gen's own repository, or how to make it elsewhere."""
    # The directory itself may not exist yet.
    if (directory.absolute().parent / "docs/site-spec.schema.json").is_file():
        return "../docs/site-spec.schema.json"
    # Editors read the path up to the space.
    return "site-spec.schema.json (made here by: gen schema > site-spec.schema.json)"


def edited(content: bytes, changes: Sequence[SpecChange], name: str) -> bytes:
    """Return a spec with changes made to it, one after the other.

    The result is read again and compared with the data that it should have: a text that YAML
    allows and this module does not know (a key behind a question mark, say) is refused and
    never damaged.
    """
    for change in changes:
        wanted = merged(yaml_document.parse(content, name).data(), [change])
        content = _edited(content, change)
        if _data(content, name) != _without_empty(wanted, change):
            raise _refusal(change, name)
    return content


def _refusal(change: SpecChange, name: str) -> GenError:
    if change.value is None:
        keys = ".".join(change.keys)
        return GenError(f"{name}: gen cannot delete {keys} from this text; delete it by hand")
    return GenError(f"{name}: gen cannot add {change} to this file; add it yourself")


def _data(content: bytes, name: str) -> Any:
    try:
        return yaml_document.parse(content, name).data()
    except GenError:
        return None


def _without_empty(data: dict[str, Any], change: SpecChange) -> dict[str, Any]:
    """Delete the mappings whose last key a change deletes: an empty block has no text."""
    if change.value is not None or len(change.keys) < 2:
        return data
    level = data
    for key in change.keys[:-2]:
        level = level[key]
    if level.get(change.keys[-2]) == {}:
        of_parent = _of_parent(change)
        return _without_empty(merged(data, [of_parent]), of_parent)
    return data


def _of_parent(change: SpecChange) -> SpecChange:
    """Return the deletion of the mapping around a key."""
    return SpecChange(change.keys[:-1], None, change.option)


def _edited(content: bytes, change: SpecChange) -> bytes:
    # Editors on Windows write a byte order mark, and it has to stay.
    text = content.decode("utf-8-sig")
    byte_order_mark = content[: len(content) - len(text.encode())]
    # A file with mixed line ends gets those of Windows, which YAML reads like any other.
    newline = "\r\n" if "\r\n" in text else "\n"
    splice = _splice(text, change)
    new = splice.text.replace("\n", newline)
    return byte_order_mark + (text[: splice.start] + new + text[splice.end :]).encode()


def _splice(text: str, change: SpecChange) -> _Splice:
    """Return the splice that replaces a value, deletes a key or inserts one."""
    from ruamel.yaml import YAML

    # Nodes, and not data: only a node knows the index where its text begins and ends.
    node = YAML(pure=True).compose(text)
    parents: list[tuple[Any, Any]] = []
    for key in change.keys:
        pair = _pair(node, key)
        if pair is None:
            return _insertion_of(text, node, change, len(parents))
        parents.append((node, pair[0]))
        node = pair[1]
    parent, key = parents[-1]
    if change.value is not None:
        return _replacement(text, parent, key, node, change)
    # YAML reads a key without a value as null, so an empty block would have to become `{}`.
    if len(parent.value) == 1 and len(change.keys) > 1:
        return _splice(text, _of_parent(change))
    return _removal(text, parent, key, node)


def _pair(node: Any, key: str) -> tuple[Any, Any] | None:
    if node.id != "mapping":
        return None
    for key_node, value in node.value:
        if key_node.value == key:
            return key_node, value
    return None


def _insertion_of(text: str, node: Any, change: SpecChange, depth: int) -> _Splice:
    """Return the splice for a change whose keys from a depth on are missing.

    To delete such a key changes nothing.
    """
    if change.value is None:
        return _Splice(0, 0)
    value = change.value
    for key in reversed(change.keys[depth + 1 :]):
        value = {key: value}
    return _insertion(text, node, change.keys[depth], value)


def _insertion(text: str, node: Any, key: str, value: Any) -> _Splice:
    """Insert a key below the last line of its block, or in front of the closing brace."""
    if not node.flow_style:
        # Below the last value of the block, and not at the end of the node, which is behind the
        # comments of the next key.
        end = _end_of_line(text, _end(node))
        column = node.value[0][0].start_mark.column
        line = _line(key, value, column)
        if not text[:end].endswith("\n"):
            line = f"\n{line}"
        return _Splice(end, end, line)
    if not node.value:
        return _Splice(node.start_mark.index, node.end_mark.index, flow({key: value}))
    end = node.value[-1][1].end_mark.index
    return _Splice(end, end, f", {flow(key)}: {flow(value)}")


def _replacement(text: str, parent: Any, key: Any, node: Any, change: SpecChange) -> _Splice:
    """Replace a value within its line; if it has lines of its own, replace them and the key."""
    if _is_inline(node):
        return _Splice(node.start_mark.index, node.end_mark.index, flow(change.value))
    lines = _removal(text, parent, key, node)
    new_line = _line(change.keys[-1], change.value, key.start_mark.column)
    return _Splice(lines.start, lines.end, new_line)


def _is_inline(node: Any) -> bool:
    if node.id == "scalar":
        return node.style not in ("|", ">")
    return bool(node.flow_style)


def _removal(text: str, parent: Any, key: Any, node: Any) -> _Splice:
    """Delete the lines of a key in a block, or its part between commas within braces."""
    if not parent.flow_style:
        start = text.rfind("\n", 0, key.start_mark.index) + 1
        return _Splice(start, _end_of_line(text, _end(node)))
    # Within braces, a comma goes with the key: the one before it, or for the first key the one
    # after.
    keys = [key_node for key_node, _ in parent.value]
    position = keys.index(key)
    if position > 0:
        before = parent.value[position - 1][1]
        return _Splice(before.end_mark.index, node.end_mark.index)
    end = node.end_mark.index
    if len(keys) > 1:
        end = keys[1].start_mark.index
    return _Splice(key.start_mark.index, end)


def _line(key: str, value: Any, column: int) -> str:
    return f"{' ' * column}{flow(key)}: {flow(value)}\n"


def _end(node: Any) -> int:
    """Return the index where the text of a node ends.

    The parser puts the end of a block before the next token, behind comments that belong to the
    next key. So a block ends with its last value.
    """
    while node.id != "scalar" and not node.flow_style:
        last = node.value[-1]
        node = last
        if isinstance(last, tuple):  # an entry of a mapping: key and value
            node = last[1]
    end: int = node.end_mark.index
    return end


def _end_of_line(text: str, index: int) -> int:
    """Return the index behind the line that a value ends in.

    A block scalar ends behind the blank lines below it.
    """
    end = text.find("\n", len(text[:index].rstrip()))
    if end < 0:  # the last line has no line feed
        return len(text)
    return end + 1


def flow(value: Any) -> str:
    """Return a value in one line, with quotes only where YAML would read it otherwise."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if _is_plain(value):
            return value
        # A JSON string is a double-quoted scalar of YAML (YAML 1.2.2, section 1.3).
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, dict):
        if not value:
            return "{}"
        pairs = [f"{flow(key)}: {flow(item)}" for key, item in value.items()]
        return f"{{ {', '.join(pairs)} }}"
    return str(value)


def _is_plain(text: str) -> bool:
    # A word that starts or ends otherwise may be an indicator of YAML (YAML 1.2.2, section 5.3), or
    # a mapping (a colon at its end).
    if not re.fullmatch(r"[A-Za-z0-9_~/][\w./@+:~-]*(?<!:)", text):
        return False
    try:
        # `yes`, `1e3` or `2024-01-01` look like plain words: what our own reader makes of the text
        # decides.
        return bool(yaml_document.value(text, "value") == text)
    except GenError:
        return False
