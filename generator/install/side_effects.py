"""What ssh will really do, asked of ssh itself: what ours would change for the names that are the user's."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from generator.install.shadowing import few
from generator.ssh.client import Settings, client, too_new
from generator.ssh.config_files import Files, sources, walk
from generator.ssh.config_lines import Line, lines
from generator.ssh.effective_config import asked
from generator.ssh.patterns import is_pattern, matches

_MOST = 100
_TOLD_FIRST = ("hostname", "port", "user", "proxyjump", "proxycommand", "identityfile")


@dataclass(frozen=True)
class Changed:
    """A name of the user's own that would mean something else."""

    name: str
    place: str
    options: tuple[tuple[str, str, str], ...]
    """Option, value before, value after."""

    @property
    def message(self) -> str:
        """The finding in one line: where it goes and as whom, before the rest."""
        rank = {option: number for number, option in enumerate(_TOLD_FIRST)}
        ranked = sorted(self.options, key=lambda one: rank.get(one[0], len(rank)))
        what = [f"{option} {_short(before)} → {_short(after)}" for option, before, after in ranked]
        return f"{self.place}: {self.name} is yours, and would change: {few(what)}"


def _short(value: str) -> str:
    return "(none)" if not value else value if len(value) <= 40 else f"{value[:37]}…"


def foreign(files: Files) -> dict[str, str]:
    """Return the names that a configuration has an entry for, with the place of each: no patterns."""
    found: dict[str, str] = {}
    for file, line in walk(sources(files)[0]):
        for name in _named(line):
            if not is_pattern(name) and not name.startswith("-"):
                found.setdefault(name, f"{file}:{line.number}")
    return found


def _named(line: Line) -> Iterable[str]:
    if line.keyword == "host":
        return line.arguments
    if line.keyword == "match":
        pairs = zip(line.arguments, line.arguments[1:], strict=False)
        return [
            name
            for what, names in pairs
            if what.lower() in ("host", "originalhost")
            for name in names.split(",")
        ]
    return ()


def changes(
    before: Files, after: Files, names: Mapping[str, str], ours: Iterable[bytes]
) -> tuple[Changed, ...]:
    """Return which of the user's own names, given with their places, would resolve to something else.

    Of very many, some are asked for, and all those that a pattern in our files is for.

    Raises:
        GenError: ssh does not take one of the configurations, or there is no ssh.
    """
    some = _some(names, ours)
    old, new = asked(sources(before), some), asked(sources(after), some)
    found = []
    for name, options in old.items():
        # Ours stands above theirs; that it had no effect is seen in that ssh takes the file.
        every = sorted({*options, *new[name]} - {"ignoreunknown"})
        differ = [option for option in every if options.get(option) != new[name].get(option)]
        if differ:
            values = tuple(
                (option, _told(options, option), _told(new[name], option)) for option in differ
            )
            found.append(Changed(name, names[name], values))
    return tuple(found)


def _some(names: Collection[str], ours: Iterable[bytes]) -> list[str]:
    blocks = [line.arguments for conf in ours for line in lines(conf) if line.keyword == "host"]
    caught = [name for name in names if any(matches(block, name) for block in blocks)]
    return list(dict.fromkeys([*caught, *names]))[: max(_MOST, len(caught))]


def _told(options: Settings, option: str) -> str:
    return ", ".join(options.get(option, ()))


def check(files: Files) -> None:
    """Have ssh read a configuration.

    Raises:
        GenError: ssh does not take it, or there is no ssh.
    """
    asked(sources(files), ["localhost"])


def outdated(site: bytes) -> tuple[str, ...]:
    """Return a message where the ssh that is there does not know what a site's file asks of it."""
    found = client()
    unknown = too_new(site, found) if found else ()
    if not (found and unknown):
        return ()
    keywords = " and ".join(unknown)
    pins = " It ignores the pins, and refuses the host." if "KnownHostsCommand" in keywords else ""
    return (
        f"ssh here is OpenSSH {found[0]}.{found[1]}, which does not know {keywords}.{pins} Get a newer one.",
    )
