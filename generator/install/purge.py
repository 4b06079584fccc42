"""The secrets of a site, which `gen uninstall` keeps unless the user adds `--purge`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from generator import paths
from generator.compiler.account import Account
from generator.install import managed_blocks, record
from generator.install.plan import HomePlan
from generator.loading import catalogue, validate
from generator.schema.auth import StepAuth
from generator.schema.profile import SiteProfile
from generator.ssh.config_files import Files, sources, walk


def secrets_to_delete(home: Path, sites: Sequence[str], plan: HomePlan) -> list[Path]:
    """Return the keys, certificates and credentials that only these sites use.

    A file stays if another site uses it, or if the user named it: with `--identity-file`, or in
    their own ssh configuration as it is after the uninstallation.
    """
    used = set(_secrets(home, plan.remaining))
    for path in (*_chosen_keys(home), *_configured_keys(home, sites, plan)):
        key = _in_home(home, path)
        used.update((key, Path(f"{key}.pub"), Path(f"{key}-cert.pub")))
    secrets: list[Path] = []
    for secret in dict.fromkeys(_secrets(home, sites)):
        if secret not in used and secret.is_file():
            secrets.append(secret)
    return secrets


def _chosen_keys(home: Path) -> Iterator[str]:
    """Yield the keys that the user named when they installed a site."""
    for site_lock in record.installed(home).values():
        key = site_lock.inputs.profile.get("identity_file")
        if key:
            yield str(key)


def _configured_keys(home: Path, sites: Iterable[str], plan: HomePlan) -> Iterator[str]:
    """Yield the keys and certificates that the user's own lines of the ssh config name."""
    config = home / paths.SSH_CONFIG
    overlay: dict[Path, bytes | None] = {}
    for site in (*sites, *plan.remaining):
        overlay[home / paths.installed_ssh_config(site)] = None
    overlay[config] = managed_blocks.arranged(plan.config, str(config), {})
    user_config, _ = sources(Files(home, overlay))
    for _, line in walk(user_config):
        if line.keyword in ("identityfile", "certificatefile"):
            yield from line.arguments[:1]


def _secrets(home: Path, sites: Iterable[str]) -> Iterator[Path]:
    locks = record.installed(home)
    for name in sites:
        profile = SiteProfile.model_validate(dict(locks[name].inputs.profile))
        site = validate.site(catalogue.spec(name, None))
        for path in _site_secrets(Account(site, profile)):
            if path.startswith("~/") and ".." not in path.split("/"):
                yield _in_home(home, path)


def _in_home(home: Path, path: str) -> Path:
    """Return a path of a spec or an ssh config; an absolute one stays as it is."""
    for prefix in ("~/", "%d/", "${HOME}/"):
        path = path.removeprefix(prefix)
    return home / path


def _site_secrets(account: Account) -> Iterator[str]:
    """Yield the secrets that the spec names; a key that the user named is not the site's."""
    site = account.site
    for auth in (site.auth, *map(site.auth_of, site.hosts.values())):
        key = account.key(auth)
        if key and key != account.profile.identity_file:
            yield from (key, f"{key}.pub")
            certificate = account.certificate(auth)
            if certificate:
                yield certificate
        if isinstance(auth, StepAuth) and auth.authentik:
            for file in (auth.authentik.credentials_file, auth.authentik.app_password_file):
                # A placeholder without a value leaves the path unknown.
                path = account.fill(file or "")
                if path:
                    yield path
