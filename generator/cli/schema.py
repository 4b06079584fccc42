"""`gen schema`: the JSON Schema of specs, for editors and other validators."""

import json

from generator.cli.output import data
from generator.schema.descriptions import json_schema


def text() -> str:
    """Return the schema as `gen schema` prints it; docs/site-spec.schema.json is a copy."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def run() -> int:
    """Print the schema."""
    data(text())
    return 0
