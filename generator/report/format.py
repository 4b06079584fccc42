"""The formats of a report, by name; this module is all that the command line needs of them."""

from enum import StrEnum


class Format(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    SARIF = "sarif"
    RDJSONL = "rdjsonl"
