"""The pages of the documentation site that are generated from the specs: functions from a site to Markdown."""
