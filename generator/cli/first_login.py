"""After `gen install` on a terminal: what a first login needs beside the files, each thing asked for."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator import paths
from generator.cli.output import agreed, say
from generator.compiler.digests import digest
from generator.compiler.result import Compilation
from generator.errors import GenError, os_errors_named
from generator.install import vscode, wsl
from generator.install.key_pair import key_pair, loose, tighten
from generator.workspace import writer

_KERNEL = Path("/proc/version")


def offer(folder: Path, made: Compilation, conf: bytes) -> dict[str, Any]:
    """Offer permissions as ssh wants them, a key pair, and what VS Code and Windows need; return what `undo` takes.

    Raises:
        GenError: a file cannot be read or written.
    """
    if found := loose(folder):
        say()
        for one in found:
            say(one.message)
        if agreed("Mend that?"):
            tighten(found)
    try:
        key_pair(made.first_login, folder, agreed, say)
    except GenError as error:  # the files are in place all the same
        say(f"\n{error}")
    windows = _windows_home(made.site) if _kernel_of_wsl() else None
    settings = _settings(windows, folder, conf)
    # All is asked before the first write: an interruption leaves nothing that undo does not know.
    undo = {"windows": _copied(windows, made.site, conf)} if windows else {}
    return undo | ({"settings": _set(*settings)} if settings else {})


def undo(folder: Path, what: Mapping[str, Any]) -> None:
    """Take back what `offer` wrote; what was changed since then stays.

    Raises:
        GenError: a file cannot be read, written or removed.
    """
    if copy := what.get("windows"):
        _remove_copy(Path(copy["path"]), copy["digest"])
    if settings := what.get("settings"):
        _unset(folder / settings["path"], made=settings["made"])


def _kernel_of_wsl() -> bool:
    return _KERNEL.is_file() and wsl.is_wsl(_KERNEL.read_text())


def _windows_home(site: str) -> Path | None:
    import typer

    say(f"\nWindows' own ssh (VS Code uses it) can have a copy of {site}'s file.")
    while typed := typer.prompt(
        "Your Windows home, as /mnt/c/Users/NAME; empty for no copy", "", err=True
    ).strip():
        if (home := Path(typed)).is_dir():
            return home
        say(f"{typed}: is no folder")
    return None


def _copied(windows: Path, site: str, conf: bytes) -> dict[str, str]:
    """Write the copy for Windows, and say what is left to do there."""
    path, content = windows / paths.installed_ssh_config(site), wsl.windows_copy(conf)
    with os_errors_named(path):
        if path.exists() and not paths.has_header(path.read_bytes()):
            raise GenError(f"{path}: was here before, and gen did not write it; move it away")
        writer.make(path, content, 0o600)
    say(f"  new       {path}")
    say(f"  Add on top of {windows / paths.SSH_CONFIG}: Include {paths.SITE_CONFIGS.name}/*.conf")
    say(
        "  The key pair is yours to copy there. Windows' ssh cannot check pins: it asks, and you compare."
    )
    return {"path": str(path), "digest": digest(content)}


def _remove_copy(path: Path, was: str) -> None:
    with os_errors_named(path):
        if not path.exists():
            return
        if digest(path.read_bytes()) != was:
            say(f"{path}: was edited since gen wrote it, and stays")
            return
    for place in (path, path.parent, path.parent.parent):
        writer.remove(place)  # of the folders, those that nothing else is in


def _settings(windows: Path | None, folder: Path, conf: bytes) -> tuple[Path, bytes, bool] | None:
    """Return VS Code's settings as they are to be, and whether there are none yet; ``None`` where they stay."""
    path = vscode.settings_file(windows or folder, "win32" if windows else sys.platform)
    if not (vscode.wanted(conf) and path.parent.is_dir()):
        return None
    with os_errors_named(path):
        content = path.read_bytes() if path.exists() else None
    try:
        new = vscode.added(content, str(path))
    except GenError as error:
        say(f"\n{error}")
        return None
    say()
    if new is None or not agreed(
        f"VS Code gives up after 15 s; a job takes longer. Set {vscode.SETTING} to 60?"
    ):
        return None
    return path, new, content is None


def _set(path: Path, content: bytes, made: bool) -> dict[str, Any]:
    _write(path, content)
    say(f"  changed   {path}")
    return {"path": str(path), "made": made}


def _unset(path: Path, *, made: bool) -> None:
    with os_errors_named(path):
        content = path.read_bytes() if path.exists() else None
    if content is None or (left := vscode.removed(content, made=made)) == content:
        return
    if left is None:
        writer.remove(path)
    else:
        _write(path, left)


def _write(path: Path, content: bytes) -> None:
    """Replace a file of the user's, which keeps its mode; a link is followed."""
    real = path.resolve()
    with os_errors_named(path):
        writer.make(real, content, real.stat().st_mode & 0o7777 if real.exists() else 0o644)
