"""Decide whether gen may write `~/.ssh/config`, or another tool makes that file."""

import os
import re
from pathlib import Path

from generator.errors import GenError

# chezmoi puts attributes before the name, as in `private_dot_ssh/private_config.tmpl`
# (chezmoi reference, "Source state attributes").
_CHEZMOI_SOURCE = re.compile(
    r"(?:[a-z]+_)*dot_ssh/(?:[a-z]+_)*config(?:\.tmpl|\.age|\.asc|\.literal)*"
)


def reason_not_to_write(home: Path, config: Path) -> str | None:
    """Return why the user has to change the ssh config themselves, ``None`` if gen may write it."""
    target = Path(os.path.realpath(config))
    if "/nix/store/" in str(target):
        return (
            f"{config} is a link into the Nix store; add this with home-manager "
            "(programs.ssh.includes)"
        )
    source = _chezmoi_source(home)
    if source:
        return f"{config} is managed by chezmoi; add this to {source}, then run chezmoi apply"
    if not config.exists() and not config.is_symlink():
        return None
    if not target.exists():
        raise GenError(f"{config}: is a link to a file that does not exist; fix or remove the link")
    if target.stat().st_uid != os.geteuid():
        return f"{target} belongs to another user; ask them to add this"
    links = target.stat().st_nlink
    if links > 1:
        return (
            f"{target} has {links} hard links, and replacing it would leave the others unchanged; "
            "add this yourself"
        )
    if _is_read_only(target):
        return f"{target} is read-only; add this where the file is made"
    return None


def _is_read_only(path: Path) -> bool:
    # root may write any file, so os.access alone would ignore a mode of 0444.
    if not path.stat().st_mode & 0o222:
        return True
    # The file is replaced as a whole, so its directory has to be writable too.
    return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _chezmoi_source(home: Path) -> Path | None:
    """Return the file that chezmoi makes the ssh config from."""
    state = home / ".local/share/chezmoi"
    candidates = [*state.glob("*dot_ssh/*config*"), *state.glob("*/*dot_ssh/*config*")]
    for path in sorted(candidates):
        if _CHEZMOI_SOURCE.fullmatch(f"{path.parent.name}/{path.name}"):
            return path
    return None
