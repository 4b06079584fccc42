"""A Dagster project that a site is compiled into: where it lies, and what its package is called."""

import keyword
import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from generator.errors import GenError

# Would be found before the project's own package, or instead of it.
_TAKEN = {
    *(
        "dagster",
        "dagster_dg_cli",
        "dagster_pipes",
        "dagster_shared",
        "dagster_slurm",
        "dagster_webserver",
    ),
    *(
        "mypy",
        "numpy",
        "pandas",
        "pip",
        "pyarrow",
        "pydantic",
        "pyspark",
        "pytest",
        "ray",
        "ruff",
        "setuptools",
    ),
    *("test", "tests", "yaml"),
}


@dataclass(frozen=True)
class Project:
    """A project below the output folder."""

    folder: PurePosixPath
    """Where it lies; ``.`` when the output folder is the project."""
    package: str
    """Its Python package, below `src/`."""
    alone: bool = False
    """Nothing but the project is compiled (`gen project`)."""

    def same(self, other: "Project | None") -> bool:
        """Tell whether two are one project, whatever else is compiled with it."""
        return other is not None and (self.folder, self.package) == (other.folder, other.package)

    @property
    def sites(self) -> PurePosixPath:
        """Folder of the sites' files; a folder without it is no project of ours."""
        return self.folder / "src" / self.package / "sites"

    def wiring(self, site: str) -> PurePosixPath:
        """Return where the file of a site lies, the only one that is managed."""
        return self.sites / f"{site}.toml"


def slug(name: str, taken: Set[str] = frozenset()) -> str:
    """Return what a project is called as a folder and a distribution, from any name; `taken` are Python's own modules.

    Raises:
        GenError: there is no package of that name.
    """
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    found = re.sub("[^a-z0-9]+", "-", plain).strip("-")
    if not found:
        raise GenError(
            f"{name!r}: holds no letter of a to z and no digit, so no package can be called so"
        )
    if keyword.iskeyword(package(found)) or package(found) in _TAKEN | taken:
        raise GenError(
            f"{name!r}: Python has a meaning of its own for {package(found)}; choose another name"
        )
    return found


def package(slug: str) -> str:
    """Return the name of the Python package of a project."""
    return ("_" if slug[0].isdigit() else "") + slug.replace("-", "_")
