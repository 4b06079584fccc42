"""The settings of a renewal: spec, profile, and the variables of the site's documentation.

The variables are put into the spec before it is validated, as `--set` does; so an error names the
variable.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generator.compiler.account import Account
from generator.compiler.build import account
from generator.compiler.renewal_schedule import schedule
from generator.errors import GenError
from generator.loading import inputs
from generator.loading.overrides import SpecChange
from generator.renewal.failures import NoCertificateError
from generator.schema.auth import Authentik, Certificate, CommandCertificateAuth, Oidc, StepAuth
from generator.schema.resolution import known, resolved

DAY = 86_400

# Variables of the site's documentation and of dagster-slurm, with the key of the spec that each
# overrides.
_SPEC_KEYS = {
    "OIDC_CLIENT_ID": "oidc.client_id",
    "OIDC_USERNAME": "oidc.username",
    "OIDC_TOKEN_URL": "oidc.token_url",
    "OIDC_SCOPE": "oidc.scope",
    "OIDC_TOKEN_FIELD": "oidc.token_field",
    "STEP_CONTEXT": "context",
    "STEP_CA_URL": "ca_url",
    "STEP_FINGERPRINT": "ca_fingerprint",
    "STEP_REFRESH_SKEW": "renew_before",
    "AUTHENTIK_API_BASE": "authentik.api_base",
    "AUTHENTIK_TOKEN_IDENTIFIER": "authentik.identifier",
    "AUTHENTIK_TOKEN_EXPIRES_DAYS": "authentik.expires_days",
    "AUTHENTIK_CREDENTIALS_FILE": "authentik.credentials_file",
    "AUTHENTIK_APP_PASSWORD_OUTPUT": "authentik.app_password_file",
}
_ROTATION_SKEW = 7  # days


@dataclass(frozen=True)
class Settings:
    """Everything about a site's certificate that stays the same from one renewal to the next."""

    site: str
    words: str
    """The words of a command line that name the site, as the user named it."""
    user: str | None
    docs: str | None
    """Address of the site's documentation."""
    auth: StepAuth | CommandCertificateAuth
    """With the profile's values, as far as they are known, and the home directory filled in."""
    prefix: str
    """First part of the names of variables and credentials, such as `ASC`."""
    key: Path
    certificate: Path
    certificate_copy: Path | None = None
    """A further path for the certificate, if a variable names one that ssh does not read."""
    skew: int = 0
    """How many seconds before its end a certificate is renewed."""
    rotation_skew: int = 0
    """How many seconds before their end the credentials are rotated."""
    bootstrap_again: bool = False
    """Whether step learns the CA again, even if it knows it."""
    centre: str = ""
    """The operator of the site; its quota counts the certificates for all of its sites."""
    command_directory: Path | None = None
    """Where the centre's command runs; by default in the home directory."""
    key_in_agent: bool = False
    """Whether the private key is in the ssh agent alone."""
    step_binary: str = "step"
    extra_step_args: tuple[str, ...] = ()
    """Further arguments of `step ssh certificate`."""

    @property
    def scratch_name(self) -> str:
        """Name of a file that is not complete yet; after a kill, the next run deletes it."""
        return f".gen-{self.site}.tmp"

    @property
    def oidc(self) -> Oidc | None:
        """The token endpoint, if the site has one."""
        return self.auth.oidc if isinstance(self.auth, StepAuth) else None

    @property
    def authentik(self) -> Authentik | None:
        """The provider's API, if the site's credentials can be rotated."""
        return self.auth.authentik if isinstance(self.auth, StepAuth) else None

    @property
    def client_id(self) -> str | None:
        """Client id at the token endpoint, if it is known."""
        return known(self.oidc.client_id) if self.oidc else None

    @property
    def username(self) -> str | None:
        """User name at the provider, if it is known."""
        return known(self.oidc.username) if self.oidc else None

    @property
    def identity(self) -> str | None:
        """Identity in the request to the CA: the email address, or the user name."""
        if not isinstance(self.auth, StepAuth):
            return None
        return known(self.auth.identity) or self.username

    @property
    def credentials_file(self) -> Path | None:
        """File with the app password and the API token, if the site has one."""
        return Path(self.authentik.credentials_file) if self.authentik else None

    @property
    def app_password_file(self) -> Path | None:
        """Second file that gets a rotated app password, if the site has one."""
        if not self.authentik or not self.authentik.app_password_file:
            return None
        return Path(self.authentik.app_password_file)


