"""A payload that Ray distributes over the nodes of its job."""

import dagster as dg

from ..compute import PAYLOADS, Compute
from .corpus import corpus


@dg.asset(
    deps=[corpus],
    group_name="standard_library",
    kinds={"ray", "slurm"},
)
def complexity(context: dg.AssetExecutionContext, compute_ray: Compute) -> dg.MaterializeResult[None]:
    """The cyclomatic complexity of each function of the standard library (McCabe)."""
    return compute_ray.run(
        context=context,
        payload_path=str(PAYLOADS / "complexity.py"),
        extra_env={"DATA_DIR": compute_ray.data_dir},
    ).get_materialize_result()
