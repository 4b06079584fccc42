"""What a command compiles: a spec, a person, and the changes between, from wherever they are read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from generator import catalogue, document, load, overlay, profile
from generator.errors import GenError
from generator.profile import Person
from generator.spec.site import SiteSpec


@dataclass(frozen=True)
class Choice:
    """What a person asked for on the command line."""

    site: str
    specs: Path | None
    profile: Path | None
    options: Mapping[str, str | bool | None]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """Everything that the artifacts depend on, and where it came from."""

    path: Path
    site: SiteSpec
    person: Person
    changes: tuple[str, ...]


def read(choice: Choice) -> Inputs:
    """Read and validate what was asked for.

    Raises:
        GenError: every fault, a line each.

    """
    path = catalogue.spec(choice.site, choice.specs)
    known = _profile(choice.profile or _usual_profile())
    name = load.site(path).site if known.sites else ""
    own = known.sites.get(name)
    changes = [overlay.change(text) for text in choice.changes]
    kept = [
        overlay.Change(tuple(key.split(".")), value, f"profile, sites.{name}.set.{key}")
        for key, value in (own.set if own else {}).items()
    ]
    site = load.site(path, [*kept, *changes])
    return Inputs(path, site, _person(known, site.site, choice.options), choice.changes)


def _profile(path: Path | None) -> profile.Profile:
    if path is None:
        return profile.Profile()
    return load.validated(profile.Profile, document.parse(load.read(path), str(path)), str(path))


def _usual_profile() -> Path | None:
    """Return `gen/profile.yaml` below the XDG configuration folder, if it is there."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(base) / "gen" / "profile.yaml"
    return path if path.is_file() else None


def _person(known: profile.Profile, site: str, options: Mapping[str, str | bool | None]) -> Person:
    try:
        return profile.person(known, site, options)
    except ValidationError as error:
        faults = [
            f"--{str(item['loc'][0]).replace('_', '-')}: {load.words(item)}" for item in error.errors(include_url=False)
        ]
        raise GenError("\n".join(faults)) from None