@dataclass(frozen=True)
class _Variables:
    """The variables of a site, by the part of their names behind the prefix."""

    prefix: str
    environment: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Return a value; an empty one and `null` count as not set."""
        value = self.environment.get(f"{self.prefix}_{name}", "").strip()
        # `jq -r` prints null for a missing value, which scripts then export.
        return None if value in ("", "null") else value


def read(choice: inputs.Choice, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a site.

    Raises:
        NoCertificateError: the site does not use certificates.
    """
    own_account, _ = account(
        inputs.read_as_installed(choice), lambda data: _overrides(data, environment)
    )
    site = own_account.site
    auth = site.auth
    if not isinstance(auth, Certificate):
        raise NoCertificateError(
            f"{site.site}: logs in with {auth.method}; there is no certificate to renew"
        )
    profile = own_account.profile
    settings = Settings(
        site=site.site,
        words=choice.words,
        user=own_account.fill(site.usual_host.host.user),
        docs=site.docs,
        auth=resolved(auth, own_account.values()),
        prefix=site.site.upper().replace("-", "_"),
        key=_key(own_account, auth),
        certificate=_certificate(own_account, auth),
        skew=schedule(auth).skew,
        centre=site.operator or site.site,
        command_directory=_path(profile.command_directory) if profile.command_directory else None,
        key_in_agent=profile.key_in_agent and isinstance(auth, StepAuth),
        # No shell expands `~` in a program that gen starts.
        step_binary=os.path.expanduser(profile.step_binary),  # noqa: PTH111 - also a bare name
        extra_step_args=profile.extra_step_args,
    )
    if isinstance(settings.auth, CommandCertificateAuth):
        return _with_command(settings, settings.auth, own_account)
    return _with_variables(settings, settings.auth, own_account, environment)


def _overrides(data: Any, environment: Mapping[str, str]) -> list[SpecChange]:
    """Return the changes to the spec that the variables make."""
    # The spec is not validated yet, so any of this may have another type.
    auth = data.get("auth") if isinstance(data, dict) else None
    prefix = auth.get("env_prefix") if isinstance(auth, dict) else None
    if not isinstance(prefix, str):
        return []
    variables = _Variables(prefix, environment)
    changes = []
    for name, key in _SPEC_KEYS.items():
        value = variables.get(name)
        if value is not None:
            keys = ("auth", *key.split("."))
            changes.append(SpecChange(keys, _spec_value(name, value), f"{prefix}_{name}"))
    return changes


def _spec_value(name: str, value: str) -> object:
    """Return the value of a variable as the spec writes it."""
    # dagster-slurm reads a number of minutes, and the key of the spec is a duration.
    if name == "STEP_REFRESH_SKEW" and value.isdecimal():
        return f"{value}m"
    if name == "AUTHENTIK_TOKEN_EXPIRES_DAYS" and value.isdecimal():
        return int(value)
    # step and openssl print it in either case; a spec has it in lowercase.
    if name == "STEP_FINGERPRINT":
        return value.lower()
    return value


def _with_command(
    settings: Settings, auth: CommandCertificateAuth, own_account: Account
) -> Settings:
    """Return the settings with the home directory in the command, where no shell expands `~`."""
    arguments = []
    for argument in auth.command:
        _require(own_account, argument)
        # The command runs without a shell (execve(2)), which alone would expand the tilde.
        if argument.startswith("~/"):
            argument = str(_path(argument))
        arguments.append(argument)
    return replace(settings, auth=auth.model_copy(update={"command": tuple(arguments)}))


