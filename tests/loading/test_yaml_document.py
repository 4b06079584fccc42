"""The YAML that a spec may have: accepted constructs, and refused ones with their line."""

from typing import Any

import pytest

from generator.errors import GenError
from generator.loading import yaml_document

TAKEN = [
    pytest.param("a: 1", {"a": 1}, id="a number"),
    pytest.param("a: -1", {"a": -1}, id="a number below zero"),
    pytest.param("a: 1.5", {"a": 1.5}, id="a number with a point"),
    pytest.param("a: true\nb: FALSE", {"a": True, "b": False}, id="true and false"),
    pytest.param("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}, id="nothing"),
    pytest.param(
        "a: yes\nb: no\nc: on", {"a": "yes", "b": "no", "c": "on"}, id="yes, no and on are texts"
    ),
    # YAML 1.1 reads it as false; a country code must survive.
    pytest.param("a: NO", {"a": "NO"}, id="Norway is a text"),
    # YAML 1.1 reads it as 600.
    pytest.param("a: 00:10:00", {"a": "00:10:00"}, id="a walltime is no number of base 60"),
    pytest.param("a: 2026-08-06", {"a": "2026-08-06"}, id="a day is a text"),
    pytest.param("a: 01", {"a": "01"}, id="a number keeps its zeros as a text"),
    pytest.param(
        "a: 0o17\nb: 0x1f", {"a": "0o17", "b": "0x1f"}, id="octal and hexadecimal numbers are texts"
    ),
    pytest.param(
        "a: .inf\nb: 1e999", {"a": ".inf", "b": "1e999"}, id="what no float can hold is a text"
    ),
    pytest.param(f"a: {'9' * 19}", {"a": "9" * 19}, id="a number beyond 64 bits is a text"),
    pytest.param("a: '1'\nb: \"true\"", {"a": "1", "b": "true"}, id="quotes make texts"),
    pytest.param("a: !!str 1", {"a": "1"}, id="the tag of texts"),
    pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="a text of several lines"),
    pytest.param("a: >-\n  x\n  y\n", {"a": "x y"}, id="a folded text"),
    pytest.param("a: [1, {b: 2}]", {"a": [1, {"b": 2}]}, id="flow style"),
    pytest.param("1: x\ntrue: y\n~: z", {"1": "x", "true": "y", "~": "z"}, id="keys are texts"),
    pytest.param('"": x', {"": "x"}, id="a key may be empty; the model refuses it"),
    pytest.param("a: x # y\n# z", {"a": "x"}, id="comments"),
    pytest.param("a: x#y", {"a": "x#y"}, id="a # inside a word is no comment"),
    pytest.param("a: é 😀 \u00a0", {"a": "é 😀 \u00a0"}, id="letters beyond ASCII"),
    pytest.param('a: "\\u00e9\\U0001F600"', {"a": "é😀"}, id="letters as escapes"),
    pytest.param("\ufeffa: x", {"a": "x"}, id="a byte order mark in front"),
    pytest.param(
        "a: x\r\nb: |\r\n  y\r\n  z\r\n", {"a": "x", "b": "y\nz\n"}, id="line ends of Windows"
    ),
    pytest.param("a: x\rb: y\r", {"a": "x", "b": "y"}, id="line ends of old Macs"),
    pytest.param("a: x", {"a": "x"}, id="no line end at the end"),
    pytest.param("%YAML 1.2\n---\na: x\n...\n", {"a": "x"}, id="marks of start and end"),
    # A merge would let a reader overlook where a value comes from.
    pytest.param("<<: {b: 1}", {"<<": {"b": 1}}, id="a merge key is a key like others"),
    pytest.param("a: [::1, b]", {"a": ["::1", "b"]}, id="a word that starts with a colon"),
    pytest.param("a: x*y&z", {"a": "x*y&z"}, id="the signs of anchors inside a word"),
    pytest.param("a: " + "[" * 15 + "]" * 15, None, id="16 levels"),
    pytest.param("a: [" + "1," * 3990 + "]", None, id="some thousand values"),
    pytest.param(f"a: {'x' * 4000}", {"a": "x" * 4000}, id="a text of 4000 characters"),
]

ANCHORS = "anchors (&…) and aliases (*…) are not used in specs"

