"""A Dagster project that gen compiles a site into: its directory and its package."""

import keyword
import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from generator.errors import GenError

# Python would import the project instead of these packages, or these instead of the project.
_RESERVED = {
    *("dagster", "dagster_dg_cli", "dagster_pipes", "dagster_shared", "dagster_slurm"),
    *("dagster_webserver", "mypy", "numpy", "pandas", "pip", "pyarrow", "pydantic", "pyspark"),
    *("pytest", "ray", "ruff", "setuptools", "test", "tests", "yaml"),
}


@dataclass(frozen=True)
class Project:
    """A project below the output directory."""

    folder: PurePosixPath
    """Its directory; ``.`` if the output directory is the project."""
    package: str
    """Its Python package, below `src/`."""
    alone: bool = False
    """True if gen compiles only the project (`gen project`)."""

    @property
    def name(self) -> str:
        """Name of its distribution."""
        return self.package.strip("_").replace("_", "-")

    def same(self, other: "Project | None") -> bool:
        """Return whether this is the same project, whatever else gen compiles with it."""
        return other is not None and (self.folder, self.package) == (other.folder, other.package)

    @property
    def sites(self) -> PurePosixPath:
        """Directory of the files of sites; every project of gen has it."""
        return self.folder / "src" / self.package / "sites"

    def wiring(self, site: str) -> PurePosixPath:
        """Return the path of the file of a site, the only managed file of a project."""
        return self.sites / f"{site}.toml"


def slug(name: str, taken: Set[str] = frozenset()) -> str:
    """Return the name of the directory and the distribution of a project, from any name.

    `taken` are the names of the modules of Python itself.
    """
    # NFKD parts a letter from its accent, and the encoding drops the accent: `Köln` becomes `koln`.
    ascii_name = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub("[^a-z0-9]+", "-", ascii_name).strip("-")
    if not slug:
        raise GenError(
            f"{name!r}: needs a letter from a to z or a digit for the name of its Python package;"
            " choose another name"
        )
    if keyword.iskeyword(package(slug)) or package(slug) in _RESERVED | taken:
        raise GenError(
            f"{name!r}: {package(slug)} is the name of a Python package or keyword;"
            " choose another name"
        )
    return slug


def package(slug: str) -> str:
    """Return the name of the Python package of a project."""
    # A Python name cannot start with a digit.
    prefix = "_" if slug[0].isdigit() else ""
    return prefix + slug.replace("-", "_")
