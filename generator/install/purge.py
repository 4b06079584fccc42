"""What of a site is a person's secret: kept when the site goes, unless they say otherwise."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from generator.account import Account
from generator.spec.auth import StepAuth


def secrets(account: Account) -> list[PurePosixPath]:
    """Return the keys, certificates and credentials of a site below the home folder.

    A key that the person named themselves is not the site's.
    """
    found = [path.removeprefix("~/") for path in _paths(account) if path.startswith("~/")]
    return [PurePosixPath(path) for path in dict.fromkeys(found) if ".." not in PurePosixPath(path).parts]


def _paths(account: Account) -> Iterator[str]:
    site, own = account.site, account.person.identity_file
    for auth in (site.auth, *(host.auth for host in site.hosts.values() if host.auth)):
        key, certificate = account.key(auth), account.certificate(auth)
        if key and key != own:
            yield from (key, f"{key}.pub", *([certificate] if certificate else []))
        if isinstance(auth, StepAuth) and auth.authentik:
            files = (auth.authentik.credentials_file, auth.authentik.app_password_file)
            yield from (path for file in files if file and (path := account.fill(file)))
