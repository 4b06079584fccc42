"""`gen list`: the sites there are."""

import json
from dataclasses import dataclass
from pathlib import Path

from generator.cli.output import data, say, width
from generator.errors import GenError, near
from generator.loading import catalogue, validate
from generator.schema.site import SiteSpec


@dataclass(frozen=True)
class Filter:
    """Which sites are listed; ``None`` takes all."""

    country: str | None = None
    login: str | None = None
    """Method of authentication."""
    gpu: str | None = None
    """Part of the name of a GPU; empty for any."""
    pinned: bool | None = None

    def takes(self, site: SiteSpec) -> bool:
        """Tell whether a site is listed."""
        kinds = site.slurm.gpu_kinds()
        wanted = (self.gpu or "").lower()
        return (
            (self.country is None or (site.country or "").lower() == self.country.lower())
            and (self.login is None or site.auth.method == self.login)
            and (self.gpu is None or any(wanted in kind.lower() for kind in kinds))
            and (self.pinned is None or (site.pinned() in ("yes", "in part")) == self.pinned)
        )


def run(specs: Path | None, wanted: Filter, as_json: bool) -> int:
    """Print a line for each site; specs with faults are named on stderr and give the status 2.

    Raises:
        GenError: no site logs people in as the filter wants.
    """
    found: dict[str, SiteSpec] = {}
    broken = 0
    every = catalogue.sites(specs)
    for name, path in every.items():
        try:
            found[name] = validate.site(path)
        except GenError as error:
            broken += 1
            say(str(error))
    methods = {site.auth.method for site in found.values()}
    if wanted.login and wanted.login not in methods:
        raise GenError(
            f"--login {wanted.login}: no site has it{near(wanted.login, methods)} ({', '.join(sorted(methods))})"
        )
    rows = [_row(name, site) for name, site in found.items() if wanted.takes(site)]
    if as_json:
        data(json.dumps({"format_version": "1.0", "sites": rows}, indent=2))
    else:
        _table(rows)
        say(f"{len(rows)} of {len(every)} sites. Next: gen show SITE, or gen site SITE --out .")
    return 2 if broken else 0


def _row(name: str, site: SiteSpec) -> dict[str, str | list[str]]:
    return {
        "site": name,
        "title": site.title,
        "country": site.country or "",
        "login": site.auth.method,
        "gpus": list(site.slurm.gpu_kinds()),
        "pinned": site.pinned(),
        "status": site.status.state,
        "host": site.usual_host.host_name,
    }


def _table(rows: list[dict[str, str | list[str]]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("site", "title", "country", "login", "GPU", "pinned"):
        table.add_column(heading, no_wrap=heading in ("site", "login"))
    for row in rows:
        state = "" if row["status"] == "active" else f" ({row['status']})"
        gpu = "yes" if row["gpus"] else ""
        table.add_row(
            str(row["site"]),
            f"{row['title']}{state}",
            str(row["country"]),
            str(row["login"]),
            gpu,
            str(row["pinned"]),
        )
    Console(markup=False, emoji=False, highlight=False, width=width()).print(table)
