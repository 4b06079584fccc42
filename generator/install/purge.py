"""The secrets of a site, which `gen uninstall` keeps unless the user adds `--purge`.

gen deletes a secret only if the spec of the installation names it, if it is where gen and its
proposals put secrets, if it has the content of such a secret, and if it did not exist before the
installation. A spec may come from anybody: it could name `~/.ssh/authorized_keys` as its key.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator import paths
from generator.compiler.account import Account
from generator.errors import GenError
from generator.files import is_regular, read_regular
from generator.install import managed_blocks, record
from generator.install.installed_account import installed_account
from generator.install.plan import HomePlan
from generator.renewal import credentials, pair_names
from generator.schema.auth import StepAuth
from generator.ssh.certificate import parse_certificate
from generator.ssh.config_files import Files, read_configuration, walk
from generator.ssh.keys import key_blob
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

# The names of dagster-slurm, which gen uses too (renewal/credentials.py).
_CREDENTIALS = (b"ASC_OIDC_APP_PASSWORD", b"ASC_AUTHENTIK_API_TOKEN")


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
        for secret in _secrets(home, installed_account(home, locks[site])):
            # The strongest reason comes first: a key that another site uses must stay in any case.
            path = secret.path
            reason = _reason_to_keep(home, secret, users)
            if site not in earlier:
                reason = reason or "gen's record does not say whether it is older than the site"
            elif str(path.relative_to(home)) in earlier[site]:
                reason = reason or "it existed before the site was installed"
            if reason:
                spared[path] = KeptSecret(path, reason)
            else:
                deleted[path] = None
    return Purge(tuple(deleted), tuple(spared.values()))


def secrets(home: Path, account: Account) -> list[Path]:
    """Return the existing secrets of a site; paths outside the home directory are left out."""
    return [secret.path for secret in _secrets(home, account)]


def installed_secrets(home: Path, site: str) -> list[Path]:
    """Return the existing secrets that came with the installed version of a site, or before it."""
    site_lock = record.installed(home).get(site)
    # Without an entry, as after the deletion of a damaged record, any of them may be older.
    if site_lock is None or site not in record.home_record(home).earlier_secrets:
        return []
    try:
        return secrets(home, installed_account(home, site_lock))
    except GenError:
        return []  # a copy that is missing or edited says nothing about the installation


@dataclass(frozen=True)
class _Secret:
    path: Path
    has_expected_content: Callable[[bytes], bool]


def _secrets(home: Path, account: Account) -> list[_Secret]:
    existing: dict[Path, _Secret] = {}
    for path, has_expected_content in _paths(home, account):
        file = home / path.removeprefix("~/")
        if path.startswith("~/") and ".." not in file.parts and is_regular(file):
            existing.setdefault(file, _Secret(file, has_expected_content))
    return list(existing.values())


def _reason_to_keep(home: Path, secret: _Secret, users: Mapping[Path, str]) -> str | None:
    path = secret.path
    user = users.get(_real(path))
    if user:
        return f"{user} uses it"
    # Some file systems ignore the case of names.
    if path.name.lower().removesuffix(".pub").removesuffix("-cert") in _DEFAULT_KEYS:
        return "it is a default key of ssh, so other hosts may need it"
    if not any(_is_below(path, home / directory) for directory in _DIRECTORIES):
        return "it is neither in ~/.ssh nor in ~/.config"
    content = _content(path)
    if content is None or (content and not secret.has_expected_content(content)):
        return "it does not have the content of a secret of this site"
    return None


def _real(path: Path) -> Path:
    """Return a path without links and `..`: one file may have many paths."""
    return Path(os.path.realpath(path))


def _is_below(path: Path, directory: Path) -> bool:
    """Return whether a file is really below a directory, which itself may be a link."""
    return _real(path.parent).is_relative_to(_real(directory))


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except (GenError, OSError):
        return None


def _users(home: Path, sites: Iterable[str], plan: HomePlan) -> dict[Path, str]:
    """Return the secrets that are in use elsewhere, by their real paths, each with its user."""
    users: dict[Path, str] = {}
    locks = record.installed(home)
    for site in plan.remaining:
        for path in secrets(home, installed_account(home, locks[site])):
            users[_real(path)] = site
    for key in _chosen_keys(locks.values()):
        users.update(_with_companions(home, key, "your --identity-file"))
    for key in _configured_keys(home, sites, plan):
        users.update(_with_companions(home, key, "your ssh configuration"))
    return users


def _with_companions(home: Path, key: str, user: str) -> dict[Path, str]:
    """Return a key as a spec or an ssh config writes it, with its public half and certificate."""
    files: dict[Path, str] = {}
    for path in Files(home).named(key):
        # ssh looks for the others beside the name that the configuration has.
        for name in (path, _real(path)):
            for ending in ("", ".pub", "-cert.pub"):
                files[_real(Path(f"{name}{ending}"))] = user
    return files


def _chosen_keys(locks: Iterable[Lock]) -> Iterator[str]:
    """Yield the keys that the user named when they installed a site."""
    for site_lock in locks:
        key = site_lock.inputs.profile.get("identity_file")
        if key:
            yield str(key)


def _configured_keys(home: Path, sites: Iterable[str], plan: HomePlan) -> Iterator[str]:
    """Yield the keys and certificates that lines of the ssh config outside of gen's name."""
    config = home / paths.SSH_CONFIG
    overlay: dict[Path, bytes | None] = {}
    for site in (*sites, *plan.remaining):
        overlay[home / paths.installed_ssh_config(site)] = None
        overlay[home / paths.installed_machine_config(site)] = None
    overlay[config] = managed_blocks.arranged(plan.config, str(config), {})
    for file in read_configuration(Files(home, overlay)).files:
        for _, line in walk(file):
            if line.keyword in ("identityfile", "certificatefile"):
                yield from line.arguments[:1]


