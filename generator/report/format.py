"""The names of the report formats and of the verdicts.

The command line imports only this module to offer them.
"""

from enum import StrEnum


class Format(StrEnum):
    """The format in which a report is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    SARIF = "sarif"
    RDJSONL = "rdjsonl"
    CODEQUALITY = "codequality"


class FailOn(StrEnum):
    """The lightest change that fails a review."""

    TRUST = "trust"
    ACCESS = "access"
    ANY = "any"
