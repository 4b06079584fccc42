"""Pages of the repository that stand outside docs/, made fit for the site."""

import re
from collections.abc import Mapping

# What a file of the repository is on the site, each from the root of both.
PAGES: Mapping[str, str] = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def page(markdown: str) -> str:
    """Return a page with links that hold on the site; one to a file that the site lacks is left as its words."""

    def moved(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target:
            return found[0]
        place = PAGES.get(target) or (
            target.removeprefix("docs/") if target.startswith("docs/") else None
        )
        return f"[{words}]({place}{anchor})" if place else words

    return _LINK.sub(moved, markdown)
