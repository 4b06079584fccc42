"""Dagster assets whose payloads run on Slurm."""
