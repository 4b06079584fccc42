"""VS Code's `remote.SSH.connectTimeout`: it gives up after 15 seconds, before a job has started.

`settings.json` is JSON with comments and is the user's: one setting goes in behind the first brace, and out again, and
every other byte stays.
"""

import json
import re
from pathlib import Path

from generator.errors import GenError
from generator.ssh.config_lines import lines

SETTING = "remote.SSH.connectTimeout"
# The value of milatools (milatools/cli/init_command.py, VSCODE_SETTINGS).
LINE = f'    "{SETTING}": 60'.encode()
_ADDED = re.compile(rb"\r?\n" + re.escape(LINE) + rb"(?![\w.]),?")
_EMPTY = b"{\n}\n"
_STRING = rb'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(_STRING + rb"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(_STRING + rb"|,(?=\s*[}\]])", re.DOTALL)


def wanted(site: bytes) -> bool:
    """Tell whether a site's ssh file has a name that takes long to answer: one that starts a job."""
    return any(line.keyword == "connecttimeout" for line in lines(site))


def settings_file(home: Path, platform: str) -> Path:
    """Return where VS Code keeps the user's settings, for a `sys.platform`."""
    folder = {"darwin": "Library/Application Support", "win32": "AppData/Roaming"}.get(
        platform, ".config"
    )
    return home / folder / "Code" / "User" / "settings.json"


def added(content: bytes | None, name: str) -> bytes | None:
    """Return the settings with the time-out, ``None`` where there is one already; content is ``None`` for no file.

    Raises:
        GenError: the file is no JSON with comments, so nothing can be put into it safely.
    """
    content = _EMPTY if content is None else content
    plain = _plain(content)
    try:
        settings = json.loads(_TRAILING_COMMA.sub(_unless_string, plain).decode("utf-8-sig"))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise GenError(
            f"{name}: is no JSON object with comments; put {LINE.decode().strip()} into it yourself"
        )
    if SETTING in settings:
        return None
    at = plain.index(b"{") + 1
    ending = b"\r\n" if b"\r\n" in content else b"\n"
    return content[:at] + ending + LINE + (b"," if settings else b"") + content[at:]


def removed(content: bytes, *, made: bool) -> bytes | None:
    """Return the settings without what `added` put in; a value of the user's own stays.

    ``None`` where the file is to go: gen made it, and nothing else is in it.
    """
    at = _plain(content).find(b"{") + 1
    if _ADDED.match(content, at):
        content = content[:at] + _ADDED.sub(b"", content[at:], count=1)
    return None if made and content == _EMPTY else content


def _plain(content: bytes) -> bytes:
    """Return the settings with blanks for comments, each byte where it was."""
    return _COMMENT.sub(_unless_string, content)


def _unless_string(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0].startswith(b'"') else b" " * len(found[0])
