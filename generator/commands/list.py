"""`gen list`: the sites there are."""

import json
from pathlib import Path

from generator import catalogue, load
from generator.errors import GenError
from generator.spec.site import SiteSpec
from generator.terminal import data, say


def run(specs: Path | None, as_json: bool) -> int:
    """Print a line for each site; specs with faults are named on stderr and give the status 2."""
    found: dict[str, SiteSpec] = {}
    broken = 0
    for name, path in catalogue.sites(specs).items():
        try:
            found[name] = load.site(path)
        except GenError as error:
            broken += 1
            say(str(error))
    if as_json:
        data(
            json.dumps(
                {"format_version": "1.0", "sites": [_row(name, site) for name, site in found.items()]},
                indent=2,
            )
        )
    else:
        _table(found)
        say("\nNext: gen show SITE, or gen site SITE --out .")
    return 2 if broken else 0


def _row(name: str, site: SiteSpec) -> dict[str, str]:
    pinned = (
        "verified"
        if any(not site.unverified(keys) for keys in site.host_keys.values())
        else "unverified"
        if site.host_keys
        else "none"
    )
    return {
        "site": name,
        "title": site.title,
        "country": site.country or "",
        "login": site.auth.method,
        "host_keys": pinned,
        "host": next(iter(site.hosts.values())).host,
    }


def _table(found: dict[str, SiteSpec]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("site", "title", "country", "login", "host keys"):
        table.add_column(heading, no_wrap=heading in ("site", "login"))
    for name, site in found.items():
        row = _row(name, site)
        table.add_row(row["site"], row["title"], row["country"], row["login"], row["host_keys"])
    Console().print(table)