REFUSED = [
    pytest.param(
        "a: x\nb: y\nc: z\0", "3: has a character that a spec may not have (U+0000)", id="NUL"
    ),
    pytest.param(
        "a: x\nb: \x1b[31m", "2: has a character that a spec may not have (U+001B)", id="escape"
    ),
    pytest.param(
        # A parser of YAML 1.1 ends the comment here, and reads a key that no reviewer sees.
        "a: x\n# \x85b: y",
        "2: has a character that a spec may not have (U+0085)",
        id="a hidden line end, C1",
    ),
    pytest.param(
        "a: {b: 1, # a remark\u2028 c: 2}",
        "1: has a character that a spec may not have (U+2028)",
        id="a hidden line end",
    ),
    pytest.param(
        # The bidirectional override of "Trojan Source" (CVE-2021-42574).
        "a: x # \u202e",
        "1: has a character that a spec may not have (U+202E)",
        id="a text turned round",
    ),
    pytest.param(
        "a: x\nb: \ufeff",
        "2: has a character that a spec may not have (U+FEFF)",
        id="a byte order mark inside",
    ),
    pytest.param(
        "\ufeff\ufeffa: x",
        "1: has a character that a spec may not have (U+FEFF)",
        id="two byte order marks",
    ),
    pytest.param(
        "a: x\r\nb: \0",
        "2: has a character that a spec may not have (U+0000)",
        id="NUL after a line of Windows",
    ),
    pytest.param(
        "a: x\rb: \0",
        "2: has a character that a spec may not have (U+0000)",
        id="NUL after a line of old Macs",
    ),
    pytest.param(
        # JSON writes an emoji so; YAML has no pairs of surrogates.
        'a: "\\ud83d\\ude00"',
        "1: has half a character (U+D83D)",
        id="halves of a character",
    ),
    pytest.param(
        'a: x\nb: "\\UFFFFFFFF"',
        "2: this line or the next is not YAML",
        id="beyond Unicode",
    ),
    pytest.param(
        'a: x\nb: "\\U00110000"',
        "2: this line or the next is not YAML",
        id="just beyond Unicode",
    ),
    pytest.param(
        'a: "\\xZZ"',
        "1: expected escape sequence of 2 hexdecimal numbers, but found 'Z'",
        id="no escape",
    ),
    pytest.param(
        "a: x\nb: y\na: z", "3: the key a is given twice (first on line 1)", id="a key twice"
    ),
    pytest.param(
        "a: {b: 1,\n 'b': 2}",
        "2: the key b is given twice (first on line 1)",
        id="a key twice, quoted once",
    ),
    pytest.param(
        '"a\\nb": 1\n"a\\nb": 2',
        "2: the key 'a\\nb' is given twice (first on line 1)",
        id="a key of two lines twice",
    ),
    pytest.param(
        "1: x\n1: y", "2: the key 1 is given twice (first on line 1)", id="a number twice as a key"
    ),
    pytest.param("[a]: x", "1: a key must be a plain word", id="a list as a key"),
    pytest.param("? {a: b}\n: x", "1: a key must be a plain word", id="a mapping as a key"),
    pytest.param(f"{'x' * 201}: 1", "1: a key must be a plain word", id="a key of 201 characters"),
    pytest.param("a: 1\nb: !!int 1", "2: tags (!…) are not used in specs", id="a tag of YAML's"),
    pytest.param(
        # Constructed by yaml.load of PyYAML: the classic attack.
        "a: !!python/name:os.system",
        "1: tags (!…) are not used in specs",
        id="a tag of Python's",
    ),
    pytest.param("a: !b {c: d}", "1: tags (!…) are not used in specs", id="a tag of one's own"),
    pytest.param(
        # A validator that reads the first document alone would not see the second.
        "a: 1\n---\nb: 2",
        "2: a second document starts here; a file has one",
        id="two documents",
    ),
    pytest.param("a: 1\nb: &x y", f"2: {ANCHORS}", id="an anchor of a word"),
    pytest.param("a: &x {b: c}", f"1: {ANCHORS}", id="an anchor of a mapping"),
    pytest.param("a: &x [b]", f"1: {ANCHORS}", id="an anchor of a list"),
    pytest.param("a: 1\nb: *x", f"2: {ANCHORS}", id="an alias"),
    pytest.param("*x : 1", f"1: {ANCHORS}", id="an alias as a key"),
    pytest.param("a:\n " + "[" * 16, "2: is nested deeper than 16 levels", id="17 levels"),
    pytest.param(
        # A recursive parser ends with a RecursionError, or with the process.
        "[" * 100_000,
        "1: is nested deeper than 16 levels",
        id="a hundred thousand levels",
    ),
    pytest.param(
        "\n".join(f"k{n}: 1" for n in range(2001)),
        "2000: has more than 4000 keys and values",
        id="too many",
    ),
    pytest.param(
        f"a: 1\nb: {'x' * 4001}",
        "2: a text of 4001 characters; a spec has none beyond 4000",
        id="a long text",
    ),
    pytest.param(
        "x" * 131_073, "1: has 131073 bytes; a spec has at most 131072", id="a large file"
    ),
    pytest.param("", "1: is not a mapping; write lines of KEY: VALUE", id="nothing"),
    pytest.param("# a: x", "1: is not a mapping; write lines of KEY: VALUE", id="a comment"),
    pytest.param("\n\nx", "3: is not a mapping; write lines of KEY: VALUE", id="a word"),
    pytest.param("- a: x", "1: is not a mapping; write lines of KEY: VALUE", id="a list"),
    pytest.param(
        "a: 'x\nb: y\n", "3: found unexpected end of stream", id="a quote that is left open"
    ),
    pytest.param(
        "a:\n\tb: x",
        "2: found character '\\t' that cannot start any token",
        id="a tab to indent with",
    ),
    pytest.param(
        "a:\tx", "1: found character '\\t' that cannot start any token", id="a tab after a colon"
    ),
    pytest.param("a: b: c", "1: mapping values are not allowed here", id="two colons"),
    pytest.param(
        "%YAML 2.0\n---\na: x",
        "1: found incompatible YAML document (version 1.* is required)",
        id="YAML 2",
    ),
    pytest.param(
        # int() refuses more than 4,300 digits with a ValueError, which ruamel lets through.
        f"%YAML {'9' * 5000}.1\n---\na: x",
        "1: this line or the next is not YAML",
        id="YAML 9999…",
    ),
]


