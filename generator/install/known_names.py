"""Find the names of a site that the user connects to already, by their known_hosts.

Such a name may have no entry in the ssh config. It counts as the user's, unless the site leads it
to the machine whose key ssh recorded.
"""

import base64
import hmac
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from generator import paths
from generator.errors import GenError, os_errors_named
from generator.files import is_regular, read_regular
from generator.install.shadowing import site_alone
from generator.ssh import config_lines
from generator.ssh.client import Settings
from generator.ssh.config_files import Files, read_configuration, walk
from generator.ssh.effective_config import effective_settings
from generator.ssh.keys import fingerprint
from generator.ssh.patterns import is_pattern, matches

# The files that ssh reads if no option names others (ssh_config(5), UserKnownHostsFile).
_PORT = re.compile(r"(!?)\[(.*)\]:\d+")
# ssh writes a name without its port if it is this one (misc.c, put_host_port).
_USUAL_PORT = "22"
_MOST_COMPARISONS = 5_000_000  # of hashes in a file with names of a site: some seconds


@dataclass
class _RecordedKeys:
    """The fingerprints in the user's known_hosts files, by the names that they are for."""

    plain: dict[str, set[str]] = field(default_factory=dict)
    patterns: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, str]] = field(default_factory=list)
    """Salt, hash and fingerprint."""

    def keys_of(self, name: str, ports: Iterable[str]) -> set[str]:
        """Return the fingerprints for a name, at any port or, hashed, at one of some ports."""
        fingerprints = set(self.plain.get(name, ()))
        for patterns, key_fingerprint in self.patterns:
            if matches(patterns, name):
                fingerprints.add(key_fingerprint)
        hosts = [name.encode(), *(f"[{name}]:{port}".encode() for port in ports)]
        for salt, digest, key_fingerprint in self.hashed:
            # ssh-keygen(1), -H
            if any(hmac.digest(salt, host, "sha1") == digest for host in hosts):
                fingerprints.add(key_fingerprint)
        return fingerprints

    def add(self, hosts: str, key_fingerprint: str) -> None:
        """Add an entry: names or patterns with commas between them, or the hash of one name."""
        if hosts.startswith("|1|"):
            _, _, salt, digest = hosts.split("|", 3)
            try:
                entry = (base64.b64decode(salt), base64.b64decode(digest), key_fingerprint)
            except ValueError:
                return
            self.hashed.append(entry)
            return
        names = [_PORT.sub(r"\1\2", host) for host in hosts.lower().split(",")]
        for name in names:
            if not is_pattern(name):
                self.plain.setdefault(name, set()).add(key_fingerprint)
        # `*` says nothing about a name, as in the line of an authority for all hosts.
        if any(map(is_pattern, names)) and "*" not in names:
            self.patterns.append((tuple(names), key_fingerprint))


def known_names(home: Path, conf: bytes) -> dict[str, str]:
    """Return the names and patterns of a site's ssh file that the user connects to already.

    Each comes with a name in known_hosts whose recorded key is not one of the site.
    """
    others: dict[str, str] = {}
    blocks, ports = _blocks_and_ports(conf)
    single = [name for name in dict.fromkeys(chain.from_iterable(blocks)) if not is_pattern(name)]
    # Each hash has a salt of its own, so it is compared with every name at every port.
    most_hashes = _MOST_COMPARISONS // max(1, len(single) * (1 + len(ports)))
    recorded = _recorded_keys(home, most_hashes)
    names: dict[str, tuple[str, set[str]]] = {}
    for name in single:
        names[name] = (name, recorded.keys_of(name.lower(), ports))
    names = _with_patterns(names, blocks, recorded)
    settings = effective_settings(site_alone(conf), [name for name, _ in names.values()])
    for written, (name, fingerprints) in names.items():
        if not _leads_to_same_machine(name, fingerprints, settings[name]):
            others[written] = name
    return others


def _blocks_and_ports(conf: bytes) -> tuple[list[tuple[str, ...]], set[str]]:
    """Return the names and patterns of each block of a site's file, and its unusual ports."""
    blocks: list[tuple[str, ...]] = []
    ports: set[str] = set()
    for line in config_lines.lines(conf):
        if line.keyword == "port" and line.value != _USUAL_PORT:
            ports.add(line.value)
        elif line.keyword == "host":
            blocks.append(line.arguments)
    return blocks, ports


def _with_patterns(
    names: dict[str, tuple[str, set[str]]],
    blocks: Iterable[tuple[str, ...]],
    recorded: _RecordedKeys,
) -> dict[str, tuple[str, set[str]]]:
    """Return the names and patterns of a site that known_hosts has, with the recorded keys.

    A pattern comes with one recorded name: its block gives all of them the same settings.
    """
    for block in blocks:
        patterns = [written for written in block if is_pattern(written)]
        if not patterns:
            continue
        for name, fingerprints in recorded.plain.items():
            if name in names or not matches(block, name):
                continue
            written = next(pattern for pattern in patterns if matches([pattern], name))
            names.setdefault(written, (name, fingerprints))
    return {written: entry for written, entry in names.items() if entry[1]}


def _leads_to_same_machine(name: str, fingerprints: set[str], settings: Settings) -> bool:
    pins = " ".join(settings.get("knownhostscommand", ()))
    if pins:
        pinned = set(re.findall(r"SHA256:[A-Za-z0-9+/]+", pins))
        return not pinned.isdisjoint(fingerprints)
    # Without a pin, ssh itself compares the key with the recorded one, under the host name.
    is_same_name = settings.get("hostname") == (name.lower(),) and "hostkeyalias" not in settings
    is_checked = "/dev/null" not in settings.get("userknownhostsfile", ())
    return is_same_name and is_checked


def _recorded_keys(home: Path, most_hashes: int) -> _RecordedKeys:
    """Return the content of the user's known_hosts files, of which each has a limit of hashes.

    The format is that of sshd(8), SSH_KNOWN_HOSTS_FILE_FORMAT.
    """
    recorded = _RecordedKeys()
    for path in _known_hosts_files(home):
        if not is_regular(path):
            continue
        with os_errors_named(path):
            content = read_regular(path).decode(errors="replace")
        earlier_hashes = len(recorded.hashed)
        for line in content.splitlines():
            # A machine with the certificate of an authority is known too.
            text = line.strip().removeprefix("@cert-authority").lstrip()
            hosts, _, key = text.partition(" ")
            if hosts.startswith(("#", "@")):
                continue
            try:
                recorded.add(hosts, fingerprint(key))
            except ValueError:
                continue  # ssh ignores such a line too
        _refuse_too_many(path, len(recorded.hashed) - earlier_hashes, most_hashes)
    return recorded


def _refuse_too_many(path: Path, hashes: int, most: int) -> None:
    if hashes <= most:
        return
    name = shlex.quote(str(path))
    raise GenError(
        f"{path}: has {hashes} hashed names, and gen compares at most {most} with the names of "
        f"this site; to keep the last ones: cp {name} {name}.all && "
        f"tail -n {most} {name}.all > {name}"
    )


def _known_hosts_files(home: Path) -> Iterator[Path]:
    """Yield the files that ssh reads, with those that the user's configuration names."""
    files = Files(home)
    yield from (home / file for file in paths.KNOWN_HOSTS)
    for _, line in walk(read_configuration(files).user):
        if line.keyword == "userknownhostsfile":
            for argument in line.arguments:
                yield from files.named(argument)
