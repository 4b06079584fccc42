# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""Runs whose process died. Dagster starts them again, and then they adopt their jobs, which went on."""

import json

import dagster as dg

from .heartbeat import TAG

TICKS = 4
"""How often the sensor sees the same heartbeat of a run, which changes every 30 seconds, until it takes it for dead."""


# dagster-slurm has such a sensor too. It also fails a run whose job has just ended and that still collects its results,
# and it starts a second run beside the one that Dagster's retries start.
@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def orphans(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Fail each run whose process died, so that `run_retries` of dagster.yaml starts it again."""
    seen = json.loads(context.cursor or "{}")
    silent: dict[str, tuple[str, int]] = {}
    failed = 0
    for run in context.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        heartbeat = run.tags.get(TAG)
        if not heartbeat:
            continue
        # Ticks are counted, and not seconds: a computer that was suspended has no dead runs.
        before, ticks = seen.get(run.run_id, ("", 0))
        ticks = ticks + 1 if heartbeat == before else 1
        if ticks < TICKS:
            silent[run.run_id] = (heartbeat, ticks)
            continue
        # The run that Dagster starts inherits the tags of this one.
        context.instance.add_run_tags(run.run_id, {TAG: ""})
        context.instance.report_run_failed(run, "the process of the run died; its job at the site is not affected")
        failed += 1
    context.update_cursor(json.dumps(silent))
    return dg.SkipReason(f"{failed} dead runs")
