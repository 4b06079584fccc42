"""Compile the templates to Python: write `generator/compiler/compiled_templates.py`.

Run `python templates/compile.py` after a change of a template.

Importing jinja2 takes five times as long as Python needs to start. So gen runs the compiled
templates, and only this program and the tests import jinja2. A test fails if the compiled templates
are not up to date.
"""

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, meta, nodes

TEMPLATES = Path(__file__).parent
TARGET = TEMPLATES.parent / "generator" / "compiler" / "compiled_templates.py"

# `trim_blocks` and `lstrip_blocks`: a line with nothing but a tag leaves no empty line.
# No format of the templates is HTML, so nothing is escaped.
ENVIRONMENT = Environment(
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701
)

HEAD = '''\
"""The templates of `templates/` as Python.

Do not edit: `python templates/compile.py` writes this file.
"""

from collections.abc import Iterator
from typing import Any

DIGEST = "{digest}"


def _value(value: object) -> str:
    text = str(value)
    if not text.isprintable():
        raise ValueError("a value for a template has a character that is not printable")
    return text
'''
TESTS = {"none": "{value} is None", "string": "isinstance({value}, str)"}


def compiled() -> str:
    """Return the Python module of all templates."""
    digest = sha256()
    functions = []
    for path in sorted(TEMPLATES.glob("*.j2")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
        functions.append(function(path))
    return "\n\n".join([HEAD.format(digest=digest.hexdigest()[:12]), *functions])


def function(path: Path) -> str:
    """Return a template as a function that yields the parts of its text."""
    tree = ENVIRONMENT.parse(path.read_text("utf-8"))
    name = path.stem.replace(".", "_")
    parameters = ", ".join(f"{name}: Any" for name in sorted(meta.find_undeclared_variables(tree)))
    body = "\n".join(f"    {line}" for line in statements(tree.body))
    docstring = f'    """Yield the text of `{path.name}` in parts."""'
    return f"def {name}(*, {parameters}) -> Iterator[str]:\n{docstring}\n{body}\n"


def statements(body: list[nodes.Node]) -> Iterator[str]:
    """Yield the lines of Python for a part of a template."""
    for node in body:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    yield f"yield {output(part)}"
            case nodes.For(else_=[], test=None, recursive=False):
                yield f"for {expression(node.target)} in {expression(node.iter)}:"
                yield from indented(node.body)
            case nodes.If(elif_=[]):
                yield f"if {expression(node.test)}:"
                yield from indented(node.body)
                if node.else_:
                    yield "else:"
                    yield from indented(node.else_)
            case _:
                raise NotImplementedError(f"line {node.lineno}: {node}")


def indented(body: list[nodes.Node]) -> Iterator[str]:
    """Yield the lines of Python for the inside of a block."""
    for line in statements(body):
        yield f"    {line}"


def output(node: nodes.Expr) -> str:
    """Return the expression for the text that a part of a template writes."""
    if isinstance(node, nodes.TemplateData):
        lines = [repr(line) for line in node.data.splitlines(keepends=True)]
        return lines[0] if len(lines) == 1 else f"({' '.join(lines)})"
    return f"_value({expression(node)})"


def expression(node: nodes.Node | None) -> str:
    """Return an expression of a template in Python."""
    match node:
        case nodes.Name(name=name):
            return str(name)
        case nodes.Tuple(items=items):
            return ", ".join(expression(item) for item in items)
        case nodes.Getattr(node=owner, attr=name):
            return f"{expression(owner)}.{name}"
        case nodes.Call(node=called, args=[], kwargs=[]):
            return f"{expression(called)}()"
        case nodes.Filter(name="join", node=value, args=[nodes.Const(value=separator)]):
            return f"{separator!r}.join({expression(value)})"
        case nodes.Test(name=name, node=value, args=[]):
            return TESTS[name].format(value=expression(value))
        case _:
            raise NotImplementedError(str(node))


if __name__ == "__main__":
    TARGET.write_text(compiled(), "utf-8")
    sys.stdout.write(f"wrote {TARGET}; format it with: ruff format {TARGET}\n")
