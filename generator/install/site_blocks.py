"""The blocks of a site's ssh file that apply to host names alone."""

from collections.abc import Iterator, Mapping

from generator.ssh.config_lines import lines


def site_blocks(conf: bytes) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
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
