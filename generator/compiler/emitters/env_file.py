"""`.env.SITE`: the variables of dagster-slurm and of the site's documentation.

A value has no quotes, because docker's --env-file would keep them. So each value must mean the same
to python-dotenv, to a POSIX shell (`set -a; . FILE`), to systemd's EnvironmentFile= and to docker.
Secrets are in other files.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from generator import paths
from generator.compiler import compiled_templates
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.errors import GenError
from generator.schema.auth import Authentik, Oidc, StepAuth
from generator.schema.text_types import seconds

# No reader cuts, expands, escapes or strips these characters. A shell expands ~ at the start and
# after a colon.
_UNAMBIGUOUS = re.compile(r"(?!~)(?:\w|[@%+=,./-]|:(?!~)|~)*")


class Variable(NamedTuple):
    """A line of the file.

    If the value is ``None``, a comment names the missing keys of the profile instead.
    """

    name: str
    value: str | None
    missing: tuple[str, ...] = ()
    comment: str | None = None


class AmbiguousValueError(GenError):
    """A value that two of the four readers would read differently, whatever its spelling."""


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the file.

    A site without Slurm and without a certificate authority has no variables and no file.

    Raises:
        AmbiguousValueError: names the variable.
    """
    site = account.site.site
    lines = variables(account)
    if not lines:
        return
    content = env_content(site, paths.header(site), lines)
    yield Artifact(paths.env_file(site), content, mode=0o600)


def env_content(site: str, header: str, lines: list[Variable]) -> bytes:
    """Return the content of the file, or refuse a value that is ambiguous."""
    for line in lines:
        if line.value is not None and not _UNAMBIGUOUS.fullmatch(line.value):
            raise AmbiguousValueError(
                f"{site}: {line.name}: {line.value!r}: a shell, systemd, docker and dotenv"
                " read this value differently; use only letters, digits and @%+=:,./_-,"
                " and no ~ in front"
            )
    return "".join(compiled_templates.env(header=header, variables=lines)).encode()


def variables(account: Account) -> list[Variable]:
    """Return the variables of a site in the order of the file, with those that have no value."""
    if account.site.scheduler != "slurm":
        return list(_certificate(account))
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
        if site.deployment.data_path:
            yield _text(account, "SLURM_DATA_PATH", site.deployment.data_path, "data")
    if site.slurm.partition:
        yield Variable("SLURM_PARTITION", site.slurm.partition)
    if qos := site.slurm.chosen_qos(site.slurm):
        yield Variable("SLURM_QOS", qos)
    if site.slurm.reservation or site.slurm.reservations:
        option = "--set slurm.reservation=NAME, if you have a reservation"
        yield Variable("SLURM_RESERVATION", site.slurm.reservation, (option,))
    if slurm_account := account.profile.account or site.slurm.accounts.default:
        yield Variable("SLURM_ACCOUNT", slurm_account)
    elif site.slurm.accounts.required:
        yield Variable("SLURM_ACCOUNT", None, ("account",))
    yield Variable("SLURM_SUPERCOMPUTER_SITE", site.site)
    yield Variable(
        "DAGSTER_DEPLOYMENT",
        "production_supercomputer",
        comment="or staging_supercomputer, or development",
    )
    # gen does not know it: the user deploys the environment with a tool of their own.
    environment = "the directory at the site to which you deployed an environment"
    yield Variable("CI_DEPLOYED_ENVIRONMENT_PATH", None, (environment,))


def _certificate(account: Account) -> Iterator[Variable]:
    """Yield the variables that the site's documentation uses for its certificate authority."""
    auth = account.site.auth
    if not isinstance(auth, StepAuth) or not auth.env_prefix:
        return
    prefix = auth.env_prefix
    if auth.oidc:
        yield from _oidc(account, prefix, auth.oidc)
    yield Variable(f"{prefix}_STEP_CONTEXT", auth.context, comment="certificate authority")
    yield Variable(f"{prefix}_STEP_CA_URL", auth.ca_url)
    yield Variable(f"{prefix}_STEP_FINGERPRINT", auth.ca_fingerprint)
    certificate = account.certificate(auth) or f"{auth.key}-cert.pub"
    yield _path(account, f"{prefix}_STEP_CERT_PATH", certificate)
    if auth.renew_before:
        # The unit of this variable is a minute. Rounded up, so that it is never later than the
        # timer.
        minutes = math.ceil(seconds(auth.renew_before) / 60)
        yield Variable(f"{prefix}_STEP_REFRESH_SKEW", str(minutes))
    if auth.authentik:
        yield from _authentik(account, prefix, auth.authentik)


def _oidc(account: Account, prefix: str, oidc: Oidc) -> Iterator[Variable]:
    comment = "token for an unattended renewal"
    yield _text(account, f"{prefix}_OIDC_CLIENT_ID", oidc.client_id, comment)
    yield _text(account, f"{prefix}_OIDC_USERNAME", oidc.username)
    yield Variable(f"{prefix}_OIDC_TOKEN_URL", oidc.token_url)
    yield Variable(f"{prefix}_OIDC_SCOPE", oidc.scope)
    yield Variable(f"{prefix}_OIDC_TOKEN_FIELD", oidc.token_field)


def _authentik(account: Account, prefix: str, authentik: Authentik) -> Iterator[Variable]:
    comment = (
        f"{prefix}_OIDC_APP_PASSWORD and {prefix}_AUTHENTIK_API_TOKEN are in a file of mode 0600,"
        " never here"
    )
    credentials = authentik.credentials_file
    yield _path(account, f"{prefix}_AUTHENTIK_CREDENTIALS_FILE", credentials, comment)
    if output := authentik.app_password_file:
        yield _path(account, f"{prefix}_AUTHENTIK_APP_PASSWORD_OUTPUT", output)
    yield Variable(f"{prefix}_AUTHENTIK_API_BASE", authentik.api_base)
    yield Variable(f"{prefix}_AUTHENTIK_TOKEN_IDENTIFIER", authentik.identifier)
    yield Variable(f"{prefix}_AUTHENTIK_TOKEN_INTENT", "app_password")
    yield Variable(f"{prefix}_AUTHENTIK_TOKEN_EXPIRES_DAYS", str(authentik.expires_days))


def _text(account: Account, name: str, template: str, comment: str | None = None) -> Variable:
    return Variable(name, account.fill(template), tuple(account.missing(template)), comment)


def _path(account: Account, name: str, path: str, comment: str | None = None) -> Variable:
    """Return a variable whose value is a path, with `~` replaced by the profile's home directory.

    Only a shell expands `~`; the other readers keep it. Without `home` in the profile the path is
    unknown.
    """
    missing = account.missing(path)
    filled = account.fill(path)
    if filled and filled.startswith("~/"):
        home = account.profile.home
        filled = f"{home}{filled[1:]}" if home else None
    if filled is None and not missing:
        missing = ["home"]
    return Variable(name, filled, tuple(missing), comment)
