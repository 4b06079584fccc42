"""The blocks and values of a spec as Markdown: lists, tables and sentences."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date

from generator.schema.auth import (
    AgentAuth,
    CommandCertificateAuth,
    KerberosAuth,
    KeyboardAuth,
    PublicKeyAuth,
    SmartCardAuth,
    StepAuth,
    UnstatedAuth,
)
from generator.schema.base import Fact, Model
from generator.schema.descriptions import descriptions
from generator.schema.meta import meta
from site_pages.labels import ROLES, login
from site_pages.markup import bullets, code, link, paragraph, prose, table, text

# Fields with text in the site's own language. All other texts are names or commands.
_PROSE_FIELDS = {
    "note",
    "network",
    "not_for",
    "submit",
    "form",
    "reservations",
    "quota",
    "gpu",
    "gpus",
    "kind",
    "method",
    "then",
    "asks",
}
_COMMAND_FIELDS = {"command", "fill"}
# The first part of a description is short enough for a label: up to a semicolon, a bracket or the
# end of the sentence.
_END_OF_LABEL = re.compile(r"; | \(|\.$")


@dataclass(frozen=True)
class _FieldValue:
    """A field that has a value of its own, and not its default."""

    name: str
    value: object
    label: str
    """The label of the schema, or the first part of the field's description."""


def _field_values(model: Model, always: Set[str] = frozenset()) -> Iterator[_FieldValue]:
    """Yield the fields that differ from their defaults, and those that are always shown."""
    texts = descriptions(type(model))
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        is_default = not field.is_required() and value == field.get_default()
        # A default says nothing about the site: most specs have most of them.
        if is_default and name not in always:
            continue
        label = meta(type(model), name).label
        if label is None:
            label = prose(_END_OF_LABEL.split(texts.get(name, name), maxsplit=1)[0])
        yield _FieldValue(name, value, label)


def details(
    model: Model | None,
    title: str = "",
    skipped: Set[str] = frozenset(),
    always: Set[str] = frozenset(),
) -> Iterator[str]:
    """Yield the fields of a block as a list, with its note, date and source below."""
    if model is None:
        return
    items = []
    for field in _field_values(model, always):
        if field.name not in skipped and field.name not in Fact.model_fields:
            items.append(f"{field.label}: {value_text(field.name, field.value)}")
    # Only facts have a source.
    remark = ""
    if isinstance(model, Fact):
        remark = remarks(model)
    if title and (items or remark):
        yield from paragraph(f"**{title}**")
    yield from bullets(items)
    if remark:
        yield from paragraph(remark)


def facts_table(facts: Mapping[str, Fact]) -> Iterator[str]:
    """Yield a table with a row for each fact, and a column for each of their fields."""
    columns: dict[str, str] = {}
    for fact in facts.values():
        for key in type(fact).model_fields:
            if key not in Fact.model_fields:
                columns.setdefault(key, _heading(fact, key))
    # At the right, because a reader looks for the facts first.
    for key in ("note", "source", "checked"):
        columns[key] = key
    rows = []
    for name, fact in facts.items():
        texts: dict[str, str] = {}
        for field in _field_values(fact):
            texts[field.name] = value_text(field.name, field.value)
        row = [code(name)]
        for key in columns:
            # Facts of one table may be of several models, so some have no such field.
            row.append(texts.get(key, ""))
        rows.append(row)
    yield from table(["name", *columns.values()], rows)


def _heading(model: Model, key: str) -> str:
    return meta(type(model), key).label or key.replace("_", " ")


def remarks(fact: Fact) -> str:
    """Return note, date and sources of a fact as sentences."""
    sentences = []
    if fact.note:
        sentences.append(prose(fact.note).rstrip("."))
    if fact.checked:
        sentences.append(f"Checked {fact.checked}")
    if fact.source:
        sentences.append(f"Source: {source_links(fact.source)}")
    if not sentences:
        return ""
    return ". ".join(sentences) + "."


def source_links(names: Sequence[str]) -> str:
    """Return links to the sources at the end of the page."""
    return ", ".join(link(text(name), f"#source-{name}") for name in names)


def value_text(key: str, value: object) -> str:
    """Return a value of the spec for readers."""
    match value:
        case None:
            return ""
        # Before int: in Python a bool is one.
        case bool():
            return "yes" if value else "no"
        case int() | date():
            return text(str(value))
        case tuple():
            return _tuple_text(key, value)
        # `login` has these fields already: the method, and what the site asks for.
        case KeyboardAuth():
            return ", ".join([text(login(value)), *_fields(value, skipped={"method", "asks"})])
        case (
            PublicKeyAuth()
            | KerberosAuth()
            | AgentAuth()
            | SmartCardAuth()
            | StepAuth()
            | CommandCertificateAuth()
            | UnstatedAuth()
        ):
            return ", ".join([text(login(value)), *_fields(value, skipped={"method"})])
        case Model():
            return ", ".join(_fields(value))
        case Mapping():
            entries = []
            for name, item in value.items():
                entries.append(f"{code(name)} {value_text('', item)}".rstrip())
            return "; ".join(entries)
        case _:
            return _string_text(key, str(value))


def _tuple_text(key: str, values: tuple[object, ...]) -> str:
    if key == "source":
        return source_links(list(map(str, values)))
    if key in _COMMAND_FIELDS:
        # Quoted as a shell needs it, since a reader pastes it.
        return code(shlex.join(map(str, values)))
    texts: list[str] = []
    has_blocks = False
    for value in values:
        texts.append(value_text(key, value))
        has_blocks = has_blocks or isinstance(value, Model)
    if has_blocks:
        # The fields of a block have commas between them.
        return _wide("; ".join(texts))
    return ", ".join(texts)


def _fields(model: Model, skipped: Set[str] = frozenset()) -> Iterator[str]:
    """Yield the fields of a block within a block."""
    for field in _field_values(model):
        if field.name not in skipped:
            yield f"{_heading(model, field.name)} {value_text(field.name, field.value)}"


def _string_text(key: str, value: str) -> str:
    if key == "role":
        return ROLES[value]
    if key == "note":
        return _wide(prose(value))
    if key in _PROSE_FIELDS or value.startswith(("http://", "https://")):
        return prose(value)
    # A name with digits, dots or slashes is code; a word such as `yes` is text.
    if value.isalpha():
        return text(value)
    return code(value)


def _wide(markdown: str) -> str:
    """Return a text that keeps a readable width in a table."""
    return f'<span class="note">{markdown}</span>'
