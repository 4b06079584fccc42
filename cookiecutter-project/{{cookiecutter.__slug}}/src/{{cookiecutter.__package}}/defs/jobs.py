"""A job and its schedule."""

import dagster as dg

library = dg.define_asset_job("library", selection=dg.AssetSelection.tag("job", "library"))

# A new schedule is off: turn it on in the UI. It runs where `dagster-daemon` or `dg dev` runs.
weekly = dg.ScheduleDefinition(name="weekly", job=library, cron_schedule="0 6 * * 1")
