"""One run of `gen refresh`: its options, its secrets, and its time limit."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from generator.clock import Deadline
from generator.renewal import credentials
from generator.renewal.credentials import API_TOKEN, APP_PASSWORD, Credentials, Sources
from generator.renewal.secret import Secret
from generator.renewal.secret_bindings import SecretBindings, secret_bindings
from generator.renewal.settings import Settings
from generator.renewal.state import Store
from generator.schema.auth import CommandCertificateAuth

_UNATTENDED_LIMIT = 150  # seconds
_ON_CONNECT_LIMIT = 60  # seconds; ssh does not wait for all of them


@dataclass(frozen=True)
class RefreshOptions:
    """The options of `gen refresh`."""

    force: bool = False
    rotate: bool = False
    on_connect: bool = False
    terminal: bool = False
    """Whether the user can answer questions."""
    device: bool = False
    """Whether the user logs in with a browser on another device."""
    offer_device: Callable[[], bool] = bool
    """Asks the user for that, if no browser can open on this machine."""
    bundle: Path | None = None
    """The user's own CA certificates."""
    report: Callable[[str], None] = lambda _: None
    """Gets the errors of step and of the network in their own words, for `--verbose`."""
    waiting: Callable[[], None] = lambda: None
    """Is called if another gen renews the certificate, and this one waits for it."""
    earlier_secrets: Callable[[], Collection[Path] | None] = tuple
    """Returns the secrets that existed before the site was installed, by the install record.

    ``None`` if the record does not say.
    """


@dataclass(frozen=True)
class HeldSecrets:
    """The secrets of a site. Each is looked up at its first use: a keyring may ask the user."""

    credentials: Credentials
    sources: Sources

    @cached_property
    def app_password(self) -> Secret | None:
        """The app password, for which the provider issues a token."""
        return self.credentials.app_password.secret or self.sources.find(APP_PASSWORD)

    @cached_property
    def api_token(self) -> Secret | None:
        """The API token, with which the credentials are rotated."""
        return self.credentials.api_token.secret or self.sources.find(API_TOKEN)


@dataclass(frozen=True)
class Run:
    """The values that every part of a run uses."""

    settings: Settings
    options: RefreshOptions
    store: Store
    sources: Sources
    bindings: SecretBindings
    environment: Mapping[str, str]
    """For other programs: without the secrets of the site."""
    deadline: Deadline

    def secrets(self) -> HeldSecrets:
        """Return the secrets as they are now, if the site may use them."""
        path = self.settings.credentials_file
        if path and path.exists():
            self.bindings.check(path)
        stored = credentials.read(path) if path else Credentials()
        return HeldSecrets(stored, self.sources)

    def is_unattended(self, secrets: HeldSecrets) -> bool:
        """Return whether gen can renew the certificate without the user."""
        auth = self.settings.auth
        if isinstance(auth, CommandCertificateAuth):
            return bool(auth.command) and not auth.asks
        if not self.settings.client_id or not self.settings.username:
            return False
        if secrets.app_password:
            return True
        return bool(self.settings.authentik and secrets.api_token)


def new_run(
    settings: Settings, options: RefreshOptions, environment: Mapping[str, str], store: Store
) -> Run:
    """Return a run that starts now."""
    # A program cannot print a secret that it does not get, or keep it in a core file.
    hidden = secret_names(settings)
    visible = {name: value for name, value in environment.items() if name not in hidden}
    limit = _ON_CONNECT_LIMIT if options.on_connect else _UNATTENDED_LIMIT
    # A keyring may ask for its password in a window, and ssh would wait for it.
    bindings = secret_bindings(settings, store.directory, options.earlier_secrets)
    sources = Sources(
        settings.site,
        settings.prefix,
        environment,
        use_keyring=not options.on_connect,
        check=bindings.check,
    )
    return Run(settings, options, store, sources, bindings, visible, Deadline(limit))


def secret_names(settings: Settings) -> set[str]:
    """Return the names of the variables that other programs must not inherit."""
    names = {
        f"{settings.prefix}_{APP_PASSWORD}",
        f"{settings.prefix}_{API_TOKEN}",
        "STEP_TOKEN",
    }
    if isinstance(settings.auth, CommandCertificateAuth) and settings.auth.secret:
        names.add(settings.auth.secret)
    return names
