"""The resources that assets name: `compute`, `compute_ray`, `compute_spark`, and the IO manager `site_files`."""

import dagster as dg

from ..wiring import wiring


@dg.definitions
def resources() -> dg.Definitions:
    """Return the resources for DAGSTER_DEPLOYMENT and the site."""
    return wiring()
