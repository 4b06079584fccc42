"""The one JSON codec: frozen dataclasses to JSON and back, with every type checked.

`dump` and `load` are for files that gen writes and reads again: they put the data into an
envelope with a `format_version`. `report` is the text that a `--json` option prints. `parse`
and `decode` read JSON of other programs.
"""

import json
import re
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from generator.errors import GenError

FORMAT_VERSION = "2.0"
"""The format of every JSON file and report of gen.

The first number changes when a reader has to.
"""
MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_CONTAINERS = 100_000
"""Objects and lists in a JSON text: Python needs some 60 bytes for each, and `[],` has three.

The lock of a large site has some hundreds.
"""

T = TypeVar("T")
Decoder = Callable[[Any], Any]

# At most six digits: Python refuses to read numbers of thousands of digits, and a traceback would
# follow.
_VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}")


class _MismatchError(ValueError):
    """A value that does not have its type; each level that it passes adds its key in front."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.keys: list[str] = []

    def __str__(self) -> str:
        keys = [key if key.isprintable() else ascii(key) for key in reversed(self.keys)]
        return f"{'.'.join(keys)[:200]}: {self.problem}" if keys else self.problem


def report(values: Mapping[str, Any]) -> str:
    """Return the JSON that a `--json` option prints: the version, then the values in order."""
    return json.dumps({"format_version": FORMAT_VERSION, **_plain_mapping(values)}, indent=2)


def dump(value: object) -> bytes:
    """Return the bytes of a file that holds a dataclass.

    The keys are sorted, and each value has a line, so that git can merge the file.
    """
    record = {"format_version": FORMAT_VERSION, **plain(value)}
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError as error:
        # Names of files may hold any bytes; Python keeps those that are not UTF-8 as surrogates.
        raise GenError(f"{error.object[error.start]!a}: a name is not valid UTF-8") from None


def load(kind: type[T], content: bytes, name: str, fix: str = "") -> T:
    """Return the dataclass that `dump` wrote into a file.

    `fix` is advice for every error: a command that makes the file again.
    """
    hint = _hint(fix)
    value = parse(content, name, fix)
    if not isinstance(value, dict):
        raise GenError(f"{name}: expected an object, found {_kind_of(value)}{hint}")
    version = value.pop("format_version", None)
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise GenError(f"{name}: format_version: is missing or not a version{hint}")
    if version != FORMAT_VERSION:
        problem = f"format_version: is {version}, and this gen reads {FORMAT_VERSION}"
        alternative = f", or {fix}" if fix else ""
        raise GenError(f"{name}: {problem}; use the gen that wrote it{alternative}")
    return decode(kind, value, name, fix)


def parse(content: bytes, name: str, fix: str = "") -> Any:
    """Return the value of a JSON text of limited size and depth."""
    hint = _hint(fix)
    if len(content) > MAX_BYTES:
        raise GenError(f"{name}: is larger than {MAX_BYTES // 1024 // 1024} MiB{hint}")
    # Before Python makes them. Brackets in text count too, which the limit leaves room for.
    if content.count(b"{") + content.count(b"[") > MAX_CONTAINERS:
        raise GenError(f"{name}: has more than {MAX_CONTAINERS} objects and lists{hint}")
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
        # A lone surrogate is valid JSON and cannot be written to any file or terminal.
        if b"\\u" in content:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise GenError(f"{name}:{error.lineno}: is not valid JSON: {error.msg}{hint}") from None
    except UnicodeError:
        raise GenError(f"{name}: is not valid UTF-8{hint}") from None
    except RecursionError:
        raise GenError(f"{name}: is nested too deeply{hint}") from None
    except ValueError:  # `_refuse_constant`, and Python's limit on the digits of a number
        raise GenError(f"{name}: holds a number that is not valid JSON{hint}") from None
    if not _depth_within(value, MAX_DEPTH):
        raise GenError(f"{name}: is nested too deeply{hint}")
    return value


def decode(kind: type[T], value: object, name: str, fix: str = "", *, strict: bool = True) -> T:
    """Return parsed JSON as a dataclass (or any other type that the codec knows).

    Keys without a field are refused; unless `strict`, they are ignored, as is right for answers
    of other programs.
    """
    try:
        decoder: Callable[[object], T] = _decoder(cast("Hashable", kind), strict)
        return decoder(value)
    except _MismatchError as error:
        raise GenError(f"{name}: {error}{_hint(fix)}") from None


def plain(value: Any) -> Any:
    """Return a value as what JSON has: objects, lists, text, numbers.

    Fields that are ``None`` are left out.
    """
    # Most values are texts. An enumeration of texts is not: its type is its own.
    if type(value) in _NAMES:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        values = {field.name: getattr(value, field.name) for field in fields(value)}
        return {key: plain(item) for key, item in values.items() if item is not None}
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def _plain_mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(plain(key)): plain(item) for key, item in values.items()}


def _hint(fix: str) -> str:
    return f"; {fix}" if fix else ""


def _refuse_constant(text: str) -> None:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(text)


def _depth_within(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    if depth == 0:
        return False
    items = value.values() if isinstance(value, dict) else value
    return all(_depth_within(item, depth - 1) for item in items if isinstance(item, dict | list))


# Each type has one decoder, made at its first use: a lock of a thousand projects is read a
# thousand times.


@cache
def _decoder(kind: Any, strict: bool) -> Decoder:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return _unchanged
    if kind in (str, int, float, bool, types.NoneType):
        return _scalar(kind)
    if origin in (Union, types.UnionType):
        return _union(arguments, strict)
    if origin is Literal:
        return _choice(arguments)
    if origin is tuple:
        return _sequence(_decoder(arguments[0], strict))
    if origin in (Mapping, dict):
        return _mapping(_decoder(arguments[0], strict), _decoder(arguments[1], strict))
    if is_dataclass(kind):
        return _record(kind, strict)
    if issubclass(kind, Enum):
        return _choice(tuple(member.value for member in kind), kind)
    if issubclass(kind, PurePath):
        return _path(kind)
    raise TypeError(f"no decoder for {kind}")


def _unchanged(value: Any) -> Any:
    return value


def _scalar(kind: type) -> Decoder:
    expected = _NAMES[kind]
    # `True` is an int to Python, and JSON writes the float 1.0 as 1.
    accepted = (int, float) if kind is float else (kind,)

    def scalar(value: Any) -> Any:
        if type(value) not in accepted:
            raise _MismatchError(f"expected {expected}, found {_kind_of(value)}")
        return value

    return scalar


def _union(kinds: tuple[Any, ...], strict: bool) -> Decoder:
    scalars = {kind for kind in kinds if kind in _NAMES}
    others = [_decoder(kind, strict) for kind in kinds if kind not in _NAMES]
    if len(others) > 1:
        raise TypeError(f"no decoder for {kinds}: more than one of them is not a plain value")
    expected = " or ".join(_NAMES[kind] for kind in kinds if kind in _NAMES)

    def union(value: Any) -> Any:
        if type(value) in scalars:
            return value
        if others:
            return others[0](value)
        raise _MismatchError(f"expected {expected}, found {_kind_of(value)}")

    return union


def _choice(values: tuple[Any, ...], make: Decoder = _unchanged) -> Decoder:
    def choice(value: Any) -> Any:
        # A list or an object has no hash, and `in` would raise an error.
        if not isinstance(value, str | int) or value not in values:
            raise _MismatchError(f"expected one of {', '.join(map(str, values))}")
        return make(value)

    return choice


def _path(kind: type[PurePath]) -> Decoder:
    def path(value: Any) -> Any:
        # A line break in a path would forge a line of a report.
        if not isinstance(value, str) or not value or not value.isprintable():
            raise _MismatchError("expected a path")
        return kind(value)

    return path


def _sequence(item: Decoder) -> Decoder:
    def sequence(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _MismatchError(f"expected a list, found {_kind_of(value)}")
        return tuple(_below(str(number), item, entry) for number, entry in enumerate(value))

    return sequence


def _mapping(key: Decoder, item: Decoder) -> Decoder:
    def mapping(value: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise _MismatchError(f"expected an object, found {_kind_of(value)}")
        return {_below(name, key, name): _below(name, item, entry) for name, entry in value.items()}

    return mapping


def _record(kind: Any, strict: bool) -> Decoder:
    # Resolves annotations that are text, as forward references are.
    hints = get_type_hints(kind)
    decoders = {field.name: _decoder(hints[field.name], strict) for field in fields(kind)}
    required = [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]

    def record(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _MismatchError(f"expected an object, found {_kind_of(value)}")
        values = {}
        for name, item in value.items():
            if name in decoders:
                values[name] = _below(name, decoders[name], item)
            elif strict:
                raise _at(name, _MismatchError("there is no such key"))
        # After the unknown keys: a misspelt key is then reported by its own name, and not as the
        # absence of another.
        for name in required:
            if name not in values:
                raise _at(name, _MismatchError("is missing"))
        return kind(**values)

    return record


def _below(key: str, decoder: Decoder, value: Any) -> Any:
    try:
        return decoder(value)
    except _MismatchError as error:
        raise _at(key, error) from None


def _at(key: str, error: _MismatchError) -> _MismatchError:
    error.keys.append(key)
    return error


_NAMES: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    types.NoneType: "null",
}


def _kind_of(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return _NAMES[type(value)]
