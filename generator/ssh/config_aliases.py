"""The aliases of an ssh configuration, for the completion of a shell.

Everything else asks ssh itself.
"""

from collections.abc import Iterator
from pathlib import Path

from generator.errors import GenError
from generator.files import read_regular


def aliases(config: Path) -> list[str]:
    """Return the aliases of a configuration and of the files that it includes; patterns are none.

    A file that cannot be read has no aliases: a completion prints no errors.
    """
    names: list[str] = []
    files = [config]
    for file in files:
        host_lines, includes = _read(file)
        for line in host_lines:
            names += [name for name in line.split() if not set(name) & set("*?!")]
        for include in includes:
            # Relative to ~/.ssh, where the user's own configuration is (ssh_config(5), Include).
            files += [path for path in _matches(config.parent, include) if path not in files]
    return list(dict.fromkeys(names))


def _read(file: Path) -> tuple[list[str], list[str]]:
    """Return the values of the Host and of the Include lines."""
    from sshconf import SshConfigFile

    try:
        text = read_regular(file).decode(errors="replace")
        config = SshConfigFile(text.splitlines(keepends=True))
    except (OSError, GenError, ValueError):
        return [], []
    includes: list[str] = []
    for line in config.lines_:
        if line.key and line.key.lower() == "include":
            includes += str(line.value).split()
    return list(config.hosts()), includes


def _matches(directory: Path, include: str) -> Iterator[Path]:
    path = directory / Path(include).expanduser()
    if not path.is_absolute():
        return
    try:
        yield from sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (OSError, ValueError, NotImplementedError):
        return
