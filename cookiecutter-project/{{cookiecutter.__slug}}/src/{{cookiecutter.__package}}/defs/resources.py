"""The resources that assets name as parameters: `compute`, `compute_ray`, `compute_spark`."""

import dagster as dg

from ..compute import resources


@dg.definitions
def compute() -> dg.Definitions:
    """Return a resource for each launcher, for DAGSTER_DEPLOYMENT and the site."""
    return dg.Definitions(resources=resources())
