"""The compiled templates: up to date, and equal to the output of jinja2 itself."""

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from generator.compiler import compiled_templates
from generator.compiler.emitters.env_file import Variable
from generator.compiler.emitters.ssh_config import Block

TEMPLATES = Path(__file__).parents[2] / "templates"
COMPILE: dict[str, Any] = runpy.run_path(str(TEMPLATES / "compile.py"))
ENVIRONMENT: Environment = COMPILE["ENVIRONMENT"]


def test_the_compiled_templates_are_up_to_date() -> None:
    # Otherwise run: python templates/compile.py && ruff format generator/compiler.
    current = Path(compiled_templates.__file__).read_text("utf-8")
    # As syntax trees, because the formatter changes the text.
    assert ast.dump(ast.parse(current)) == ast.dump(ast.parse(COMPILE["compiled"]()))


BLOCKS = [
    Block(["a", "b"], [("Port", "22"), ("User", "ada")], ["a comment", "another"]),
    Block([], [], ["only a comment"]),
    Block(["c"], [], []),
]
VARIABLES = [
    Variable("A", "1", comment="a comment"),
    Variable("B", ""),
    Variable("C", None, ("user", "home")),
    Variable("D", None, ("user",), "a comment"),
]
TABLES = {"": {"a": '"x"'}, "ssh": {"b": ["1", "2"], "c": "3"}, "empty": {}}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("cert.service", {"site": "x"}, id="cert.service"),
        pytest.param("cert.timer", {"site": "x", "calendar": "daily", "delay": 5}, id="cert.timer"),
        pytest.param("env", {"variables": VARIABLES}, id="env"),
        pytest.param("env", {"variables": []}, id="env without variables"),
        pytest.param("known_hosts", {"lines": ["a", "b"]}, id="known_hosts"),
        pytest.param("site.toml", {"title": "X", "tables": TABLES}, id="site.toml"),
        pytest.param(
            "ssh_config",
            {"title": "X", "blocks": BLOCKS, "renewed": ["host a", "host b"]},
            id="ssh_config",
        ),
        pytest.param(
            "ssh_config", {"title": "X", "blocks": BLOCKS, "renewed": []}, id="without renewal"
        ),
    ],
)
def test_a_compiled_template_writes_the_same_text_as_jinja(
    name: str, values: dict[str, Any]
) -> None:
    source = (TEMPLATES / f"{name}.j2").read_text("utf-8")
    function = getattr(compiled_templates, name.replace(".", "_"))
    compiled = "".join(function(header="header", **values))
    assert compiled == ENVIRONMENT.from_string(source).render(header="header", **values)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a\nHost *", id="a line break"),
        pytest.param("a\rb", id="a carriage return"),
        pytest.param("a\x1b[2J", id="an escape sequence"),
        pytest.param("a\u2028b", id="a line separator"),
    ],
)
# The models refuse such texts, so one that comes here has passed a hole in them. No file may be
# written.
def test_a_value_that_is_not_printable_is_a_bug(value: str) -> None:
    with pytest.raises(ValueError, match="a character that is not printable"):
        list(compiled_templates.known_hosts(header="header", lines=[value]))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{% set x = 1 %}", id="set"),
        pytest.param("{{ x | upper }}", id="another filter"),
        pytest.param("{% if a %}{% elif b %}{% endif %}", id="elif"),
        pytest.param("{{ f(1) }}", id="a call with arguments"),
    ],
)
# Our compiler knows a small part of Jinja. The rest must fail here, and not be dropped.
def test_a_template_with_more_of_jinja_is_not_compiled(source: str) -> None:
    with pytest.raises(NotImplementedError):
        list(COMPILE["statements"](ENVIRONMENT.parse(source).body))
