"""The index of the specs that ship with gen: `gen list` reads it instead of the specs.

`site_specs/index.json` has the digest of each spec and its line of the list. A spec that has
changed, or that is not in the index, is read itself: a stale index costs time and never shows
anything that a spec does not say. `just docs` writes the index again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from generator import codec
from generator.errors import GenError
from generator.loading import catalogue, inputs
from generator.resources import CATALOGUE

if TYPE_CHECKING:
    from generator.schema.site import SiteSpec

PATH = CATALOGUE / "index.json"


@dataclass(frozen=True)
class Summary:
    """The line of a site in the list; the fields are the keys of `gen list --json`."""

    site: str
    title: str
    country: str
    login: str
    """Login method."""
    scheduler: str
    gpus: tuple[str, ...]
    pinned: str
    status: str
    host: str


@dataclass(frozen=True)
class Entry:
    """A spec of the index."""

    sha256: str
    summary: Summary


@dataclass(frozen=True)
class Index:
    """The index: its entries by the name of the site."""

    specs: Mapping[str, Entry] = field(default_factory=dict)


def summary(name: str, path: Path) -> Summary:
    """Return the line of a spec: from the index if it is current, else from the spec."""
    file = inputs.file(path)
    entry = _index().specs.get(name)
    # By content and not by time: pip and git set the times of files as they like.
    if entry and entry.sha256 == sha256(file.content).hexdigest():
        return entry.summary
    return _summary(name, file)


def indexed_titles() -> dict[str, str]:
    """Return the titles of the indexed sites, also of those whose specs have changed since.

    The completion of a shell has no time to compare them.
    """
    return {name: entry.summary.title for name, entry in _index().specs.items()}


def text() -> str:
    """Return the index of the specs that ship with gen, as `site_specs/index.json` has it."""
    specs: dict[str, Entry] = {}
    for name, path in catalogue.shipped().items():
        file = inputs.file(path)
        specs[name] = Entry(sha256(file.content).hexdigest(), _summary(name, file))
    return codec.dump(Index(specs)).decode()


@cache
def _index() -> Index:
    """Return the index.

    It is empty if the file is missing or damaged, because the specs have all that it has.
    """
    try:
        return codec.load(Index, inputs.file(PATH).content, str(PATH))
    except GenError:
        return Index()


def _summary(name: str, file: inputs.File) -> Summary:
    # Both take longer to import than the index takes to read.
    from generator.loading import validate, yaml_document

    path = str(file.path)
    site: SiteSpec = validate.spec(yaml_document.parse(file.content, path), path)
    return Summary(
        site=name,
        title=site.title,
        country=site.country or "",
        login=site.auth.method,
        scheduler=site.scheduler,
        gpus=site.gpu_kinds(),
        pinned=site.pinned(),
        status=site.status.state,
        host=site.usual_host.host_name,
    )
