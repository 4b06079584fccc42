"""A payload in plain Python."""

import dagster as dg

from ..compute import PAYLOADS, Compute


@dg.asset(group_name="standard_library", kinds={"python", "slurm"})
def corpus(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
    """The modules of Python's standard library with their sizes: data that exists on every machine."""
    return compute.run(
        context=context,
        payload_path=str(PAYLOADS / "corpus.py"),
        extra_env={"DATA_DIR": compute.data_dir},
        # Options that differ from the site's queue. Others are: partition, qos, account, reservation, nodes,
        # gpus_per_node, mem, mem_per_cpu, signal_before_timeout.
        extra_slurm_opts={"time_limit": "00:05:00", "cpus_per_task": 1},
    ).get_materialize_result()
