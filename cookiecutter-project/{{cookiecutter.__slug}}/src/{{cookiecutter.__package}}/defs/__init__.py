"""Every module of this folder is loaded: assets, jobs, schedules, sensors."""
