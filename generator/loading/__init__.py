"""Find specs, read YAML, apply overrides, and validate: from files to typed models."""
