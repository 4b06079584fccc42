"""What mkdocs runs while it builds the documentation site: pages from the specs and from files outside docs/."""

from collections.abc import Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from site_pages import guides
from site_pages.overview import overview
from site_pages.page import page

from generator.loading import validate
from generator.resources import CATALOGUE

_SITES = "sites/index.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the page of every site below the overview in the navigation."""
    pages = [_SITES, *(f"sites/{path.stem}.md" for path in _specs(config))]
    config.nav = [
        {title: pages if target == _SITES else target}
        for entry in config.nav or []
        for title, target in entry.items()
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for place, content in _made(config).items():
        files.append(File.generated(config, place, content=content))
    return files


def _made(config: MkDocsConfig) -> Mapping[str, str]:
    root = Path(config.docs_dir).parent
    sites = [validate.site(path) for path in _specs(config)]
    return {
        **{
            place: guides.page((root / name).read_text("utf-8"))
            for name, place in guides.PAGES.items()
        },
        _SITES: overview(sites),
        **{f"sites/{site.site}.md": page(site) for site in sites},
    }


def _specs(config: MkDocsConfig) -> list[Path]:
    """Return the specs of the folder that `extra.specs` names, else of the catalogue."""
    return sorted(Path(config.extra.get("specs", CATALOGUE)).glob("*.yaml"))
