"""The key and the certificate that a person logs in with, as they lie on this machine."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from generator.compiler.account import Account
from generator.compiler.first_steps import first_login
from generator.probe.finding import Finding, Kind
from generator.schema.auth import Auth, CommandCertificateAuth
from generator.ssh.certificate import NEVER, Certificate, parse_certificate


def problems(account: Account, auth: Auth, now: int) -> Iterator[Finding]:
    """Yield what keeps ssh from using key and certificate; what lives in an agent is for ssh to find."""
    key = account.key(auth)
    if key is None or (isinstance(auth, CommandCertificateAuth) and auth.each_connection):
        return
    certificate = account.certificate(auth)
    todo = (
        f"gen refresh {account.site.site}"
        if certificate
        else first_login(account).make_key or "get the key"
    )
    path = Path(key).expanduser()
    if not (
        path.exists() or Path(f"{path}.pub").exists()
    ):  # a public key alone says which one of the agent's
        yield Finding(Kind.KEY, "auth.key", key, "is not on this machine", todo)
    elif certificate and (problem := _problem(Path(certificate).expanduser(), now)):
        yield Finding(Kind.CERTIFICATE, "auth.key", certificate, problem, todo)


def _problem(path: Path, now: int) -> str | None:
    try:
        certificate = parse_certificate(path.read_bytes())
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except ValueError as error:
        return str(error)
    return None if certificate.is_valid(now) else _lapsed(certificate, now)


def _lapsed(certificate: Certificate, now: int) -> str:
    early = now < certificate.valid_after
    moment = datetime.fromtimestamp(
        min(certificate.valid_after if early else certificate.valid_before, NEVER), UTC
    )
    return f"{'is not valid before' if early else 'ended on'} {moment:%Y-%m-%d %H:%M} UTC"
