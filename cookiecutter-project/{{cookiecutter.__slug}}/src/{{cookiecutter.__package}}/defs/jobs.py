"""Jobs, a schedule, and a check of the result."""

import dagster as dg

from .complexity import complexity
from .corpus import corpus

library = dg.define_asset_job("library", selection=[corpus, complexity])

# The same assets with another configuration: Ray on two nodes. The launchpad of the UI takes such values too.
library_on_two_nodes = dg.define_asset_job(
    "library_on_two_nodes",
    selection=[corpus, complexity],
    config={"ops": {"complexity": {"config": {"nodes": 2, "walltime": "00:20:00"}}}},
)

# A new schedule is off: turn it on in the UI. It runs where `dagster-daemon` or `dg dev` runs.
weekly = dg.ScheduleDefinition(name="weekly", job=library, cron_schedule="0 6 * * 1")


@dg.asset_check(asset=corpus)
def has_modules(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """The table of the corpus is not empty."""
    event = context.instance.get_latest_materialization_event(corpus.key)
    metadata = event.asset_materialization.metadata if event and event.asset_materialization else {}
    modules = metadata["modules"].value if "modules" in metadata else 0
    return dg.AssetCheckResult(passed=bool(modules), metadata={"modules": modules})
