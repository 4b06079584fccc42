"""Generate pages of the documentation site: functions from a site to Markdown."""
