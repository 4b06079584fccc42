"""Our own templates, filled in. The last guard against a value that would start a line of its own."""

from functools import cache
from hashlib import sha256
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from generator.resources import TEMPLATES


def _one_line(value: object) -> object:
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("a value for a template holds a character that cannot be printed")
    return value


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - none of the formats is HTML; values are checked when a spec is loaded
    )


@cache
def templates_digest() -> str:
    """Return a digest of all templates, by which a change to them shows."""
    found = sha256()
    for path in sorted(TEMPLATES.glob("*.j2")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def render(template: str, **values: Any) -> bytes:
    """Return a template of `templates/` filled in, as UTF-8.

    Raises:
        ValueError: a value is not printable; loading lets none through, so this is a bug.
    """
    return _environment().get_template(template).render(values).encode()
