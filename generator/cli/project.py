"""`gen project NAME --site SITE`: a Dagster project in a directory of its own."""

import sys
from pathlib import Path, PurePosixPath

from generator import paths
from generator.cli import site
from generator.cli.site_project import has_files
from generator.errors import GenError
from generator.loading import inputs
from generator.schema import project as names
from generator.schema.project import Project


def run(
    name: str, choice: inputs.Choice, out: Path, *, dry_run: bool, force: bool, as_json: bool
) -> int:
    """Create a project below a directory.

    If it exists, update the files that the spec determines.
    """
    directory_name = names.slug(name, sys.stdlib_module_names)
    directory = out / directory_name
    # The output directory is the project itself.
    project = Project(PurePosixPath(), names.package(directory_name), alone=True)
    is_project = (directory / paths.OUTPUT_STATE).is_dir() and (directory / project.sites).is_dir()
    if has_files(directory) and not is_project:
        raise GenError(
            f"{directory}: already exists, and gen project did not create it; choose another name"
        )
    return site.run([choice], directory, project, dry_run=dry_run, force=force, as_json=as_json)
