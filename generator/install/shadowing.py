"""Find the lines of the user's ssh configuration that override a site's file.

gen asks ssh for the settings of each name of the site twice: with the site's file alone, and with
the whole configuration. For each setting that differs, ssh's debug output names the line.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from generator import formatting, paths
from generator.ssh.applied_lines import AppliedLine
from generator.ssh.client import CUMULATIVE, Settings
from generator.ssh.config_files import ConfigFile, Configuration, Files, read_configuration
from generator.ssh.config_lines import Line, lines
from generator.ssh.effective_config import effective_lines, effective_settings
from generator.ssh.patterns import example, matches

# These decide where a connection goes. A site's file relies on it that nothing else sets them.
_ROUTING = ("HostName", "ProxyJump", "ProxyCommand", "HostKeyAlias", "RemoteCommand")
# Options that change the effect of another: ssh ignores the second of ProxyJump and ProxyCommand,
# and a canonical name replaces the host name.
_RELATED = {
    "proxyjump": {"proxyjump", "proxycommand"},
    "proxycommand": {"proxyjump", "proxycommand"},
    "hostname": {"hostname", "canonicalizehostname", "canonicaldomains"},
}
_FIX = "delete it, or move it below gen's block into `Host *`"
_FIX_BELOW = "exclude them from its block with a ! before each name in the Host line"
_FIX_SYSTEM = "exclude them there, or set another value for them at the top of ~/.ssh/config"
_FIX_OTHER_SITE = "two sites have this name; give one of them another alias with --set"
_FIX_INCLUDE = "move gen's block above the first Host or Match line"


@dataclass(frozen=True)
class Shadow:
    """A line that overrides a site's file for some names."""

    location: str | None
    """File and line, `~/.ssh/config:3`; ``None`` if the line is in a file that gen cannot find."""
    line: str
    """Text of the line, or the option with the value that ssh uses."""
    effect: str
    names: tuple[str, ...]
    fix: str

    @property
    def message(self) -> str:
        """The whole finding in one line."""
        location = self.location or "somewhere in your ssh configuration"
        return (
            f"{location}: {self.line} {self.effect} for {formatting.listed(self.names)}; {self.fix}"
        )


def shadows(files: Files, conf: bytes) -> tuple[Shadow, ...]:
    """Return the lines that override a site's file, for each of its names.

    For a pattern, gen asks ssh for an example.
    """
    names = site_names(conf)
    configuration = read_configuration(files)
    expected = effective_settings(site_alone(conf), names)
    actual = effective_settings(configuration, names)
    # Two questions for all names, since each start of ssh takes some milliseconds.
    overridden: dict[str, list[str]] = {}
    for name in names:
        # Most names lose nothing, so the slower debug output is read for the others only.
        options = dict.fromkeys((*_options(_lines_for(conf, name)), *_ROUTING))
        lost = [option for option in options if _is_lost(option, expected[name], actual[name])]
        if lost:
            overridden[name] = lost
    applied_to = effective_lines(configuration, list(overridden))
    findings: list[Shadow] = []
    for name, options_lost in overridden.items():
        site = _SiteName(
            conf=conf,
            shown=names[name],
            own_lines=_lines_for(conf, name),
            expected=expected[name],
            actual=actual[name],
            applied=applied_to[name],
        )
        for option in options_lost:
            findings += _shadow(site, option, configuration)
    return _joined(findings)


@dataclass(frozen=True)
class _SiteName:
    """A name of a site, with ssh's answers for it."""

    conf: bytes
    shown: str
    """The name or pattern as the site's file has it."""
    own_lines: list[Line]
    """The lines of the site's file that are for the name."""
    expected: Settings
    """With the site's file alone."""
    actual: Settings
    """With the whole configuration."""
    applied: list[AppliedLine]


def _shadow(site: _SiteName, option: str, configuration: Configuration) -> Iterator[Shadow]:
    """Yield what overrides an option of a name, if it can be explained."""
    names = (site.shown,)
    is_set = option in _options(site.own_lines)
    expected = ", ".join(site.expected.get(option.lower(), ()))
    effect = "applies too"
    if is_set:
        effect = f"overrides {option} {expected}"
    line = _overriding_line(site, option)
    include = _idle_include(site, configuration)
    if line and line.file.startswith(f"~/{paths.SITE_CONFIGS}/+"):
        return  # gen install decided that for this machine, and says so
    if line:
        text = f"{line.line.written} {line.line.value}"
        yield Shadow(line.location, text, effect, names, _fix(line, is_set=is_set))
    elif include:
        yield Shadow(include, "this Include", "does not apply", names, _FIX_INCLUDE)
    elif option != "ControlPath":
        # ssh computes the ControlPath from host, port and user: it differs when they do.
        value = ", ".join(site.actual.get(option.lower(), ()))
        yield Shadow(None, f"{option} {value}", effect, names, _FIX)


