"""One command a module: a plain function that returns an exit status."""
