"""Dagster loads every module of this package: assets, jobs, schedules, sensors."""
