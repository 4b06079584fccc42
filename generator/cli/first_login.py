"""The offers after `gen install` in a terminal: permissions, a key pair, Windows, VS Code."""

import sys
from dataclasses import dataclass
from pathlib import Path

from generator import paths
from generator.cli.output import agreed, answer, chosen, say
from generator.compiler.digests import digest
from generator.compiler.result import Compilation, FirstLogin
from generator.errors import GenError, os_errors_named
from generator.files import is_regular, read_regular
from generator.install import vscode, wsl
from generator.install.key_pair import (
    MissingKeyPair,
    derive_public_key,
    in_home,
    lacks_public_key,
    missing_key_pair,
    read_public_key,
)
from generator.install.permissions import loose_permissions, tighten
from generator.install.record import EditorSetting, OptionalChanges, WindowsCopy
from generator.workspace import writer

# Microsoft's kernel names itself here. WSL_DISTRO_NAME would be missing in a login over ssh.
_KERNEL = Path("/proc/version")


@dataclass(frozen=True)
class _NewSettings:
    """The settings of VS Code with the timeout."""

    path: Path
    content: bytes
    is_new_file: bool


def offer(home: Path, compilation: Compilation, conf: bytes) -> OptionalChanges:
    """Offer to fix permissions, make a key pair, and set up VS Code and Windows.

    Returns the changes that `undo` takes. Every question comes before the first write, so that an
    interruption leaves nothing that is not recorded.
    """
    _offer_permissions(home)
    try:
        offer_key_pair(compilation.first_login, home)
    except GenError as error:  # the site is installed all the same
        say(f"\n{error}")
    windows_home = None
    if _runs_in_wsl():
        windows_home = _ask_windows_home(compilation.site)
    settings = _offer_timeout(home, windows_home, conf)
    windows_copy = None
    if windows_home:
        windows_copy = _write_windows_copy(windows_home, compilation.site, conf)
    return OptionalChanges(windows_copy, _write_settings(settings))


def undo(changes: OptionalChanges) -> None:
    """Undo the recorded changes; a file that the user changed since then stays."""
    if changes.windows:
        _delete_windows_copy(Path(changes.windows.path), changes.windows.digest)
    if changes.settings:
        _delete_timeout(Path(changes.settings.path), created=changes.settings.created)


def offer_key_pair(login: FirstLogin, home: Path) -> None:
    """Offer to make the key pair that a site needs, and show the public key to register."""
    missing = missing_key_pair(login, home)
    if missing:
        public_key = _make_key_pair(missing, login.alias)
    else:
        public_key = _derive_public_key(login, home)
    if public_key is None:
        return
    say(f"\nYour public key, in {login.key}.pub:\n\n{public_key}\n")
    # A certificate vouches for the key, so the site need not know the key itself.
    if login.credential:
        say(f"It works for a login after: {'; '.join(login.credential)}")
    else:
        say(f"Register it: {login.submit or 'where the site accepts public keys'}.")
    if login.max_keys:
        say(f"The site stores at most {login.max_keys} public keys for each user.")
    if login.lifetime:
        say(f"The site accepts it for {login.lifetime}; gen status warns before the end.")


def _make_key_pair(missing: MissingKeyPair, alias: str) -> str | None:
    """Make the key pair if the user agrees, and return its public key."""
    say("\nChoose a passphrase: without one, whoever gets the file can log in as you.")
    say(f"An agent asks for it once in a session: ssh-add {missing.name}")
    question = f"{alias} needs a key pair. Make it with {missing.command}?"
    choices = ["y"]
    if missing.rsa_command:
        say("Answer rsa (3072 bits) if your ssh or the site is too old for Ed25519 keys.")
        choices.append("rsa")
    choice = chosen(question, *choices)
    if choice is None:
        say(f"To make it later: {missing.command}")
        return None
    command = missing.command
    if choice == "rsa" and missing.rsa_command:
        command = missing.rsa_command
    return missing.make(command)


def _derive_public_key(login: FirstLogin, home: Path) -> str | None:
    """Derive a missing public key if the user agrees, and return it."""
    if login.make_key is None or login.key is None:
        return None
    private_key = in_home(home, login.key)
    if not lacks_public_key(private_key):
        return None
    if not agreed(f"{login.key}.pub is missing. Derive it with ssh-keygen -y -f {login.key}?"):
        return None
    derive_public_key(private_key, has_terminal=True)
    return read_public_key(private_key)


