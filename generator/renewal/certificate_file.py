"""The certificate of a site: read from its file, and judged by the site's settings.

`gen refresh --check` and `gen status` need no more than this, so it imports nothing that starts
programs or writes.
"""

from pathlib import Path

from generator.errors import GenError
from generator.files import read_regular
from generator.renewal.settings import Settings
from generator.schema.auth import CommandCertificateAuth
from generator.ssh.certificate import Certificate, parse_certificate

_CLOCK_TOLERANCE = 300  # seconds that the CA's clock may be ahead of this machine's


def read(path: Path) -> Certificate | None:
    """Return the certificate in a file, or ``None`` if there is none that can be read."""
    try:
        return parse_certificate(read_regular(path))
    except (OSError, ValueError, GenError):
        return None


def is_due(certificate: Certificate | None, settings: Settings, second: int) -> bool:
    """Return whether a certificate is missing, expires soon, or starts in the future."""
    if not certificate:
        return True
    if certificate.valid_after > second + _CLOCK_TOLERANCE:
        return True
    return second >= due_time(certificate, settings)


def due_time(certificate: Certificate, settings: Settings) -> int:
    """Return the second from which a certificate is due."""
    auth = settings.auth
    # Such a certificate lasts for seconds. Half of its lifetime would be over before the
    # connection.
    each_connection = isinstance(auth, CommandCertificateAuth) and auth.each_connection
    return certificate.due(settings.skew, clamped=not each_connection)
