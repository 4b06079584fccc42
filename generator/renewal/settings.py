"""What a renewal works with: the spec, the person, and the variables of the site's documentation, which come first.

The variables go the way of `--set`: into the spec before it is validated, so a bad one is told with its own name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.compiler.account import Account
from generator.compiler.build import account
from generator.compiler.renewal_schedule import schedule
from generator.errors import GenError
from generator.loading import inputs
from generator.loading.overrides import Change
from generator.schema import auth as spec


@dataclass(frozen=True)
class Oidc:
    """Where the token comes from, for whom; ``None`` while that is not known."""

    token_url: str
    client_id: str | None
    username: str | None
    scope: str
    token_field: str


@dataclass(frozen=True)
class Authentik:
    """Where the credentials behind the token are rotated, and kept."""

    api_base: str
    identifier: str
    expires_days: int
    skew_days: int
    credentials_file: Path
    app_password_file: Path | None


@dataclass(frozen=True)
class Step:
    """A smallstep CA."""

    context: str
    ca_url: str
    fingerprint: str
    provisioner: str | None
    identity: str | None
    """Whom the certificate is issued to; ``None`` while neither e-mail address nor user name is known."""
    bootstrap_anew: bool
    oidc: Oidc | None
    authentik: Authentik | None


@dataclass(frozen=True)
class Command:
    """The command of a centre."""

    words: tuple[str, ...]
    """Empty where certificates are downloaded by hand."""
    portal: str | None
    asks: bool
    makes_key: bool
    each_connection: bool
    secret: str | None
    """Variable that the command takes its secret from."""
    docs: str | None
    """Where the site tells of the command."""


@dataclass(frozen=True)
class Settings:
    """Everything about a site's certificate that does not change from one look to the next."""

    site: str
    user: str | None
    prefix: str
    """First part of the names of variables and credentials."""
    key: Path
    certificate: Path
    copy: Path | None
    """A second place that is to hold the certificate, where a variable names one that ssh does not look at."""
    skew: int
    most: int | None
    """How many certificates the site issues in a day."""
    way: Step | Command

    @property
    def scratch(self) -> str:
        """Name of what a file is written to before it takes its place, so that the next run finds what a kill left."""
        return f".gen-{self.site}.tmp"