def _offer_permissions(home: Path) -> None:
    permissions = loose_permissions(home)
    if not permissions:
        return
    say()
    for permission in permissions:
        say(permission.message)
    if agreed("Fix these permissions?"):
        tighten(permissions)


def _runs_in_wsl() -> bool:
    return _KERNEL.is_file() and wsl.is_wsl(_KERNEL.read_text())


def _ask_windows_home(site: str) -> Path | None:
    say(f"\nWindows' own ssh, which VS Code uses, needs a copy of the ssh file of {site}.")
    question = "Your Windows home, as /mnt/c/Users/NAME; empty for no copy"
    while True:
        directory = answer(question, "")
        if not directory:
            return None
        if Path(directory).is_dir():
            # The record must not depend on the directory in which gen ran.
            return Path(directory).absolute()
        say(f"{directory}: is not a directory")


def _write_windows_copy(windows_home: Path, site: str, conf: bytes) -> WindowsCopy:
    """Write the copy for Windows, and print the remaining steps there."""
    path = windows_home / paths.installed_ssh_config(site)
    content = wsl.windows_copy(conf)
    present = _content(path)
    # The record of the Windows side may be gone, so the header decides whose file it is.
    if present is not None and not paths.has_header(present):
        raise GenError(f"{path}: exists and was not written by gen; move it away")
    with os_errors_named(path):
        writer.write_private(path, content, 0o600)
    say(f"  new       {path}")
    say(f"  Add at the top of {windows_home / paths.SSH_CONFIG}: Include gen.d/*.conf")
    say(f"  Copy your key pair to {windows_home / paths.SSH}; gen copies no private keys.")
    say("  Windows' ssh cannot check pinned host keys: compare the fingerprint that it shows.")
    return WindowsCopy(str(path), digest(content))


def _delete_windows_copy(path: Path, written_digest: str) -> None:
    present = _content(path)
    if present is None:
        return
    if digest(present) != written_digest:
        say(f"{path}: was edited since gen wrote it, so it stays")
        return
    writer.remove(path)
    for directory in (path.parent, path.parent.parent):
        writer.remove(directory)  # stays if it is not empty


def _offer_timeout(home: Path, windows_home: Path | None, conf: bytes) -> _NewSettings | None:
    """Return the settings with the timeout, ``None`` if they stay as they are."""
    path = vscode.settings_path(home, sys.platform)
    if windows_home:
        # In WSL, VS Code runs in Windows and has its settings there.
        path = vscode.settings_path(windows_home, "win32")
    if not (vscode.needs_timeout(conf) and path.parent.is_dir()):
        return None
    content = _content(path)
    try:
        new_content = vscode.with_timeout(content, str(path))
    except GenError as error:
        say(f"\n{error}")
        return None
    if new_content is None:
        return None
    say()
    question = f"VS Code gives up after 15 s; a job takes longer. Set {vscode.SETTING} to 60?"
    if not agreed(question):
        return None
    return _NewSettings(path, new_content, is_new_file=content is None)


def _write_settings(settings: _NewSettings | None) -> EditorSetting | None:
    if settings is None:
        return None
    _replace(settings.path, settings.content)
    say(f"  changed   {settings.path}")
    return EditorSetting(str(settings.path), settings.is_new_file)


def _delete_timeout(path: Path, *, created: bool) -> None:
    content = _content(path)
    if content is None:
        return
    new_content = vscode.without_timeout(content, created=created)
    if new_content is None:
        writer.remove(path)
    elif new_content != content:
        _replace(path, new_content)


def _replace(path: Path, content: bytes) -> None:
    """Replace a file of the user's, which keeps its mode; a link is followed."""
    target = path.resolve()
    mode = 0o644
    with os_errors_named(path):
        if target.exists():
            mode = target.stat().st_mode & 0o7777
        writer.write_file(target, content, mode)


def _content(path: Path) -> bytes | None:
    if not is_regular(path):
        return None
    with os_errors_named(path):
        return read_regular(path)
