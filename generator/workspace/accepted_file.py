"""The models of `.gen/accepted.yaml`.

They are apart from `accepted_drift`, since to define models takes time, and few directories
have such a file.
"""

from datetime import date
from typing import Annotated

from pydantic import Field

from generator.schema.base import Day, Model
from generator.schema.text_types import Text
from generator.workspace.drift import Cause


class AcceptedEntry(Model):
    """One file that may differ for one cause."""

    path: Text
    """The file, relative to the directory that is checked."""
    # pydantic's strict mode takes only a member of an enumeration, and a document has its text.
    cause: Annotated[Cause, Field(strict=False)]
    """Why it differs: edited, stale, missing, orphaned, mode."""
    reason: Text
    """Why the team accepts that."""
    until: Day
    """The last day of the acceptance (YYYY-MM-DD)."""

    def covers(self, today: date) -> bool:
        """Return whether the acceptance has not expired."""
        return today <= self.until


class AcceptedFile(Model):
    """The content of `.gen/accepted.yaml`."""

    accepted: tuple[AcceptedEntry, ...] = ()
