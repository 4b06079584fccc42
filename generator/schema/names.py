"""The name of a site, as spec, lock and command line take it; without pydantic, which takes its time to import."""

SLUG = r"[a-z0-9]+(?:-[a-z0-9]+)*"
