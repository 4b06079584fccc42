"""Find the names of the user that an installation would change, by asking ssh before and after."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from generator import formatting, paths
from generator.ssh.client import Settings, installed_version, unsupported_keywords
from generator.ssh.config_files import Files, read_configuration, walk
from generator.ssh.config_lines import Line, lines
from generator.ssh.effective_config import effective_settings
from generator.ssh.patterns import is_pattern, matches
from generator.ssh.routes import Waypoint, route

_MAX_NAMES = 100
_MAX_VALUE = 40
# Where a connection goes and as whom is shown before everything else.
_SHOWN_FIRST = ("hostname", "port", "user", "proxyjump", "proxycommand", "identityfile")


@dataclass(frozen=True)
class OptionChange:
    """An option of a name, with ssh's values before and after the installation."""

    option: str
    before: str
    after: str


@dataclass(frozen=True)
class NameChange:
    """A name with an entry of the user's own that would get other settings."""

    name: str
    location: str
    options: tuple[OptionChange, ...]
    has_same_route: bool
    """ssh jumps through the same machines, whatever their aliases are."""

    @property
    def changes_login(self) -> bool:
        """Whether ssh would connect elsewhere, as another user, or without a key of the entry."""
        for change in self.options:
            if change.option == "proxyjump" and self.has_same_route:
                continue
            if change.option == "identityfile":
                if not _paths(change.before) <= _paths(change.after):
                    return True
            elif change.option in _SHOWN_FIRST:
                return True
        return False

    @property
    def message(self) -> str:
        """The finding in one line."""
        texts: list[str] = []
        for change in sorted(self.options, key=_rank):
            texts.append(f"{change.option} {_short(change.before)} → {_short(change.after)}")
        changes = formatting.listed(texts)
        return f"{self.location}: your entry {self.name} would change: {changes}"


def _paths(value: str) -> set[str]:
    # A shell has expanded the tilde of an option, and ssh prints that of a configuration.
    return {os.path.expanduser(path) for path in value.split(", ")}  # noqa: PTH111


def _rank(change: OptionChange) -> int:
    if change.option in _SHOWN_FIRST:
        return _SHOWN_FIRST.index(change.option)
    return len(_SHOWN_FIRST)


def _short(value: str) -> str:
    if len(value) > _MAX_VALUE:
        return f"{value[: _MAX_VALUE - 3]}…"
    return value or "(none)"


def user_names(files: Files, *, with_match: bool = True) -> dict[str, str]:
    """Return the names, without patterns, that a configuration has entries for, by location.

    `Match host` has names of machines, which the user need not log in with.
    """
    names: dict[str, str] = {}
    user_config = read_configuration(files).user
    for file, line in walk(user_config):
        if line.keyword == "match" and not with_match:
            continue
        for name in _entry_names(line):
            # ssh would take a name with a dash for an option.
            if not is_pattern(name) and not name.startswith("-"):
                names.setdefault(name, f"{file}:{line.number}")
    return names


def _entry_names(line: Line) -> Iterator[str]:
    if line.keyword == "host":
        yield from line.arguments
    elif line.keyword == "match":
        criteria = zip(line.arguments, line.arguments[1:], strict=False)
        for criterion, names in criteria:
            if criterion.lower() in ("host", "originalhost"):
                yield from names.split(",")


def name_changes(
    before: Files, after: Files, names: Mapping[str, str], confs: Iterable[bytes]
) -> tuple[NameChange, ...]:
    """Return the user's names, given with their locations, whose settings would change.

    Of very many names, gen asks ssh for some, and for all that a pattern of a site matches.
    """
    selected = _selected(names, confs)
    settings_before = effective_settings(read_configuration(before), selected)
    settings_after = effective_settings(read_configuration(after), selected)
    changes: list[NameChange] = []
    for name in selected:
        options = tuple(_option_changes(settings_before[name], settings_after[name]))
        if options:
            # Each jump is a question of its own, so only a jump that changed is followed.
            has_same_route = any(change.option == "proxyjump" for change in options) and (
                _route(before, settings_before[name]) == _route(after, settings_after[name])
            )
            changes.append(NameChange(name, names[name], options, has_same_route))
    return tuple(changes)


def _route(files: Files, settings: Settings) -> tuple[Waypoint | str, ...]:
    configuration = read_configuration(files)
    return route(settings, lambda name: effective_settings(configuration, [name])[name])


def _option_changes(settings_before: Settings, settings_after: Settings) -> Iterator[OptionChange]:
    # Our IgnoreUnknown precedes the user's. ssh accepts the file, so this harms nothing.
    for option in sorted({*settings_before, *settings_after} - {"ignoreunknown"}):
        before = ", ".join(settings_before.get(option, ()))
        after = ", ".join(settings_after.get(option, ()))
        if settings_before.get(option) != settings_after.get(option):
            yield OptionChange(option, before, after)


def _selected(names: Collection[str], confs: Iterable[bytes]) -> list[str]:
    blocks: set[tuple[str, ...]] = set()
    for conf in confs:
        blocks.update(line.arguments for line in lines(conf) if line.keyword == "host")
    matched: list[str] = []
    for name in names:
        if any(matches(block, name) for block in blocks):
            matched.append(name)
    # A config of thousands of hosts would take minutes; the matched ones are those at risk.
    return list(dict.fromkeys([*matched, *names]))[: max(_MAX_NAMES, len(matched))]


def refuse_broken(files: Files) -> None:
    """Refuse a configuration that ssh itself refuses."""
    effective_settings(read_configuration(files), ["localhost"])


def outdated_client(conf: bytes) -> tuple[str, ...]:
    """Return a message if the installed ssh is too old for a site's file.

    The file for this machine says how such an ssh checks host keys.
    """
    version = installed_version()
    if version is None:
        return ()
    unknown = unsupported_keywords(conf, version)
    newer = [keyword for keyword in unknown if not keyword.startswith("KnownHostsCommand ")]
    installed = f"The installed ssh is OpenSSH {version[0]}.{version[1]}"
    messages: list[str] = []
    if len(newer) < len(unknown) and f"# {paths.REVOKED}".encode() in conf:
        messages.append(
            f"{installed}, which accepts the keys that the site has revoked if your known_hosts "
            "has them. Install OpenSSH 8.5 or newer."
        )
    if newer:
        keywords = " and ".join(newer)
        messages.append(f"{installed}, which does not support {keywords}. Install a newer OpenSSH.")
    return tuple(messages)
