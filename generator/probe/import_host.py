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
from generator.ssh import known_hosts, routes
from generator.ssh.client import Settings, first_value, parse_settings, question_environment
from generator.ssh.config_files import Files, read_configuration, walk
from generator.ssh.keys import algorithm, fingerprint
from generator.ssh.patterns import is_pattern

SSH_CONFIG_SOURCE = "ssh-config"
KNOWN_HOSTS_SOURCE = "known-hosts"
_WEAK_SSH_CONFIG = "from the ssh configuration of one user, and not from the site"
_WEAK_KNOWN_HOSTS = "accepted at a first login, and not compared"
_SECONDS = 20
# Aliases of one machine in one Host line; more of them are machines of a list.
_MOST_NAMES = 20
_SECOND_METHODS = ("keyboard-interactive", "password")
# What ssh -G prints of the fields of a spec.
_IN_A_SPEC = {
    *("host", "hostname", "user", "port", "proxyjump", "addressfamily"),
    *("serveraliveinterval", "serveralivecountmax", "preferredauthentications", "identitiesonly"),
}
_FIRST_IN_A_SPEC = {"identityfile", "certificatefile"}
# The file of every site sets these, whatever its spec says.
_OF_THE_SITE = {
    *("controlmaster", "controlpath", "controlpersist", "canonicalizehostname"),
    *("stricthostkeychecking", "updatehostkeys"),
}
# A name that no configuration has, to learn the settings for every host.
_UNKNOWN_HOST = "gen-asks-for-a-host-that-does-not-exist"


@dataclass(frozen=True)
class ImportedHost:
    """A host with ssh's settings for it, and the alias of the host that ssh jumps through to it."""

    settings: Settings
    via: str | None


@dataclass(frozen=True)
class OtherSettings:
    """The settings of a host that its spec does not have, as `ssh -G` prints them."""

    kept: tuple[str, ...]
    """They stay in the user's configuration, where ssh reads them beside the site's file."""
    lost: tuple[str, ...]
    """The site's file has its own value for them."""


def start_spec(alias: str, name: str, today: date) -> dict[str, Any]:
    """Return a spec, still without queues, of a host that ssh knows by an alias."""
    settings = _ask_ssh(alias)
    if not _is_configured(alias, settings):
        raise GenError(
            f"{alias}: your ssh configuration has no entry for it; "
            "give the alias of one of its hosts, or a full host name"
        )
    same_entry = _same_entry(alias)
    hosts = _hosts(alias, settings, same_entry)
    known_lines: dict[str, list[str]] = {}
    for entry, host in hosts.items():
        known_lines[entry] = list(_known_hosts_lines(host.settings))
    sources = {
        SSH_CONFIG_SOURCE: {"ref": f"ssh -G {alias}", "checked": today, "weak": _WEAK_SSH_CONFIG}
    }
    if any(known_lines.values()):
        sources[KNOWN_HOSTS_SOURCE] = {
            "ref": "a known_hosts file",
            "checked": today,
            "weak": _WEAK_KNOWN_HOSTS,
        }
    default = _ask_ssh(_UNKNOWN_HOST, "-F", "none")
    entries: dict[str, Any] = {}
    for entry, host in hosts.items():
        is_jump = entry != alias and entry not in same_entry
        entries[entry] = _host_entry(host, settings, default, is_jump=is_jump)
    spec: dict[str, Any] = {"site": name, "title": name, "sources": sources, "hosts": entries}
    if any(known_lines.values()):
        spec["host_keys"] = _host_keys(known_lines)
    spec["auth"] = _auth(settings, default)
    return spec


def _hosts(alias: str, settings: Settings, same_entry: Sequence[str]) -> dict[str, ImportedHost]:
    """Return the hosts of the spec by alias: a host, other names of its entry, and jump hosts."""
    hosts: dict[str, ImportedHost] = {}
    for name in reversed(same_entry):
        hosts |= _hosts_on_the_way(name, _ask_ssh(name))
    # The host itself is the last, also if another name of its entry leads through it.
    hosts.pop(alias, None)
    hosts |= _hosts_on_the_way(alias, settings)
    # The first entry is the usual host of a site.
    return dict(reversed(hosts.items()))


