"""The certificate of a site: read from its file, and judged by the site's settings.

`gen refresh --check` and `gen status` need no more than this, so it imports nothing that starts
programs or writes.
"""

from pathlib import Path

from generator.errors import GenError
from generator.files import KEY_LIMIT, read_regular
from generator.renewal.settings import Settings
from generator.schema.auth import CommandCertificateAuth
from generator.ssh.certificate import Certificate, parse_certificate

CLOCK_TOLERANCE = 300
"""Seconds that the CA's clock may be ahead of this machine's."""


_REMINDER = 6 * 3600  # seconds
_SHORTEST_REMINDER = 1800  # seconds


def read(path: Path) -> Certificate | None:
    """Return the certificate in a file, or ``None`` if there is none that can be read."""
    try:
        return parse_certificate(read_regular(path, KEY_LIMIT))
    # A FIFO or a huge file is not a certificate either.
    except (OSError, ValueError, GenError):
        return None


def is_due(certificate: Certificate | None, settings: Settings, second: int) -> bool:
    """Return whether a certificate is missing, expires soon, or starts in the future."""
    if not certificate:
        return True
    if starts_late(certificate, second):
        return True
    return second >= due_time(certificate, settings)


def is_usable(certificate: Certificate, second: int) -> bool:
    """Return whether a certificate is valid now, or is by a clock that is a little ahead.

    sshd judges it by its own clock. A CA that does not backdate its certificates is ahead of half
    of its users.
    """
    return second < certificate.valid_before and not starts_late(certificate, second)


def starts_late(certificate: Certificate, second: int) -> bool:
    """Return whether a certificate starts later than clocks usually differ."""
    return certificate.valid_after > second + CLOCK_TOLERANCE


def clock_notes(certificate: Certificate, second: int) -> list[str]:
    """Return a note for the user if the clock of this machine is behind that of the CA."""
    behind = certificate.valid_after - second
    if behind <= 0:
        return []
    return [f"this machine's clock is at least {behind} s behind that of the CA; set it"]


def reminder_time(certificate: Certificate) -> int:
    """Return the second from which ssh reminds a user who alone can renew a certificate.

    That is some hours before its end, so that it can be renewed at a desk; there is no time for
    that if a certificate lasts for an hour.
    """
    ahead = min(_REMINDER, (certificate.end - certificate.valid_after) // 4)
    if ahead < _SHORTEST_REMINDER:
        return certificate.end
    return certificate.end - ahead


def due_time(certificate: Certificate, settings: Settings) -> int:
    """Return the second from which a certificate is due."""
    auth = settings.auth
    # Such a certificate lasts for seconds. Half of its lifetime would be over before the
    # connection.
    each_connection = isinstance(auth, CommandCertificateAuth) and auth.each_connection
    return certificate.due(settings.skew, clamped=not each_connection)
