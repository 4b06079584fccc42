"""Compile a spec and a profile into artifacts. Every function here maps values to values."""
