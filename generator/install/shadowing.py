"""What wins over a site's file: each line behind a value of `ssh -G` that is not the file's own.

To find the line, ssh is asked again with copies of the files in which some lines are empty; so it is ssh that judges
every Host, Match and Include, and a `Match exec` needs no guess.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from generator import paths
from generator.ssh.client import Settings
from generator.ssh.config_files import Files, Source, sources, walk
from generator.ssh.config_lines import Line, lines
from generator.ssh.effective_config import AT_ONCE, asked
from generator.ssh.patterns import example, matches

# These add up, so a value of theirs takes nothing from ours (ssh_config(5)).
_ADD_UP = {
    "identityfile",
    "certificatefile",
    "sendenv",
    "setenv",
    "localforward",
    "remoteforward",
    "dynamicforward",
}
# A site's file says where a connection goes also by leaving these out.
_ELSEWHERE = ("HostName", "ProxyJump", "ProxyCommand", "HostKeyAlias", "RemoteCommand")
# The first of these two prevents the other; a canonical name takes the place of the host name.
_RIVALS = {
    "proxyjump": {"proxyjump", "proxycommand"},
    "proxycommand": {"proxyjump", "proxycommand"},
    "hostname": {"hostname", "canonicalizehostname", "canonicaldomains"},
}
_MEND = "take it out, or move it below gen's block into `Host *`"
_MEND_BELOW = "leave them out of its block with a ! before each name in the Host line"
_MEND_SYSTEM = "have them left out there, or set it otherwise for them on top of ~/.ssh/config"
_MEND_OF_SITES = "two sites have this name; give one another alias with --set"


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
        return f"{where}: {self.line} {self.does} for {few(self.names)}; {self.mend}"


def shadows(after: Files, site: bytes) -> tuple[Shadow, ...]:
    """Return what wins over a site's file, for every name that it has; of a pattern, for an example.

    Raises:
        GenError: ssh does not take the configuration, or there is no ssh.
    """
    names, both = _names(site), sources(after)
    alone = asked(
        (Source("the site's file", site, tuple(lines(site)), {}), Source("none", b"", (), {})),
        names,
    )
    beside = _Beside(both, site, alone, full := asked(both, names))
    lost = [
        (name, option)
        for name in names
        for option in beside.options(name)
        if beside.loses(name, option, full)
    ]
    if not lost:
        return ()
    beside = replace(beside, behind=asked(both, names, (), site))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda one: beside.shadow(*one), lost)
    return _gathered(
        replace(one, names=tuple(names[name] for name in one.names)) for one in found if one
    )


@dataclass(frozen=True)
class _Beside:
    """A site's file beside a configuration: what ssh makes of the names."""

    both: tuple[Source, Source]
    site: bytes
    alone: Mapping[str, Settings]
    """Of the site's file alone."""
    full: Mapping[str, Settings]
    """Of everything."""
    behind: Mapping[str, Settings] = field(default_factory=dict)
    """Of everything, and the site's file once more after it; asked for where something is lost."""

    def options(self, name: str) -> tuple[str, ...]:
        """Return the options that matter for a name."""
        return tuple(dict.fromkeys((*_set(self.site, name), *_ELSEWHERE)))

    def loses(self, name: str, option: str, answers: Mapping[str, Settings]) -> bool:
        """Tell whether an option is not what the site's file says."""
        ours, theirs = (
            self.alone[name].get(option.lower(), ()),
            answers[name].get(option.lower(), ()),
        )
        return not set(ours) <= set(theirs) if option.lower() in _ADD_UP else ours != theirs

    def shadow(self, name: str, option: str) -> Shadow | None:
        """Return what takes an option of a name."""
        if not self.loses(name, option, self.behind):
            where = next(
                (place for source in self.both for place in _leads(source, self.site)), None
            )
            return Shadow(
                where,
                "this Include",
                "is not read",
                (name,),
                "it stands below a Host or Match line",
            )
        ours = option in _set(self.site, name)
        does = (
            f"wins over {option} {', '.join(self.alone[name].get(option.lower(), ()))}"
            if ours
            else "holds too"
        )
        if found := self._line(name, option):
            file, line = found
            mend = _MEND if ours else _MEND_BELOW if file.startswith("~/") else _MEND_SYSTEM
            mend = _MEND_OF_SITES if file.startswith(f"~/{paths.SITE_CONFIGS}/") else mend
            return Shadow(
                f"{file}:{line.number}", f"{line.written} {line.value}", does, (name,), mend
            )
        if (
            option == "ControlPath"
        ):  # it is made of the host, the port and the user, and differs when they do
            return None
        value = ", ".join(self.full[name].get(option.lower(), ()))
        return Shadow(None, f"{option} {value}", does, (name,), _MEND)

    def _line(self, name: str, option: str) -> tuple[str, Line] | None:
        """Return the first line that takes an option, if it is in a file that can be found.

        With only the first few of the lines that could, and the site's file read after them, the option is the site's
        until that line is among them.
        """
        keywords = _RIVALS.get(option.lower(), {option.lower()})
        could = [
            (file, line)
            for source in self.both
            for file, line in walk(source)
            if line.keyword in keywords
        ]

        def lost(kept: int) -> bool:
            blank = {(file, line.number) for file, line in could[kept:]}
            return self.loses(name, option, asked(self.both, [name], blank, self.site))

        first = bisect_left(range(len(could)), True, key=lost)
        return could[first - 1] if first else None


def _names(site: bytes) -> dict[str, str]:
    """Return the names to ask for, with what a person is told: each name that is none of a pattern's, or an example."""
    found: dict[str, str] = {}
    for line in lines(site):
        for name in line.arguments if line.keyword == "host" else ():
            if not name.startswith("!"):
                found.setdefault(example(name), name)
    return found


def _set(site: bytes, name: str) -> list[str]:
    """Return the options that a site's file sets for a name; such a file has Host blocks and no Match."""
    found, applies = list[str](), False
    for line in lines(site):
        if line.keyword == "host":
            applies = matches(line.arguments, name)
        elif applies:
            found.append(line.written)
    return found


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
        joined[one.place, one.line] = replace(
            known, names=tuple(dict.fromkeys(known.names + one.names))
        )
    return tuple(joined.values())


def few(words: Sequence[str]) -> str:
    """Return three of some words, and how many more there are."""
    return (
        ", ".join(words) if len(words) <= 4 else f"{', '.join(words[:3])} and {len(words) - 3} more"
    )
