"""Review changed specs: the meaning of each change between two revisions."""
