"""A payload that Ray distributes over the nodes of its job."""

import dagster as dg

from ..compute import PAYLOADS, Compute, pool
from .corpus import corpus


class Size(dg.Config):
    """The size of the Ray cluster: what a job or the launchpad of the UI may change."""

    nodes: int = 1
    walltime: str = "00:10:00"


@dg.asset(
    deps=[corpus],
    group_name="examples",
    kinds={"ray", "slurm"},
    tags={"job": "library"},
    pool=pool(),
)
def complexity(context: dg.AssetExecutionContext, config: Size, compute_ray: Compute) -> dg.MaterializeResult[None]:
    """The cyclomatic complexity of each function of the standard library (McCabe)."""
    return compute_ray.run(
        context=context,
        payload_path=str(PAYLOADS / "complexity.py"),
        extra_env={"DATA_DIR": compute_ray.data_dir},
        nodes=config.nodes,
        walltime=config.walltime,
    ).get_materialize_result()


# A job with its own configuration. The launchpad of the UI takes such values too.
on_two_nodes = dg.define_asset_job(
    "library_on_two_nodes",
    selection=dg.AssetSelection.tag("job", "library"),
    config={"ops": {"complexity": {"config": {"nodes": 2, "walltime": "00:20:00"}}}},
)
