"""What a command compiles, as bytes: the spec, the profile, and what was typed. Nothing is read after this."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from generator import paths
from generator.errors import GenError
from generator.formatting import home
from generator.loading import catalogue
from generator.schema.names import SLUG
from generator.schema.project import Project


@dataclass(frozen=True)
class Choice:
    """What a person asked for on the command line."""

    site: str
    specs: Path | None
    profile: Path | None
    options: Mapping[str, str | bool | None]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file that a person wrote: its name as they know it, and its bytes."""

    path: Path
    content: bytes


@dataclass(frozen=True)
class Inputs:
    """Everything that the artifacts depend on."""

    spec: File
    profile: File | None
    options: Mapping[str, str | bool | None]
    changes: tuple[str, ...]
    project: Project | None = None


def read(choice: Choice) -> Inputs:
    """Read what was asked for.

    Raises:
        GenError: there is no such site, or a file cannot be read.
    """
    profile = choice.profile or _there(_usual_profile())
    return Inputs(
        spec=file(catalogue.spec(choice.site, choice.specs)),
        profile=file(profile) if profile else None,
        options=choice.options,
        changes=choice.changes,
    )


def read_as_installed(choice: Choice) -> Inputs:
    """Read the files of a choice, with the spec of the installation if the site is installed.

    Only an explicit directory or path of a spec goes before the installed one. A directory
    `site_specs` where gen happens to run may come from anybody.
    """
    copy = catalogue.installed_copy(choice.site)
    if copy is None or choice.specs:
        return read(choice)
    return read(replace(choice, site=str(copy)))


def site(spec: File) -> str:
    """Return the name of a spec's site, as YAML has it: a search in the text could be misled.

    The spec is validated later. Until then, the name of its file stands in for one that cannot be
    a site's.
    """
    from generator.loading import yaml_document

    values = yaml_document.parse(spec.content, str(spec.path)).data()
    name = values.get("site") if isinstance(values, dict) else None
    if isinstance(name, str) and re.fullmatch(SLUG, name):
        return name
    return spec.path.stem


def file(path: Path) -> File:
    """Read a file that a person named.

    Raises:
        GenError: there is no such file, or it cannot be read.
    """
    try:
        return File(path, path.read_bytes())
    except OSError as error:
        raise GenError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def profile_name(named: Path | None = None) -> str:
    """Return what a person calls the file that their values go into."""
    path = named or _usual_profile()
    return home(path) if path else "your profile"


def _usual_profile() -> Path | None:
    """Return `gen/profile.yaml` below the XDG configuration folder; None without a home."""
    base = xdg("XDG_CONFIG_HOME", paths.USER_CONFIG)
    return base / paths.PROFILE if base else None


def _there(path: Path | None) -> Path | None:
    """Return a file if it is there."""
    try:
        return path if path and path.stat() else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return path  # whoever reads it is told


def xdg(variable: str, usual: PurePosixPath) -> Path | None:
    """Return the folder that a variable names, if absolute, as XDG has it, else the usual one; None without a home."""
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named
    try:
        return Path.home() / usual
    except RuntimeError:
        return None
