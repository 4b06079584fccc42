"""Revoke the app password and the API token of a site at the provider.

Deleted files revoke nothing: a copy of a token works until it expires.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.clock import Deadline
from generator.loading.inputs import Choice
from generator.renewal import credentials, settings
from generator.renewal.authentik import Api
from generator.renewal.failures import NoCertificateError
from generator.renewal.http import connected
from generator.renewal.secret import Secret
from generator.renewal.secret_bindings import secret_bindings
from generator.renewal.state import store

_SECONDS = 30


@dataclass(frozen=True)
class Revocation:
    """The tokens of a site that the provider knows."""

    site: str
    credentials_file: Path
    api_base: str
    identifiers: tuple[str, ...]
    """The last one is the API token, with which the others are deleted."""
    api_token: Secret | None

    @property
    def commands(self) -> list[str]:
        """The commands that revoke the tokens, for a user with an API token in $TOKEN."""
        base = f"{self.api_base.rstrip('/')}/api/v3/core/tokens"
        header = '"Authorization: Bearer $TOKEN"'
        return [f"curl -X DELETE -H {header} {base}/{name}/" for name in self.identifiers]


def revocation(site: str, environment: Mapping[str, str]) -> Revocation | None:
    """Return the tokens of an installed site; ``None`` if its file names none.

    Only a file that the site may use counts: a spec could name another site's.
    """
    try:
        site_settings = settings.read(Choice(site), environment)
    except NoCertificateError:
        return None
    path = site_settings.credentials_file
    if path is None or site_settings.authentik is None:
        return None
    secret_bindings(site_settings, store(site).directory, tuple).check(path)
    stored = credentials.read(path)
    names = (stored.app_password.identifier, stored.api_token.identifier)
    identifiers = tuple(name for name in names if name)
    if not identifiers:
        return None
    return Revocation(
        site, path, site_settings.authentik.api_base, identifiers, stored.api_token.secret
    )


def revoke(tokens: Revocation, token: Secret) -> None:
    """Delete the tokens at the provider."""
    with connected(None, Deadline(_SECONDS)) as http:
        api = Api(http, tokens.api_base, token)
        for identifier in tokens.identifiers:
            api.delete(identifier)
