"""A payload in plain Python, and a check of its result."""

import dagster as dg

from ..compute import PAYLOADS, Compute, pool


@dg.asset(group_name="examples", kinds={"python", "slurm"}, tags={"job": "library"}, pool=pool())
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


@dg.asset_check(asset=corpus)
def has_modules(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """The table of the corpus is not empty."""
    event = context.instance.get_latest_materialization_event(corpus.key)
    metadata = event.asset_materialization.metadata if event and event.asset_materialization else {}
    modules = metadata["modules"].value if "modules" in metadata else 0
    return dg.AssetCheckResult(passed=bool(modules), metadata={"modules": modules})
