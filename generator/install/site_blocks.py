"""The blocks of a site's ssh file that apply to host names alone."""

from collections.abc import Callable, Iterator, Mapping

from generator.ssh.config_lines import lines


def names_by_value(
    conf: bytes, value_of: Callable[[Mapping[str, str]], str | None]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the names and the value of each block for whose settings a function returns a value.

    A Host block repeats the names of an earlier Match, which ignores their case. So a block is left
    out if all of its names had the value before.
    """
    earlier_names: dict[str, set[str]] = {}
    for names, settings in _site_blocks(conf):
        value = value_of(settings)
        if value is not None and not earlier_names.setdefault(value, set()).issuperset(names):
            earlier_names[value].update(names)
            yield names, value


def _site_blocks(conf: bytes) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
    """Yield names and settings of each `Host` and `Match host`; keywords are in lowercase."""
    names: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    for line in lines(conf):
        if line.keyword not in ("host", "match"):
            settings[line.keyword] = line.value
            continue
        if names:
            yield names, settings
        settings = {}
        names = line.arguments
        if line.keyword == "match":
            is_host_alone = len(line.arguments) == 2 and line.arguments[0] == "host"
            names = tuple(line.arguments[1].split(",")) if is_host_alone else ()
    if names:
        yield names, settings
