"""`gen schema`: the JSON Schemas of specs and profiles, for editors and other validators."""

import json
from enum import StrEnum

from generator.cli.output import data
from generator.schema.descriptions import json_schema
from generator.schema.profile import Profile
from generator.schema.site import SiteSpec


class SchemaKind(StrEnum):
    """The files that have a schema."""

    SPEC = "spec"
    PROFILE = "profile"


def text(kind: SchemaKind = SchemaKind.SPEC) -> str:
    """Return a schema as `gen schema` prints it; docs/site-spec.schema.json is a copy."""
    model = Profile if kind is SchemaKind.PROFILE else SiteSpec
    return json.dumps(json_schema(model), indent=2, ensure_ascii=False) + "\n"


def run(kind: str) -> int:
    """Print the schema of a kind of file."""
    data(text(SchemaKind(kind)))
    return 0
