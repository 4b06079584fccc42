"""`.env.SITE`: the variables of dagster-slurm and of the site's documentation, with one meaning for every reader.

A value stands without quotes, because docker's --env-file keeps them; so it must mean the same as it stands to
python-dotenv, to a POSIX shell (`set -a; . FILE`) and to systemd's EnvironmentFile=. Secrets have files of their own.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from generator import paths
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.templates import render
from generator.errors import GenError
from generator.schema.auth import StepAuth
from generator.schema.text_types import seconds

# No reader cuts, expands, escapes or strips these. A shell expands ~ where a value starts and behind a colon.
_ONE_MEANING = re.compile(r"(?!~)(?:\w|[@%+=,./-]|:(?!~)|~)*")


@dataclass(frozen=True)
class Variable:
    """A line of the file: a value, or what is missing for one."""

    name: str
    value: str | None
    missing: tuple[str, ...] = ()
    comment: str | None = None


class AmbiguousValueError(GenError):
    """A value that no spelling gives one meaning in all four readers."""


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the one file that every site has.

    Raises:
        AmbiguousValueError: with the variable and the reason.
    """
    site = account.site.site
    lines = content(site, paths.header(site), variables(account))
    yield Artifact(paths.env_file(site), lines, 0o600)


def content(site: str, head: str, lines: list[Variable]) -> bytes:
    """Return the file's bytes."""
    for line in lines:
        if line.value is not None and not _ONE_MEANING.fullmatch(line.value):
            raise AmbiguousValueError(
                f"{site}: {line.name}: {line.value!r} would not mean the same to a shell, systemd, docker and dotenv; "
                "use letters, digits and @%+=:,./_- and no ~ in front"
            )
    return render("env.j2", header=head, variables=lines)


def variables(account: Account) -> list[Variable]:
    """Return the variables of a site in the order of the file, those without a value too."""
    return [*_login(account), *_jobs(account), *_certificate(account)]


def _login(account: Account) -> Iterator[Variable]:
    host = account.site.usual_host.host
    auth = account.site.auth_of(host)
    yield _text(account, "SLURM_EDGE_NODE_HOST", host.host, f"login node of {account.site.title}")
    yield Variable("SLURM_EDGE_NODE_PORT", str(host.port))
    yield _text(account, "SLURM_EDGE_NODE_USER", host.user)
    if key := account.key(auth):
        yield _path(account, "SLURM_EDGE_NODE_KEY_PATH", key)


def _jobs(account: Account) -> Iterator[Variable]:
    site = account.site
    if site.deployment:
        yield _text(
            account, "SLURM_DEPLOYMENT_BASE_PATH", site.deployment.base_path, "jobs and deployments"
        )
    if site.slurm.partition:
        yield Variable("SLURM_PARTITION", site.slurm.partition)
    if qos := site.slurm.chosen_qos(site.slurm):
        yield Variable("SLURM_QOS", qos)
    if site.slurm.reservation or site.slurm.reservations:
        yield Variable(
            "SLURM_RESERVATION",
            site.slurm.reservation,
            ("--set slurm.reservation=NAME, if you were given one",),
        )
    if charged := account.profile.account or site.slurm.accounts.default:
        yield Variable("SLURM_ACCOUNT", charged)
    elif site.slurm.accounts.required:
        yield Variable("SLURM_ACCOUNT", None, ("account",))
    yield Variable("SLURM_SUPERCOMPUTER_SITE", site.site)
    yield Variable(
        "DAGSTER_DEPLOYMENT",
        "production_supercomputer",
        comment="or staging_supercomputer, or development",
    )
    yield Variable(
        "CI_DEPLOYED_ENVIRONMENT_PATH",
        None,
        ("the folder at the site that you deployed an environment to",),
    )


def _certificate(account: Account) -> Iterator[Variable]:
    auth = account.site.auth
    if not isinstance(auth, StepAuth) or not auth.env_prefix:
        return
    prefix = auth.env_prefix
    if oidc := auth.oidc:
        yield _text(
            account, f"{prefix}_OIDC_CLIENT_ID", oidc.client_id, "token for an unattended renewal"
        )
        yield _text(account, f"{prefix}_OIDC_USERNAME", oidc.username)
        yield Variable(f"{prefix}_OIDC_TOKEN_URL", oidc.token_url)
        yield Variable(f"{prefix}_OIDC_SCOPE", oidc.scope)
        yield Variable(f"{prefix}_OIDC_TOKEN_FIELD", oidc.token_field)
    yield Variable(f"{prefix}_STEP_CONTEXT", auth.context, comment="certificate authority")
    yield Variable(f"{prefix}_STEP_CA_URL", auth.ca_url)
    yield Variable(f"{prefix}_STEP_FINGERPRINT", auth.ca_fingerprint)
    yield _path(account, f"{prefix}_STEP_CERT_PATH", account.certificate(auth) or "")
    if auth.renew_before:
        yield Variable(
            f"{prefix}_STEP_REFRESH_SKEW", str(math.ceil(seconds(auth.renew_before) / 60))
        )
    if authentik := auth.authentik:
        why = f"{prefix}_OIDC_APP_PASSWORD and {prefix}_AUTHENTIK_API_TOKEN are in a file of mode 0600, never here"
        yield _path(
            account, f"{prefix}_AUTHENTIK_CREDENTIALS_FILE", authentik.credentials_file, why
        )
        if authentik.app_password_file:
            yield _path(
                account, f"{prefix}_AUTHENTIK_APP_PASSWORD_OUTPUT", authentik.app_password_file
            )
        yield Variable(f"{prefix}_AUTHENTIK_API_BASE", authentik.api_base)
        yield Variable(f"{prefix}_AUTHENTIK_TOKEN_IDENTIFIER", authentik.identifier)
        yield Variable(f"{prefix}_AUTHENTIK_TOKEN_INTENT", "app_password")
        yield Variable(f"{prefix}_AUTHENTIK_TOKEN_EXPIRES_DAYS", str(authentik.expires_days))


def _text(account: Account, name: str, template: str, comment: str | None = None) -> Variable:
    return Variable(name, account.fill(template), tuple(account.missing(template)), comment)


def _path(account: Account, name: str, path: str, comment: str | None = None) -> Variable:
    """Put the home folder of the profile for `~`, which only a shell expands; without one the path is not known."""
    filled = account.fill(path)
    home = account.profile.home
    if filled and filled.startswith("~/"):
        filled = f"{home}{filled[1:]}" if home else None
    missing = account.missing(path) or ([] if filled else ["home"])
    return Variable(name, filled, tuple(missing), comment)
