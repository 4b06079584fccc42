"""The host keys of a site for an ssh that cannot check fingerprints, as OpenSSH before 8.5.

It ignores KnownHostsCommand, so it would refuse every host whose whole key the spec lacks. Until it
is replaced, it compares host keys with the user's own known_hosts, as before the installation.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from generator import formatting, paths
from generator.compiler.host_key_policy import without_usual_case
from generator.install.site_blocks import names_by_value
from generator.ssh.client import Version, installed_version
from generator.ssh.config_lines import lines

_KNOWS_COMMANDS: Version = (8, 5)
# ssh reads these if GlobalKnownHostsFile names no others (ssh_config(5)).
_GLOBAL_FILES = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


def machine_lines(home: Path, site: str, conf: bytes) -> list[str]:
    """Return the lines that ssh reads before a site's file; none if it can check all pins."""
    entries = list(names_by_value(conf, _fingerprint_command))
    version = installed_version() if entries else None
    if version is None or version >= _KNOWS_COMMANDS:
        return []
    shown: dict[str, None] = {}
    text: list[str] = []
    for names, command in entries:
        shown |= dict.fromkeys(name for name in names if not name.startswith("!"))
        text += [
            f"Match host {','.join(names)}",
            "    StrictHostKeyChecking ask",
            *_known_hosts_files(home),
            # A newer ssh that reads this file must check the pins, whatever known_hosts has.
            f"    KnownHostsCommand {without_usual_case(command)}",
        ]
    number = f"{version[0]}.{version[1]}"
    message = (
        f"# host keys: OpenSSH {number} cannot check the pinned fingerprints of "
        f"{formatting.listed(list(shown), 2)}, so it uses your own known_hosts, as before; "
        f"for the pins, install OpenSSH 8.5 or newer, then run: gen install {site}"
    )
    return [message, *_ignored_keywords(conf), *text]


def _fingerprint_command(settings: Mapping[str, str]) -> str | None:
    """Return the command that checks the pins, where they have no whole key for an old client."""
    if settings.get("userknownhostsfile") != "/dev/null":
        return None
    return settings.get("knownhostscommand")


def _ignored_keywords(conf: bytes) -> Iterator[str]:
    """Yield the line of a site's file without which an old client refuses a file with the pins."""
    for line in lines(conf):
        if line.keyword == "ignoreunknown":
            yield f"{line.written} {line.value}"


def _known_hosts_files(home: Path) -> Iterator[str]:
    usual, *optional = paths.KNOWN_HOSTS
    user_files = [f"~/{usual}"]
    # asyncssh refuses a file that does not exist, so the optional ones are only named if they do.
    user_files += [f"~/{path}" for path in optional if (home / path).exists()]
    yield f"    UserKnownHostsFile {' '.join(user_files)}"
    global_files = [str(path) for path in _GLOBAL_FILES if path.exists()]
    yield f"    GlobalKnownHostsFile {' '.join(global_files) or '/dev/null'}"
