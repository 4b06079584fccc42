"""The sources of secrets, and the file in which rotation stores them.

gen asks the credentials file first, since rotation keeps it current and a secret elsewhere may
have expired; then systemd's credentials, the environment, and the keyring of the operating system.
The file has the format of dagster-slurm (`auth/authentik.py`): a JSON value behind each `NAME=`,
`null` for an unknown one, and the same names at every site.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from generator import codec
from generator.errors import GenError, os_errors_named
from generator.files import open_regular, read_regular, refuse_others
from generator.renewal.secret import Secret
from generator.workspace import writer

APP_PASSWORD = "OIDC_APP_PASSWORD"  # noqa: S105 - the name of a variable
API_TOKEN = "AUTHENTIK_API_TOKEN"  # noqa: S105 - the name of a variable
_FILE_PREFIX = "ASC_"
_SIZE_LIMIT = 1024 * 1024  # bytes


@dataclass(frozen=True)
class Credential:
    """A secret with its identifier and its expiry at the provider; ``None`` if not known."""

    secret: Secret | None = None
    identifier: str | None = None
    expires: int | None = None


@dataclass(frozen=True)
class Credentials:
    """The content of a credentials file."""

    app_password: Credential = Credential()
    api_token: Credential = Credential()

    def identifiers(self) -> set[str]:
        """Return the identifiers at the provider, as far as they are known."""
        return {item.identifier for item in (self.app_password, self.api_token) if item.identifier}


def read(path: Path) -> Credentials:
    """Return the content of a credentials file; a missing one has none."""
    with os_errors_named(path):
        content = _private_content(path)
    values = {}
    for line in content.decode(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = _value(value.strip())
    return Credentials(
        _credential(values, APP_PASSWORD, path), _credential(values, API_TOKEN, path)
    )


def _private_content(path: Path) -> bytes:
    refuse_others(path)
    try:
        with open_regular(path) as file:
            # Of the open file: another one could be put at the path between two looks.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise GenError(
                    f"{path}: other users may read it (mode {mode:o}); "
                    f"run chmod 600 {path}, and renew its secrets"
                )
            content = file.read(_SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    if len(content) > _SIZE_LIMIT:
        raise GenError(f"{path}: is larger than 1 MiB; store the credentials alone")
    return content


def _value(text: str) -> str | None:
    """Return a value of the file; text that is not JSON stands for itself."""
    try:
        value = codec.parse(text.encode(), "value")
    except GenError:
        return text or None
    return None if value is None else str(value)


def _credential(values: Mapping[str, str | None], name: str, path: Path) -> Credential:
    variable = f"{_FILE_PREFIX}{name}"
    value = values.get(variable)
    return Credential(
        secret=Secret(value, f"{path}: {variable}") if value else None,
        identifier=values.get(f"{variable}_ID") or None,
        expires=timestamp(values.get(f"{variable}_EXPIRES_AT")),
    )


def timestamp(text: str | None) -> int | None:
    """Return an ISO 8601 time in seconds since 1970, or ``None`` if the text is not a time."""
    try:
        moment = datetime.fromisoformat(text or "")
        # Python takes a time without a zone for local time.
        if not moment.tzinfo:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        return None


def save(path: Path, credentials: Credentials, scratch_name: str) -> None:
    """Replace the credentials file; after a failure the old one is in place."""
    # dagster-slurm reads JSON values, so that a quote or a backslash in a secret survives.
    lines = ["# Rotated by gen refresh; keep this file mode 0600."]
    for name, item in (
        (API_TOKEN, credentials.api_token),
        (APP_PASSWORD, credentials.app_password),
    ):
        variable = f"{_FILE_PREFIX}{name}"
        expires = None
        if item.expires is not None:
            expires = datetime.fromtimestamp(item.expires, UTC).isoformat()
        lines.append(f"{variable}={json.dumps(item.secret.reveal() if item.secret else None)}")
        lines.append(f"{variable}_ID={json.dumps(item.identifier)}")
        lines.append(f"{variable}_EXPIRES_AT={json.dumps(expires)}")
    write_secret_file(path, "\n".join([*lines, ""]), scratch_name)


def write_secret_file(path: Path, text: str, scratch_name: str) -> None:
    """Replace a file of secrets by way of a name that the next run knows and deletes."""
    refuse_others(path)
    with os_errors_named(path):
        writer.write_private(path, text.encode(), 0o600, path.with_name(scratch_name))


def rotation_due(credentials: Credentials, skew: int, rotated: int, second: int) -> bool:
    """Return whether one of the credentials expires within the skew, or was pasted by the user.

    `rotated` is the second of the last rotation (0 for none), `second` that of now. The expiry of
    a pasted one is unknown. Half of the lifetime passes first, since a provider may
    give less than the skew.
    """
    for item in (credentials.app_password, credentials.api_token):
        if not item.secret:
            continue
        if item.expires is None:
            # The provider knows the identifier of a token that never expires.
            if not item.identifier:
                return True
            continue
        margin = skew
        if rotated:
            margin = min(skew, max(item.expires - rotated, 0) // 2)
        if second >= item.expires - margin:
            return True
    return False


@dataclass(frozen=True)
class Sources:
    """The other sources of secrets: systemd's credentials, the environment, the keyring."""

    site: str
    prefix: str
    environment: Mapping[str, str]
    use_keyring: bool
    """Whether gen may ask the keyring, which may ask the user."""
    check: Callable[[str], None]
    """Refuses a secret that the site may not use."""

    def find(self, name: str) -> Secret | None:
        """Return a secret by the part of its name behind the prefix."""
        variable = f"{self.prefix}_{name}"
        secret = self.named(variable)
        if secret:
            self.check(variable)
        return secret

    def named(self, variable: str) -> Secret | None:
        """Return a secret by its whole name."""
        for source, value in self._values(variable):
            if value and value.strip() not in ("", "null"):
                return Secret(value, source)
        return None

    def _values(self, variable: str) -> Iterator[tuple[str, str | None]]:
        # systemd sets it for LoadCredential= (systemd.exec(5), "Credentials").
        directory = self.environment.get("CREDENTIALS_DIRECTORY")
        if directory:
            yield f"the systemd credential {variable}", _content(Path(directory) / variable)
        yield f"the variable {variable}", self.environment.get(variable)
        if self.use_keyring:
            yield "the keyring", _keyring()(f"gen-{self.site}", variable)


def _content(path: Path) -> str | None:
    with os_errors_named(path):
        try:
            return read_regular(path).decode(errors="replace")
        except FileNotFoundError:
            return None


def _keyring() -> Callable[[str, str], str | None]:
    """Return the function that asks the keyring, if the package is installed."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return lambda *_: None

    def ask(service: str, name: str) -> str | None:
        try:
            return keyring.get_password(service, name)
        except (KeyringError, OSError):  # locked, or not available at all
            return None

    return ask
