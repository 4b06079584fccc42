"""Which sites there are: those of `--specs DIR`, of `./site_specs`, those installed, and those that ship with gen."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from generator import paths
from generator.errors import GenError, near
from generator.resources import CATALOGUE


def sites(specs: Path | None) -> dict[str, Path]:
    """Return the spec of every site by its name; of two with one name the first found stands.

    Raises:
        GenError: the folder that was named is none.
    """
    if specs and not specs.is_dir():
        raise GenError(f"--specs {specs}: is no folder")
    folders = [*([specs] if specs else []), Path("site_specs"), *_installed(), CATALOGUE]
    found = {path.stem: path for folder in reversed(folders) for path in folder.glob("*.yaml")}
    return dict(sorted(found.items()))


def _installed() -> list[Path]:
    try:
        return [Path.home() / paths.INSTALLED_SPECS]
    except RuntimeError:  # who has no home folder has nothing in it
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
    if "/" in site or not (home / paths.installed_lock(site)).exists():
        return None
    return home / paths.installed_spec_copy(site)


@cache
def shipped() -> Mapping[str, Path]:
    """Return the specs that ship with the tool, by name; they do not change while it runs."""
    return {path.stem: path for path in sorted(CATALOGUE.glob("*.yaml"))}


def spec(site: str, specs: Path | None) -> Path:
    """Return the spec that a person means by a name or a path.

    Raises:
        GenError: there is none of that name.
    """
    if "/" in site or site.endswith((".yaml", ".yml")):
        return Path(site)
    known = sites(specs)
    if site not in known:
        raise GenError(
            f"{site}: no such site{near(site, known)} (gen list shows them all; the path of a spec does too)"
        )
    return known[site]
