"""Every command of gen in a text of the package exists, with each of its options."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import generator
from generator.cli.app import with_command

PACKAGE = Path(generator.__file__).parent
# A command ends where the sentence goes on.
COMMAND = re.compile(r"\bgen ((?:source )?[a-z][a-z-]*)((?: (?!to |in |for |is )[^\s;,()`|]+)*)")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module that are no docstrings; a value in one becomes `X`."""
    tree = ast.parse(path.read_text())
    others: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            others.add(node.value)  # a docstring
        if isinstance(node, ast.JoinedStr):
            others.update(node.values)
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in others:
            yield node.lineno, node.value


def commands() -> Iterator[tuple[str, str, str]]:
    """Yield each command in a text: its place, its name, and the words behind it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, text in texts(path):
            for match in COMMAND.finditer(text):
                place = f"{path.relative_to(PACKAGE)}:{line}: {match[0]}"
                yield place, match[1], match[2]


def options_by_command() -> dict[str, set[str]]:
    """Return the options of each command, by its name, with that of its group before it."""
    options: dict[str, set[str]] = {}
    # Without the name of a command, the app has all of them.
    groups: list[tuple[str, Any]] = [("", typer.main.get_command(with_command("")))]
    for prefix, group in groups:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                groups.append((f"{prefix}{name} ", command))
            flags = {"--help", "-h"}
            for parameter in command.params:
                flags.update((*parameter.opts, *parameter.secondary_opts))
            options[f"{prefix}{name}"] = flags
    return options


def test_printed_commands_and_their_options_exist() -> None:
    known = options_by_command()
    wrong: list[str] = []
    number = 0
    for place, name, words in commands():
        if name not in known:
            # A word of a sentence about gen (`gen shows`), unless it looks like a command.
            is_verb = name.removesuffix("s") in known
            if not is_verb and difflib.get_close_matches(name, known, cutoff=0.8):
                wrong.append(place)
            continue
        number += 1
        for word in words.split():
            flag = word.partition("=")[0].rstrip(".:'")
            if flag.startswith("-") and flag not in known[name]:
                wrong.append(f"{place}  ({flag})")
    assert wrong == []
    assert number > 60
