"""The key pair and its certificate: read, created if missing, and replaced only by a better one."""

import os
from collections.abc import Mapping
from pathlib import Path

from generator.clock import Deadline
from generator.errors import GenError, os_errors_named
from generator.files import KEY_LIMIT, read_regular
from generator.renewal import certificate_file, child_process
from generator.renewal.settings import Settings
from generator.ssh.certificate import Certificate, parse_certificate
from generator.ssh.keys import key_blob
from generator.workspace import writer

_INSTALL = "install the OpenSSH client"
_OLD_STAYS = "the old certificate stays"


def public_key(
    settings: Settings, work: Path, environment: Mapping[str, str], deadline: Deadline
) -> bytes:
    """Return the public key's line; a missing pair is created, and a missing public key derived.

    A public key alone stays alone: its private key is in an agent or on a token, and the CA signs
    the public one.
    """
    key = settings.key
    public = Path(f"{key}.pub")
    inherited = child_process.needed(environment)
    # lexists: a link to a disk that is not mounted is the user's key too.
    has_key, has_public = os.path.lexists(key), os.path.lexists(public)
    if has_key:
        with os_errors_named(key):
            read_regular(key, KEY_LIMIT)  # refuses a FIFO, for which ssh-keygen would wait
    elif not has_public:
        created = work / "new"
        # Without a passphrase: a timer could not type it.
        options = ("-q", "-t", "ed25519", "-N", "", "-C", settings.site, "-f", str(created))
        child_process.output(("ssh-keygen", *options), inherited, deadline, install=_INSTALL)
        with os_errors_named(key):
            writer.write_private(
                key, read_regular(created, KEY_LIMIT), 0o600, key.with_name(settings.scratch_name)
            )
    if not has_public:
        # -P "": a key with a passphrase fails at once, where ssh-keygen would ask for it.
        command = ("ssh-keygen", "-y", "-P", "", "-f", str(key))
        try:
            line = child_process.output(command, inherited, deadline, install=_INSTALL)
        except GenError:
            raise GenError(
                f"{public}: does not exist; create it with: ssh-keygen -y -f {key} > {public}"
            ) from None
        with os_errors_named(public):
            writer.replace(public, line.encode(), 0o644)
    with os_errors_named(public):
        return read_regular(public, KEY_LIMIT)


def check(
    path: Path,
    public_key_line: bytes,
    previous: Certificate | None,
    user: str | None,
    second: int,
    environment: Mapping[str, str],
) -> Certificate:
    """Return the new certificate, if it lets the user log in at least as well as the old one."""
    certificate = _verified(path, environment)
    # Each test here is for a certificate with which sshd would refuse the user.
    if certificate.public_key != key_blob(public_key_line):
        raise GenError(f"the new certificate is for another key; {_OLD_STAYS}")
    if not certificate.for_user:
        raise GenError(f"the new certificate is for a host, and not for a user; {_OLD_STAYS}")
    if not certificate.principals:
        raise GenError(f"the new certificate names no user (principal); {_OLD_STAYS}")
    if not certificate_file.is_usable(certificate, second):
        raise GenError(
            f"the new certificate is not valid at this machine's time; set its clock; {_OLD_STAYS}"
        )
    if (
        previous
        and previous.is_valid(second)
        and user in previous.principals
        and user not in certificate.principals
    ):
        raise GenError(
            f"the new certificate does not let {user} log in, as the old one does; {_OLD_STAYS}"
        )
    return certificate


def _verified(path: Path, environment: Mapping[str, str]) -> Certificate:
    """Read a certificate, and let ssh-keygen verify the signature of the CA.

    OpenSSH verifies it whenever it reads a certificate (sshkey.c, cert_parse).
    """
    try:
        certificate = parse_certificate(read_regular(path, KEY_LIMIT))
        child_process.output(
            ("ssh-keygen", "-L", "-f", str(path)),
            child_process.needed(environment),
            Deadline(10),
            install=_INSTALL,
        )
    except (OSError, ValueError, GenError):
        raise GenError(f"step returned no valid certificate; {_OLD_STAYS}") from None
    return certificate


def put_in_place(settings: Settings, path: Path) -> None:
    """Copy the new certificate to where ssh reads it; a failure leaves the old one."""
    content = read_regular(path, KEY_LIMIT)
    # 0644 as ssh-keygen writes a certificate: it is public.
    for target in (settings.certificate, settings.certificate_copy):
        if target:
            with os_errors_named(target):
                writer.write_private(
                    target, content, 0o644, target.with_name(settings.scratch_name)
                )
