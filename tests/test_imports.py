"""Imports run downward only: who may know whom, read from the source."""

import ast
from pathlib import Path

import pytest

import generator

PACKAGE = Path(generator.__file__).parent

# From the bottom up: a module imports from its own room and from the rows below.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "resources", "artifact", "secrets", "words", "openssh"),
    ("project",),
    ("spec", "catalogue", "compilation", "git", "terminal"),
    ("lock",),
    ("document", "inputs", "renewal", "plan"),
    ("overlay", "tree", "report", "drift"),
    ("load", "profile", "disk", "edit"),
    ("account", "cache", "accepted"),
    ("pins", "render", "scaffold", "advice", "on_connect"),
    ("emitters", "meaning"),
    ("compile", "questions"),
    ("build", "regenerate", "review"),
    ("refresh",),
    ("standing", "live"),
    ("install",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
SHELL = {
    "cli",
    "commands",
    "disk",
    "tree",
    "git",
    "regenerate",
    "inputs",
    "cache",
    "refresh",
    "standing",
    "load",
    "catalogue",
    "terminal",
    "words",
    "openssh",
    "__main__",
}
CORE = {
    "artifact",
    "account",
    "compile",
    "compilation",
    "profile",
    "emitters",
    "pins",
    "plan",
    "project",
    "lock",
    "renewal",
    "on_connect",
    "report",
    "advice",
    "spec",
    "drift",
    "accepted",
    "meaning",
    "review",
    "secrets",
    "questions",
    "edit",
}
# Of rooms that meet the outside: what judges its words, and knows nothing else of it.
PURE = {f"live.{name}" for name in ("blocks", "finding", "question", "queues", "slurm")}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(module: Path) -> set[str]:
    """Return the modules of our own that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("generator.") and name != "generator.__version__"}


def room(name: str) -> str:
    """Return the room below `generator` that a module is in."""
    return name.split(".")[1]


def own_name(module: Path) -> str:
    return ".".join(("generator", *module.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("module", MODULES, ids=own_name)
def test_a_module_imports_only_from_below(module: Path) -> None:
    own = own_name(module)
    if own == "generator":
        return
    for name in imported(module):
        assert room(name) == room(own) or RANK[room(name)] < RANK[room(own)], f"{own} imports {name}"


@pytest.mark.parametrize("module", sorted((PACKAGE / "emitters").glob("*.py")), ids=own_name)
def test_no_emitter_imports_another(module: Path) -> None:
    others = {name for name in imported(module) if name.startswith("generator.emitters")}
    assert not others, f"{own_name(module)} imports {others}"


@pytest.mark.parametrize(
    "module",
    [
        path
        for path in MODULES
        if own_name(path).count(".") and (room(own_name(path)) in CORE or own_name(path)[10:] in PURE)
    ],
    ids=own_name,
)
def test_the_core_does_not_know_the_outside(module: Path) -> None:
    """No clock, no environment, no file, no terminal: the same spec gives the same bytes everywhere."""
    tree = ast.parse(module.read_text())
    names = {
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not names & {"os", "sys", "time", "socket", "subprocess", "platform", "getpass", "random", "tempfile"}
    assert not {room(name) for name in imported(module)} & SHELL


@pytest.mark.parametrize("command", ["check", "diff", "review"])
def test_a_command_that_must_not_write_reaches_no_module_that_does(command: str) -> None:
    reached, todo = set[str](), [f"generator.commands.{command}"]
    while todo:
        name = todo.pop()
        file = PACKAGE.parent / Path(*name.split("."))
        source = next((path for path in (file.with_suffix(".py"), file / "__init__.py") if path.is_file()), None)
        if source and name not in reached:
            reached.add(name)
            todo += imported(source)
    assert "generator.regenerate" in reached or "generator.review" in reached
    assert not reached & {"generator.disk", "generator.cache", "generator.commands.site"}
