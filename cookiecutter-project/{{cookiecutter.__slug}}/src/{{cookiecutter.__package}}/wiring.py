# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""Everything that this project gives to Dagster beside the assets."""

import dagster as dg

from .compute import resources
from .orphans import orphans
from .site_files import SiteFiles


def wiring() -> dg.Definitions:
    """Return a resource for each launcher, the IO manager, and at a site the sensor for runs whose process died.

    Raises:
        ValueError: names everything that is missing.
    """
    launchers = resources()
    at_a_site = any(compute.slurm for compute in launchers.values())
    files = SiteFiles(compute=launchers["compute"])
    return dg.Definitions(resources=launchers | {"site_files": files}, sensors=[orphans] if at_a_site else [])
