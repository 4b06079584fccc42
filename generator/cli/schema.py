"""`gen schema`: the JSON Schema of specs, for editors and other validators."""

import json

from generator.cli.output import data
from generator.schema.site import SiteSpec


def text() -> str:
    """Return the schema as it is printed, and committed as docs/site-spec.schema.json."""
    schema = SiteSpec.model_json_schema()
    return (
        json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema},
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def run() -> int:
    """Print the schema."""
    data(text())
    return 0
