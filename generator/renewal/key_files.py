"""The key pair and its certificate: read, made where there is none, and replaced only by what is better."""

from collections.abc import Mapping
from pathlib import Path

from generator.errors import GenError, os_errors_named
from generator.renewal import process
from generator.renewal.deadline import Deadline
from generator.renewal.settings import Settings
from generator.ssh.certificate import Certificate, parse_certificate
from generator.ssh.keys import key_blob
from generator.workspace import writer

_SSH = "install OpenSSH's client"
_KEPT = "the old one stays"


def certificate(path: Path) -> Certificate | None:
    """Return the certificate in a file; ``None`` where there is none, or something else."""
    try:
        return parse_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def public_key(
    settings: Settings, work: Path, environment: Mapping[str, str], deadline: Deadline
) -> bytes:
    """Return the public key as a line; the pair is made where there is no private key.

    Raises:
        GenError: it cannot be read or made.
    """
    key, beside = settings.key, Path(f"{settings.key}.pub")
    ours = process.needed(environment)
    with os_errors_named(key):
        there = key.exists()
    generator = process.program("ssh-keygen", _SSH)
    if not there:
        new = work / "new"
        process.output(
            [generator, "-q", "-t", "ed25519", "-N", "", "-C", settings.site, "-f", str(new)],
            ours,
            deadline,
        )
        with os_errors_named(key):
            writer.private(key, new.read_bytes(), 0o600, key.with_name(settings.scratch))
    if not there or not beside.exists():
        try:
            line = process.output([generator, "-y", "-P", "", "-f", str(key)], ours, deadline)
        except GenError:
            raise GenError(
                f"{beside}: is not there; ssh-keygen -y -f {key} > {beside} makes it"
            ) from None
        with os_errors_named(beside):
            writer.replace(beside, line.encode(), 0o644)
    with os_errors_named(beside):
        return beside.read_bytes()


def check(
    new: Path,
    line: bytes,
    old: Certificate | None,
    user: str | None,
    now: int,
    environment: Mapping[str, str],
) -> Certificate:
    """Return the new certificate, if it lets the person in at least as well as the old one.

    Raises:
        GenError: it is for another key, not valid now, lets nobody in, or is not what ssh takes for a certificate.
    """
    try:
        found = parse_certificate(new.read_bytes())
        fits = found.public_key == key_blob(line)
        # OpenSSH verifies the CA's signature when it reads one.
        keygen = process.program("ssh-keygen", _SSH)
        process.output([keygen, "-L", "-f", str(new)], process.needed(environment), Deadline(10))
    except (OSError, ValueError, GenError) as error:
        raise GenError(
            f"what came {error if isinstance(error, ValueError) else 'is not a certificate'}; {_KEPT}"
        ) from None
    if not fits:
        raise GenError(f"the new certificate is for another key; {_KEPT}")
    if not found.for_user or not found.principals:
        raise GenError(f"the new certificate lets nobody in; {_KEPT}")
    if not found.is_valid(now):
        raise GenError(
            f"the new certificate is not valid at the time of this machine; set its clock; {_KEPT}"
        )
    if old and old.is_valid(now) and user in old.principals and user not in found.principals:
        raise GenError(f"the new certificate does not let {user} in, as the old one does; {_KEPT}")
    return found


def place(settings: Settings, new: Path) -> None:
    """Put the new certificate where ssh looks, as a whole.

    Raises:
        GenError: it cannot be written; the old one stays.
    """
    content = new.read_bytes()
    for path in filter(None, (settings.certificate, settings.copy)):
        with os_errors_named(path):
            writer.private(path, content, 0o644, path.with_name(settings.scratch))
