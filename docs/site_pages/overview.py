"""The page with the table of all sites."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from generator.schema.batch import SCHEDULER_NAMES
from generator.schema.site import SiteSpec
from site_pages.chart import bars
from site_pages.labels import gpus, host_keys, login, status
from site_pages.markup import link, prose, table, text

HEADINGS = ("site", "name", "country", "login", "scheduler", "GPU", "host keys", "status")
# A spec without a host name from a source would be a guess.
WITHOUT_A_SPEC: Mapping[str, str] = {
    "isambard-3": "Its sources have only `PROJECT.3.isambard`, a name that"
    " `clifton ssh-config write` makes on your machine. The certificate authority tells clifton the"
    " real host names, and no source has them.",
}
_FRONT_MATTER = {
    "title": "Sites",
    "description": "Every site of the catalogue, to sort and to filter",
    # The table needs the width of the table of contents.
    "hide": ["toc"],
}


def overview(sites: Sequence[SiteSpec]) -> str:
    """Return the page."""
    return "\n".join(_lines(sites))


def _lines(sites: Sequence[SiteSpec]) -> Iterator[str]:
    yield "---"
    for key, value in _FRONT_MATTER.items():
        yield f"{key}: {json.dumps(value)}"
    yield from ["---", "", "# Sites", ""]
    yield f"The catalogue has {len(sites)} sites. The name of each site links to its page."
    yield from ["", *_counts(sites)]
    # assets/sites.js finds the table by this class, and makes it sortable.
    yield from ["", '<div class="sites" markdown="1">', ""]
    yield from table(HEADINGS, map(_row, sites))
    yield from ["</div>", ""]
    yield "**Host keys** are *pinned* if the site itself publishes them: ssh accepts these and no"
    yield "others. *Unverified* keys come from a weak source. gen pins them only for users who"
    yield "compared them (`--accept-unverified`). *Address only*: the sources give the name of a"
    yield "machine, and neither keys nor how to log in. If the kind of **GPU** is missing, the spec"
    yield "names none; the notes on the page of the site may. Countries are those of ISO 3166."
    yield from ["", "## Sites without a spec", ""]
    rows: list[list[str]] = []
    for name, reason in WITHOUT_A_SPEC.items():
        rows.append([text(name), prose(reason)])
    yield from table(("site", "why it has no spec"), rows)
    add_a_site = link("Add a site", "../adding-a-site.md")
    yield f"For a site that is in neither table: {add_a_site}."


def _counts(sites: Sequence[SiteSpec]) -> Iterator[str]:
    """Yield charts of how well the catalogue is sourced: host keys, and age of the facts."""
    kinds = Counter(map(host_keys, sites))
    years: Counter[str] = Counter()
    for site in sites:
        # Sorts before every year.
        newest = ""
        for source in site.sources.values():
            if source.checked:
                newest = max(newest, str(source.checked.year))
        years[newest or "no date"] += 1
    charts = {
        "Host keys, by number of sites": kinds.most_common(),
        "Newest source, by number of sites": sorted(years.items(), reverse=True),
    }
    # The search would show the words of a picture as a text of the page.
    yield '<div class="charts" data-search-exclude>'
    for title, rows in charts.items():
        yield f"<figure>{bars(title, rows)}<figcaption>{title}</figcaption></figure>"
    yield "</div>"


def _row(site: SiteSpec) -> list[str]:
    name = text(site.title)
    if site.operator:
        name += f"<br><small>{text(site.operator)}</small>"
    return [
        link(text(site.site), f"{site.site}.md"),
        name,
        text(site.country or ""),
        text(login(site.auth_of(site.usual_host.host))),
        text(SCHEDULER_NAMES[site.scheduler]),
        text(", ".join(gpus(site))),
        text(host_keys(site)),
        text(status(site)),
    ]
