"""Read YAML as values that know their line, in bounded time and memory.

Constructs that are unusual in a spec are errors.

libyaml, through PyYAML, reads a spec twenty times as fast as ruamel.yaml, but it follows YAML
1.1 and may be missing. So libyaml may only accept: it reads a text whose meaning is the same
for both libraries. ruamel decides about every other text and words every error, so the installed
libraries never decide whether a spec is valid.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from generator.errors import GenError
from generator.files import conflict_line

LARGEST = 128 * 1024  # bytes; a spec takes some 10 kB
DEEPEST = 16  # levels
LONGEST_KEY = 200  # characters
_MOST = 4_000  # keys and values; a spec has some 300
_LONGEST = 4_000  # characters of one text, more than any field takes

# Characters that YAML does not allow, line ends for ruamel that an editor does not show as such
# (U+0085, U+2028, U+2029), and controls that show a text in another order than it is read.
_NO_TEXT = (
    "[^\t\n\r -~\xa0-\u2027\u202f-\u2065\u206a-\ud7ff"
    "\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_NO_ASCII_TEXT = re.compile(r"[^\t\n\r -~]")

# Where libyaml and ruamel may read the same text differently. tests/loading/test_yaml_readers.py
# looks for more.
_READ_DIFFERENTLY = re.compile(
    r"""
      [\t\r\\]                          # a tab ends a word for libyaml only; old line ends; escapes
    | ^%                                # a directive
    | (?:^|[\s,\[{:])!                   # a tag
    | ["']:\S                           # a value right behind a key in quotes
    | [\[{,]\s*[:?]                     # a word that starts with an indicator, in a flow: [::1]
    | [|>][-+0-9]*\#                    # a remark right behind the indicator of a block scalar
    | [|>][-+0-9]*\ *(?:\#.*)?\n\ *\n   # a block scalar that starts with a blank line
    """,
    re.MULTILINE | re.VERBOSE,
)

# The core schema of YAML 1.2, less what surprises in a spec: octal numbers, .inf, and digits with
# zeros in front.
_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_BOOL = re.compile(r"true|True|TRUE|(false|False|FALSE)")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")

_BLANK_OR_COMMENT = re.compile(rb"(?m)^\s*(#.*)?$")

Keys = tuple[str | int, ...]


@dataclass
class Node:
    """A value and the line (from 1) of its key, or of the value itself where it has no key."""

    line: int
    value: Any = None
    keys: dict[str, "Node"] = field(default_factory=dict)
    items: list["Node"] = field(default_factory=list)
    kind: str = "scalar"

    def data(self) -> Any:
        """Return the plain Python values."""
        if self.kind == "mapping":
            return {key: node.data() for key, node in self.keys.items()}
        if self.kind == "sequence":
            return [node.data() for node in self.items]
        return self.value

    def find(self, loc: Keys) -> tuple[Keys, "Node"]:
        """Return the keys of a location as the document has them, and the last node on its path.

        A location of pydantic's has parts that the document lacks: the tag of a union
        (`auth.step.key`), and the index of a value that stands alone for a list.
        """
        node, path = self, list[str | int]()
        for part in loc:
            below = node._below(part)
            # Only if the document has no such part: a key may have the name of a method.
            if below is None and node._is_added(part):
                continue
            path.append(part)
            node = below or node
        return tuple(path), node

    def at(self, keys: str) -> "Node":
        """Return the node that keys with dots between lead to, or the last one on the way.

        A key may hold dots too.
        """
        fitting = [name for name in self.keys if f"{keys}.".startswith(f"{name}.")]
        if not fitting:
            return self
        name = max(fitting, key=len)
        return self.keys[name].at(keys[len(name) + 1 :])

    def _below(self, part: str | int) -> "Node | None":
        # A location may name an item that an option added and the document does not have.
        if isinstance(part, int):
            return self.items[part] if part < len(self.items) else None
        return self.keys.get(part)

    def _is_added(self, part: str | int) -> bool:
        """Return whether pydantic added a part to a location that the document does not have.

        It adds the index of a single value that stands for a list, and the tag of a union.
        """
        if self.kind == "scalar" and isinstance(part, int):
            return True
        method = self.keys.get("method")
        return method is not None and method.value == part


# A command reads the name of a site before it validates the spec: the same text, twice in a row.
@lru_cache(maxsize=1)
def parse(content: bytes, name: str) -> Node:
    """Read one YAML document that is a mapping.

    An error starts with `name:line:`. Everything but a plain, small YAML mapping in UTF-8 is
    refused.
    """
    if len(content) > LARGEST:
        raise GenError(f"{name}:1: has {len(content)} bytes; a spec has at most {LARGEST}")
    # The grammar would report its own troubles with the markers, and point elsewhere.
    conflict = conflict_line(content)
    if conflict:
        raise GenError(
            f"{name}:{conflict}: has a merge conflict; keep one of the sides and delete the markers"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The bytes before the bad one have just been decoded, so this cannot fail.
        line = _line(content[: error.start].decode())
        raise GenError(f"{name}:{line}: is not UTF-8 (byte 0x{content[error.start]:02x})") from None
    node = _root(text, name)
    if node.kind != "mapping":
        raise GenError(f"{name}:{node.line}: is not a mapping; write lines of KEY: VALUE")
    return node


def has_no_values(content: bytes) -> bool:
    """Return whether a text has blank lines and comments alone, which are not a YAML document."""
    return not _BLANK_OR_COMMENT.sub(b"", content).strip()


def value(text: str, name: str) -> Any:
    """Read one YAML value, such as the right side of `--set KEY=VALUE`."""
    return _root(text, name).data()


@cache
def _no_text() -> re.Pattern[str]:
    # To compile a set of so many characters takes 3 ms, a third of the start of Python.
    return re.compile(_NO_TEXT)


def _root(text: str, name: str) -> Node:
    pattern = _NO_ASCII_TEXT if text.isascii() else _no_text()
    if bad := pattern.search(text):
        line = _line(text[: bad.start()])
        code = f"U+{ord(bad[0]):04X}"
        raise GenError(f"{name}:{line}: has a character that a spec may not have ({code})")
    return _read_by_libyaml(text, name) or _read_by_ruamel(text, name)


def _read_by_libyaml(text: str, name: str) -> Node | None:
    """Return the node of a text, or ``None`` where ruamel has to decide."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", None)  # missing where PyYAML was built without libyaml
    if loader is None or _READ_DIFFERENTLY.search(text):
        return None
    try:
        return _Builder(name).build(yaml.parse(text, Loader=loader))
    # ruamel reads the text again and words the error.
    except (GenError, yaml.YAMLError, ValueError, OverflowError):
        return None


def _read_by_ruamel(text: str, name: str) -> Node:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    builder = _Builder(name)
    try:
        return builder.build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = builder.line
        if mark:
            line = mark.line + 1
        # The parser's message has line breaks, and may quote a long text.
        problem = " ".join(str(error.problem or error.context).split())
        raise GenError(f"{name}:{line}: {problem[:200]}") from None
    except (YAMLError, ValueError, OverflowError, RecursionError):
        raise GenError(f"{name}:{builder.line}: this line or the next is not YAML") from None


class _Builder:
    """Makes nodes of a parser's events, without recursion.

    So a deep document gets an error, and cannot exhaust the stack.

    The events of PyYAML and of ruamel have the same names and attributes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.line = 1
        """The line that the last event ended in."""
        self.root: Node | None = None
        self.open: list[Node] = []
        """The mappings and sequences around the next event, the innermost last."""
        self.waiting: list[str | None] = []
        """For each of them, the key that waits for its value."""
        self.count = 0

    def build(self, events: Iterable[Any]) -> Node:
        for event in events:
            self._take(event, type(event).__name__)
            self.line = event.end_mark.line + 1
        return self.root or Node(line=1)

    def _take(self, event: Any, kind: str) -> None:
        if kind == "ScalarEvent":
            self._refuse_unusual(event)
            self._check_text(event)
            self._put(event, Node(event.start_mark.line + 1, _scalar(event)))
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._refuse_unusual(event)
            self._start(event, kind.removesuffix("StartEvent").lower())
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self.open.pop()
            self.waiting.pop()
        elif kind == "AliasEvent":
            self._refuse_unusual(event)
        elif kind == "DocumentStartEvent" and self.root is not None:
            raise self._error(event, "a second document starts here; a file has one")

    def _error(self, event: Any, problem: str) -> GenError:
        return GenError(f"{self.name}:{event.start_mark.line + 1}: {problem}")

    def _refuse_unusual(self, event: Any) -> None:
        if event.anchor:
            raise self._error(event, "anchors (&…) and aliases (*…) are not used in specs")
        # ruamel gives quoted texts the tag of a string, and `!` alone means: no other tag.
        if getattr(event, "tag", None) not in (None, "!", "tag:yaml.org,2002:str"):
            raise self._error(event, "tags (!…) are not used in specs")

    def _check_text(self, event: Any) -> None:
        length = len(event.value)
        if length > _LONGEST:
            problem = f"a text of {length} characters; a spec has none beyond {_LONGEST}"
            raise self._error(event, problem)
        # An escape such as "\\ud800" makes one; no file can hold it (RFC 3629, section 3).
        if half := re.search("[\ud800-\udfff]", event.value):
            raise self._error(event, f"has half a character (U+{ord(half[0]):04X})")

    def _start(self, event: Any, kind: str) -> None:
        # Before the node is made: a document may open thousands of brackets in a line.
        if len(self.open) == DEEPEST:
            raise self._error(event, f"is nested deeper than {DEEPEST} levels")
        node = Node(event.start_mark.line + 1, kind=kind)
        self._put(event, node)
        self.open.append(node)
        self.waiting.append(None)

    def _put(self, event: Any, node: Node) -> None:
        """Add a node to the innermost container, as key, value or item."""
        self.count += 1
        if self.count > _MOST:
            raise self._error(event, f"has more than {_MOST} keys and values")
        if not self.open:
            self.root = node
            return
        parent, key = self.open[-1], self.waiting[-1]
        if parent.kind == "sequence":
            parent.items.append(node)
        elif key is None:
            self.waiting[-1] = self._key(event, parent, node)
        else:
            # A value may start on a later line than its key, and users search for the key.
            node.line = parent.keys[key].line
            parent.keys[key] = node
            self.waiting[-1] = None

    def _key(self, event: Any, parent: Node, node: Node) -> str:
        """Return the key that an event is, and keep its line until its value comes."""
        if node.kind != "scalar" or len(event.value) > LONGEST_KEY:
            raise self._error(event, "a key must be a plain word")
        key: str = event.value
        if key in parent.keys:
            shown = key[:60]
            if not key.isprintable():
                shown = repr(shown)
            first = parent.keys[key].line
            raise self._error(event, f"the key {shown} is given twice (first on line {first})")
        parent.keys[key] = Node(event.start_mark.line + 1)
        return key


def _line(before: str) -> int:
    """Return the number of the line that follows a text, as an editor counts."""
    return len(re.findall(r"\r\n?|\n", before)) + 1


def _scalar(event: Any) -> str | int | float | bool | None:
    text: str = event.value
    # A plain text has the style None for ruamel and "" for libyaml.
    if event.style or not event.implicit[0]:
        return text
    if _NULL.fullmatch(text):
        return None
    if boolean := _BOOL.fullmatch(text):
        return boolean[1] is None
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
