"""Specs to install into a scratch home directory, and the whole directory as a value."""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Tree = Mapping[str, tuple[str, int, bytes | str]]


def tree(home: Path) -> Tree:
    """Return a directory and everything below it: kind, mode, and content or target of a link."""
    entries: dict[str, tuple[str, int, bytes | str]] = {}
    for path in [home, *sorted(home.rglob("*"))]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            entry: tuple[str, int, bytes | str] = ("link", 0, str(path.readlink()))
        elif path.is_dir():
            entry = ("folder", mode, "")
        else:
            entry = ("file", mode, path.read_bytes())
        entries[os.path.relpath(path, home)] = entry
    return entries


def names_in(directory: Path, pattern: str = "*") -> list[str]:
    """Return the names in a directory that match a pattern, sorted."""
    return sorted(path.name for path in directory.glob(pattern))


def contents_of(directory: Path) -> set[bytes]:
    """Return the contents of the files in a directory, for instance of the backups."""
    return {path.read_bytes() for path in directory.glob("*")}


def without_backups(entries: Tree) -> Tree:
    """Return a tree without the backups, which differ from run to run."""
    return {name: entry for name, entry in entries.items() if "backup/" not in name}


def _yaml() -> YAML:
    """Return a writer that repeats equal values, because gen refuses YAML aliases."""
    yaml = YAML(typ="safe", pure=True)
    yaml.representer.ignore_aliases = lambda _: True
    return yaml


def spec(directory: Path, site: str = "ours", **parts: Any) -> Path:
    """Write the spec of a site with one host and no host keys, and return its path."""
    values = {
        "site": site,
        "title": f"The {site} cluster",
        "hosts": {site: {"host": f"{site}.example.org"}},
        "auth": {"method": "publickey"},
    }
    path = directory / f"{site}.yaml"
    with path.open("w") as file:
        _yaml().dump(values | parts, file)
    return path


def installed_units(site: str) -> set[str]:
    """Return the names below the home directory of what starts the renewal on this system."""
    if sys.platform == "darwin":
        return {f"Library/LaunchAgents/gen-cert-{site}.plist"}
    return {f".config/systemd/user/gen-cert-{site}.{kind}" for kind in ("service", "timer")}


CERTIFICATE = {"method": "certificate", "command": ["get-certificate"], "lifetime": "1d"}
"""An authentication method that has a timer."""
