"""A centre's own command for a certificate.

Such a command writes its files in place. gen restores a certificate that was better.
"""

import os
import shutil
from pathlib import Path

from generator import programs
from generator.clock import now
from generator.errors import GenError, os_errors_named
from generator.files import KEY_LIMIT, read_regular
from generator.formatting import clock, home
from generator.loading.inputs import profile_name
from generator.renewal import certificate_file, child_process
from generator.renewal.context import Run
from generator.renewal.settings import Settings
from generator.schema.auth import CommandCertificateAuth
from generator.ssh.certificate import Certificate
from generator.ssh.keys import key_blob
from generator.workspace import writer

_INTERPRETERS = {"python", "python3", "sh", "bash", "perl"}


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
    program = _program(auth)
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
    directory = _directory(run)
    _check_script(run, auth, directory)
    environment = dict(run.environment)
    if run.settings.command_directory:
        # A script that a centre offers for download is rarely on the PATH.
        environment["PATH"] = f"{directory}{os.pathsep}{environment.get('PATH', os.defpath)}"
    secrets = []
    if auth.secret:
        secret = run.sources.named(auth.secret)
        if secret:
            environment[auth.secret] = secret.reveal()
            secrets.append(secret)
    # First, so that a user does not choose a passphrase only to read that the command is missing.
    if shutil.which(auth.command[0], path=environment.get("PATH")):
        _make_key_pair(run, auth)
    install = _install(run, auth)
    if not auth.asks:
        child_process.output(
            auth.command,
            environment,
            run.deadline,
            install=install,
            secrets=secrets,
            directory=directory,
        )
        return
    status = child_process.run_in_terminal(
        auth.command, environment, install=install, directory=directory
    )
    if status:
        program = _program(auth)
        raise GenError(f"{program} ended with status {status}; the old certificate stays")


def _directory(run: Run) -> Path:
    """Return where the command runs: never where gen was started, which may be anybody's."""
    directory = run.settings.command_directory
    if directory is None:
        return Path.home()
    if not directory.is_dir():
        raise GenError(
            f"{directory}: is not a directory; fix command_directory in {profile_name()}"
        )
    return directory


def _check_script(run: Run, auth: CommandCertificateAuth, directory: Path) -> None:
    """Refuse a script that is missing: the interpreter would only report that it found none."""
    script = _script(auth)
    if script and not (directory / script).is_file():
        site = run.settings.site
        raise GenError(
            f"{directory}: has no {script}; {_install(run, auth)}. "
            f"If it is elsewhere, set sites.{site}.command_directory in {profile_name()}"
        )


def _script(auth: CommandCertificateAuth) -> str | None:
    """Return the script that the command gives to an interpreter, as in `python3 get.py`."""
    program, *arguments = auth.command
    is_interpreter = Path(program).name in _INTERPRETERS
    if is_interpreter and arguments and Path(arguments[0]).suffix:
        return arguments[0]
    return None


def _program(auth: CommandCertificateAuth) -> str:
    return _script(auth) or auth.command[0]


def _install(run: Run, auth: CommandCertificateAuth) -> str:
    """Return where the command comes from, for the message that it is missing."""
    if auth.install:
        return f"to get it: {auth.install}"
    return f"{run.settings.docs or 'the documentation of the site'} says where it comes from"


def _make_key_pair(run: Run, auth: CommandCertificateAuth) -> None:
    """Make the key pair that the command needs, unless it makes one itself.

    A public key alone belongs to a private key in an agent or on a token.
    """
    key = run.settings.key
    # sshproxy.sh, for example, makes files there, and fails without the directory.
    with os_errors_named(key):
        writer.make_private_directories([key.parent])
    if auth.makes_key or key.exists() or Path(f"{key}.pub").exists():
        return
    command = ["ssh-keygen", "-t", "ed25519", "-C", run.settings.site, "-f", str(key)]
    install = "install the OpenSSH client"
    if not auth.asks:
        # Without a passphrase: a timer could not type it.
        command += ["-q", "-N", ""]
        child_process.output(
            command, child_process.needed(run.environment), run.deadline, install=install
        )
        return
    status = child_process.run_in_terminal(command, run.environment, install=install)
    if status:
        raise GenError(
            f"ssh-keygen made no key pair (status {status}); make it with: "
            f"ssh-keygen -t ed25519 -f {home(key)}"
        )
