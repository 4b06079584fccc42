"""What every model of a spec has in common."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, core_schema

from generator.schema.meta import Meta, Weight
from generator.schema.text_types import Label, Link, Text

T = TypeVar("T")


class Model(BaseModel):
    """Strict and frozen: unknown keys, wrong types and later changes are refused."""

    # Validators are built when they are first used: most commands use few of the models. So a default that is a model
    # is made by model_construct, which needs no validator. `descriptions` reads the docstrings of fields.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


@dataclass(frozen=True)
class _OneOrMore:
    """Lets one value stand for a list of one."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def many(value: object) -> object:
            return tuple(value) if isinstance(value, list | tuple) else (value,)

        return core_schema.no_info_before_validator_function(many, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


Several = Annotated[tuple[T, ...], _OneOrMore()]


def _written(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970, and times."""
    if isinstance(value, date) or (
        isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)
    ):
        return value
    raise ValueError("is not a date; write it as YYYY-MM-DD")


Day = Annotated[date, Field(strict=False), BeforeValidator(_written)]


class Source(Model):
    """Where a fact was read, by `ref`, `url` or both. A fact whose every source is weak is not trusted with a login."""

    ref: Text | None = None
    """Repository, path and commit of a file (`owner/name:path@commit`), or a document of this project."""
    url: Link | None = None
    """Address of a page."""
    checked: Day | None = None
    """The day the source was read (YYYY-MM-DD)."""
    weak: Text | None = None
    """Why the source does not suffice to trust a host key (an undated excerpt, an unknown author)."""


class Fact(Model):
    """A block of a spec that says where it was read."""

    source: Annotated[Several[Label], Meta(weight=Weight.PROSE)] = ()
    """Names of entries in `sources`."""
    checked: Annotated[Day | None, Meta(weight=Weight.PROSE)] = None
    """The day this fact was last compared with its source, when later than the source's own."""
    note: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """What a person should know; shown by `gen show`, never compiled."""


def facts(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Fact]]:
    """Yield the facts of a model, each with the keys that lead to it."""
    if isinstance(value, Fact):
        yield keys, value
    below = (
        value.items() if isinstance(value, Mapping) else value if isinstance(value, Model) else ()
    )
    for name, item in below:
        yield from facts(item, (*keys, name))
