"""Print docs/commands.md: every command and option, from the parser itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from generator.cli.app import with_command

HEAD = Path(__file__).with_name("commands-head.txt")


def main() -> None:
    """Print the page."""
    commands = dict(leaf_commands())
    print(HEAD.read_text("utf-8"), end="")
    print("\n## All commands\n")
    print("| command | does |\n| --- | --- |")
    for name, command in commands.items():
        usage = " ".join([name, *map(argument, arguments(command))])
        print(f"| [`{usage}`](#{name.replace(' ', '-')}) | {summary(command)} |")
    print("\n## gen\n")
    print("\n".join(option_table(typer.main.get_command(with_command("")).params)))
    for name, command in commands.items():
        print(f"\n## {name}\n")
        print("\n".join(section(command)))


def leaf_commands() -> Iterator[tuple[str, Any]]:
    """Yield each command with its full name; `gen source` is a group of commands."""
    group: Any = typer.main.get_command(with_command(""))
    for name, command in group.commands.items():
        if not hasattr(command, "commands"):
            yield f"gen {name}", command
            continue
        for inner_name, inner in command.commands.items():
            yield f"gen {name} {inner_name}", inner


def section(command: Any) -> Iterator[str]:
    """Yield the lines about one command: text, examples, arguments and options."""
    # A docstring of generator/cli/app.py ends with its examples, if it has some.
    text, _, examples = command.help.partition("Examples:\n")
    yield text.strip()
    if examples:
        yield "\n```sh"
        for line in examples.splitlines():
            if line.strip():
                yield line.strip()
        yield "```"
    # Markdown has no table without rows.
    if arguments(command):
        yield "\n| argument | means |"
        yield "| --- | --- |"
    for item in arguments(command):
        yield f"| `{argument(item)}` | {cell(item.help)} |"
    yield ""
    yield from option_table(command.params)


def option_table(parameters: list[Any]) -> Iterator[str]:
    """Yield the table of options."""
    yield "| option | means | variable |"
    yield "| --- | --- | --- |"
    for parameter in parameters:
        if not is_option(parameter):
            continue
        flags: list[str] = parameter.opts + parameter.secondary_opts
        # The first name has the value, as a user types it.
        names = [f"{flags[0]} {value(parameter)}".strip(), *flags[1:]]
        shown = ", ".join(f"`{name}`" for name in names)
        variable = ""
        if parameter.envvar:
            variable = f"`{parameter.envvar}`"
        yield f"| {shown} | {cell(parameter.help)}{choices(parameter)} | {variable} |"


def is_option(parameter: Any) -> bool:
    """Return whether a parameter is an option; click gives an argument no dashes."""
    return str(parameter.opts[0]).startswith("-")


def arguments(command: Any) -> list[Any]:
    """Return the arguments of a command."""
    positional: list[Any] = []
    for parameter in command.params:
        if not is_option(parameter):
            positional.append(parameter)
    return positional


def argument(parameter: Any) -> str:
    """Return the name of an argument: in brackets if it may be omitted."""
    name = str(parameter.metavar or parameter.name.upper())
    if not parameter.required and not name.startswith("["):
        name = f"[{name}]"
    # A vertical bar would end the cell of a table.
    return name.replace("|", "\\|")


def value(parameter: Any) -> str:
    """Return the placeholder of an option's value, empty for a flag."""
    if parameter.is_flag:
        return ""
    if parameter.metavar:
        return str(parameter.metavar)
    # The names of click's types; Typer has a path type of its own.
    kind = type(parameter.type).__name__
    if "Path" in kind:
        return "PATH"
    return {"IntParamType": "N", "FloatParamType": "N"}.get(kind, "VALUE")


def choices(parameter: Any) -> str:
    """Return the values that an option accepts, if they are a fixed list."""
    names: list[str] = []
    for choice in getattr(parameter.type, "choices", ()):
        # A choice may be a member of an enumeration.
        names.append(f"`{getattr(choice, 'value', choice)}`")
    if not names:
        return ""
    return f" One of {', '.join(names)}."


def summary(command: Any) -> str:
    """Return the first paragraph of a command's help."""
    return cell(command.help.split("\n\n")[0])


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    # A cell is one line. A bar would end it, and Markdown would take <SITE> for HTML.
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
