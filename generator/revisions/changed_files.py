"""The files that differ between the two sides of a review, and the programs that read them."""

from collections.abc import Set
from pathlib import PurePosixPath

from generator.revisions.file_changes import ChangedFile, is_watched
from generator.revisions.git import TreeEntry
from generator.revisions.named_scripts import naming_specs
from generator.revisions.sides import SOURCES, Side
from generator.revisions.tree import Tree
from generator.revisions.trusted_files import reader

# Everything else in the package of a project may run at the site: Python, scripts, components.
_PROSE_SUFFIXES = (".md", ".rst", ".txt")
_PROJECT_FILE = "pyproject.toml"


def changed_files(base: Side, head: Side, directory: str) -> list[ChangedFile]:
    """Return the watched files that differ, and the submodules.

    `directory` is that of the specs.
    """
    recorded = set[str]()
    for lock_file in [*base.locks.values(), *head.locks.values()]:
        recorded.update(lock_file.files)
    # Both have findings of their own.
    reported = {SOURCES, *base.sourced_paths.values(), *head.sourced_paths.values()}
    names = changed_paths(base.tree, head.tree)
    watched: dict[str, str | None] = {}
    others = []
    for path, name in sorted(names.items()):
        if name in reported:
            continue
        before, after = base.tree.files.get(path), head.tree.files.get(path)
        # A submodule may hold specs and scripts, and its files are not in this repository.
        if _is_submodule(before) or _is_submodule(after) or is_watched(name, recorded):
            watched[path] = reader(name)
        elif _is_in_action(path, base.tree) or _is_in_action(path, head.tree):
            watched[path] = "CI"
        else:
            others.append(path)
    # Last, since it reads specs: hardly any pull request changes such a script.
    for path, spec in naming_specs((base, head), directory, others).items():
        watched[path] = f"a command in {spec}"
    base.tree.load(watched)
    head.tree.load(watched)
    changes = []
    for path, programs in sorted(watched.items()):
        changes.append(_changed_file(base.tree, head.tree, path, names[path], programs))
    return changes


def _is_in_action(path: str, tree: Tree) -> bool:
    """Return whether a file is beside or below an action of the repository.

    The action at the top of a repository is there for others, and everything is below it.
    """
    for parent in PurePosixPath(path).parents[:-1]:
        for name in ("action.yml", "action.yaml"):
            if str(parent / name) in tree.files:
                return True
    return False


def changed_project_code(base: Side, head: Side, modules: Set[str]) -> dict[str, list[str]]:
    """Return the changed files of each Dagster project that run and that gen does not compile.

    `modules` are those of gen in the projects.
    """
    directories = set[str]()
    recorded = set[str]()
    for lock_file in [*base.locks.values(), *head.locks.values()]:
        recorded.update(lock_file.files)
        if lock_file.project_code:
            directories.add(lock_file.project_code)
    changed: dict[str, list[str]] = {}
    for path in sorted(changed_paths(base.tree, head.tree)) if directories else ():
        for directory in directories:
            # Those that gen compiles or that programs look for are findings of their own.
            is_reported = path in recorded or path in modules or reader(path) is not None
            if _runs_at_site(path, directory) and not is_reported:
                changed.setdefault(directory, []).append(path)
    return changed


def _runs_at_site(path: str, directory: str) -> bool:
    """Return whether a file is in the package of a project, or says which package that is."""
    is_code = path.startswith(f"{directory}/") and not path.endswith(_PROSE_SUFFIXES)
    return is_code or path == f"{_parent(_parent(directory))}{_PROJECT_FILE}"


def _parent(path: str) -> str:
    """Return the directory of a path with a slash at its end, or nothing at the top."""
    parent, slash, _ = path.rstrip("/").rpartition("/")
    return parent + slash


def changed_paths(base: Tree, head: Tree) -> dict[str, str]:
    """Return the paths that differ, each with the path at which programs read it."""
    names = {}
    for path in {*base.files, *head.files}:
        if base.files.get(path) != head.files.get(path):
            names[path] = path
    for link in {*base.links, *head.links}:
        target = head.resolved(link) if link in head.files else base.resolved(link)
        for path in names:
            # Programs read the target of a link under the name of the link.
            if path == target or path.startswith(f"{target}/"):
                names[path] = link + path[len(target) :]
    return names


def _changed_file(
    base: Tree, head: Tree, path: str, name: str, programs: str | None
) -> ChangedFile:
    before, after = base.files.get(path), head.files.get(path)
    submodule = ""
    if _is_submodule(before) or _is_submodule(after):
        base_commit, head_commit = _commit(before), _commit(after)
        submodule = f"{base_commit} → {head_commit}"
    link = ""
    if after and after.is_link:
        link = (head.content(path) or b"").decode(errors="replace")
    return ChangedFile(
        path=name,
        location=path,
        programs=programs,
        before=base.content(path),
        after=head.content(path),
        link=link,
        submodule=submodule,
        executable=bool(after and after.mode == "100755"),
    )


def _is_submodule(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.is_submodule


def _commit(entry: TreeEntry | None) -> str:
    return entry.name if entry and entry.is_submodule else "none"
