"""VS Code's `remote.SSH.connectTimeout`: by default VS Code gives up before a job has started.

`settings.json` is JSON with comments and belongs to the user. gen inserts one setting after the
first brace and can delete it again; every other byte stays.
"""

import json
import re
from pathlib import Path

from generator.errors import GenError
from generator.ssh.config_lines import lines

SETTING = "remote.SSH.connectTimeout"
# The value of milatools (milatools/cli/init_command.py, VSCODE_SETTINGS).
SETTING_LINE = f'    "{SETTING}": 60'.encode()
_INSERTED = re.compile(rb"\r?\n" + re.escape(SETTING_LINE) + rb"(?![\w.]),?")
_EMPTY_FILE = b"{\n}\n"
_STRING = rb'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(_STRING + rb"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(_STRING + rb"|,(?=\s*[}\]])", re.DOTALL)
_DIRECTORIES = {"darwin": "Library/Application Support", "win32": "AppData/Roaming"}


def needs_timeout(conf: bytes) -> bool:
    """Return whether a site's ssh file has a slow name: an entry that starts a job."""
    return any(line.keyword == "connecttimeout" for line in lines(conf))


def settings_path(home: Path, platform: str) -> Path:
    """Return the path of VS Code's user settings for a `sys.platform`."""
    return home / _DIRECTORIES.get(platform, ".config") / "Code" / "User" / "settings.json"


def with_timeout(content: bytes | None, name: str) -> bytes | None:
    """Return the settings with the timeout, ``None`` if they have one.

    `content` is ``None`` without a file.

    Raises:
        GenError: the file is not JSON with comments, so gen cannot change it safely.
    """
    if content is None:
        content = _EMPTY_FILE
    without_comments = _without_comments(content)
    settings = _parsed(without_comments)
    if settings is None:
        setting = SETTING_LINE.decode().strip()
        raise GenError(f"{name}: is not a JSON object with comments; add {setting} to it yourself")
    if SETTING in settings:
        return None
    offset = without_comments.index(b"{") + 1
    ending = b"\r\n" if b"\r\n" in content else b"\n"
    comma = b"," if settings else b""
    return content[:offset] + ending + SETTING_LINE + comma + content[offset:]


def without_timeout(content: bytes, *, created: bool) -> bytes | None:
    """Return the settings without the inserted timeout; another value of the user's stays.

    ``None`` if the file has to be deleted: gen created it, and it holds nothing else.
    """
    # Only where gen inserts it: the same line elsewhere is the user's.
    offset = _without_comments(content).find(b"{") + 1
    if _INSERTED.match(content, offset):
        content = content[:offset] + _INSERTED.sub(b"", content[offset:], count=1)
    if created and content == _EMPTY_FILE:
        return None
    return content


def _parsed(without_comments: bytes) -> dict[str, object] | None:
    """Return the settings, or ``None`` if the text is not one JSON object."""
    # VS Code accepts a comma before a closing bracket, json.loads does not.
    text = _TRAILING_COMMA.sub(_blank_unless_string, without_comments)
    try:
        settings = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def _without_comments(content: bytes) -> bytes:
    """Return the settings with blanks instead of comments, so that offsets stay the same."""
    return _COMMENT.sub(_blank_unless_string, content)


def _blank_unless_string(match: re.Match[bytes]) -> bytes:
    text = match[0]
    if text.startswith(b'"'):
        return text
    return b" " * len(text)