def _with_variables(
    settings: Settings, auth: StepAuth, own_account: Account, environment: Mapping[str, str]
) -> Settings:
    """Return the settings with the variables that no key of the spec has."""
    variables = _Variables(auth.env_prefix or settings.prefix, environment)
    rotation_skew = 0
    if auth.authentik:
        _check_intent(variables)
        rotation_skew = _rotation_skew(variables)
        authentik = _with_home(own_account, auth.authentik)
        auth = auth.model_copy(update={"authentik": authentik})
    key = settings.key
    certificate = settings.certificate
    key_path = _key_path(settings.site, environment)
    if key_path:
        key = _path(key_path)
        certificate = Path(f"{key}-cert.pub")
    # The variable of dagster-slurm may name the certificate, or the key beside it.
    certificate_copy = None
    path = variables.get("STEP_CERT_PATH")
    if path and path.endswith(".crt"):
        # ssh reads a certificate only as KEY-cert.pub.
        certificate_copy = _path(path)
    elif path:
        key = _path(path.removesuffix("-cert.pub"))
        certificate = Path(f"{key}-cert.pub")
    bootstrap = variables.get("STEP_BOOTSTRAP_FORCE") or ""
    return replace(
        settings,
        auth=auth,
        prefix=variables.prefix,
        key=key,
        certificate=certificate,
        certificate_copy=certificate_copy,
        rotation_skew=rotation_skew,
        bootstrap_again=bootstrap.lower() in ("1", "true", "yes"),
    )


def _key_path(site: str, environment: Mapping[str, str]) -> str | None:
    """Return the key that dagster-slurm uses for a site, if its variable names one.

    The variable belongs to the site of the `.env` file that a shell has read, which may be another.
    """
    variables = _Variables("SLURM", environment)
    if variables.get("SUPERCOMPUTER_SITE") not in (None, site):
        return None
    return variables.get("EDGE_NODE_KEY_PATH")


def _with_home(own_account: Account, authentik: Authentik) -> Authentik:
    """Return the provider's settings with absolute paths."""
    update = {}
    for name in ("credentials_file", "app_password_file"):
        path = getattr(authentik, name)
        if path:
            _require(own_account, path)
            update[name] = str(_path(path))
    return authentik.model_copy(update=update)


def _check_intent(variables: _Variables) -> None:
    """Refuse an intent of dagster-slurm's that the token endpoint does not accept."""
    intent = variables.get("AUTHENTIK_TOKEN_INTENT")
    if intent not in (None, "app_password"):
        raise GenError(
            f"{variables.prefix}_AUTHENTIK_TOKEN_INTENT: the token endpoint does not accept "
            f"{intent!r}; set it to app_password"
        )


def _rotation_skew(variables: _Variables) -> int:
    # A week leaves time to notice that rotations fail, since the app password still works.
    days = variables.get("AUTHENTIK_REFRESH_SKEW_DAYS") or str(_ROTATION_SKEW)
    if not days.isdecimal():
        raise GenError(
            f"{variables.prefix}_AUTHENTIK_REFRESH_SKEW_DAYS: {days!r} is not a number of days"
        )
    return int(days) * DAY


def _key(own_account: Account, auth: StepAuth | CommandCertificateAuth) -> Path:
    path = own_account.key(auth)
    if path is None:
        _require(own_account, auth.key)
    return _path(path or auth.key)


def _certificate(own_account: Account, auth: StepAuth | CommandCertificateAuth) -> Path:
    if isinstance(auth, CommandCertificateAuth) and auth.certificate:
        _require(own_account, auth.certificate)
    return _path(own_account.certificate(auth) or auth.key)


def _require(own_account: Account, text: str) -> None:
    """Refuse a text of which a value of the profile is not known."""
    missing = own_account.missing(text)
    if missing:
        raise GenError(
            f"{own_account.site.site}: your {' and '.join(missing)} is not known; "
            f"add it to {inputs.profile_name()}"
        )


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise GenError(f"{text}: there is no home directory; set HOME") from None
