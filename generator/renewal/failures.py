"""The failures of a renewal that its callers distinguish."""

from generator.errors import GenError


class NoCertificateError(GenError):
    """The site does not use certificates."""


class PersonNeededError(GenError):
    """Only the user can renew the certificate, which needs a terminal."""


class UnreachableError(GenError):
    """A server did not answer, or asked to try again later."""

    def __init__(self, message: str, pause: int = 0) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the server asked to wait."""
