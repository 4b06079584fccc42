"""The structure of the package, read from its source: import order, pure modules, class names."""

import ast
from pathlib import Path

import pytest

import generator

PACKAGE = Path(generator.__file__).parent

# From the bottom up. A module imports from its own directory and from the rows before.
ROWS: tuple[tuple[str, ...], ...] = (
    ("clock", "errors", "resources", "paths"),
    ("formatting", "files"),
    ("programs",),
    ("codec",),
    ("report", "ssh"),
    ("schema",),
    ("loading",),
    ("compiler",),
    ("workspace",),
    ("revisions",),
    ("renewal", "probe"),
    ("sources",),
    ("install",),
    ("api", "cli"),
    ("__main__",),
)
RANK: dict[str, int] = {}
for rank, row in enumerate(ROWS):
    RANK |= dict.fromkeys(row, rank)
# Directories whose modules only have functions from values to values, and the modules in them that
# are not pure.
PURE_DIRECTORIES = ("schema", "compiler", "report", "revisions")
IMPURE_MODULES = {
    "revisions.git",
    "revisions.tree",
    "revisions.sides",
    "revisions.revision_report",
    "revisions.spec_check",
}
# The pure modules of the other directories.
PURE_MODULES = {
    "loading.yaml_document",
    "loading.overrides",
    "loading.spec_editor",
    "workspace.lock",
    "workspace.plan",
    "workspace.drift",
    "workspace.accepted_drift",
    "workspace.accepted_file",
    "workspace.patch",
    "workspace.redaction",
    "probe.spec_blocks",
    "probe.finding",
    "probe.remote_script",
    "probe.queue_differences",
    "probe.slurm_output",
}
# The clock, the environment, files of the user, other programs, chance.
IMPURE_LIBRARIES = {
    "os",
    "sys",
    "time",
    "socket",
    "subprocess",
    "platform",
    "getpass",
    "random",
    "tempfile",
}
MODULES = sorted(PACKAGE.rglob("*.py"))
EMITTERS = sorted((PACKAGE / "compiler/emitters").glob("*.py"))


def dotted_name(path: Path) -> str:
    """Return the name of the module in a file."""
    parts = ("generator", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def directory_of(module: str) -> str:
    """Return the directory (or the single module) below `generator` that a module belongs to."""
    return module.split(".")[1]


def is_pure(module: str) -> bool:
    """Return whether a module must work on values alone."""
    short_name = module.removeprefix("generator.")
    if module == "generator" or short_name in IMPURE_MODULES:
        return False
    return directory_of(module) in PURE_DIRECTORIES or short_name in PURE_MODULES


def imports_of(path: Path) -> set[str]:
    """Return all names that a file imports; `from a import b` gives `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package_imports_of(path: Path) -> set[str]:
    """Return the modules of this package that a file imports."""
    names = {name for name in imports_of(path) if name.startswith("generator.")}
    # The version is an attribute of the package and no module.
    return names - {"generator.__version__"}


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_a_module_imports_only_from_the_rows_before_it(path: Path) -> None:
    importer = dotted_name(path)
    # The package itself imports its public API, lazily, from all stages.
    if importer == "generator":
        return
    directory = directory_of(importer)
    for name in package_imports_of(path):
        other_directory = directory_of(name)
        if other_directory != directory:
            assert RANK[other_directory] < RANK[directory], f"{importer} imports {name}"


@pytest.mark.parametrize("path", EMITTERS, ids=dotted_name)
def test_no_emitter_imports_another(path: Path) -> None:
    for name in package_imports_of(path):
        assert not name.startswith("generator.compiler.emitters")


PURE_PATHS = [path for path in MODULES if is_pure(dotted_name(path))]


@pytest.mark.parametrize("path", PURE_PATHS, ids=dotted_name)
def test_a_pure_module_imports_no_impure_library(path: Path) -> None:
    # The same spec gives the same bytes on every machine and every day.
    assert not imports_of(path) & IMPURE_LIBRARIES


def reachable_from(module: str) -> set[str]:
    """Return the modules of this package that a module imports, directly or through others."""
    reached: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        path = PACKAGE.parent.joinpath(*name.split("."))
        for source in (path.with_suffix(".py"), path / "__init__.py"):
            if source.is_file() and name not in reached:
                reached.add(name)
                pending += package_imports_of(source)
    return reached


@pytest.mark.parametrize("command", ["check", "diff", "review"])
def test_a_command_that_must_not_write_reaches_no_writer(command: str) -> None:
    reached = reachable_from(f"generator.cli.{command}")
    # Without this, a mistake in the search would let the test pass with nothing reached.
    assert reached & {"generator.workspace.recompile", "generator.revisions.changes"}
    assert not reached & {"generator.workspace.writer", "generator.cli.site"}


def files_of_classes(*directories: Path) -> dict[str, list[str]]:
    """Return the files that define each public class."""
    files: dict[str, list[str]] = {}
    for directory in directories:
        for path in sorted(directory.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    files.setdefault(node.name, []).append(str(path.relative_to(PACKAGE.parent)))
    return files


@pytest.mark.parametrize("directory", ["generator", "tests"])
def test_no_class_name_is_defined_twice(directory: str) -> None:
    # A name that means two things in one tree has to be explained at every use.
    twice = {}
    for name, files in files_of_classes(PACKAGE.parent / directory).items():
        if len(files) > 1:
            twice[name] = files
    assert twice == {}
