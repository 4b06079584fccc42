"""One run of `gen refresh`: what it is asked, what it may use, and how long it may take."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from generator.renewal import credentials
from generator.renewal.credentials import API_TOKEN, APP_PASSWORD, Kept, Sources
from generator.renewal.deadline import Deadline
from generator.renewal.secret import Secret
from generator.renewal.settings import Authentik, Command, Oidc, Settings, Step
from generator.renewal.state import Store

ON_CONNECT = 20
"""Seconds that a connection may be held up."""
_UNATTENDED = 150  # the unit would end it after five minutes
_MARGIN = 3  # of these, for Python to start and for a last word


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    force: bool = False
    rotate: bool = False
    on_connect: bool = False
    terminal: bool = False
    """Whether a person is there to answer."""
    bundle: Path | None = None
    """CA certificates of the person's own."""


@dataclass(frozen=True)
class Held:
    """The secrets that there are, each looked for when it is needed: a keyring may ask a person."""

    kept: Kept
    sources: Sources

    @cached_property
    def app_password(self) -> Secret | None:
        """What a token is asked with."""
        return self.kept.app_password.secret or self.sources.find(APP_PASSWORD)

    @cached_property
    def api_token(self) -> Secret | None:
        """What credentials are rotated with."""
        return self.kept.api_token.secret or self.sources.find(API_TOKEN)


@dataclass(frozen=True)
class Run:
    """What every part of a run is told."""

    settings: Settings
    wish: Wish
    store: Store
    sources: Sources
    environment: Mapping[str, str]
    """For other programs: no secrets of ours."""
    deadline: Deadline

    def held(self) -> Held:
        """Return the secrets that there are now.

        Raises:
            GenError: the credentials file cannot be read, or others may read it.
        """
        return Held(
            credentials.kept(self.authentik.credentials_file) if self.authentik else Kept(),
            self.sources,
        )

    def alone(self, held: Held) -> bool:
        """Tell whether a certificate can be had without a person."""
        if isinstance(self.settings.way, Command):
            return bool(self.settings.way.words) and not self.settings.way.asks
        known = self.oidc and self.oidc.client_id and self.oidc.username
        return bool(known and (held.app_password or (self.authentik and held.api_token)))

    @property
    def oidc(self) -> Oidc | None:
        """The token endpoint, where the site has one."""
        return self.settings.way.oidc if isinstance(self.settings.way, Step) else None

    @property
    def authentik(self) -> Authentik | None:
        """Where credentials are rotated, if the site has that."""
        return self.settings.way.authentik if isinstance(self.settings.way, Step) else None


def starting(settings: Settings, wish: Wish, environment: Mapping[str, str], store: Store) -> Run:
    """Return a run that starts now."""
    names = secret_names(settings)
    return Run(
        settings,
        wish,
        store,
        Sources(settings.site, settings.prefix, environment, keyring=not wish.on_connect),
        {name: value for name, value in environment.items() if name not in names},
        Deadline(ON_CONNECT - _MARGIN if wish.on_connect else _UNATTENDED),
    )


def secret_names(settings: Settings) -> set[str]:
    """Return the variables that other programs are not to inherit."""
    own = settings.way.secret if isinstance(settings.way, Command) else None
    return {f"{settings.prefix}_{APP_PASSWORD}", f"{settings.prefix}_{API_TOKEN}", "STEP_TOKEN"} | (
        {own} if own else set()
    )


def now() -> int:
    """Return the second since 1970 that this machine believes it is."""
    return int(time.time())
