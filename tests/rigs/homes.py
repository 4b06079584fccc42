"""A scratch home folder: a site to install into it, and all that is in it as a value."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Tree = Mapping[str, tuple[str, int, bytes | str]]


def tree(home: Path) -> Tree:
    """Return everything in a folder, itself too: kind, mode, and content or where a link leads."""
    found: dict[str, tuple[str, int, bytes | str]] = {}
    for path in [home, *sorted(home.rglob("*"))]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            what: tuple[str, int, bytes | str] = ("link", 0, str(path.readlink()))
        elif path.is_dir():
            what = ("folder", mode, "")
        else:
            what = ("file", mode, path.read_bytes())
        found[os.path.relpath(path, home)] = what
    return found


def spec(folder: Path, site: str = "ours", **more: Any) -> Path:
    """Write the spec of a site with one host and no host keys, and return its path."""
    values = {
        "site": site,
        "title": f"The {site} cluster",
        "hosts": {site: {"host": f"{site}.example.org"}},
        "auth": {"method": "publickey"},
    }
    path = folder / f"{site}.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(values | more, file)
    return path


CERTIFICATE = {"method": "certificate", "command": ["get-certificate"], "lifetime": "1d"}
"""A way to log in for which there is a timer."""
