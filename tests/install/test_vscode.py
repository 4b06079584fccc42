"""The timeout in VS Code's settings is added and deleted, and every other byte stays."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import GenError
from generator.install.vscode import (
    SETTING,
    needs_timeout,
    settings_path,
    with_timeout,
    without_timeout,
)

LINE = b'    "remote.SSH.connectTimeout": 60'
# VS Code's settings.json is JSON with comments and trailing commas, which Python's parser refuses.
# Users write comments there, so gen edits the text.
SETTINGS = {
    "other settings": b'{\n    "editor.fontSize": 14\n}\n',
    "no setting": b"{}",
    "blanks alone": b"{\n}\n",
    "comments": b'// mine\n{ // all\n  /* { */ "a": "// no comment", // yes\n  "b": [1, 2,],\n}',
    "a comment alone": b"{\n  // nothing yet\n}\n",
    "CRLF": b'{\r\n\t"a": {"remote.SSH.connectTimeout": 5}\r\n}\r\n',
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "no ASCII": '{"caf\u00e9": "\u00fc"}'.encode(),
    "a brace in a comment above": b'// {\n/* { " */{"a": "{"}\n',
    "the setting in a comment": b'{\n  // "remote.SSH.connectTimeout": 15,\n  "a": 1\n}',
}


# A second parser, made for these samples: gen's own must not judge itself.
def read(content: bytes) -> dict[str, object]:
    """Return settings, without the kinds of comments that the samples have."""
    text = re.sub(r'("(?:\\.|[^"\\])*")|//.*|/\*.*?\*/', r"\1", content.decode("utf-8-sig"))
    settings = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    assert isinstance(settings, dict)
    return settings


@pytest.mark.parametrize("content", SETTINGS.values(), ids=SETTINGS)
def test_the_setting_is_added_and_deleted_and_nothing_else_changes(content: bytes) -> None:
    with_setting = with_timeout(content, "settings.json")
    assert with_setting is not None
    assert read(with_setting) == {SETTING: 60} | read(content)
    assert without_timeout(with_setting, created=False) == content


def test_a_missing_file_is_created_and_deleted_again() -> None:
    created_file = with_timeout(None, "settings.json")
    assert created_file is not None
    assert created_file == b'{\n    "remote.SSH.connectTimeout": 60\n}\n'
    assert without_timeout(created_file, created=True) is None
    assert without_timeout(created_file, created=False) == b"{\n}\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"remote.SSH.connectTimeout": 15}', id="another value"),
        pytest.param(
            b'{"a": 1, // b\n "remote.SSH.connectTimeout" : 120,}', id="somewhere in the file"
        ),
    ],
)
def test_a_timeout_of_the_user_stays(content: bytes) -> None:
    assert with_timeout(content, "settings.json") is None
    assert without_timeout(content, created=True) == content


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"a": }', id="a fault"),
        pytest.param(b'{"a": 1} {}', id="two objects"),
        pytest.param(b'{"caf\xe9": 1}', id="Latin-1"),
        pytest.param(b'{"a": 1 /* no end }', id="a comment without its end"),
    ],
)
def test_a_file_that_gen_cannot_change_safely_is_refused_with_the_line_to_add(
    content: bytes,
) -> None:
    with pytest.raises(
        GenError,
        match=r"^settings\.json: is not a JSON object with comments; "
        r'add "remote\.SSH\.connectTimeout": 60 to it yourself$',
    ):
        with_timeout(content, "settings.json")


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        pytest.param(
            b'{\n    "remote.SSH.connectTimeout": 600,\n "a": 1}',
            None,
            id="another value was chosen",
        ),
        pytest.param(
            b'{\n "a": 1,\n    "remote.SSH.connectTimeout": 60\n}', None, id="it was moved"
        ),
        pytest.param(
            b'{\n    "remote.SSH.connectTimeout": 60,\n    "a": 1\n}',
            b'{\n    "a": 1\n}',
            id="more was added",
        ),
        pytest.param(b"not JSON at all", None, id="not JSON any more"),
    ],
)
def test_later_edits_of_the_user_stay(edited: bytes, expected: bytes | None) -> None:
    assert without_timeout(edited, created=True) == (edited if expected is None else expected)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    st.dictionaries(st.text(max_size=9), VALUES, max_size=4),
    st.sampled_from([None, 2, "\t"]),
    st.booleans(),
)
def test_adding_and_deleting_restores_any_settings(
    settings: dict[str, object], indent: int | str | None, crlf: bool
) -> None:
    # A lone surrogate, which hypothesis may draw, has no UTF-8.
    text = json.dumps(settings, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    content = text.replace(b"\n", b"\r\n") if crlf else text
    with_setting = with_timeout(content, "settings.json")
    if SETTING in settings:
        assert with_setting is None
    else:
        assert with_setting is not None
        assert json.loads(with_setting) == {SETTING: 60} | json.loads(content)
        assert without_timeout(with_setting, created=False) == content


def test_a_site_with_a_job_entry_needs_the_timeout() -> None:
    assert needs_timeout(b"Host mila-cpu\n    ConnectTimeout 600\n")
    assert not needs_timeout(b"Host musica\n    Port 22\n# ConnectTimeout\n")


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        pytest.param("linux", "/home/ada/.config/Code/User/settings.json", id="Linux"),
        pytest.param(
            "darwin", "/home/ada/Library/Application Support/Code/User/settings.json", id="macOS"
        ),
        pytest.param("win32", "/home/ada/AppData/Roaming/Code/User/settings.json", id="Windows"),
    ],
)
def test_the_path_of_the_settings_is_that_of_vs_code(platform: str, path: str) -> None:
    assert settings_path(Path("/home/ada"), platform) == Path(path)
