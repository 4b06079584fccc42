"""The models of `.gen/accepted.yaml`.

They are apart from `accepted_drift`, since to define models takes time, and few directories
have such a file.
"""

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field, model_validator

from generator.schema.base import Day, Model
from generator.schema.text_types import Text
from generator.workspace.drift import Cause

MOST_DAYS = 180
"""gen accepts drift for so many days at most."""


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

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the file as it was accepted; an entry for a missing file has none."""

    @model_validator(mode="after")
    def _has_digest(self) -> "AcceptedEntry":
        # Without it, an entry would silence whatever the file becomes later.
        if self.sha256 is None and self.cause is not Cause.MISSING:
            command = f"gen accept {self.path} --until {self.until} --reason TEXT"
            raise ValueError(f"has no sha256 of the file; delete it, then run: {command}")
        return self

    def ends_too_late(self, today: date) -> bool:
        """Return whether an acceptance would last longer than a team can keep in mind."""
        return self.until > today + timedelta(days=MOST_DAYS)

    def covers(self, today: date) -> bool:
        """Return whether the acceptance has not expired."""
        return today <= self.until and not self.ends_too_late(today)


class AcceptedFile(Model):
    """The content of `.gen/accepted.yaml`."""

    accepted: tuple[AcceptedEntry, ...] = ()
