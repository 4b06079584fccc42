"""The base of every model of a spec: strict models, facts with sources, days, lists."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
)
from pydantic_core import CoreSchema, core_schema

from generator.schema.meta import Meta, Weight
from generator.schema.text_types import Label, Link, Text

T = TypeVar("T")


class Model(BaseModel):
    """Strict and frozen: unknown keys, wrong types and later changes are refused."""

    # Validators are built when they are first used: most commands use few of the models. So a
    # default that is a model is made by model_construct, which needs no validator. `descriptions`
    # reads the docstrings of fields. No names are protected: pydantic would look at every field for
    # a name that starts like one of its methods, and mypy reports those.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, defer_build=True, protected_namespaces=()
    )


@dataclass(frozen=True)
class _OneOrMore:
    """Accepts one value as a list of one."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def as_tuple(value: object) -> object:
            # In a spec most lists have one entry, and `asks: password` reads better than a list of
            # one.
            return tuple(value) if isinstance(value, list | tuple) else (value,)

        return core_schema.no_info_before_validator_function(as_tuple, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # Editors check with this schema, so it has to allow the single value too.
        array = handler(schema)
        return {"anyOf": [array["items"], array]}


Several = Annotated[tuple[T, ...], _OneOrMore()]


def _written_date(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds since 1970, and times."""
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return value
    raise ValueError("is not a date; write it as YYYY-MM-DD")


Day = Annotated[date, Strict(False), BeforeValidator(_written_date)]


class Source(Model):
    """A source of facts: a file (`ref`), a page (`url`), or both.

    gen pins no host keys that have only weak sources.
    """

    ref: Text | None = None
    """Repository, path and commit of a file (`owner/name:path@commit`), or a document of this
    project."""
    url: Link | None = None
    """Address of a page."""
    checked: Day | None = None
    """Date when the source was read (YYYY-MM-DD)."""
    weak: Text | None = None
    """Reason why the source does not suffice to trust a host key (an undated excerpt, an
    unknown author)."""


class Fact(Model):
    """A block of a spec that names its sources."""

    source: Annotated[Several[Label], Meta(weight=Weight.PROSE)] = ()
    """Names of entries in `sources`."""
    checked: Annotated[Day | None, Meta(weight=Weight.PROSE)] = None
    """Date of the last comparison with the source, if later than that of the source itself."""
    note: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Note for users; `gen show` prints it, and no artifact has it."""


def facts(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Fact]]:
    """Yield every fact in a model, with the keys that lead to it."""
    if isinstance(value, Fact):
        yield keys, value
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from facts(item, (*keys, name))
    elif isinstance(value, Model):
        for name, item in value:  # pydantic yields the fields of a model
            yield from facts(item, (*keys, name))
