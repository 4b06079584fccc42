"""A partitioned asset that uses a GPU where there is one."""

import dagster as dg

from ..compute import PAYLOADS, Compute, pool

SIZES = dg.StaticPartitionsDefinition(["32", "64", "128"])


@dg.asset(group_name="examples", kinds={"python", "slurm"}, partitions_def=SIZES, pool=pool())
def matrices(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult[None]:
    """The time of a product of two square matrices. Each partition is a size, and a job of its own."""
    return compute.run(
        context=context,
        payload_path=str(PAYLOADS / "matrices.py"),
        extra_env={"SIZE": context.partition_key},
        request="gpu" if compute.offers("gpu") else "default",
        walltime="00:05:00",
    ).get_materialize_result()
