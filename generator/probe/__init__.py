"""Ask a site about itself, without changing anything there, and compare it with its spec."""
