"""The pages of the documentation site that are made from the specs: pure functions from a site to Markdown."""
