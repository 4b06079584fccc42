"""The version of gen that a repository asks for in `.gen/config.yaml`.

Another version may compile a spec differently: then drift and reviews would depend on whose
machine they run.
"""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from generator import paths
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.workspace import reader


def check_version(directory: Path, version: str, output_directories: Iterable[Path] = ()) -> None:
    """Refuse another version of gen than a configuration requires.

    The configuration is at or above a directory, or at its output directories.
    """
    for candidate in _upwards(directory):
        _check(candidate, version)
    checked = {directory}
    for candidate in output_directories:
        while candidate not in checked and candidate.is_relative_to(directory):
            checked.add(candidate)
            _check(candidate, version)
            candidate = candidate.parent


def _upwards(directory: Path) -> list[Path]:
    """Return the directory and those above it, up to the top of its repository."""
    directories = [directory]
    if directory.joinpath(".git").exists():
        return directories
    for parent in Path(os.path.realpath(directory)).parents:
        directories.append(parent)
        if parent.joinpath(".git").exists():
            return directories
    # Without a repository, a file further up may be anybody's.
    return directories[:1]


def _check(directory: Path, version: str) -> None:
    path = paths.REPOSITORY_CONFIG
    file = directory / path
    if not os.path.lexists(file):
        return
    content = reader.actual(directory, [path]).get(path)
    if content is None:
        raise GenError(f"{file}: is a link that leads nowhere; remove it")
    # Few repositories have this file, and to define a model takes time.
    from generator.workspace.repository_config import RepositoryConfig

    document = yaml_document.parse(content.content, str(file))
    config = validate.validated(RepositoryConfig, document, str(file))
    required = config.required_version
    if required is not None and required != version:
        line = document.at("required_version").line
        requirement = shlex.quote(f"hpc-sitegen=={required}")
        raise GenError(
            f"{file}:{line}: required_version: this repository requires gen {required}, and this is"
            f" gen {version}; install the required one with: pip install {requirement}"
        )
