"""The failures of a renewal that its callers distinguish."""

from generator.errors import GenError


class NoCertificateError(GenError):
    """The site does not use certificates."""


class PersonNeededError(GenError):
    """Only the user can renew the certificate, which needs a terminal."""


class PassingError(GenError):
    """A failure that may pass without the user: of the network, or of a server.

    A run for the timer tries again soon after it.
    """


class UnreachableError(PassingError):
    """The provider did not answer, or asked to try again later."""

    def __init__(self, message: str, pause: int = 0) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the server asked to wait."""
