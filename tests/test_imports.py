"""Imports run downward only: who may know whom, read from the source."""

import ast
from pathlib import Path

import pytest

import generator

PACKAGE = Path(generator.__file__).parent

# From the bottom up: a module imports from its own folder and from the rows below.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "resources", "paths"),
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
    ("install",),
    ("cli",),
    ("__main__", "api"),
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
# Folders whose modules are functions from values to values, and the modules in them that are not.
PURE_FOLDERS = ("schema", "compiler", "report", "revisions")
SHELL = {"revisions.git"}
# Of the other folders, the modules that are pure.
PURE_MODULES = {
    "loading.yaml_document",
    "loading.overrides",
    "loading.spec_editor",
    "workspace.lock",
    "workspace.plan",
    "workspace.drift",
    "workspace.accepted_drift",
    "workspace.patch",
    "workspace.redaction",
    "probe.spec_blocks",
    "probe.finding",
    "probe.remote_script",
    "probe.queue_differences",
    "probe.slurm_output",
}
OUTSIDE = {
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


def imported(module: Path) -> set[str]:
    """Return the modules of ours that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {
        name for name in names if name.startswith("generator.") and name != "generator.__version__"
    }


def folder(name: str) -> str:
    """Return the folder (or the single module) below `generator` that a module is in."""
    return name.split(".")[1]


def dotted(module: Path) -> str:
    """Return the dotted name of a file."""
    parts = ("generator", *module.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def is_pure(name: str) -> bool:
    """Return whether a module may know nothing but values."""
    short = name.removeprefix("generator.")
    if short in SHELL or name == "generator":
        return False
    return folder(name) in PURE_FOLDERS or short in PURE_MODULES


@pytest.mark.parametrize("module", MODULES, ids=dotted)
def test_a_module_imports_only_from_below(module: Path) -> None:
    importer = dotted(module)
    if importer == "generator":
        return
    for name in imported(module):
        below = RANK[folder(name)] < RANK[folder(importer)]
        assert below or folder(name) == folder(importer), f"{importer} imports {name}"


@pytest.mark.parametrize("module", sorted((PACKAGE / "compiler/emitters").glob("*.py")), ids=dotted)
def test_no_emitter_imports_another(module: Path) -> None:
    others = {name for name in imported(module) if name.startswith("generator.compiler.emitters")}
    assert not others, f"{dotted(module)} imports {others}"


@pytest.mark.parametrize(
    "module", [module for module in MODULES if is_pure(dotted(module))], ids=dotted
)
def test_a_pure_module_does_not_know_the_outside(module: Path) -> None:
    """No clock, no environment, no file, no terminal: the same spec gives the same bytes."""
    names: set[str | None] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    assert not names & OUTSIDE


@pytest.mark.parametrize("command", ["check", "diff", "review"])
def test_a_command_that_must_not_write_reaches_no_module_that_does(command: str) -> None:
    reached, todo = set[str](), [f"generator.cli.{command}"]
    while todo:
        name = todo.pop()
        path = PACKAGE.parent / Path(*name.split("."))
        for source in (path.with_suffix(".py"), path / "__init__.py"):
            if source.is_file() and name not in reached:
                reached.add(name)
                todo += imported(source)
    assert reached & {"generator.workspace.recompile", "generator.revisions.changes"}
    assert not reached & {"generator.workspace.writer", "generator.cli.site"}