def has_entry(alias: str) -> bool:
    """Return whether a Host line of the user's configuration has an alias."""
    return any(alias in names for names in _host_lines())


def _same_entry(alias: str) -> list[str]:
    """Return the other names in the first Host line that has an alias."""
    for names in _host_lines():
        if alias in names:
            others = [name for name in names if _is_other_name(name, alias)]
            return list(dict.fromkeys(others))[:_MOST_NAMES]
    return []


def _host_lines() -> Iterator[tuple[str, ...]]:
    for _, line in walk(read_configuration(Files(Path.home())).user):
        if line.keyword == "host":
            yield line.arguments


def _is_other_name(name: str, alias: str) -> bool:
    # ssh would take a name with a dash for an option.
    return name != alias and not is_pattern(name) and not name.startswith(("-", "!"))


def other_settings(alias: str) -> OtherSettings:
    """Return the settings that ssh has for an alias, not for every host, and not from its spec."""
    settings = _ask_ssh(alias)
    of_every_host = _ask_ssh(_UNKNOWN_HOST)
    kept: list[str] = []
    lost: list[str] = []
    for keyword, values in settings.items():
        for number, value in enumerate(values):
            is_in_spec = keyword in _IN_A_SPEC or (keyword in _FIRST_IN_A_SPEC and number == 0)
            if is_in_spec or value in of_every_host.get(keyword, ()):
                continue
            setting = printable(f"{keyword} {value}")
            if keyword in _OF_THE_SITE:
                lost.append(setting)
            else:
                kept.append(setting)
    return OtherSettings(tuple(kept), tuple(lost))


def configured_user(alias: str) -> str:
    """Return the user name that ssh would log in with: personal, so not part of a spec."""
    return first_value(_ask_ssh(alias), "user")


def _ask_ssh(alias: str, *options: str) -> Settings:
    """Return the settings that ssh uses for an alias, by `ssh -G`."""
    command = ("ssh", "-G", *options, "--", alias)
    outcome = programs.run(command, seconds=_SECONDS, environment=question_environment())
    if outcome.status:
        raise GenError(f"{printable(' '.join(command))}: {outcome.message}")
    return parse_settings(outcome.text)


def _ask_about_jump(jump: routes.Jump) -> Settings:
    """Return the settings for a jump host; its port and user replace those of its own entry."""
    options: list[str] = []
    if jump.port:
        options += ["-p", jump.port]
    if jump.user:
        options += ["-l", jump.user]
    return _ask_ssh(jump.name, *options)


def _is_configured(alias: str, settings: Settings) -> bool:
    """Return whether ssh has settings of its own for an alias; a full host name needs none."""
    # DNS knows it, so it needs no entry in a configuration.
    if "." in alias:
        return True
    # Both settings repeat the name that was asked for.
    unnamed = dict.fromkeys(("host", "hostname"), ("",))
    return {**settings, **unnamed} != {**_ask_ssh(_UNKNOWN_HOST), **unnamed}


def _hosts_on_the_way(alias: str, settings: Settings, depth: int = 0) -> dict[str, ImportedHost]:
    """Return a host and those that ssh jumps through to it, by alias, the host itself last."""
    hosts: dict[str, ImportedHost] = {}
    via: str | None = None
    value = first_value(settings, "proxyjump")
    try:
        jumps = routes.jumps(value) if depth < routes.MOST_JUMPS else []
    except ValueError as error:
        raise GenError(
            f"{alias}: a spec cannot name the ProxyJump {printable(str(error))}; "
            "give it an alias in ~/.ssh/config"
        ) from None
    for jump in jumps:
        jump_settings = _ask_about_jump(jump)
        on_the_way = _hosts_on_the_way(jump.name, jump_settings, depth + 1)
        host = on_the_way.pop(jump.name)
        # In a chain, ssh reaches it through the one before, whatever its own configuration says.
        if via:
            host = ImportedHost(jump_settings, via)
            on_the_way = {}
        name = jump.name
        # The alias keeps its meaning where the user logs in with it.
        if has_entry(name) and (hosts or jump_settings != _ask_ssh(name)):
            name = f"{name}-of-{alias}"
        hosts |= on_the_way
        hosts[name] = host
        via = name
    hosts[alias] = ImportedHost(settings, via)
    return hosts


