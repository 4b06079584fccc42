"""`gen list`: the sites, all of them or those that the options choose."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator import codec
from generator.cli.output import data, paged, say, say_next, width
from generator.cli.table import table
from generator.errors import GenError, near
from generator.formatting import wrapped
from generator.loading import catalogue, sources
from generator.loading.index import Summary, summary


@dataclass(frozen=True)
class Filter:
    """The sites that the user wants to see; ``None`` means any."""

    country: str | None = None
    login: str | None = None
    """Login method."""
    gpu: str | None = None
    """Part of the name of a GPU; empty for any GPU."""
    pinned: bool = False
    unpinned: bool = False
    scheduler: str | None = None
    """Key of a scheduler: `slurm`, `pbs`."""

    def accepts(self, site: Summary) -> bool:
        """Return whether a site is listed."""
        if self.country is not None and site.country.lower() != self.country.lower():
            return False
        if self.login is not None and site.login != self.login:
            return False
        if self.scheduler is not None and site.scheduler != self.scheduler:
            return False
        if self.gpu is not None and not self._has_gpu(site):
            return False
        has_pins = site.pinned in ("yes", "in part")
        return not (self.pinned and not has_pins) and not (self.unpinned and has_pins)

    def _has_gpu(self, site: Summary) -> bool:
        # An empty text is part of every name, so it accepts every site that has a GPU.
        text = (self.gpu or "").lower()
        return any(text in gpu.lower() for gpu in site.gpus)


def run(specs: Path | None, site_filter: Filter, as_json: bool) -> int:
    """Print a line for each site.

    The status is 2 if a spec has faults; they are printed on stderr.
    """
    paths = catalogue.sites(specs)
    # By path, since a directory of the user's own may hide a site of a source.
    by_path = sources.by_path()
    installed_directories = catalogue.installed_directories()
    sites: list[Summary] = []
    for name, path in paths.items():
        try:
            catalogue.refuse_writable(path, installed_directories)
            if path in by_path:
                catalogue.refuse_changed(path)
            sites.append(summary(name, path))
        except GenError as error:
            # A fault in one spec does not hide the other sites.
            say(str(error))
    if site_filter.pinned and site_filter.unpinned:
        raise GenError("--unpinned: contradicts --pinned; use one of them")
    countries = {site.country for site in sites if site.country}
    _check_country(site_filter.country, countries)
    gpus = {gpu for site in sites for gpu in site.gpus}
    if site_filter.gpu and not any(site_filter.gpu.lower() in gpu.lower() for gpu in gpus):
        raise GenError(
            f"--gpu {site_filter.gpu}: no site has this GPU{near(site_filter.gpu, gpus)}"
        )
    _check_value("--login", site_filter.login, {site.login for site in sites})
    _check_value("--scheduler", site_filter.scheduler, {site.scheduler for site in sites})
    origins = {name: by_path.get(path, "") for name, path in paths.items()}
    chosen = [site for site in sites if site_filter.accepts(site)]
    if not chosen and sites:
        raise GenError("no site fits all of these options; leave one of them out")
    if as_json:
        data(codec.report({"sites": [_entry(site, origins) for site in chosen]}))
    else:
        paged(_table(chosen, origins))
        say(f"{len(chosen)} of {len(paths)} sites")
        say_next("gen show SITE", "gen site SITE --out .")
    return 0 if len(sites) == len(paths) else 2


def _check_value(option: str, value: str | None, values: set[str]) -> None:
    """Refuse a value that no site has: a typing error would list nothing."""
    if value is not None and value not in values:
        noun = option.removeprefix("--").replace("login", "method")
        raise _unknown(f"{option} {value}: no site has this {noun}{near(value, values)}", values)


def _check_country(country: str | None, codes: set[str]) -> None:
    """Refuse a country that no site has, and suggest the code of one that is written in full."""
    if country is None or country.upper() in codes:
        return
    # Only this error needs the names.
    from generator.loading.countries import CODES

    code = CODES.get(country.lower())
    hint = f"; did you mean {code}?" if code in codes else near(country.upper(), codes)
    raise _unknown(f"--country {country}: no site has this country{hint}", codes)


def _unknown(fault: str, values: set[str]) -> GenError:
    known = wrapped(f"  known: {', '.join(sorted(values))}", 80, len("  known: "))
    return GenError("\n".join([fault, *known]))


def _entry(site: Summary, origins: Mapping[str, str]) -> Summary | dict[str, Any]:
    origin = origins[site.site]
    return {**codec.plain(site), "source": origin} if origin else site


def _table(sites: list[Summary], origins: Mapping[str, str]) -> str:
    rows: list[tuple[str, ...]] = []
    for site in sites:
        title = site.title
        if site.status != "active":
            title += f" ({site.status})"
        gpu = "yes" if site.gpus else ""
        # A column of its own would leave too little of a terminal to the others.
        if origins[site.site]:
            title += f" (source {origins[site.site]})"
        rows.append((site.site, title, site.country, site.login, gpu, site.pinned))
    if not rows:
        return ""
    headings = ("site", "title", "country", "login", "GPU", "pinned")
    return table(headings, rows, width())
