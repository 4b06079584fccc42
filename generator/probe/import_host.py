"""Start a spec from a host of the user's ssh configuration, as ssh itself reads it (`ssh -G`).

A list of the Host lines would not do: the settings of a host come from patterns, Match lines and
included files too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from generator import programs
from generator.errors import GenError
from generator.formatting import printable
from generator.ssh import known_hosts
from generator.ssh.client import Settings, parse_settings, question_environment
from generator.ssh.keys import algorithm, fingerprint

SSH_CONFIG_SOURCE = "ssh-config"
KNOWN_HOSTS_SOURCE = "known-hosts"
_WEAK_SSH_CONFIG = "what one person had configured"
_WEAK_KNOWN_HOSTS = "accepted at a first login, and not compared"
_SECONDS = 20
# ssh_config(5), ProxyJump: `[user@]host[:port]`, or an ssh URI.
_JUMP = re.compile(r"(?:ssh://)?(?:[^@]*@)?([\w.-]+)(?::(\d+))?")
_MOST_JUMPS = 8
# A name that no configuration has, to learn the settings for every host.
_UNKNOWN_HOST = "gen-asks-for-a-host-that-does-not-exist"


@dataclass(frozen=True)
class ImportedHost:
    """A host with ssh's settings for it, and the alias of the host that ssh jumps through to it."""

    settings: Settings
    via: str | None


def start_spec(alias: str, name: str, today: date) -> dict[str, Any]:
    """Return a spec, still without queues, of a host that ssh knows by an alias."""
    settings = _ask_ssh(alias)
    if not _is_configured(alias, settings):
        raise GenError(
            f"{alias}: your ssh configuration has no entry for it; "
            "give the alias of one of its hosts, or a full host name"
        )
    hosts = _hosts_on_the_way(alias, settings)
    known: dict[str, list[str]] = {}
    for entry, host in hosts.items():
        known[entry] = list(_known_hosts_lines(host.settings))
    sources = {
        SSH_CONFIG_SOURCE: {"ref": f"ssh -G {alias}", "checked": today, "weak": _WEAK_SSH_CONFIG}
    }
    if any(known.values()):
        sources[KNOWN_HOSTS_SOURCE] = {
            "ref": "a known_hosts file",
            "checked": today,
            "weak": _WEAK_KNOWN_HOSTS,
        }
    spec: dict[str, Any] = {
        "site": name,
        "title": name,
        "sources": sources,
        "hosts": _host_entries(hosts),
    }
    if any(known.values()):
        spec["host_keys"] = _host_keys(known)
    default = parse_settings(_run("ssh", "-F", "none", "-G", "--", _UNKNOWN_HOST))
    spec["auth"] = _auth(settings, default)
    return spec


def configured_user(alias: str) -> str:
    """Return the user name that ssh would log in with: personal, so not part of a spec."""
    return _first(_ask_ssh(alias), "user")


def _run(*command: str) -> str:
    """Return the output of ssh, which only reads here."""
    outcome = programs.run(command, seconds=_SECONDS, environment=question_environment())
    if outcome.status > 1:
        raise GenError(f"{printable(' '.join(command))}: {outcome.message}")
    return outcome.text


def _ask_ssh(alias: str, port: str | None = None) -> Settings:
    """Return the settings that ssh uses for an alias, by `ssh -G`."""
    options = ["-p", port] if port else []
    return parse_settings(_run("ssh", "-G", *options, "--", alias))


def _is_configured(alias: str, settings: Settings) -> bool:
    """Return whether ssh has settings of its own for an alias; a full host name needs none."""
    # DNS knows it, so it needs no entry in a configuration.
    if "." in alias:
        return True
    # Both settings repeat the name that was asked for.
    unnamed = dict.fromkeys(("host", "hostname"), ("",))
    return {**settings, **unnamed} != {**_ask_ssh(_UNKNOWN_HOST), **unnamed}


def _first(settings: Settings, keyword: str) -> str:
    first, *_ = settings.get(keyword) or ("",)
    return first


