"""Facts about the fields of the models that programs need besides the type.

A field carries it in its annotation: ``network: Annotated[Text, Meta(weight=Weight.PROSE,
label="reached")]``. A type in `text_types` may carry it too, for every field of that type.
`meta(Host, "network")` returns both merged, and `leaves(site)` yields every value of a spec
with the meta of its field.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema


class Weight(StrEnum):
    """How much a change of a value matters to the users of a site, the gravest first."""

    TRUST = "trust"
    """Whom users trust, and what runs in their name."""
    ACCESS = "access"
    """What users may ask for, and where."""
    TUNING = "tuning"
    """How well it works."""
    PROSE = "prose"
    """Text that only people read."""


@dataclass(frozen=True, kw_only=True)
class Meta:
    """Facts about a field that programs need besides its type."""

    weight: Weight | None = None
    """Weight of a change; ``None`` for that of the enclosing block."""
    weigh: Callable[[Any], Weight] | None = None
    """Function that returns the weight of a value, if it depends on the value."""
    label: str | None = None
    """Noun for headings and tables, where the key does not read well: `memory` for `mem`."""
    unit: Callable[[Any], object] | None = None
    """Function that returns the same for two values that mean the same: `90m` and `1:30:00` are
    both 5400 seconds."""
    # typing hashes what stands in Annotated, and a dict has no hash.
    sentences: Mapping[object, str] = dataclasses.field(default_factory=dict, hash=False)
    """A sentence for a value, if `key: value` would need an explanation."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the type alone, which spares pydantic the search for constraints."""
        return handler(source)

    def over(self, other: "Meta") -> "Meta":
        """Return this meta, with the values that it leaves open taken from another."""
        return Meta(
            weight=self.weight or other.weight,
            weigh=self.weigh or other.weigh,
            label=self.label or other.label,
            unit=self.unit or other.unit,
            sentences=self.sentences or other.sentences,
        )


class Leaf(NamedTuple):
    """One value of a spec."""

    keys: tuple[str, ...]
    """The keys that lead to it from the top of the model."""
    value: Any
    meta: Meta
    """The meta of its field; its weight is never ``None``."""


@cache
def meta(model: type[BaseModel], name: str) -> Meta:
    """Return the meta of a field; where it leaves something open, that of its type."""
    info = model.model_fields[name]
    merged = Meta()
    # The field's own annotation comes last, and wins over that of its type.
    for annotation in [*_annotations(info.annotation), *info.metadata]:
        if isinstance(annotation, Meta):
            merged = annotation.over(merged)
    return merged


def _annotations(annotation: Any) -> Iterator[object]:
    """Yield the annotations in the members of a union, which pydantic leaves there."""
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _annotations(member)


def leaves(
    model: BaseModel, keys: tuple[str, ...] = (), weight: Weight = Weight.ACCESS
) -> Iterator[Leaf]:
    """Yield every value of a model and of the models in it; a list counts as one value.

    A field without a weight has that of the block it is in, so a name that a user chose as a
    key never decides.
    """
    for name in type(model).model_fields:
        field_meta = meta(type(model), name)
        inherited = field_meta.over(Meta(weight=weight))
        yield from _leaves(getattr(model, name), (*keys, name), inherited)


def _leaves(value: Any, keys: tuple[str, ...], meta: Meta) -> Iterator[Leaf]:
    if isinstance(value, BaseModel):
        yield from leaves(value, keys, meta.weight or Weight.ACCESS)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*keys, name), meta)
    else:
        yield Leaf(keys, value, meta)
