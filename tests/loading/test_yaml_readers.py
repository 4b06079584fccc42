"""ruamel and libyaml read the same from a text that libyaml accepts; ruamel decides the rest."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.errors import GenError
from generator.loading import yaml_document
from generator.loading.yaml_document import Node
from generator.resources import CATALOGUE

SPECS = sorted(CATALOGUE.glob("*.yaml"))
MUTATIONS = 2000

pytestmark = pytest.mark.skipif(
    not yaml.__with_libyaml__, reason="PyYAML was built without libyaml, so ruamel reads every spec"
)

# The pieces that a mutation inserts: every sign with a meaning in YAML, and combinations that
# parsers disagree on.
PIECES = [
    *"-?:,[]{}#&*!|>'\"%@`~\\\t\r\n ",
    *(": ", "- ", "? ", " #", "\n\n", "\n  ", "\r\n", "---\n", "...\n", "%YAML 1.1\n---\n"),
    *("''", '""', '"\\u00e9"', "'it''s'", "|\n  x\n", "|-\n  x\n", ">+\n  x\n\n", "|2\n  x\n"),
    *(
        "[::1]",
        "[a, ::b]",
        "{a: b}",
        '{"a":b}',
        "{a:b}",
        "[a: b]",
        "[a,]",
        "{a}",
        "[?a]",
        "{? a: b}",
    ),
    *("<<: ", "? a\n: b\n", "a:b", "http://x", "x #y", "x# y", "null", "0o7", "1_000", "yes", "="),
    *("!", "!!str ", "!!int 1", "&a ", "*a", "\u00a0", "é", "\u3000"),
]


def libyaml(text: str) -> Node | None:
    return yaml_document._read_by_libyaml(text, "spec.yaml")


def ruamel(text: str) -> Node | str:
    """Return the node of a text, or the error."""
    try:
        return yaml_document._read_by_ruamel(text, "spec.yaml")
    except GenError as error:
        return str(error)


def mutation(texts: list[str], dice: random.Random) -> str:
    """Return some lines of a spec with random insertions, deletions and repetitions."""
    lines = dice.choice(texts).split("\n")
    start = dice.randrange(len(lines))
    text = "\n".join(lines[start : start + dice.randrange(1, 12)])
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(text) + 1)
        kind = dice.choice(["insert", "insert", "delete", "repeat"])
        if kind == "insert":
            text = text[:at] + dice.choice(PIECES) + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + dice.randrange(1, 4) :]
        else:
            source = dice.randrange(len(text) + 1)
            text = text[:at] + text[source : source + dice.randrange(1, 20)] + text[at:]
    return text


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_libyaml_reads_every_spec_of_the_catalogue_as_ruamel_does(path: Path) -> None:
    text = path.read_text()
    node = libyaml(text)
    assert node is not None
    # A node has the line, the kind and the typed value of everything below it.
    assert node == ruamel(text)


def test_libyaml_accepts_no_mutated_document_that_ruamel_reads_otherwise() -> None:
    texts = [path.read_text() for path in SPECS]
    dice = random.Random(20261127)  # noqa: S311 - the same mutations in every run
    accepted = 0
    for _ in range(MUTATIONS):
        text = mutation(texts, dice)
        node = libyaml(text)
        if node is not None:
            accepted += 1
            assert node == ruamel(text), repr(text)
    # Fewer would mean that the mutations are no longer close to a spec, and the test says little.
    assert accepted > MUTATIONS / 10


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a:\tx", id="a tab after a colon"),
        pytest.param("a: [::1]", id="a word that starts with a colon, in a flow"),
        pytest.param("a: {? b: c}", id="an explicit key, in a flow"),
        pytest.param('a: "\\/"', id="an escape of YAML 1.2"),
        pytest.param("a: !", id="a tag without a name"),
        pytest.param("['a':b]", id="a value right behind a key in quotes"),
        pytest.param("a: |# remark\n  x", id="a remark right behind the indicator of a block"),
        pytest.param("a: >-\n \n  x", id="a block that starts with a blank line"),
        pytest.param("a: x\r", id="a line end of old Macs"),
        pytest.param("%YAML 1.1\n---\na: x", id="a directive"),
        pytest.param("a: " + "[" * 17 + "]" * 17, id="deep nesting"),
        pytest.param("a: 1\na: 2", id="a key twice"),
        pytest.param("a: &x 1", id="an anchor"),
        pytest.param("a: 'x", id="a quote that is left open"),
    ],
)
def test_libyaml_leaves_to_ruamel(text: str) -> None:
    assert libyaml(text) is None


def test_without_libyaml_ruamel_reads_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    content = SPECS[0].read_bytes()
    expected: Any = yaml_document.parse(content, "spec.yaml")
    monkeypatch.delattr(yaml, "CBaseLoader")
    assert libyaml("a: 1") is None
    assert yaml_document.parse(content, "spec.yaml") == expected
