"""The result of a run of `gen refresh`."""

from dataclasses import dataclass

from generator.ssh.certificate import Certificate


@dataclass(frozen=True)
class RefreshResult:
    """The actions of a run, and the certificate that is in place after it."""

    renewed: bool
    rotated: bool
    certificate: Certificate | None
    notes: tuple[str, ...] = ()
    reminder: str | None = None
    """A line for a user who connects, and who alone can renew the certificate."""
