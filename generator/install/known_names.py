"""Find the names of a site that the user connects to already, by their known_hosts.

Such a name may have no entry in the ssh config. It counts as the user's, unless the site leads it
to the machine whose key ssh recorded.
"""

import base64
import hmac
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from generator import paths
from generator.errors import os_errors_named
from generator.files import is_regular, read_regular
from generator.install.shadowing import site_alone, site_names
from generator.ssh import config_lines
from generator.ssh.client import Settings
from generator.ssh.effective_config import effective_settings
from generator.ssh.keys import fingerprint
from generator.ssh.patterns import is_pattern

# The files that ssh reads if no option names others (ssh_config(5), UserKnownHostsFile).
_FILES = (paths.SSH / "known_hosts", paths.SSH / "known_hosts2")
_PORT = re.compile(r"\[(.*)\]:\d+")


def known_names(home: Path, conf: bytes) -> list[str]:
    """Return the names of a site's ssh file that the user's known_hosts has with other keys."""
    names: list[str] = []
    for name, written in site_names(conf).items():
        if not is_pattern(written):
            names.append(name)
    ports: set[str] = set()
    for line in config_lines.lines(conf):
        if line.keyword == "port":
            ports.add(line.value)
    recorded = _recorded_keys(home, names, ports)
    settings = effective_settings(site_alone(conf), list(recorded))
    others: list[str] = []
    for name, fingerprints in recorded.items():
        if not _leads_to_same_machine(name, fingerprints, settings[name]):
            others.append(name)
    return others


def _leads_to_same_machine(name: str, fingerprints: set[str], settings: Settings) -> bool:
    pins = " ".join(settings.get("knownhostscommand", ()))
    if pins:
        pinned = set(re.findall(r"SHA256:[A-Za-z0-9+/]+", pins))
        return not pinned.isdisjoint(fingerprints)
    # Without a pin, ssh itself compares the key with the recorded one, under the host name.
    is_same_name = settings.get("hostname") == (name.lower(),) and "hostkeyalias" not in settings
    is_checked = "/dev/null" not in settings.get("userknownhostsfile", ())
    return is_same_name and is_checked


def _recorded_keys(home: Path, names: list[str], ports: set[str]) -> Mapping[str, set[str]]:
    """Return the fingerprints that ssh recorded for some names."""
    recorded: dict[str, set[str]] = {}
    known_hosts = list(_known_hosts(home))
    for name in names:
        for hosts, key_fingerprint in known_hosts:
            if _is_for(hosts, name.lower(), ports):
                recorded.setdefault(name, set()).add(key_fingerprint)
    return recorded


def _known_hosts(home: Path) -> Iterator[tuple[str, str]]:
    """Yield the host names and the fingerprint of each entry of the user's known_hosts files.

    The format is that of sshd(8), SSH_KNOWN_HOSTS_FILE_FORMAT.
    """
    for file in _FILES:
        path = home / file
        if not is_regular(path):
            continue
        with os_errors_named(path):
            content = read_regular(path).decode(errors="replace")
        for line in content.splitlines():
            hosts, _, key = line.strip().partition(" ")
            # A line with a marker is for authorities or revoked keys, and names no single host.
            if hosts.startswith(("#", "@")):
                continue
            try:
                yield hosts, fingerprint(key)
            except ValueError:
                continue  # ssh ignores such a line too


def _is_for(hosts: str, name: str, ports: set[str]) -> bool:
    if hosts.startswith("|1|"):
        return _is_hash_of(hosts, name, ports)
    for host in hosts.lower().split(","):
        bracketed = _PORT.fullmatch(host)
        if name == (bracketed[1] if bracketed else host):
            return True
    return False


def _is_hash_of(hashed: str, name: str, ports: set[str]) -> bool:
    """Return whether `|1|SALT|HASH` is for a name, at one of some ports (ssh-keygen(1), -H)."""
    _, _, salt, digest = hashed.split("|", 3)
    try:
        key, expected = base64.b64decode(salt), base64.b64decode(digest)
    except ValueError:
        return False
    for host in (name, *(f"[{name}]:{port}" for port in ports)):
        if hmac.digest(key, host.encode(), "sha1") == expected:
            return True
    return False
