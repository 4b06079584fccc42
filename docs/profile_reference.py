"""Print docs/profile.md: every key of a profile, from the model and its docstrings."""

from pathlib import Path
from typing import Any

from spec_reference import rows

from generator.schema.descriptions import json_schema
from generator.schema.profile import Profile

HEAD = Path(__file__).with_name("profile-head.txt")


def main() -> None:
    """Print the page."""
    schema = json_schema(Profile)
    print(HEAD.read_text("utf-8"), end="")
    print("\n".join(rows(schema)))
    print("\n## SiteEntry\n")
    # pydantic puts the models of nested keys below $defs (docs.pydantic.dev, "JSON Schema").
    entry: dict[str, Any] = schema["$defs"]["SiteEntry"]
    # The keys that a profile has at its top are in the table above.
    own = {}
    for key, value in entry["properties"].items():
        if key not in schema["properties"]:
            own[key] = value
    print("The values for one site, below `sites.SITE`: all keys above but `sites`, and these.\n")
    print("\n".join(rows({**entry, "properties": own})))


if __name__ == "__main__":
    main()
