"""Values of a user that this machine knows, as proposals for `gen init`.

Nothing here is an error: a value that the machine does not know is not proposed.
"""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generator import paths, programs
from generator.errors import GenError
from generator.files import KEY_LIMIT, read_regular
from generator.formatting import home as shortened
from generator.install import record
from generator.loading import catalogue
from generator.loading.index import summary
from generator.ssh.client import Settings
from generator.ssh.config_aliases import aliases
from generator.ssh.config_files import Files, read_configuration
from generator.ssh.effective_config import effective_settings
from generator.ssh.keys import key_blob

_SECONDS = 5
# Asking ssh for a name takes some 10 ms.
_MOST_ALIASES = 100


@dataclass(frozen=True)
class KnownSite:
    """A site that the user logs in to already, and how."""

    site: str
    reason: str
    """Where this machine knows it from: `Host mila`, `known_hosts`, or `installed`."""
    user: str | None = None
    identity_file: str | None = None


def user_name() -> str | None:
    """Return the name of the user on this machine, as the passwd database has it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run any uid
        return None


def email() -> str | None:
    """Return the e-mail address that git has for the user."""
    # Not the address of the repository that gen happens to run in.
    try:
        outcome = programs.run(["git", "config", "--global", "user.email"], seconds=_SECONDS)
    except GenError:
        return None
    return outcome.text.strip() or None


def private_keys(home: Path) -> dict[str, str]:
    """Return the private keys in ~/.ssh that have a public half: the kind of each, by its path.

    A kind says whether an agent holds the key.
    """
    in_agent = _agent_blobs()
    keys: dict[str, str] = {}
    for public_key in sorted((home / paths.SSH).glob("id_*.pub")):
        private_key = public_key.with_suffix("")
        if public_key.name.endswith("-cert.pub"):
            continue
        try:
            line = read_regular(public_key, KEY_LIMIT).decode()
            blob = key_blob(line)
        except (OSError, GenError, ValueError):
            continue
        kind = line.split()[0].removeprefix("ssh-")
        if blob in in_agent:
            kind = f"{kind}, in your agent"
        elif not private_key.exists():
            continue
        keys[shortened(private_key)] = kind
    return keys


def known_sites(home: Path) -> dict[str, KnownSite]:
    """Return the sites that this machine knows, by name: installed, configured, or logged in to."""
    sites = {name: KnownSite(name, "installed") for name in record.installed(home)}
    by_host: dict[str, str] = {}
    for name, path in catalogue.shipped().items():
        by_host.setdefault(summary(name, path).host.lower(), name)
    for alias, settings in _configured_hosts(home).items():
        host = next(iter(settings.get("hostname", ())), "").lower()
        site = by_host.get(host)
        if site and site not in sites:
            sites[site] = KnownSite(site, f"Host {alias}", _user(settings), _key(home, settings))
    for host in _hosts_logged_in_to(home):
        site = by_host.get(host)
        if site:
            sites.setdefault(site, KnownSite(site, "known_hosts"))
    return dict(sorted(sites.items()))


def _agent_blobs() -> set[bytes]:
    """Return the keys of the user's ssh agent; none without an agent."""
    try:
        outcome = programs.run(["ssh-add", "-L"], seconds=_SECONDS)
    except GenError:
        return set()
    blobs: set[bytes] = set()
    for line in outcome.text.splitlines():
        try:
            blobs.add(key_blob(line))
        except ValueError:
            continue
    return blobs


def _configured_hosts(home: Path) -> Mapping[str, Settings]:
    """Return ssh's settings for the hosts of the user's configuration, by alias."""
    names = aliases(home / paths.SSH_CONFIG)[:_MOST_ALIASES]
    try:
        return effective_settings(read_configuration(Files(home)), names)
    except GenError:  # ssh refuses the configuration; gen install says why
        return {}


def _user(settings: Settings) -> str | None:
    """Return the user of a host, unless it is the one that ssh takes without an entry."""
    user = next(iter(settings.get("user", ())), None)
    return None if user == user_name() else user


def _key(home: Path, settings: Settings) -> str | None:
    """Return the key of a host, if the configuration names one that exists."""
    files = settings.get("identityfile", ())
    # Without an IdentityFile, ssh lists all of its default keys.
    if len(files) != 1:
        return None
    path = home / files[0].removeprefix("~/")
    return shortened(path) if path.is_file() else None


def _hosts_logged_in_to(home: Path) -> list[str]:
    """Return the host names that ssh recorded; hashed ones cannot be read."""
    try:
        content = read_regular(home / paths.SSH / "known_hosts")
    except (OSError, GenError):
        return []
    hosts: list[str] = []
    for line in content.decode(errors="replace").splitlines():
        for name in line.partition(" ")[0].split(","):
            # `[host]:port`, see sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
            hosts.append(name.removeprefix("[").partition("]")[0].lower())
    return hosts
