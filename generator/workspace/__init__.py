"""A directory of generated files: its lock, its drift from the spec, and safe writes."""
