"""A host of the person's ssh configuration, by ssh's own reading of it (`ssh -G`), as the start of a spec."""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from generator.errors import GenError
from generator.ssh import client
from generator.ssh.client import Settings
from generator.ssh.keys import algorithm, fingerprint

Ask = Callable[..., str]
"""Runs a program with some arguments and returns what it printed."""

CONFIG, KNOWN = "ssh-config", "known-hosts"
_KEYS = re.compile(r"(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]+=*")
_NOBODY = "gen-asks-for-a-host-that-nobody-has"
_FURTHEST = 8  # jumps


def ask(*command: str) -> str:
    """Run ssh or ssh-keygen, which only read here.

    Raises:
        GenError: it is not there, gives no answer in time, or finds a fault in the configuration.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
        )
    except FileNotFoundError:
        raise GenError(f"{command[0]}: not found; install OpenSSH's client") from None
    except subprocess.TimeoutExpired:
        raise GenError(f"{' '.join(command)}: gave no answer in 20 s") from None
    if done.returncode > 1:  # 1 is ssh-keygen's word for a host that it does not know
        raise GenError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def start(alias: str, name: str, today: date) -> dict[str, Any]:
    """Return a spec, still without queues, of a host that ssh knows by an alias.

    Raises:
        GenError: the configuration says nothing of such a host, or cannot be read.
    """
    own, others = (
        client.parse_settings(ask("ssh", "-G", "--", alias)),
        client.parse_settings(ask("ssh", "-G", "--", _NOBODY)),
    )
    naming = ("host", "hostname")
    if "." not in alias and {**own, **dict.fromkeys(naming)} == {**others, **dict.fromkeys(naming)}:
        raise GenError(
            f"{alias}: your ssh configuration says nothing of it; name one of its hosts, or a full host name"
        )
    machines = dict(_machines(alias, own))
    pins = {entry: list(_known(settings)) for entry, settings in machines.items()}
    read = {"ref": f"ssh -G {alias}", "checked": today, "weak": "what one person had configured"}
    weak = "what was accepted at a first login; nobody compared it"
    sources: dict[str, Any] = {CONFIG: read}
    if any(pins.values()):
        sources[KNOWN] = {"ref": "a known_hosts file", "checked": today, "weak": weak}
    return {
        "site": name,
        "title": name,
        "sources": sources,
        "hosts": _hosts(machines),
        **({"host_keys": _host_keys(pins)} if any(pins.values()) else {}),
        "auth": _auth(own, client.parse_settings(ask("ssh", "-F", "none", "-G", "--", _NOBODY))),
    }


def user(alias: str) -> str:
    """Return whom ssh would log in as: the person's own, so nothing for a spec."""
    return _first(client.parse_settings(ask("ssh", "-G", "--", alias)), "user")


def _first(settings: Settings, keyword: str) -> str:
    return (settings.get(keyword) or ("",))[0]


def _machines(alias: str, own: Settings, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a host and those that it is reached through, each with `via`, the alias of the one before it."""
    via, jump = None, _first(own, "proxyjump")
    for hop in jump.split(",") if jump not in ("", "none") and depth < _FURTHEST else ():
        found = re.fullmatch(r"(?:ssh://)?(?:[^@]*@)?([\w.-]+)(?::(\d+))?", hop)
        if not found:
            raise GenError(f"{alias}: ProxyJump {hop} is no host that a spec can name")
        settings = client.parse_settings(
            ask("ssh", "-G", *(("-p", found[2]) if found[2] else ()), "--", found[1])
        )
        further = dict(_machines(found[1], settings, depth + 1))
        if via:  # in a chain, the one before it leads there, whatever its own configuration says
            further[found[1]]["via"] = via
        yield from further.items()
        via = (found[1],)
    yield alias, {**own, "via": via}


def _hosts(machines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries of `hosts`: the one that was asked for first, as the usual one, then those on the way."""
    found: dict[str, Any] = {}
    for entry, settings in reversed(list(machines.items())):
        interval = _first(settings, "serveraliveinterval")
        probes = {
            "interval": int(interval),
            "count": int(_first(settings, "serveralivecountmax") or 3),
        }
        values = {
            "host": _first(settings, "hostname"),
            "role": "jump" if found else None,
            "port": int(port) if (port := _first(settings, "port")) != "22" else None,
            "via": _first(settings, "via") or None,
            "keepalive": probes if interval not in ("", "0") else None,
            "source": CONFIG,
        }
        found[entry] = {key: value for key, value in values.items() if value is not None}
    return found


def _known(settings: Settings) -> Iterator[str]:
    """Yield the lines for a machine in the person's known_hosts files, `@cert-authority` in front or not."""
    name, port = (
        _first(settings, "hostkeyalias") or _first(settings, "hostname"),
        _first(settings, "port"),
    )
    listed = name if port == "22" else f"[{name}]:{port}"
    files = f"{_first(settings, 'userknownhostsfile')} {_first(settings, 'globalknownhostsfile')}".split()
    for file in filter(Path.is_file, (Path(file).expanduser() for file in files)):
        lines = ask("ssh-keygen", "-F", listed, "-f", str(file)).splitlines()
        yield from (line for line in lines if line and not line.startswith("#"))


def _host_keys(pins: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    found = {}
    for entry, lines in pins.items():
        prints: dict[str, list[str]] = {}
        authorities = []
        for line in lines:
            key = _KEYS.search(line)
            if key and line.startswith("@cert-authority "):
                patterns = line.split()[1].split(",")
                bare = (re.sub(r"\[(.*)\]:\d+", r"\1", pattern) for pattern in patterns)
                authorities += [
                    {"hosts": pattern, "key": key[0]}
                    for pattern in bare
                    if not pattern.startswith("!")
                ]
            elif key and not line.startswith("@"):
                prints.setdefault(algorithm(key[0]), []).append(fingerprint(key[0]))
        keys = {"fingerprints": prints, "authorities": authorities}
        if any(keys.values()):
            known = {key: value for key, value in keys.items() if value}
            found[re.sub(r"[^a-z0-9]+", "-", entry.lower()).strip("-")] = {
                "hosts": entry,
                **known,
                "source": KNOWN,
            }
    return found


def _auth(own: Settings, usual: Settings) -> dict[str, Any]:
    """Return how one logs in, as far as the configuration tells: by a key unless it leaves keys out."""
    ways = _first(own, "preferredauthentications").split(",")
    if ways != [""] and "publickey" not in ways:
        return {"method": "keyboard", "asks": "password", "source": CONFIG}
    keys = [
        path for path in own.get("identityfile", ()) if path not in usual.get("identityfile", ())
    ]
    certificates = [path for path in own.get("certificatefile", ()) if path != "none"]
    values = {
        "method": "certificate" if certificates else "publickey",
        "then": "keyboard-interactive"
        if "keyboard-interactive" in ways and not certificates
        else None,
        "key": _at_home(keys[0]) if keys else None,
        "certificate": _at_home(certificates[0]) if certificates else None,
        "source": CONFIG,
    }
    return {key: value for key, value in values.items() if value}


def _at_home(path: str) -> str:
    """Return a path with `~` for the home folder, so that it means the same to everybody."""
    home = f"{Path.home()}/"
    return f"~/{path.removeprefix(home)}" if path.startswith(home) else path
