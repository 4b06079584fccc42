"""Check the key and the certificate that the user logs in with, as they are on this machine."""

from collections.abc import Iterator
from pathlib import Path

from generator.compiler.account import Account
from generator.compiler.first_steps import first_login
from generator.errors import os_errors_named, reason
from generator.files import KEY_LIMIT, read_regular
from generator.formatting import clock
from generator.probe.finding import Kind, ProbeFinding
from generator.schema.auth import Auth, CommandCertificateAuth
from generator.ssh.certificate import NEVER, Certificate, parse_certificate

_KEY = "auth.key"


def credential_findings(
    account: Account, auth: Auth, site_arguments: str, now: int
) -> Iterator[ProbeFinding]:
    """Yield what prevents ssh from using the key and the certificate, unless an agent has them.

    `site_arguments` name the site on a command line: by its path, if it is not installed.
    """
    key = account.key(auth)
    if key is None or (isinstance(auth, CommandCertificateAuth) and auth.each_connection):
        return
    certificate = account.certificate(auth)
    action = first_login(account).make_key or "get the key"
    if certificate:
        action = f"gen refresh {site_arguments}"
    path = Path(key).expanduser()
    if not _has_key(path):
        yield ProbeFinding(Kind.KEY, _KEY, key, "is not on this machine", action)
    elif certificate:
        problem = _certificate_problem(Path(certificate).expanduser(), now)
        if problem:
            yield ProbeFinding(Kind.CERTIFICATE, _KEY, certificate, problem, action)


def _has_key(path: Path) -> bool:
    # With a public key alone, ssh uses that key of the agent (ssh_config(5), IdentityFile).
    with os_errors_named(path):
        return path.exists() or path.with_name(f"{path.name}.pub").exists()


def _certificate_problem(path: Path, now: int) -> str | None:
    try:
        certificate = parse_certificate(read_regular(path, KEY_LIMIT))
    except OSError as error:
        return reason(error)
    except ValueError as error:
        return str(error)
    return _invalidity(certificate, now)


def _invalidity(certificate: Certificate, now: int) -> str | None:
    if certificate.is_valid(now):
        return None
    if now < certificate.valid_after:
        # A certificate may begin after the year 9999, which no calendar can print.
        return f"is not valid before {clock(min(certificate.valid_after, NEVER))}"
    return f"has expired on {clock(certificate.end)}"
