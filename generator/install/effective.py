"""What ssh will really do, asked of ssh itself: what of the user's wins over a site's file, and what ours changes.

`ssh -G` is the only judge of what applies. To find the line behind a value, ssh is asked again with copies of the
files in which some lines are empty, so a `Match exec` needs no guess.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from generator.errors import GenError
from generator.install.ask import AT_ONCE, Options, asked, client
from generator.install.ssh_files import Files, Source, sources, walk
from generator.install.ssh_lines import Line, lines
from generator.live.client import too_new

# These add up, so a value of theirs takes nothing from ours (ssh_config(5)).
_ADD_UP = {"identityfile", "certificatefile", "sendenv", "setenv", "localforward", "remoteforward", "dynamicforward"}
# A site's file says where a connection goes also by leaving these out.
_ELSEWHERE = ("HostName", "ProxyJump", "ProxyCommand", "HostKeyAlias", "RemoteCommand")
_MEND = "take it out, or move it below gen's block into `Host *`"
_MEND_BELOW = "leave them out of its block with a ! before each name in the Host line"
_MEND_OF_SITES = "two sites have this name; give one another alias with --set"
# The first of these two prevents the other; a canonical name takes the place of the host name.
_RIVALS = {
    "proxyjump": {"proxyjump", "proxycommand"},
    "proxycommand": {"proxyjump", "proxycommand"},
    "hostname": {"hostname", "canonicalizehostname", "canonicaldomains"},
}


@dataclass(frozen=True)
class Shadow:
    """A line that makes something else of names of a site than the site's file alone would."""

    place: str | None
    """Where the line is, `~/.ssh/config:3`."""
    line: str
    """What it says; the value that ssh takes where the line cannot be found."""
    does: str
    names: tuple[str, ...]
    mend: str
    """What to do about it."""

    @property
    def message(self) -> str:
        """The whole finding in one line."""
        where = self.place or "somewhere in your ssh configuration"
        return f"{where}: {self.line} {self.does} for {', '.join(self.names)}; {self.mend}"


@dataclass(frozen=True)
class Changed:
    """A name of the user's own that would mean something else."""

    name: str
    place: str
    options: tuple[tuple[str, str, str], ...]
    """Option, value before, value after."""

    @property
    def message(self) -> str:
        """The whole finding in one line."""
        what = "; ".join(
            f"{option} {before or '(none)'} → {after or '(none)'}" for option, before, after in self.options
        )
        return f"{self.place}: {self.name} is yours, and would change: {what}"


def foreign(files: Files) -> dict[str, str]:
    """Return the names that a configuration has an entry for, with the place of each: no patterns."""
    found: dict[str, str] = {}
    for file, line in walk(sources(files)[0]):
        for name in _named(line):
            if not re.search(r"[*?!]", name) and not name.startswith("-"):
                found.setdefault(name, f"{file}:{line.number}")
    return found


def _named(line: Line) -> Iterable[str]:
    if line.keyword == "host":
        return line.arguments
    if line.keyword == "match":
        pairs = zip(line.arguments, line.arguments[1:], strict=False)
        return [name for what, names in pairs if what.lower() in ("host", "originalhost") for name in names.split(",")]
    return ()


def changes(before: Files, after: Files, names: Mapping[str, str]) -> tuple[Changed, ...]:
    """Return which of the user's own names, given with their places, would resolve to something else.

    Raises:
        GenError: ssh does not take the new configuration, or there is no ssh.
    """
    try:
        old = asked(sources(before), names)
    except GenError:
        old = {}  # ssh takes nothing of it today, so nothing can change
    new = asked(sources(after), names)
    found = []
    for name, options in old.items():
        # Ours stands above theirs; that it had no effect is seen in that ssh takes the file.
        every = sorted({*options, *new[name]} - {"ignoreunknown"})
        differ = [option for option in every if options.get(option) != new[name].get(option)]
        if differ:
            values = tuple((option, _told(options, option), _told(new[name], option)) for option in differ)
            found.append(Changed(name, names[name], values))
    return tuple(found)


def _told(options: Options, option: str) -> str:
    return ", ".join(options.get(option, ()))


def check(files: Files) -> None:
    """Have ssh read a configuration.

    Raises:
        GenError: ssh does not take it, or there is no ssh.
    """
    asked(sources(files), ["localhost"])


