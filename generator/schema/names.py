"""The name of a site, as spec, lock and command line take it.

This module does not import pydantic, which would slow down the commands that need no spec.
"""

RESERVED = frozenset({"sources"})
"""No site has such a name: `.gen/sources.lock` is the record of published specs."""
SLUG = r"[a-z0-9]+(?:-[a-z0-9]+)*"
