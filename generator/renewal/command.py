"""A centre's own command for a certificate.

Such a command writes its files in place. gen restores a certificate that was better.
"""

from pathlib import Path

from generator import programs
from generator.clock import now
from generator.errors import GenError
from generator.files import KEY_LIMIT, read_regular
from generator.formatting import clock
from generator.renewal import certificate_file, child_process
from generator.renewal.context import Run
from generator.renewal.settings import Settings
from generator.schema.auth import CommandCertificateAuth
from generator.ssh.certificate import Certificate
from generator.ssh.keys import key_blob
from generator.workspace import writer


class FailedError(GenError):
    """The command did not run or failed, so the centre issued no certificate."""


def renew(run: Run, auth: CommandCertificateAuth) -> Certificate:
    """Run the command, and return the certificate that it got.

    After a failure, a certificate that was valid before is restored, and with it the key.
    """
    settings = run.settings
    files = _Files(settings, auth)
    previous = certificate_file.read(settings.certificate)
    try:
        try:
            _run(run, auth)
        # gen stopped the command, so the centre may have issued a certificate.
        except programs.StoppedError:
            raise
        except GenError as error:
            # A command may fail after it has got a certificate: at a later step of its own.
            if _has_new_certificate(settings, files):
                raise
            raise FailedError(str(error)) from None
        return _checked(settings, auth, files)
    # Also after Ctrl-C: the command may have been stopped while it wrote.
    except BaseException:
        if previous and previous.is_valid(now()) and not _has_new_certificate(settings, files):
            files.restore()
        raise


class _Files:
    """The certificate, and the key pair if the command writes that too, as they were before."""

    def __init__(self, settings: Settings, auth: CommandCertificateAuth) -> None:
        self.scratch_name = settings.scratch_name
        self.contents: dict[Path, tuple[bytes, int]] = {}
        paths = [settings.certificate]
        # A certificate without its key opens nothing.
        if auth.makes_key:
            paths += [settings.key, Path(f"{settings.key}.pub")]
        for path in paths:
            if path.is_file():
                self.contents[path] = (read_regular(path, KEY_LIMIT), path.stat().st_mode & 0o777)

    def is_unchanged(self, path: Path) -> bool:
        """Return whether a file has the content that it had before."""
        return path in self.contents and _content(path) == self.contents[path][0]

    def restore(self) -> None:
        """Write back every file that has changed."""
        for path, (content, mode) in self.contents.items():
            if _content(path) != content:
                writer.replace(path, content, mode, path.with_name(self.scratch_name))


def _checked(settings: Settings, auth: CommandCertificateAuth, files: _Files) -> Certificate:
    """Return the certificate that the command left, if it is a new one that the user can use."""
    program = auth.command[0]
    path = settings.certificate
    renewed = certificate_file.read(path)
    # The time after the command: a user may have taken minutes, and the CA may not backdate.
    second = now()
    if not renewed or renewed.valid_before <= second or not _is_for_key(renewed, settings):
        raise GenError(f"{program} left no valid certificate for {settings.key} at {path}")
    if certificate_file.starts_late(renewed, second):
        raise GenError(
            f"{program} left a certificate that is not valid before {clock(renewed.valid_after)}; "
            "set the clock of this machine"
        )
    # A command may succeed and leave the previous certificate, which is due.
    if files.is_unchanged(path):
        raise GenError(f"{program} did not renew the certificate")
    return renewed


def _has_new_certificate(settings: Settings, files: _Files) -> bool:
    path = settings.certificate
    renewed = certificate_file.read(path)
    if not renewed or files.is_unchanged(path):
        return False
    return certificate_file.is_usable(renewed, now()) and _is_for_key(renewed, settings)


def _is_for_key(renewed: Certificate, settings: Settings) -> bool:
    try:
        return renewed.public_key == key_blob(_content(Path(f"{settings.key}.pub")) or b"")
    except ValueError:
        return True  # only the private key exists, and the command knows it


def _content(path: Path) -> bytes | None:
    """Return the content of a key or certificate, ``None`` for anything else in its place."""
    try:
        return read_regular(path, KEY_LIMIT)
    except (OSError, GenError):
        return None


def _run(run: Run, auth: CommandCertificateAuth) -> None:
    program = auth.command[0]
    environment = dict(run.environment)
    secrets = []
    if auth.secret:
        secret = run.sources.named(auth.secret)
        if secret:
            environment[auth.secret] = secret.reveal()
            secrets.append(secret)
    install = f"{run.settings.docs or 'the documentation of the site'} says where it comes from"
    if not auth.asks:
        child_process.output(
            auth.command, environment, run.deadline, install=install, secrets=secrets
        )
        return
    status = child_process.run_in_terminal(auth.command, environment, install=install)
    if status:
        raise GenError(f"{program} ended with status {status}; the old certificate stays")
