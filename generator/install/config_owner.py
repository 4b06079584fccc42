"""Who else keeps `~/.ssh/config`: a file that is made from another one is not ours to write."""

import os
import re
from pathlib import Path

from generator.errors import GenError

# Attributes stand before the name, as in `private_dot_ssh/private_config.tmpl` (chezmoi's reference, source state).
_CHEZMOI = re.compile(r"(?:[a-z]+_)*dot_ssh/(?:[a-z]+_)*config(?:\.tmpl|\.age|\.asc|\.literal)*")


def of(home: Path, path: Path) -> str | None:
    """Say why a person has to change their ssh config themselves; ``None`` where gen may.

    Raises:
        GenError: it is a link that leads nowhere.
    """
    place = Path(os.path.realpath(path))
    if "/nix/store/" in str(place):
        return f"{path} is a link into the Nix store; add this with home-manager (programs.ssh.includes)"
    if source := _managed(home):
        return f"{path} is managed by chezmoi; add this to {source}, then run chezmoi apply"
    if not path.exists() and not path.is_symlink():
        return None
    if not place.exists():
        raise GenError(f"{path}: is a link that leads nowhere; mend or remove it")
    status = place.stat()
    if status.st_uid != os.geteuid():
        return f"{place} belongs to somebody else; have this added to it"
    if (
        not status.st_mode & 0o222
        or not os.access(place, os.W_OK)
        or not os.access(place.parent, os.W_OK)
    ):
        return f"{place} is read-only; add this where it is made"
    return None


def _managed(home: Path) -> Path | None:
    """Return the file that chezmoi makes the config from."""
    source = home / ".local/share/chezmoi"
    found = [*source.glob("*dot_ssh/*config*"), *source.glob("*/*dot_ssh/*config*")]
    return next(
        (path for path in sorted(found) if _CHEZMOI.fullmatch(f"{path.parent.name}/{path.name}")),
        None,
    )
