"""A payload in plain Python."""

import dagster as dg

from ..compute import PAYLOADS, Compute, pool


@dg.asset(group_name="standard_library", kinds={"python", "slurm"}, pool=pool())
def corpus(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult[None]:
    """The modules of Python's standard library with their sizes: data that exists on every machine."""
    return compute.run(
        context=context,
        payload_path=str(PAYLOADS / "corpus.py"),
        extra_env={"DATA_DIR": compute.data_dir},
        # The purpose `default` of the site, with less time and one CPU.
        cpus=1,
        walltime="00:05:00",
    ).get_materialize_result()
