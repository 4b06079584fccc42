"""A directory of generated files: its lock, the comparison with what the spec compiles to, and the safe write."""
