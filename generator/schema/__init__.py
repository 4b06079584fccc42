"""What a site is: strict frozen models, split by subject."""
