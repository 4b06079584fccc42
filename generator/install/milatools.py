"""Replace the Host entries that `mila init` (milatools) wrote, as a whole.

Of other entries, gen replaces single lines (replaced_entries).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.formatting import home
from generator.install.foreign_blocks import foreign_blocks
from generator.install.replaced_entries import comment_out, host_blocks, is_inside
from generator.ssh.config_lines import Line, numbered

SITE = "mila"
_LOGIN = "login.server.mila.quebec"
_SCRIPTS = "/cvmfs/config.mila.quebec/scripts/milatools"
# milatools 0.1, milatools/cli/init_command.py, MILA_ENTRIES, with the values of earlier versions.
_ENTRIES: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("mila",): {
        "hostname": _LOGIN,
        "preferredauthentications": "publickey,keyboard-interactive",
        "port": "2222",
        "serveraliveinterval": "120",
        "serveralivecountmax": "5",
    },
    ("mila-cpu",): {
        "port": "2222",
        "forwardagent": "yes",
        "stricthostkeychecking": "no",
        "loglevel": "ERROR",
        "userknownhostsfile": "/dev/null",
        "requesttty": "force",
        "connecttimeout": "600",
        "serveraliveinterval": "120",
        "proxycommand": f'ssh mila "{_SCRIPTS}/slurm-proxy.sh mila-cpu --mem=8G"',
        "remotecommand": f"{_SCRIPTS}/entrypoint.sh mila-cpu",
    },
    ("*.server.mila.quebec", f"!*{_LOGIN}"): {
        "hostname": "%h",
        "proxyjump": "mila",
        "forwardagent": "yes",
    },
    ("cn-????",): {"hostname": "%h.server.mila.quebec", "proxyjump": "mila"},
}
# Settings whose values `mila init` asks for, or that differ between its versions.
_VARIABLE = {"user", "identityfile", "controlmaster", "controlpath", "controlpersist"}
_CHOICES = ("user", "identityfile")


@dataclass(frozen=True)
class MilaEntry:
    """A Host entry of `mila init`, from its Host line to its last setting (bytes `start:end`)."""

    names: str
    first_line: int
    last_line: int
    start: int
    end: int
    choices: Mapping[str, str]
    """The values that the user gave to `mila init`: `user`, `identityfile`."""
    additions: tuple[str, ...]
    """Settings that `mila init` does not write. gen leaves an entry that has any of them alone."""


def mila_entries(content: bytes) -> tuple[MilaEntry, ...]:
    """Return the entries of `mila init` in a config, without those inside another tool's block."""
    managed = foreign_blocks(content)
    entries: list[MilaEntry] = []
    for host, settings in host_blocks(content):
        if host.arguments in _ENTRIES and not is_inside(managed, host.start):
            entries.append(_entry(host, settings))
    return tuple(entries)


def replaceable(content: bytes) -> tuple[MilaEntry, ...]:
    """Return the entries that hold only what `mila init` writes."""
    return tuple(entry for entry in mila_entries(content) if not entry.additions)


def _entry(host: Line, settings: list[Line]) -> MilaEntry:
    defaults = _ENTRIES[host.arguments]
    choices: dict[str, str] = {}
    additions: list[str] = []
    last = host
    for line in settings:
        last = line
        # A value that `mila init` would not write is the user's, and taking it over would lose it.
        if line.keyword in _CHOICES:
            choices[line.keyword] = line.value
        elif line.keyword not in _VARIABLE and defaults.get(line.keyword) != line.value:
            additions.append(f"{line.written} {line.value}")
    names = " ".join(host.arguments)
    return MilaEntry(
        names, host.number, last.number, host.start, last.end, choices, tuple(additions)
    )


def options_to_keep(
    entries: Iterable[MilaEntry], user: str | None, key: str | None
) -> tuple[str, ...]:
    """Return the options of gen that keep the user and key of some entries, where they differ."""
    choices: dict[str, str] = {}
    for entry in entries:
        choices.update(entry.choices)
    options: list[str] = []
    # A shell expands ~ in an option before gen sees it.
    if home(Path(choices.get("identityfile", key or ""))) != home(Path(key or "")):
        options.append(f"--identity-file {choices['identityfile']}")
    if choices.get("user", user) != user:
        options.append(f"--user {choices['user']}")
    return tuple(options)


def take_over(content: bytes) -> bytes:
    """Return a config in which the replaceable entries are comments."""
    starts: set[int] = set()
    for entry in replaceable(content):
        for _, start, _ in numbered(content):
            if entry.start <= start < entry.end:
                starts.add(start)
    return comment_out(content, starts, SITE)
