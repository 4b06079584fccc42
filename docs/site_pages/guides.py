"""The pages of the site that come from files outside docs/."""

import re
from collections.abc import Mapping

# The path in the repository and the path on the site.
PAGES: Mapping[str, str] = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
# A link of Markdown: its label, target and anchor.
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def page(markdown: str) -> str:
    """Return a page with its links changed to those of the site.

    A link to a file that the site does not have becomes plain text.
    """
    return _LINK.sub(_site_link, markdown)


def _site_link(link: re.Match[str]) -> str:
    label, target, anchor = link[1], link[2], link[3] or ""
    # The address of another site.
    if "://" in target:
        return link[0]
    if target in PAGES:
        return f"[{label}]({PAGES[target]}{anchor})"
    if target.startswith("docs/"):
        return f"[{label}]({target.removeprefix('docs/')}{anchor})"
    return label
