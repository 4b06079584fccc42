"""The inputs of a compilation: the bytes of spec and profile, and the options.

Nothing is read later.
"""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from generator import paths
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.formatting import home
from generator.loading import catalogue
from generator.schema.names import SLUG
from generator.schema.project import Project


@dataclass(frozen=True)
class Choice:
    """The choice of a user on the command line: a site, and the values for it."""

    site: str
    specs: Path | None = None
    profile: Path | None = None
    options: Mapping[str, str | bool | None] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    """Keys of which an earlier run recorded a value that is to be forgotten."""

    @property
    def words(self) -> str:
        """The words of a command line that name the site, for a command that can be pasted."""
        words = [self.site]
        if self.specs:
            words += ["--specs", str(self.specs)]
        return shlex.join(words)


class File(NamedTuple):
    """A file of a user: its path as the user gave it, and its bytes."""

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
    recorded_values: Mapping[str, str | bool] = field(default_factory=dict)
    """Values of an earlier run; they count where neither an option nor the profile has one."""
    recorded_changes: tuple[str, ...] = ()
    """The same for changes to the spec."""

    @property
    def option_keys(self) -> tuple[str, ...]:
        """The keys of the profile and of the spec that options set, as `--unset` takes them."""
        keys = {key for key, value in self.options.items() if value is not None}
        keys.update(map(changed_key, self.changes))
        return tuple(sorted(keys))


def changed_key(change: str) -> str:
    """Return the key of a change to a spec (`KEY=VALUE`)."""
    return change.partition("=")[0].strip()


def read(choice: Choice) -> Inputs:
    """Read the spec and the profile of a choice."""
    profile = None
    # A profile that the user names must exist; the usual one need not.
    if path := choice.profile or _existing(usual_profile()):
        refuse_profile_of_others(path)
        profile = file(path)
    return Inputs(
        spec=file(catalogue.spec(choice.site, choice.specs)),
        profile=profile,
        options=choice.options,
        changes=choice.changes,
    )


def refuse_profile_of_others(profile: Path) -> None:
    """Refuse a profile that another user could change, below the home directory or the usual one.

    It decides as whom and with which key ssh logs in, and which programs gen runs. XDG_CONFIG_HOME
    may lead anywhere. A team may share a profile elsewhere, which its users name.
    """
    if profile == usual_profile():
        refuse_others(profile)
        return
    try:
        home_directory = Path.home()
    except RuntimeError:
        return
    if profile.absolute().is_relative_to(home_directory):
        refuse_others(profile)


def read_as_installed(choice: Choice) -> Inputs:
    """Read the files of a choice, with the spec of the installation if the site is installed.

    Only an explicit directory or path of a spec goes before the installed one. A directory
    `site_specs` where gen happens to run may come from anybody.
    """
    copy = catalogue.installed_copy(choice.site)
    if copy is None or choice.specs:
        return read(choice)
    if not copy.exists():
        raise GenError(
            f"{copy}: the copy of the installed spec is missing; run gen install {choice.site}"
        )
    refuse_others(copy)
    return read(replace(choice, site=str(copy)))


def refuse_spec_of_checkout(choice: Choice, purpose: str, command: str) -> None:
    """Refuse a site that only the current directory has: its spec names commands and addresses.

    A repository may come from anybody. Its sites are installed first, or named by their path.
    `command` is the command line for that, with `{spec}` in place of the path.
    """
    if choice.specs or "/" in choice.site or catalogue.installed_copy(choice.site):
        return
    path = catalogue.spec(choice.site, None)
    if path.is_absolute() or path == Path(choice.site) or _is_in_home():
        return
    pasted = command.format(spec=shlex.quote(f"./{path}"))
    raise GenError(
        f"{choice.site}: is not installed, and {path} may come from anybody; "
        f"to {purpose}: {pasted}, or install the site: gen install {choice.site}"
    )


def _is_in_home() -> bool:
    """Return whether the current directory is the home directory, whose specs are the user's."""
    try:
        return Path().samefile(Path.home())
    except (OSError, RuntimeError):  # there is no home directory
        return False


def site(spec: File) -> str:
    """Return the name of a spec's site, as YAML has it: a search in the text could be misled.

    The spec is validated later. Until then, the name of its file stands in for one that cannot be
    a site's.
    """
    from generator.loading import yaml_document

    # `parse` refuses everything but a mapping.
    name = yaml_document.parse(spec.content, str(spec.path)).data().get("site")
    if isinstance(name, str) and re.fullmatch(SLUG, name):
        return name
    return spec.path.stem


def file(path: Path) -> File:
    """Read a file that a user named."""
    with os_errors_named(path):
        return File(path, read_regular(path))


def profile_name(named: Path | None = None) -> str:
    """Return the path of the profile for messages; "your profile" without a home directory."""
    path = named or usual_profile()
    if path is None:
        return "your profile"
    return home(path)


def usual_profile() -> Path | None:
    """Return `gen/profile.yaml` in the configuration directory; ``None`` without a home."""
    base = xdg("XDG_CONFIG_HOME", paths.USER_CONFIG)
    if base is None:
        return None
    return base / paths.PROFILE


def _existing(path: Path | None) -> Path | None:
    """Return the path of a file if the file exists."""
    if path is None:
        return None
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return path  # reading it gives the error
    return path


def xdg(variable: str, usual: PurePosixPath) -> Path | None:
    """Return a directory of the XDG Base Directory Specification, which a variable may name.

    Without the variable, it is the usual one below the home directory.

    A relative path in the variable is ignored, as the specification demands. ``None`` without a
    home directory.
    """
    directory = Path(os.environ.get(variable, ""))
    if directory.is_absolute():
        return directory
    try:
        return Path.home() / usual
    except RuntimeError:
        return None