def shadows(after: Files, site: bytes) -> tuple[Shadow, ...]:
    """Return what wins over a site's file, for every name that it has; of a pattern, for an example.

    Raises:
        GenError: ssh does not take the configuration, or there is no ssh.
    """
    names, both = _names(site), sources(after)
    alone = asked((Source("the site's file", site, tuple(lines(site)), {}), Source("none", b"", (), {})), names)
    full = asked(both, names)
    every = [*walk(both[0]), *walk(both[1])]
    lost = dict.fromkeys(
        (name, option)
        for name in names
        for option in (*_set(site, name), *_ELSEWHERE)
        if _loses(option.lower(), alone[name], full[name])
    )

    def shadow(lost: tuple[str, str]) -> Shadow | None:
        name, option = lost
        ours = _told(alone[name], option.lower()) if option in _set(site, name) else None
        does = f"wins over {option} {ours}" if ours is not None else "holds too"
        candidates = [
            (file, line) for file, line in every if line.keyword in _RIVALS.get(option.lower(), {option.lower()})
        ]
        first = _first(both, candidates, site, name, option.lower(), alone[name])
        if first is None:
            # The path of a shared connection is made of the others, and differs when they do.
            value = f"{option} {_told(full[name], option.lower())}"
            return Shadow(None, value, does, (names[name],), _MEND) if option != "ControlPath" else None
        if first == len(candidates):
            where = next((place for source in both for place in _leads(source, site)), None)
            return Shadow(where, "this Include", "is not read", (names[name],), "it stands below a Host or Match line")
        file, line = candidates[first]
        mend = _MEND_OF_SITES if file.startswith("~/.ssh/gen.d/") else _MEND if ours is not None else _MEND_BELOW
        return Shadow(f"{file}:{line.number}", f"{line.written} {line.value}", does, (names[name],), mend)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return _gathered(filter(None, pool.map(shadow, lost)))


def outdated(site: bytes) -> tuple[str, ...]:
    """Return a message where the ssh that is there does not know what a site's file asks of it."""
    found = client()
    unknown = too_new(site, found) if found else ()
    if not (found and unknown):
        return ()
    keywords = " and ".join(unknown)
    pins = " It ignores the pins, and refuses the host." if "KnownHostsCommand" in keywords else ""
    return (f"ssh here is OpenSSH {found[0]}.{found[1]}, which does not know {keywords}.{pins} Get a newer one.",)


def _names(site: bytes) -> dict[str, str]:
    """Return the names to ask for, with what a person is told: each name that is none of a pattern's, or an example."""
    found: dict[str, str] = {}
    for line in lines(site):
        for name in line.arguments if line.keyword == "host" else ():
            if not name.startswith("!"):
                found.setdefault(name.replace("?", "0").replace("*", "any"), name)
    return found


def _set(site: bytes, name: str) -> list[str]:
    """Return the options that a site's file sets for a name; such a file has Host blocks and no Match."""
    from generator.spec.rules import matcher  # brings pydantic along

    found, applies = list[str](), False
    for line in lines(site):
        if line.keyword == "host":
            applies = matcher(line.arguments)(name)
        elif applies:
            found.append(line.written)
    return found


def _loses(option: str, alone: Options, full: Options) -> bool:
    ours, theirs = alone.get(option, ()), full.get(option, ())
    return not set(ours) <= set(theirs) if option in _ADD_UP else ours != theirs


def _first(
    both: tuple[Source, Source],
    candidates: Sequence[tuple[str, Line]],
    site: bytes,
    name: str,
    option: str,
    alone: Options,
) -> int | None:
    """Return which line is the first to take an option from a site's file, their number if none does.

    With only the first few of the lines, and the site's file read after them, the option is the site's until that line
    is among them. ``None`` if it is not even with none of them.
    """

    def lost(kept: int) -> bool:
        blank = {(file, line.number) for file, line in candidates[kept:]}
        return _loses(option, alone, asked(both, [name], blank, site)[name])

    first = bisect_left(range(len(candidates) + 1), True, key=lost)
    return first - 1 if first else None


def _leads(source: Source, site: bytes) -> Iterator[str]:
    """Yield the places of the Includes that lead to a site's file."""
    for number, inner in source.included.items():
        for one in inner:
            if one.content == site:
                yield f"{source.name}:{number}"
            yield from _leads(one, site)


def _gathered(found: Iterable[Shadow]) -> tuple[Shadow, ...]:
    """Join findings that differ in the names; a line that takes several options is told once."""
    joined: dict[tuple[str | None, str], Shadow] = {}
    for one in found:
        known = joined.setdefault((one.place, one.line), one)
        joined[one.place, one.line] = replace(known, names=tuple(dict.fromkeys(known.names + one.names)))
    return tuple(joined.values())
