"""The table of all sites."""

import json
from collections.abc import Iterator, Sequence

from generator.schema.site import SiteSpec
from site_pages.markup import link, table, text
from site_pages.words import gpus, host_keys, login, status

HEADINGS = ("site", "name", "country", "login", "GPU", "host keys", "status")
_ABOUT = {
    "title": "Sites",
    "description": "Every site of the catalogue, to sort and to filter",
    "hide": ["toc"],
}


def overview(sites: Sequence[SiteSpec]) -> str:
    """Return the page."""
    return "\n".join(_lines(sites))


def _lines(sites: Sequence[SiteSpec]) -> Iterator[str]:
    yield from ["---", *(f"{key}: {json.dumps(value)}" for key, value in _ABOUT.items()), "---", ""]
    yield from ["# Sites", ""]
    yield f"The catalogue has {len(sites)} sites. The name of each leads to its page."
    yield from ["", '<div class="sites" markdown="1">', ""]
    yield from table(HEADINGS, map(_row, sites))
    yield from ["</div>", ""]
    yield "**Host keys** are *pinned* where the centre itself publishes them: ssh accepts these and no others."
    yield "*Unverified* ones were read in a weak source, and are pinned only for those who compared them"
    yield "(`--accept-unverified`). Where a kind of **GPU** is missing, the spec names none; the notes on a site's page"
    yield "may. Countries are those of ISO 3166."


def _row(site: SiteSpec) -> list[str]:
    operator = f"<br><small>{text(site.operator)}</small>" if site.operator else ""
    return [
        link(text(site.site), f"{site.site}.md"),
        text(site.title) + operator,
        text(site.country or ""),
        text(login(site.auth_of(site.usual_host.host))),
        text(", ".join(gpus(site))),
        text(host_keys(site)),
        text(status(site)),
    ]