@pytest.mark.parametrize(("text", "data"), TAKEN)
def test_a_construct_is_accepted(text: str, data: dict[str, Any] | None) -> None:
    parsed = yaml_document.parse(text.encode(), "spec.yaml").data()
    # The data of the large documents would only repeat their text.
    assert data is None or parsed == data


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_construct_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(GenError) as caught:
        yaml_document.parse(text.encode("utf-8", "surrogatepass"), "spec.yaml")
    assert str(caught.value) == f"spec.yaml:{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a: x\nb: \xff", "2: is not UTF-8 (byte 0xff)", id="Latin-1"),
        pytest.param(
            b"a: x\r\rb: \xff", "3: is not UTF-8 (byte 0xff)", id="Latin-1 after lines of old Macs"
        ),
        pytest.param("a: x".encode("utf-16"), "1: is not UTF-8 (byte 0xff)", id="UTF-16"),
        pytest.param(b"a: \xed\xa0\x80", "1: is not UTF-8 (byte 0xed)", id="half a character"),
        # Overlong UTF-8, with which NUL and / passed filters of old decoders.
        pytest.param(b"a: \xc0\x80", "1: is not UTF-8 (byte 0xc0)", id="NUL in two bytes"),
    ],
)
def test_bytes_that_are_no_utf_8_are_refused_with_their_line(content: bytes, message: str) -> None:
    with pytest.raises(GenError) as caught:
        yaml_document.parse(content, "spec.yaml")
    assert str(caught.value) == f"spec.yaml:{message}"


SPEC = """\
site: x
auth:
  method: step
  oidc: { scope: [] }
hosts:
  a:
    port: 1
  b: {}
list:
  - c: 1
  - c: 2
alone: x
"""


@pytest.mark.parametrize(
    ("loc", "keys", "line"),
    [
        pytest.param((), (), 1, id="the whole"),
        pytest.param(("site",), ("site",), 1, id="a key"),
        pytest.param(("hosts", "a", "port"), ("hosts", "a", "port"), 7, id="a key below keys"),
        pytest.param(("hosts", "b"), ("hosts", "b"), 8, id="a mapping within braces"),
        pytest.param(("list", 1, "c"), ("list", 1, "c"), 11, id="a key of an entry of a list"),
        pytest.param(
            ("hosts", "a", "user"),
            ("hosts", "a", "user"),
            6,
            id="a missing key, where it should stand",
        ),
        pytest.param(
            ("auth", "step", "oidc", "scope"),
            ("auth", "oidc", "scope"),
            4,
            id="a tag that is only the model's",
        ),
        pytest.param(
            ("alone", 0), ("alone",), 12, id="the index of a value that stands for a list"
        ),
        pytest.param(("list", 9), ("list", 9), 9, id="an entry beyond the end"),
    ],
)
def test_a_place_in_the_model_is_found_in_the_document(
    loc: tuple[str | int, ...], keys: tuple[str | int, ...], line: int
) -> None:
    document_keys, node = yaml_document.parse(SPEC.encode(), "spec.yaml").find(loc)
    assert (document_keys, node.line) == (keys, line)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("zen4_0768", "zen4_0768", id="a word"),
        pytest.param("4", 4, id="a number"),
        pytest.param("", None, id="nothing"),
        pytest.param("[a, b]", ["a", "b"], id="a list"),
        pytest.param("{ a: 1 }", {"a": 1}, id="a mapping"),
    ],
)
def test_the_value_of_an_option_is_read_as_yaml(text: str, value: object) -> None:
    assert yaml_document.value(text, "--set a") == value


def test_an_option_with_a_value_that_is_not_yaml_is_named() -> None:
    with pytest.raises(GenError, match=r"^--set a:2: a second document"):
        yaml_document.value("x\n---\ny", "--set a")
