"""One artifact kind a module; each has `emit(account)`, which yields nothing where the site has no need of it."""