def _host_entry(
    host: ImportedHost, of_site: Settings, default: Settings, *, is_jump: bool
) -> dict[str, Any]:
    """Return the entry of `hosts` for a host; `of_site` has the settings of the imported one."""
    settings = host.settings
    entry: dict[str, Any] = {"host": first_value(settings, "hostname")}
    if is_jump:
        entry["role"] = "jump"
    port = first_value(settings, "port")
    if port != "22":
        entry["port"] = int(port)
    user = first_value(settings, "user")
    # The user of the imported host is the user's name at the site, `{user}`.
    if user != first_value(of_site, "user"):
        entry["user"] = user
    family = first_value(settings, "addressfamily")
    if family in ("inet", "inet6"):
        entry["address_family"] = family
    if host.via:
        entry["via"] = host.via
    auth = _auth(settings, default)
    if auth != _auth(of_site, default):
        entry["auth"] = auth
    # 0, the default of ssh, sends no probes.
    interval = first_value(settings, "serveraliveinterval")
    if interval not in ("", "0"):
        most = first_value(settings, "serveralivecountmax") or "3"
        entry["keepalive"] = {"interval": int(interval), "count": int(most)}
    entry["source"] = SSH_CONFIG_SOURCE
    return entry


def _known_hosts_lines(settings: Settings) -> Iterator[str]:
    """Yield the lines for a machine in the user's known_hosts files, also those of authorities."""
    name = first_value(settings, "hostkeyalias") or first_value(settings, "hostname")
    port = first_value(settings, "port")
    if port != "22":
        name = f"[{name}]:{port}"
    files = (
        first_value(settings, "userknownhostsfile")
        + " "
        + first_value(settings, "globalknownhostsfile")
    )
    for file in files.split():
        path = Path(file).expanduser()
        if not path.is_file():
            continue
        yield from known_hosts.lines(name, path)


def _host_keys(known_lines: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return `host_keys` from the known_hosts lines of each host."""
    entries: dict[str, Any] = {}
    # Several names of one machine have the same lines.
    aliases: dict[tuple[str, ...], list[str]] = {}
    for alias, lines_of_host in known_lines.items():
        aliases.setdefault(tuple(lines_of_host), []).append(alias)
    for lines, names in aliases.items():
        known_keys = known_hosts.keys(lines)
        fingerprints: dict[str, list[str]] = {}
        for key in known_keys.keys:
            fingerprints.setdefault(algorithm(key), []).append(fingerprint(key))
        authorities = [{"hosts": hosts, "key": key} for hosts, key in known_keys.authorities]
        entry: dict[str, Any] = {"hosts": names[0] if len(names) == 1 else names}
        if fingerprints:
            entry["fingerprints"] = fingerprints
        if authorities:
            entry["authorities"] = authorities
        if len(entry) > 1:
            name = re.sub(r"[^a-z0-9]+", "-", names[0].lower()).strip("-")
            entries[name] = entry | {"source": KNOWN_HOSTS_SOURCE}
    return entries


def _auth(settings: Settings, default: Settings) -> dict[str, Any]:
    """Return `auth` as far as the configuration has it: with a key, unless it excludes keys.

    Without a key of its own, ssh tries its usual keys and methods for the host, as before.
    """
    methods = first_value(settings, "preferredauthentications").split(",")
    if methods != [""] and "publickey" not in methods:
        prefer = [method for method in methods if method in _SECOND_METHODS]
        if not prefer:
            return {"method": "not-stated", "source": SSH_CONFIG_SOURCE}
        return {
            "method": "keyboard",
            "asks": "password",
            "prefer": prefer,
            "source": SSH_CONFIG_SOURCE,
        }
    certificates = [path for path in settings.get("certificatefile", ()) if path != "none"]
    # ssh lists its default keys for a host whose configuration names none.
    keys = [path for path in settings.get("identityfile", ()) if path != "none"]
    if tuple(keys) == default.get("identityfile", ()):
        keys = []
    if not keys and not certificates:
        return {"method": "not-stated", "source": SSH_CONFIG_SOURCE}
    auth: dict[str, Any] = {"method": "certificate" if certificates else "publickey"}
    if not certificates:
        for method in _SECOND_METHODS:
            if method in methods:
                auth.setdefault("then", method)
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
