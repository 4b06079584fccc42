"""The specs that gen knows.

They are in `--specs DIR`, in `./site_specs`, in the sources that the user added, among the
installed sites, and in gen itself.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from generator import paths
from generator.errors import GenError, near
from generator.files import refuse_others
from generator.loading import sources
from generator.resources import CATALOGUE


def sites(specs: Path | None) -> dict[str, Path]:
    """Return the spec of every site, by name.

    Of two specs of one name, the directory that comes first wins.
    """
    # A team's own specs come before those that ship with gen, so that it can correct one.
    directories = [Path("site_specs")]
    if specs:
        if not specs.is_dir():
            raise GenError(f"--specs {specs}: is not a directory")
        directories.insert(0, specs)
    by_name = _specs_in(directories)
    # Before the installed ones: `gen install SITE` after an update of a source takes the update.
    for more in (sources.sites(), _specs_in([*installed_directories(), CATALOGUE])):
        for name, path in more.items():
            by_name.setdefault(name, path)
    return dict(sorted(by_name.items()))


def _specs_in(directories: list[Path]) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for directory in directories:
        for path in directory.glob("*.yaml"):
            by_name.setdefault(path.stem, path)
    return by_name


def installed_directories() -> list[Path]:
    """Return the directory of the installed specs, or nothing without a home directory."""
    try:
        return [Path.home() / paths.INSTALLED_SPECS]
    except RuntimeError:  # HOME is unset, and the user has no entry in passwd
        return []


def installed_copy(site: str) -> Path | None:
    """Return the spec from which a site was installed, ``None`` if no site of this name is.

    The copy is in the record of the installation, so no file of the current directory and no
    upgrade of gen changes an installed site.
    """
    try:
        home = Path.home()
    except RuntimeError:
        return None
    # A path names a spec that the user chose; an installation is known by its name.
    if "/" in site or not (home / paths.installed_lock(site)).exists():
        return None
    return home / paths.installed_spec_copy(site)


@cache
def shipped() -> Mapping[str, Path]:
    """Return the specs that ship with the tool, by name; they do not change while it runs."""
    return {path.stem: path for path in sorted(CATALOGUE.glob("*.yaml"))}


def spec(site: str, specs: Path | None) -> Path:
    """Return the spec that a user means by a name or a path.

    The spec of an installed site may be gone; then it is the copy in the record.
    """
    # So a directory of the name of a site does not hide the site.
    if "/" in site or site.endswith((".yaml", ".yml")):
        return Path(site)
    by_name = sites(specs)
    if site not in by_name:
        copy = installed_copy(site)
        if copy and copy.exists():
            refuse_others(copy)
            return copy
        advice = "run gen list, or give the path of a spec"
        raise GenError(f"{site}: no such site{near(site, by_name, advice)}")
    path = by_name[site]
    refuse_writable(path, installed_directories())
    refuse_changed(path)
    return path


def refuse_writable(path: Path, directories: Sequence[Path]) -> None:
    """Refuse an installed spec that other users can change, as `gen install` does.

    `directories` are those of `installed_directories`, which a list of all sites finds once.
    """
    if path.parent in directories:
        refuse_others(path)


def refuse_changed(path: Path) -> None:
    """Refuse a spec of a source whose content is not the one that the user agreed to."""
    origin = sources.at(path)
    if origin:
        store, sourced = origin
        store.content(sourced)
