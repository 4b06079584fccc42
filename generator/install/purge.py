"""What of a site is a person's secret: kept when the site goes, unless they say otherwise."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from generator import paths
from generator.compiler.account import Account
from generator.install import managed_blocks, record
from generator.install.plan import Move
from generator.loading import catalogue, validate
from generator.schema.auth import StepAuth
from generator.schema.profile import SiteProfile
from generator.ssh.config_files import Files, sources, walk


def goes(home: Path, sites: Sequence[str], move: Move) -> list[Path]:
    """Return the keys, certificates and credentials of some sites that are there and that nobody else uses.

    Others are the sites that stay, and the person: by `--identity-file`, or in their own ssh configuration as it is
    to be.

    Raises:
        GenError: the spec of a site, which tells what they are, is gone or has faults.
    """
    own = [
        str(lock.inputs.profile.get("identity_file") or "")
        for lock in record.installed(home).values()
    ]
    named = [_place(home, path) for path in (*own, *_configured(home, sites, move))]
    used = {*_secrets(home, move.left), *named}
    used |= {Path(f"{path}{ending}") for path in named for ending in (".pub", "-cert.pub")}
    return [
        path for path in dict.fromkeys(_secrets(home, sites)) if path not in used and path.is_file()
    ]


def _configured(home: Path, sites: Iterable[str], move: Move) -> Iterator[str]:
    """Yield the keys and certificates that lines of the person's name."""
    content = managed_blocks.arranged(move.config, str(home / paths.SSH_CONFIG), {})
    ours = {home / paths.installed_ssh_config(site): None for site in (*sites, *move.left)}
    for _, line in walk(sources(Files(home, {**ours, home / paths.SSH_CONFIG: content}))[0]):
        if line.keyword in ("identityfile", "certificatefile"):
            yield from line.arguments[:1]


def _secrets(home: Path, sites: Iterable[str]) -> Iterator[Path]:
    was = record.installed(home)
    for name in sites:
        profile = SiteProfile.model_validate(dict(was[name].inputs.profile))
        secrets = _paths(Account(validate.site(catalogue.spec(name, None)), profile))
        yield from (
            _place(home, path)
            for path in secrets
            if path.startswith("~/") and ".." not in path.split("/")
        )


def _place(home: Path, path: str) -> Path:
    """Return where a path leads that is written as in a spec or in an ssh config; an absolute one stays what it is."""
    for start in ("~/", "%d/", "${HOME}/"):
        path = path.removeprefix(start)
    return home / path


def _paths(account: Account) -> Iterator[str]:
    """Yield the files of a site; a key that the person named themselves is not the site's."""
    site, own = account.site, account.profile.identity_file
    for auth in (site.auth, *(host.auth for host in site.hosts.values() if host.auth)):
        key, certificate = account.key(auth), account.certificate(auth)
        if key and key != own:
            yield from (key, f"{key}.pub", *([certificate] if certificate else []))
        if isinstance(auth, StepAuth) and auth.authentik:
            files = (auth.authentik.credentials_file, auth.authentik.app_password_file)
            yield from (path for file in files if file and (path := account.fill(file)))
