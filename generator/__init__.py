"""Compiles typed HPC site specs into the files that ssh, systemd, launchd and Dagster read."""

__version__ = "0.1.0"
