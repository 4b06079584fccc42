"""The secrets of a site, which `gen uninstall` keeps unless the user adds `--purge`.

gen deletes a secret only if the spec of the installation names it, if it is where gen and its
proposals put secrets, and if it did not exist before the installation.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator import paths
from generator.compiler.account import Account
from generator.compiler.digests import digest
from generator.errors import GenError, os_errors_named
from generator.files import is_regular, read_regular
from generator.install import managed_blocks, record
from generator.install.plan import HomePlan
from generator.loading import validate
from generator.schema.auth import StepAuth
from generator.schema.profile import SiteProfile
from generator.ssh.config_files import Files, read_configuration, walk
from generator.workspace.lock import Lock

_DIRECTORIES = (paths.SSH, paths.USER_CONFIG)
# The keys that ssh offers to every host (ssh_config(5), IdentityFile), and older ones.
_DEFAULT_KEYS = {
    "identity",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
}


@dataclass(frozen=True)
class KeptSecret:
    """A secret that the spec names and that gen does not delete."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Purge:
    """The secrets of some sites, which exist in the home directory."""

    deleted: tuple[Path, ...]
    spared: tuple[KeptSecret, ...]


def purge(home: Path, sites: Sequence[str], plan: HomePlan) -> Purge:
    """Return the keys, certificates and credentials to delete with some sites."""
    users = _users(home, sites, plan)
    earlier = record.home_record(home).earlier_secrets
    locks = record.installed(home)
    deleted: dict[Path, None] = {}
    spared: dict[Path, KeptSecret] = {}
    for site in sites:
        for path in secrets(home, _account(home, locks[site])):
            # The strongest reason comes first: a key that another site uses must stay in any case.
            reason = _reason_to_keep(home, path, users)
            if str(path.relative_to(home)) in earlier.get(site, ()):
                reason = reason or "it existed before the site was installed"
            if reason:
                spared[path] = KeptSecret(path, reason)
            else:
                deleted[path] = None
    return Purge(tuple(deleted), tuple(spared.values()))


def secrets(home: Path, account: Account) -> list[Path]:
    """Return the existing secrets of a site; paths outside the home directory are left out."""
    files: list[Path] = []
    for path in _paths(account):
        file = home / path.removeprefix("~/")
        if path.startswith("~/") and ".." not in file.parts and is_regular(file):
            files.append(file)
    return list(dict.fromkeys(files))


def _reason_to_keep(home: Path, path: Path, users: Mapping[Path, str]) -> str | None:
    if path in users:
        return f"{users[path]} uses it"
    if path.name.removesuffix(".pub").removesuffix("-cert") in _DEFAULT_KEYS:
        return "it is a default key of ssh, so other hosts may need it"
    if not any(path.is_relative_to(home / directory) for directory in _DIRECTORIES):
        return "it is neither in ~/.ssh nor in ~/.config"
    return None


def _users(home: Path, sites: Iterable[str], plan: HomePlan) -> dict[Path, str]:
    """Return the secrets that are in use elsewhere, each with its user."""
    users: dict[Path, str] = {}
    locks = record.installed(home)
    for site in plan.remaining:
        for path in secrets(home, _account(home, locks[site])):
            users[path] = site
    for key in _chosen_keys(locks.values()):
        users.update(_with_companions(home, key, "your --identity-file"))
    for key in _configured_keys(home, sites, plan):
        users.update(_with_companions(home, key, "your ssh configuration"))
    return users


def _with_companions(home: Path, key: str, user: str) -> dict[Path, str]:
    """Return a key as a spec or an ssh config writes it, with its public half and certificate."""
    for prefix in ("~/", "%d/", "${HOME}/"):
        key = key.removeprefix(prefix)
    path = home / key  # an absolute path stays as it is
    return {Path(f"{path}{ending}"): user for ending in ("", ".pub", "-cert.pub")}


def _chosen_keys(locks: Iterable[Lock]) -> Iterator[str]:
    """Yield the keys that the user named when they installed a site."""
    for site_lock in locks:
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
    user_config = read_configuration(Files(home, overlay)).user
    for _, line in walk(user_config):
        if line.keyword in ("identityfile", "certificatefile"):
            yield from line.arguments[:1]


def _account(home: Path, site_lock: Lock) -> Account:
    """Return the account of an installation: the recorded spec, with the recorded profile."""
    copy = home / paths.installed_spec_copy(site_lock.site)
    with os_errors_named(copy):
        content = read_regular(copy)
    if digest(content) != site_lock.inputs.spec.sha256:
        raise GenError(
            f"{copy}: is not the spec that was installed; "
            f"run gen install {site_lock.site}, then try again"
        )
    profile = SiteProfile.model_validate(dict(site_lock.inputs.profile))
    return Account(validate.site(copy), profile)


def _paths(account: Account) -> Iterator[str]:
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