def _hosts_on_the_way(alias: str, settings: Settings, depth: int = 0) -> dict[str, ImportedHost]:
    """Return a host and those that ssh jumps through to it, by alias, the host itself last."""
    hosts: dict[str, ImportedHost] = {}
    via: str | None = None
    jumps = _first(settings, "proxyjump")
    # The jumps of a configuration may form a circle.
    if jumps in ("", "none") or depth >= _MOST_JUMPS:
        return {alias: ImportedHost(settings, None)}
    for jump in jumps.split(","):
        match = _JUMP.fullmatch(jump)
        if not match:
            raise GenError(
                f"{alias}: a spec cannot name the ProxyJump {printable(jump)}; "
                "give it an alias in ~/.ssh/config"
            )
        jump_alias, port = match.groups()
        on_the_way = _hosts_on_the_way(jump_alias, _ask_ssh(jump_alias, port), depth + 1)
        # In a chain, ssh reaches it through the one before, whatever its own configuration says.
        if via:
            on_the_way[jump_alias] = ImportedHost(on_the_way[jump_alias].settings, via)
        hosts |= on_the_way
        via = jump_alias
    hosts[alias] = ImportedHost(settings, via)
    return hosts


def _host_entries(hosts: Mapping[str, ImportedHost]) -> dict[str, Any]:
    """Return the entries of `hosts`: the imported host, then its jump hosts."""
    entries: dict[str, Any] = {}
    # The first entry is the usual host of a site.
    for alias, host in reversed(list(hosts.items())):
        entry: dict[str, Any] = {"host": _first(host.settings, "hostname")}
        if entries:
            entry["role"] = "jump"
        port = _first(host.settings, "port")
        if port != "22":
            entry["port"] = int(port)
        if host.via:
            entry["via"] = host.via
        # 0, the default of ssh, sends no probes.
        interval = _first(host.settings, "serveraliveinterval")
        if interval not in ("", "0"):
            most = _first(host.settings, "serveralivecountmax") or "3"
            entry["keepalive"] = {"interval": int(interval), "count": int(most)}
        entry["source"] = SSH_CONFIG_SOURCE
        entries[alias] = entry
    return entries


def _known_hosts_lines(settings: Settings) -> Iterator[str]:
    """Yield the lines for a machine in the user's known_hosts files, also those of authorities."""
    name = _first(settings, "hostkeyalias") or _first(settings, "hostname")
    port = _first(settings, "port")
    if port != "22":
        name = f"[{name}]:{port}"
    files = _first(settings, "userknownhostsfile") + " " + _first(settings, "globalknownhostsfile")
    for file in files.split():
        path = Path(file).expanduser()
        if not path.is_file():
            continue
        yield from known_hosts.lines(name, path)


def _host_keys(known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return `host_keys` from the known_hosts lines of each host."""
    entries: dict[str, Any] = {}
    for alias, lines in known.items():
        found = known_hosts.keys(lines)
        fingerprints: dict[str, list[str]] = {}
        for key in found.keys:
            fingerprints.setdefault(algorithm(key), []).append(fingerprint(key))
        authorities = [{"hosts": hosts, "key": key} for hosts, key in found.authorities]
        entry: dict[str, Any] = {"hosts": alias}
        if fingerprints:
            entry["fingerprints"] = fingerprints
        if authorities:
            entry["authorities"] = authorities
        if len(entry) > 1:
            name = re.sub(r"[^a-z0-9]+", "-", alias.lower()).strip("-")
            entries[name] = entry | {"source": KNOWN_HOSTS_SOURCE}
    return entries


def _auth(settings: Settings, default: Settings) -> dict[str, Any]:
    """Return `auth` as far as the configuration has it: with a key, unless it excludes keys."""
    methods = _first(settings, "preferredauthentications").split(",")
    if methods != [""] and "publickey" not in methods:
        return {"method": "keyboard", "asks": "password", "source": SSH_CONFIG_SOURCE}
    # ssh lists its default keys for every host. Only a key that the configuration names is of this
    # site.
    default_keys = default.get("identityfile", ())
    keys = [path for path in settings.get("identityfile", ()) if path not in default_keys]
    certificates = [path for path in settings.get("certificatefile", ()) if path != "none"]
    auth: dict[str, Any] = {"method": "certificate" if certificates else "publickey"}
    if "keyboard-interactive" in methods and not certificates:
        auth["then"] = "keyboard-interactive"
    if keys:
        auth["key"] = _with_tilde(keys[0])
    if certificates:
        auth["certificate"] = _with_tilde(certificates[0])
    auth["source"] = SSH_CONFIG_SOURCE
    return auth


def _with_tilde(path: str) -> str:
    """Return a path with `~` for the home directory, so that it means the same to every user."""
    try:
        return f"~/{Path(path).relative_to(Path.home())}"
    except ValueError:
        return path