# Variables of the site's documentation and of dagster-slurm, by the key of the spec that they stand for.
_VARIABLES = {
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
_SKEW_DAYS = 7


class NoCertificateError(GenError):
    """The site logs people in with something else."""


def read(choice: inputs.Choice, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a site.

    Raises:
        GenError: every fault of spec, profile and variables; a site without certificates to renew; a value of the
            person's that is needed and not known.
    """
    own, _ = account(inputs.read(choice), lambda data: _changes(data, environment))
    auth = own.site.auth
    if not isinstance(auth, spec.Certificate):
        raise NoCertificateError(
            f"{own.site.site}: logs people in with {own.site.auth.method}; there is no certificate to renew"
        )
    prefix = _prefix(own.site.site, auth.env_prefix if isinstance(auth, spec.StepAuth) else None)
    named = _named(prefix, environment)
    key, certificate = _needed(own, auth.key, own.key(auth)), own.certificate(auth)
    place = named("STEP_CERT_PATH") if isinstance(auth, spec.StepAuth) else None
    if place and not place.endswith(".crt"):
        key = place.removesuffix("-cert.pub")
        certificate = f"{key}-cert.pub"
    return Settings(
        site=own.site.site,
        user=own.fill(own.site.usual_host.host.user),
        prefix=prefix,
        key=_path(key),
        certificate=_path(_needed(own, auth.key, certificate)),
        copy=_path(place) if place and place.endswith(".crt") else None,
        skew=schedule(auth).skew,
        most=auth.max_per_day,
        way=_step(own, auth, named) if isinstance(auth, spec.StepAuth) else _command(own, auth),
    )


def _prefix(site: str, given: str | None) -> str:
    return given or site.upper().replace("-", "_")


class _named:  # noqa: N801 - used as a function
    """The variables of a site by the last part of their names; an empty one and `null` count as none."""

    def __init__(self, prefix: str, environment: Mapping[str, str]) -> None:
        self.prefix, self.environment = prefix, environment

    def __call__(self, name: str) -> str | None:
        value = self.environment.get(f"{self.prefix}_{name}", "").strip()
        return None if value in ("", "null") else value


def _changes(data: Any, environment: Mapping[str, str]) -> list[Change]:
    auth = data.get("auth") if isinstance(data, dict) else None
    prefix = auth.get("env_prefix") if isinstance(auth, dict) else None
    if not isinstance(prefix, str):
        return []
    named = _named(prefix, environment)
    found = [(name, keys, named(name)) for name, keys in _VARIABLES.items()]
    return [
        Change(("auth", *keys.split(".")), _value(name, value), f"{prefix}_{name}")
        for name, keys, value in found
        if value is not None
    ]


def _value(name: str, value: str) -> object:
    if name == "STEP_REFRESH_SKEW":
        return f"{value}m"
    if name == "AUTHENTIK_TOKEN_EXPIRES_DAYS" and value.isdecimal():
        return int(value)
    return value.lower() if name == "STEP_FINGERPRINT" else value


def _step(own: Account, auth: spec.StepAuth, named: _named) -> Step:
    oidc, authentik = auth.oidc, auth.authentik
    username = own.fill(oidc.username) if oidc else None
    return Step(
        context=auth.context,
        ca_url=auth.ca_url,
        fingerprint=auth.ca_fingerprint,
        provisioner=auth.provisioner,
        identity=own.fill(auth.identity) or username,
        bootstrap_anew=(named("STEP_BOOTSTRAP_FORCE") or "").lower() in ("1", "true", "yes"),
        oidc=Oidc(oidc.token_url, own.fill(oidc.client_id), username, oidc.scope, oidc.token_field)
        if oidc
        else None,
        authentik=_authentik(own, authentik, named) if authentik else None,
    )


def _authentik(own: Account, authentik: spec.Authentik, named: _named) -> Authentik:
    intent = named("AUTHENTIK_TOKEN_INTENT")
    if intent not in (None, "app_password"):
        raise GenError(
            f"{named.prefix}_AUTHENTIK_TOKEN_INTENT: {intent!r} opens no token endpoint; it can only be app_password"
        )
    days = named("AUTHENTIK_REFRESH_SKEW_DAYS") or str(_SKEW_DAYS)
    if not days.isdecimal():
        raise GenError(f"{named.prefix}_AUTHENTIK_REFRESH_SKEW_DAYS: {days!r} is no number of days")
    output = authentik.app_password_file
    return Authentik(
        api_base=authentik.api_base,
        identifier=authentik.identifier,
        expires_days=authentik.expires_days,
        skew_days=int(days),
        credentials_file=_path(_needed(own, authentik.credentials_file)),
        app_password_file=_path(_needed(own, output)) if output else None,
    )


def _command(own: Account, auth: spec.CommandCertificateAuth) -> Command:
    words = tuple(_needed(own, word) for word in auth.command)
    return Command(
        words=tuple(str(_path(word)) if word.startswith("~/") else word for word in words),
        portal=auth.portal,
        asks=bool(auth.asks),
        makes_key=auth.makes_key,
        each_connection=auth.each_connection,
        secret=auth.secret,
        docs=own.site.docs,
    )


def _needed(own: Account, template: str, value: str | None = None) -> str:
    """Return a text of the spec with its placeholders filled in, or the value that stands for it."""
    filled = value or own.fill(template)
    if filled is None:
        missing = " and ".join(own.missing(template))
        raise GenError(
            f"{own.site.site}: your {missing} is not known; put it into {inputs.profile_name()}"
        )
    return filled


def _path(text: str) -> Path:
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        raise GenError(f"{text}: there is no home folder; set HOME") from None
