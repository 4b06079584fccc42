"""Compile a spec and a profile into artifacts: pure functions from values to values."""
