"""A centre's own command for a certificate: it writes in place, so what it makes worse is put back."""

from collections.abc import Mapping
from pathlib import Path

from generator.errors import GenError
from generator.renewal import process
from generator.renewal.credentials import Sources
from generator.renewal.deadline import Deadline
from generator.renewal.key_files import certificate
from generator.renewal.settings import Command, Settings
from generator.ssh.certificate import Certificate
from generator.ssh.keys import key_blob
from generator.workspace import writer


class FailedError(GenError):
    """The command could not be run, or says that it failed: no certificate was issued."""


def run(
    settings: Settings,
    command: Command,
    sources: Sources,
    environment: Mapping[str, str],
    deadline: Deadline,
    now: int,
) -> Certificate:
    """Run the command, seen by a person where it asks something, and return the certificate that it got.

    Raises:
        GenError: it failed, or what it left is no better; then what was there before still is.
    """
    places = [
        settings.certificate,
        *([settings.key, Path(f"{settings.key}.pub")] if command.makes_key else []),
    ]
    before = {
        place: (place.read_bytes(), place.stat().st_mode & 0o777)
        for place in places
        if place.is_file()
    }
    old = certificate(settings.certificate)
    try:
        try:
            _run(command, sources, environment, deadline)
        except GenError as error:
            raise FailedError(str(error)) from None
        new = certificate(settings.certificate)
        if not new or not new.is_valid(now) or not _fits(new, settings):
            raise GenError(
                f"{command.words[0]} left no valid certificate for {settings.key} at {settings.certificate}"
            )
        if old and new.valid_before <= old.valid_before:
            raise GenError(f"{command.words[0]} left the certificate as it was")
    except BaseException:
        if old and old.is_valid(now):
            for place, (content, mode) in before.items():
                if not place.is_file() or place.read_bytes() != content:
                    writer.replace(place, content, mode, place.with_name(settings.scratch))
        raise
    return new


def _fits(new: Certificate, settings: Settings) -> bool:
    try:
        return new.public_key == key_blob(Path(f"{settings.key}.pub").read_bytes())
    except (OSError, ValueError):
        return True  # only the private key is there, which the command knows better


def _run(
    command: Command, sources: Sources, environment: Mapping[str, str], deadline: Deadline
) -> None:
    secret = sources.named(command.secret) if command.secret else None
    given = {command.secret: secret.reveal()} if secret and command.secret else {}
    documentation = command.docs or "the site's documentation"
    words = [
        process.program(command.words[0], f"{documentation} says where it is from"),
        *command.words[1:],
    ]
    if command.asks:
        status = process.shown(words, {**environment, **given})
        if status:
            raise GenError(
                f"{command.words[0]} ended with status {status}; the certificate is as it was"
            )
    else:
        process.output(words, {**environment, **given}, deadline, [secret] if secret else [])
