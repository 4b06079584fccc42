"""The function that renders each format."""

from importlib import import_module

from generator.report.finding import Report
from generator.report.format import Format


def rendered(report: Report, form: Format) -> str:
    """Return a report in one of the formats."""
    # Each format is a module of its name. Only that one is imported: `gen check` mostly prints
    # text, and the others take as long as a comparison.
    text: str = import_module(f"generator.report.{form}").render(report)
    return text
