"""Where secrets come from, and the file in which rotation keeps them.

First the credentials file, since rotation keeps it current and what anything else holds may have ended; then systemd's
credentials, the environment, and the OS keyring. The file has the format of dagster-slurm (`auth/authentik.py`): JSON
values behind `NAME=`, `null` for what is not known, and the same names whatever the site.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from generator.errors import GenError, os_errors_named
from generator.renewal.secret import Secret
from generator.workspace import writer

APP_PASSWORD, API_TOKEN = "OIDC_APP_PASSWORD", "AUTHENTIK_API_TOKEN"
_IN_FILE = "ASC_"


@dataclass(frozen=True)
class Credential:
    """A secret with what the provider knows it by, and the second at which it ends; ``None`` where not known."""

    secret: Secret | None = None
    identifier: str | None = None
    expires: int | None = None


@dataclass(frozen=True)
class Kept:
    """What a credentials file holds."""

    app_password: Credential = Credential()
    api_token: Credential = Credential()

    def identifiers(self) -> set[str]:
        """Return what the provider knows them by."""
        return {item.identifier for item in (self.app_password, self.api_token) if item.identifier}


def kept(path: Path) -> Kept:
    """Return what a credentials file holds; nothing when it is not there.

    Raises:
        GenError: others may read it, or it cannot be read.
    """
    with os_errors_named(path):
        try:
            handle = path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return Kept()
        with handle:
            mode = os.fstat(handle.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise GenError(
                    f"{path}: others may read it (mode {mode:o}); chmod 600 {path}, and renew its secrets"
                )
            text = handle.read().decode(errors="replace")
    lines = (
        line.strip().partition("=")
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
    )
    values = {name.strip(): _value(value.strip()) for name, equals, value in lines if equals}
    return Kept(_credential(values, APP_PASSWORD, path), _credential(values, API_TOKEN, path))


def rotation_due(kept: Kept, skew: int, rotated: int, now: int) -> bool:
    """Decide whether the credentials need rotation: one expires within the skew, or was pasted by the user.

    The expiry of a pasted one is unknown. Half of the lifetime passes first, since a provider may give less than the
    skew.
    """
    for item in (kept.app_password, kept.api_token):
        if not item.secret:
            continue
        if item.expires is None:
            if not item.identifier:
                return True
            continue
        margin = skew
        if rotated:
            margin = min(skew, max(item.expires - rotated, 0) // 2)
        if now >= item.expires - margin:
            return True
    return False


def save(path: Path, new: Kept, scratch: str) -> None:
    """Put the file in place as a whole, 0600 from its first byte.

    Raises:
        GenError: it cannot be written; the old one is still there.
    """
    lines = ["# Rotated by gen refresh; keep this file mode 0600."]
    for name, item in ((API_TOKEN, new.api_token), (APP_PASSWORD, new.app_password)):
        ends = (
            datetime.fromtimestamp(item.expires, UTC).isoformat()
            if item.expires is not None
            else None
        )
        values = {
            "": item.secret and item.secret.reveal(),
            "_ID": item.identifier,
            "_EXPIRES_AT": ends,
        }
        lines += [f"{_IN_FILE}{name}{end}={json.dumps(value)}" for end, value in values.items()]
    write(path, "\n".join([*lines, ""]), scratch)


def write(path: Path, text: str, scratch: str) -> None:
    """Put a secret file in place, by way of a name that the next run knows and clears."""
    with os_errors_named(path):
        writer.private(path, text.encode(), 0o600, path.with_name(scratch))


@dataclass(frozen=True)
class Sources:
    """Where else secrets may be, in this order: systemd's credentials, the environment, the keyring."""

    site: str
    prefix: str
    environment: Mapping[str, str]
    keyring: bool
    """Whether the OS keyring may be asked, which may ask a person."""

    def find(self, name: str) -> Secret | None:
        """Return a secret by the last part of its name.

        Raises:
            GenError: what is there cannot be read, or is no secret.
        """
        return self.named(f"{self.prefix}_{name}")

    def named(self, variable: str) -> Secret | None:
        """Return a secret by its whole name."""
        for source, value in self._values(variable):
            if value and value.strip() not in ("", "null"):
                return Secret(value, source)
        return None

    def _values(self, variable: str) -> Iterator[tuple[str, str | None]]:
        folder = self.environment.get("CREDENTIALS_DIRECTORY")
        if folder:
            yield f"the systemd credential {variable}", _content(Path(folder) / variable)
        yield f"the variable {variable}", self.environment.get(variable)
        if self.keyring:
            yield "the keyring", _keyring()(f"gen-{self.site}", variable)


def _keyring() -> Callable[[str, str], str | None]:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return lambda *_: None

    def ask(service: str, name: str) -> str | None:
        try:
            return keyring.get_password(service, name)
        except (KeyringError, OSError):  # locked, or no keyring at all
            return None

    return ask


def _content(path: Path) -> str | None:
    with os_errors_named(path):
        try:
            return path.read_text(errors="replace")
        except FileNotFoundError:
            return None


def _value(text: str) -> str | None:
    """Return a value of the file; what is no JSON stands for itself."""
    try:
        found = json.loads(text)
    except ValueError:
        return text or None
    return None if found is None else str(found)


def _credential(values: Mapping[str, str | None], name: str, path: Path) -> Credential:
    secret = values.get(f"{_IN_FILE}{name}")
    return Credential(
        Secret(secret, f"{path}: {_IN_FILE}{name}") if secret else None,
        values.get(f"{_IN_FILE}{name}_ID") or None,
        _second(values.get(f"{_IN_FILE}{name}_EXPIRES_AT")),
    )


def _second(text: str | None) -> int | None:
    """Return a time in ISO 8601, UTC when it names no zone, in seconds since 1970."""
    try:
        found = datetime.fromisoformat(text or "")
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
