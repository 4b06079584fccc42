"""The JSON codec: dataclasses to JSON and back, and one clear error for anything else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Literal

import pytest

from generator import codec
from generator.errors import GenError


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Wheel:
    """A dataclass within another."""

    size: int
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Cart:
    """A dataclass with a field of every type that the codec knows."""

    name: str
    wheels: tuple[Wheel, ...] = ()
    labels: Mapping[PurePosixPath, str | bool] = field(default_factory=dict)
    weight: float = 0.0
    spare: Wheel | None = None
    kind: Literal["hand", "ox"] = "hand"
    # Any: what an older gen wrote and this one only hands on.
    undo: Mapping[str, Any] = field(default_factory=dict)


CART = Cart(
    "red cart ü",
    (Wheel(20), Wheel(30, Colour.BLUE)),
    {PurePosixPath("a/b"): True, PurePosixPath("c"): "yes"},
    1.5,
    Wheel(1),
    "ox",
    {"x": [1, {"y": None}]},
)


@pytest.mark.parametrize(
    "cart", [pytest.param(CART, id="every field"), pytest.param(Cart("x"), id="defaults")]
)
def test_a_dataclass_survives_dump_and_load(cart: Cart) -> None:
    assert codec.load(Cart, codec.dump(cart), "cart.json") == cart


def test_a_file_has_a_line_for_each_value_sorted_and_an_envelope() -> None:
    # A line for each value, so that git can merge two locks.
    assert codec.dump(Cart("x", (Wheel(2),))).decode() == (
        '{\n  "format_version": "2.0",\n  "kind": "hand",\n  "labels": {},\n  "name": "x",\n'
        '  "undo": {},\n  "weight": 0.0,\n  "wheels": [\n    {\n      "colour": "red",\n'
        '      "size": 2\n    }\n  ]\n}\n'
    )


def test_a_report_begins_with_the_format_version_and_keeps_its_order() -> None:
    report = json.loads(codec.report({"z": PurePosixPath("a"), "a": (Wheel(2),)}))
    assert list(report.items()) == [
        ("format_version", "2.0"),
        ("z", "a"),
        ("a", [{"size": 2, "colour": "red"}]),
    ]


def cart(**values: Any) -> bytes:
    return json.dumps({"format_version": "2.0", "name": "x"} | values).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", ":1: is not valid JSON: Expecting value", id="empty"),
        pytest.param(
            b'{\n"a": 1,\n"b" 2}',
            ":3: is not valid JSON: Expecting ':' delimiter",
            id="no colon",
        ),
        pytest.param(b"\xff", ": is not valid UTF-8", id="other bytes"),
        pytest.param(cart(name="\udc41"), ": is not valid UTF-8", id="a lone surrogate"),
        pytest.param(b"[1]", ": expected an object, found a list", id="a list"),
        # Python's parser raises RecursionError, which is not a ValueError.
        pytest.param(b"[" * 90_000, ": is nested too deeply", id="brackets without end"),
        pytest.param(
            cart(undo={"x": json.loads("[" * 70 + "]" * 70)}),
            ": is nested too deeply",
            id="seventy levels",
        ),
        pytest.param(b" " * (4 * 2**20 + 1), ": is larger than 4 MiB", id="large"),
        pytest.param(
            b"[" + b"{}," * 100_000 + b"{}]",
            ": has more than 100000 objects and lists",
            id="many objects",
        ),
        pytest.param(
            # RFC 8259 has no NaN; Python writes and reads it.
            cart(weight=float("nan")),
            ": holds a number that is not valid JSON",
            id="nan",
        ),
        pytest.param(
            # Python refuses to convert more than 4,300 digits.
            b'{"weight": ' + b"1" * 5_000 + b"}",
            ": holds a number that is not valid JSON",
            id="too many digits",
        ),
        pytest.param(b"{}", ": format_version: is missing or not a version", id="no version"),
        pytest.param(
            cart(format_version=2), ": format_version: is missing or not a version", id="a number"
        ),
        pytest.param(b'{"format_version": "2.0"}', ": name: is missing", id="a key is missing"),
        pytest.param(cart(nmae="y"), ": nmae: there is no such key", id="an unknown key"),
        pytest.param(cart(name=["x"]), ": name: expected text, found a list", id="not text"),
        pytest.param(
            # In Python, True is an int.
            cart(wheels=[{"size": True}]),
            ": wheels.0.size: expected a whole number, found true or false",
            id="true is not a number",
        ),
        pytest.param(
            cart(wheels=[{"size": 1}, {"size": 1.5}]),
            ": wheels.1.size: expected a whole number, found a number",
            id="not whole",
        ),
        pytest.param(
            cart(wheels={"size": 1}), ": wheels: expected a list, found an object", id="no list"
        ),
        pytest.param(
            cart(wheels=[None]), ": wheels.0: expected an object, found null", id="no object"
        ),
        pytest.param(cart(kind="cat"), ": kind: expected one of hand, ox", id="not a choice"),
        pytest.param(
            cart(wheels=[{"size": 1, "colour": []}]),
            ": wheels.0.colour: expected one of red, blue",
            id="not a member",
        ),
        pytest.param(
            cart(labels={"a": 5}),
            ": labels.a: expected text or true or false, found a whole number",
            id="not in the union",
        ),
        pytest.param(cart(labels={"a\nb": "x"}), ": labels.'a\\nb': expected a path", id="no path"),
        pytest.param(
            cart(spare="none"), ": spare: expected an object, found text", id="optional, wrong type"
        ),
    ],
)
def test_anything_else_is_one_error_with_file_and_key(content: bytes, problem: str) -> None:
    with pytest.raises(GenError) as caught:
        codec.load(Cart, content, "cart.json", "rm cart.json")
    assert str(caught.value) == f"cart.json{problem}; rm cart.json"


@pytest.mark.parametrize("version", ["1.0", "2.1", "3.0"])
def test_another_format_is_refused_with_both_numbers(version: str) -> None:
    with pytest.raises(GenError) as caught:
        codec.load(Cart, cart(format_version=version), "cart.json", "rm cart.json")
    assert str(caught.value) == (
        f"cart.json: format_version: is {version}, and this gen reads 2.0;"
        " use the gen that wrote it, or rm cart.json"
    )


def test_null_stands_for_no_value() -> None:
    assert codec.load(Cart, cart(spare=None), "cart.json") == Cart("x")


def test_an_answer_of_another_program_may_have_more_keys() -> None:
    value = codec.parse(b'{"size": 1, "more": [1]}', "answer")
    assert codec.decode(Wheel, value, "answer", strict=False) == Wheel(1)
    with pytest.raises(GenError, match=r"^answer: more: there is no such key$"):
        codec.decode(Wheel, value, "answer")


def test_a_name_that_is_not_utf_8_is_an_error_and_not_a_broken_file() -> None:
    with pytest.raises(GenError, match="a name is not valid UTF-8"):
        codec.dump(Cart("\udcff"))
