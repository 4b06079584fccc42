"""A YAML text as values that know their line; what is unusual for a spec is refused, in bounded time and memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from generator.errors import GenError

LARGEST = 128 * 1024  # bytes; a spec takes some 10 kB
DEEPEST = 16  # levels, those behind an alias counted where it is used
_MOST = 4_000  # keys and values, each use of an alias counted; a spec has some 300
_LONGEST = 4_000  # characters of one text, more than any field takes
LONGEST_KEY = 200

# What YAML does not allow, what ruamel takes for the end of a line and an editor does not (U+0085, U+2028, U+2029), and
# what shows a text in another order than it is read (bidirectional controls).
_NO_TEXT = re.compile(
    "[^\t\n\r -~\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

# The core schema of YAML 1.2, less what surprises in a spec: octal numbers, .inf, and digits with zeros in front.
_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_BOOL = re.compile(r"true|True|TRUE|(false|False|FALSE)")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")


@dataclass
class Node:
    """A value and the line (from 1) where it or its key stands."""

    line: int
    value: Any = None
    keys: dict[str, "Node"] = field(default_factory=dict)
    items: list["Node"] = field(default_factory=list)
    kind: str = "scalar"
    size: int = 1
    depth: int = 0
    """Levels below this node."""

    def data(self) -> Any:
        """Return the plain Python values."""
        if self.kind == "mapping":
            return {key: node.data() for key, node in self.keys.items()}
        if self.kind == "sequence":
            return [node.data() for node in self.items]
        return self.value

    def find(self, loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], "Node"]:
        """Return the keys of a place as they stand in the document, and the last node on the way there.

        Validators add what is not written: the tag of a union (`auth.step.key`), the index of a value that stands
        alone for a list.
        """
        node, path = self, list[str | int]()
        for part in loc:
            below = node._below(part)
            tag = node.keys.get("method")
            if below is None and (
                (node.kind == "scalar" and isinstance(part, int)) or (tag and tag.value == part)
            ):
                continue
            path.append(part)
            node = below or node
        return tuple(path), node

    def at(self, keys: str) -> "Node":
        """Return the node that keys with dots between lead to, or the last one on the way; a key may hold dots too."""
        fitting = [name for name in self.keys if f"{keys}.".startswith(f"{name}.")]
        if not fitting:
            return self
        name = max(fitting, key=len)
        return self.keys[name].at(keys[len(name) + 1 :])

    def _below(self, part: str | int) -> "Node | None":
        if isinstance(part, int):
            return self.items[part] if part < len(self.items) else None
        return self.keys.get(part)


def parse(content: bytes, name: str) -> Node:
    """Read one YAML document whose top is a mapping.

    Raises:
        GenError: with `name:line:` in front, for anything that is not a plain, small YAML mapping in UTF-8.
    """
    if len(content) > LARGEST:
        raise GenError(f"{name}:1: holds {len(content)} bytes; a spec has at most {LARGEST}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line(content[: error.start].decode())
        raise GenError(f"{name}:{line}: is not UTF-8 (byte 0x{content[error.start]:02x})") from None
    node = _Builder(name).build(text)
    if node.kind != "mapping":
        raise GenError(f"{name}:{node.line}: is no mapping of keys to values")
    return node


def value(text: str, name: str) -> Any:
    """Read one YAML value, such as the right side of `--set KEY=VALUE`.

    Raises:
        GenError: it is no YAML.
    """
    return _Builder(name).build(text).data()


class _Builder:
    """Makes nodes of ruamel's events without recursion, so that depth costs an error and not the stack."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.anchors: dict[str, Node] = {}
        self.open: list[
            tuple[Node, str | None]
        ] = []  # a container, and in a mapping the key that waits for its value
        self.root: Node | None = None
        self.count = 0

    def build(self, text: str) -> Node:
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        if bad := _NO_TEXT.search(text):
            line = _line(text[: bad.start()])
            raise GenError(
                f"{self.name}:{line}: holds a character that no spec may hold (U+{ord(bad[0]):04X})"
            )
        line = 1
        try:
            for event in _events(text):
                self._take(event)
                line = event.end_mark.line + 1
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(str(error.problem or error.context).split())
            raise GenError(
                f"{self.name}:{mark.line + 1 if mark else line}: {problem[:200]}"
            ) from None
        except (YAMLError, ValueError, OverflowError, RecursionError):
            raise GenError(
                f"{self.name}:{line}: what stands here or just below is no YAML"
            ) from None
        return self.root or Node(line=1)

    def _refuse(self, event: Any, problem: str) -> GenError:
        return GenError(f"{self.name}:{event.start_mark.line + 1}: {problem}")

    def _take(self, event: Any) -> None:
        kind = type(event).__name__.removesuffix("Event")
        if kind == "DocumentStart" and self.root is not None:
            raise self._refuse(event, "a second document starts here; a file holds one")
        if kind == "Alias":
            node = self.anchors.get(event.anchor)
            if node is None:
                raise self._refuse(
                    event, f"*{event.anchor[:60]} stands for nothing that is complete above it"
                )
            self._put(event, node, str(node.value))
        elif kind == "Scalar":
            self._known_tag(event)
            self._readable(event)
            node = Node(event.start_mark.line + 1, _scalar(event))
            self._put(event, node, event.value)
            self._anchor(event, node)
        elif kind in ("MappingStart", "SequenceStart"):
            self._known_tag(event)
            node = Node(event.start_mark.line + 1, kind=kind.removesuffix("Start").lower())
            if len(self.open) == DEEPEST:
                raise self._refuse(event, f"is nested deeper than {DEEPEST} levels")
            if self.open and self.open[-1][0].kind == "mapping" and self.open[-1][1] is None:
                raise self._refuse(event, "a key must be a plain word")
            self.open.append((node, None))
            node.value = event.anchor
        elif kind in ("MappingEnd", "SequenceEnd"):
            node, _ = self.open.pop()
            anchor, node.value = node.value, None
            self._put(event, node, "")
            if anchor:
                self.anchors[anchor] = node

    def _known_tag(self, event: Any) -> None:
        if event.tag and event.tag not in ("!", "tag:yaml.org,2002:str"):
            raise self._refuse(event, "tags (!…) are not used in specs")

    def _readable(self, event: Any) -> None:
        if len(event.value) > _LONGEST:
            raise self._refuse(
                event, f"a text of {len(event.value)} characters; a spec has none beyond {_LONGEST}"
            )
        if half := re.search("[\ud800-\udfff]", event.value):
            raise self._refuse(event, f"holds half a character (U+{ord(half[0]):04X})")

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor:
            self.anchors[event.anchor] = node

    def _put(self, event: Any, node: Node, text: str) -> None:
        """Add a complete node to the container that is open, as key, value or item."""
        if not self.open:
            self.root = node
            return
        parent, key = self.open[-1]
        if len(self.open) + node.depth > DEEPEST:
            raise self._refuse(event, f"is nested deeper than {DEEPEST} levels")
        parent.depth = max(parent.depth, node.depth + 1)
        parent.size += node.size
        if parent.size > _MOST:
            raise self._refuse(event, f"holds more than {_MOST} keys and values")
        if parent.kind == "sequence":
            parent.items.append(node)
        elif key is not None:
            parent.keys[key] = replace(node, line=parent.keys[key].line)
            self.open[-1] = (parent, None)
        elif node.kind != "scalar" or len(text) > LONGEST_KEY:
            raise self._refuse(event, "a key must be a plain word")
        elif text in parent.keys:
            shown = text[:60] if text.isprintable() else repr(text[:60])
            raise self._refuse(
                event, f"the key {shown} is given twice (first on line {parent.keys[text].line})"
            )
        else:
            parent.keys[text] = Node(event.start_mark.line + 1)
            self.open[-1] = (parent, text)


def _events(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML

    return iter(YAML(typ="safe", pure=True).parse(text))


def _line(before: str) -> int:
    """Return the number of the line that follows a text, as an editor counts."""
    return len(re.findall(r"\r\n?|\n", before)) + 1


def _scalar(event: Any) -> str | int | float | bool | None:
    text: str = event.value
    if event.style is not None or not event.implicit[0]:
        return text
    if _NULL.fullmatch(text):
        return None
    if found := _BOOL.fullmatch(text):
        return found[1] is None
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
