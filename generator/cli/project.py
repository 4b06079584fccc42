"""`gen project NAME --site SITE`: a Dagster project in a folder of its own, and nothing else of the site."""

import sys
from pathlib import Path, PurePosixPath

from generator.cli import site
from generator.errors import GenError
from generator.loading import inputs
from generator.paths import OUTPUT_STATE
from generator.schema import project


def run(
    name: str, choice: inputs.Choice, out: Path, *, dry_run: bool, force: bool, as_json: bool
) -> int:
    """Write a project below a folder; a second time, only what the site's spec changed.

    Raises:
        GenError: no package can have that name, the folder is somebody else's, or what `gen site` refuses.
    """
    slug = project.slug(name, sys.stdlib_module_names)
    folder = out / slug
    wanted = project.Project(PurePosixPath(), project.package(slug), alone=True)
    made = (folder / OUTPUT_STATE).is_dir() and (folder / wanted.sites).is_dir()
    if folder.is_dir() and any(folder.iterdir()) and not made:
        raise GenError(
            f"{folder}: is there already, and is no project that gen project made; choose another name"
        )
    return site.run(choice, folder, wanted, dry_run=dry_run, force=force, as_json=as_json)
