"""The hook of mkdocs: adds the pages that come from the specs and from files outside docs/."""

from collections.abc import Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from site_pages import guides
from site_pages.overview import overview
from site_pages.page import page

from generator.loading import validate
from generator.resources import CATALOGUE

_OVERVIEW = "sites/index.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the page of every site to the navigation, below the overview."""
    # The theme takes an index.md as the page of its section (navigation.indexes in mkdocs.yml).
    pages = [_OVERVIEW]
    for path in _specs(config):
        pages.append(f"sites/{path.stem}.md")
    navigation = []
    for entry in config.nav or []:
        for title, target in entry.items():
            if target == _OVERVIEW:
                navigation.append({title: pages})
            else:
                navigation.append({title: target})
    config.nav = navigation
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in _pages(config).items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let the search show the page about errors first, and the pages of sites last.

    The words of an error are common ("is not on PATH"), and the search also finds words that begin
    with them, in a title above all: `is` would lead to Isambard.
    """
    # `search.boost` is a factor: squidfunk.github.io/mkdocs-material/setup/setting-up-site-search.
    path = page.file.src_uri
    if path == "troubleshooting.md":
        page.meta["search"] = {"boost": 100}
    elif path.startswith("sites/"):
        page.meta["search"] = {"boost": 0.02}
    return markdown


def _pages(config: MkDocsConfig) -> Mapping[str, str]:
    root = Path(config.docs_dir).parent
    pages = {}
    for source, path in guides.PAGES.items():
        pages[path] = guides.page((root / source).read_text("utf-8"))
    sites = list(map(validate.site, _specs(config)))
    pages[_OVERVIEW] = overview(sites)
    for site in sites:
        pages[f"sites/{site.site}.md"] = page(site)
    return pages


def _specs(config: MkDocsConfig) -> list[Path]:
    """Return the specs in the directory that `extra.specs` names, or those of the catalogue."""
    return sorted(Path(config.extra.get("specs", CATALOGUE)).glob("*.yaml"))
