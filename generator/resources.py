"""The data that ships with gen: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).parent
# hatchling copies the directories into a wheel as `_data` (pyproject.toml); a checkout and an
# editable install have them beside the package.
_ROOT = data if (data := PACKAGE / "_data").is_dir() else PACKAGE.parent

CATALOGUE = _ROOT / "site_specs"
PROJECT = _ROOT / "cookiecutter-project"
