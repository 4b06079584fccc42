"""A payload that Ray spreads over the nodes of its job."""

import dagster as dg

from ..compute import PAYLOADS, Compute
from .corpus import corpus


@dg.asset(
    deps=[corpus],
    group_name="standard_library",
    kinds={"ray", "slurm"},
    # A node that fails or a job that gives way to another is worth a second try; a fault of the payload is not cured.
    retry_policy=dg.RetryPolicy(max_retries=1, delay=60),
)
def complexity(context: dg.AssetExecutionContext, compute_ray: Compute) -> dg.MaterializeResult:
    """How many ways lead through each function of the standard library (McCabe's number)."""
    return compute_ray.run(
        context=context,
        payload_path=str(PAYLOADS / "complexity.py"),
        extra_env={"DATA_DIR": compute_ray.data_dir},
    ).get_materialize_result()
