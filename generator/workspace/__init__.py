"""A directory of generated files: its lock, the comparison with the compiled spec, and the safe write."""