def _overriding_line(site: _SiteName, option: str) -> AppliedLine | None:
    """Return the first line that sets the option, or one related to it, outside the site's file.

    ssh uses the first value of each option.
    """
    keywords = _RELATED.get(option.lower(), {option.lower()})
    # With --mode inline, the site's lines are in the user's own file. Their text identifies them.
    own_texts = {(line.written, line.value) for line in site.own_lines}
    decided: set[str] = set()
    for line in site.applied:
        keyword = line.line.keyword
        if keyword not in keywords or keyword in decided:
            continue
        # The file also has lines for the names in capital letters.
        is_own = line.content == site.conf or (line.line.written, line.line.value) in own_texts
        if not is_own:
            return line
        if keyword not in CUMULATIVE:
            decided.add(keyword)
    return None


def _idle_include(site: _SiteName, configuration: Configuration) -> str | None:
    """Return the location of the Include of the site's file, if it does not apply to the name."""
    if any(line.content == site.conf for line in site.applied):
        return None
    for source in configuration.files:
        for location in _includes(source, site.conf):
            return location
    return None


def _fix(line: AppliedLine, *, is_set: bool) -> str:
    if line.file.startswith(f"~/{paths.SITE_CONFIGS}/"):
        return _FIX_OTHER_SITE
    if is_set:
        return _FIX
    if line.file.startswith("~/"):
        return _FIX_BELOW
    # Users cannot change the system's files, but theirs are read first.
    return _FIX_SYSTEM


def _is_lost(option: str, expected: Settings, actual: Settings) -> bool:
    """Return whether the value is not the one of the site's file."""
    keyword = option.lower()
    if keyword in CUMULATIVE:
        return not set(expected.get(keyword, ())) <= set(actual.get(keyword, ()))
    return expected.get(keyword, ()) != actual.get(keyword, ())


def site_alone(conf: bytes) -> Configuration:
    """Return a configuration that consists of the site's file."""
    site = ConfigFile("the site's file", conf, tuple(lines(conf)), {})
    return Configuration(user=site, system=ConfigFile("none", b"", (), {}))


def site_names(conf: bytes) -> dict[str, str]:
    """Return the names to ask ssh for, each with the name or pattern that it stands for."""
    names: dict[str, str] = {}
    for line in lines(conf):
        if line.keyword != "host":
            continue
        for pattern in line.arguments:
            if not pattern.startswith("!"):
                names.setdefault(example(pattern), pattern)
    return names


def _lines_for(conf: bytes, name: str) -> list[Line]:
    """Return the lines of a site's file for a name, from its Host blocks."""
    findings: list[Line] = []
    applies = False
    for line in lines(conf):
        if line.keyword == "host":
            applies = matches(line.arguments, name)
        elif line.keyword == "match":
            applies = False
        elif applies:
            findings.append(line)
    return findings


def _options(site_lines: Iterable[Line]) -> list[str]:
    return [line.written for line in site_lines]


def _includes(source: ConfigFile, conf: bytes) -> Iterator[str]:
    """Yield the locations of the Include lines that lead to a site's file."""
    for number, included in source.included.items():
        for inner in included:
            if inner.content == conf:
                yield f"{source.name}:{number}"
            yield from _includes(inner, conf)


def _joined(shadows: Iterable[Shadow]) -> tuple[Shadow, ...]:
    """Join findings that differ in the names; a line that overrides several options counts once."""
    # A line such as `Host *` with three options, above a site with ten names, is one thing to fix.
    by_line: dict[tuple[str | None, str], Shadow] = {}
    for shadow in shadows:
        key = (shadow.location, shadow.line)
        first = by_line.setdefault(key, shadow)
        names: Mapping[str, None] = dict.fromkeys(first.names + shadow.names)
        by_line[key] = replace(first, names=tuple(names))
    return tuple(by_line.values())