def _paths(home: Path, account: Account) -> Iterator[tuple[str, Callable[[bytes], bool]]]:
    """Yield the secrets that the spec names, each with the check of its content.

    A key that the user named is not the site's.
    """
    site = account.site
    for auth in (site.auth, *map(site.auth_of, site.hosts.values())):
        key = account.key(auth)
        if key and key != account.profile.identity_file:
            yield key, _is_private_key
            yield f"{key}.pub", _is_public_key
            certificate = account.certificate(auth)
            if certificate:
                yield certificate, _is_certificate
        if isinstance(auth, StepAuth) and auth.authentik:
            # A placeholder without a value leaves the path unknown.
            file = account.fill(auth.authentik.credentials_file)
            if file:
                yield file, _is_credentials_file
                directory = file.rpartition("/")[0]
                yield f"{directory}/{pair_names.NAME_FILE}", pair_names.is_name_file
            copy = account.fill(auth.authentik.app_password_file or "")
            if file and copy:
                yield copy, _AppPassword(home / file.removeprefix("~/")).is_in


def _is_private_key(content: bytes) -> bool:
    # PEM and OpenSSH's own format both have these words in the first line (ssh-keygen(1), -m).
    return b"PRIVATE KEY-----" in content.partition(b"\n")[0]


def _is_public_key(content: bytes) -> bool:
    try:
        key_blob(content)
    except ValueError:
        return False
    # authorized_keys has such lines too.
    return len(content.splitlines()) == 1


def _is_certificate(content: bytes) -> bool:
    try:
        parse_certificate(content)
    except ValueError:
        return False
    return True


def _is_credentials_file(content: bytes) -> bool:
    return any(line.startswith(_CREDENTIALS) for line in content.splitlines())


@dataclass(frozen=True)
class _AppPassword:
    """The app password in a credentials file, which gen may have written into a second file."""

    credentials_file: Path

    def is_in(self, content: bytes) -> bool:
        """Return whether the content is the app password and nothing else."""
        try:
            secret = credentials.read(self.credentials_file).app_password.secret
        except GenError:
            return False
        return secret is not None and content.decode(errors="replace").strip() == secret.reveal()
