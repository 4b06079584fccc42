"""The time-out in VS Code's settings: one setting in, every other byte kept, and out again."""

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


def read(content: bytes) -> dict[str, object]:
    """Read settings without comments that begin a line or end one, as the samples have them."""
    text = re.sub(r'("(?:\\.|[^"\\])*")|//.*|/\*.*?\*/', r"\1", content.decode("utf-8-sig"))
    found = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("content", SETTINGS.values(), ids=SETTINGS)
def test_the_setting_goes_in_and_out_again_and_nothing_else_changes(content: bytes) -> None:
    after = with_timeout(content, "settings.json")
    assert after is not None
    assert read(after) == {SETTING: 60} | read(content)
    assert without_timeout(after, created=False) == content


def test_without_a_file_one_is_made_and_taken_away_again() -> None:
    made = with_timeout(None, "settings.json")
    assert made is not None
    assert made == b'{\n    "remote.SSH.connectTimeout": 60\n}\n'
    assert without_timeout(made, created=True) is None
    assert without_timeout(made, created=False) == b"{\n}\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"remote.SSH.connectTimeout": 15}', id="another value"),
        pytest.param(
            b'{"a": 1, // b\n "remote.SSH.connectTimeout" : 120,}', id="somewhere in the file"
        ),
    ],
)
def test_a_time_out_that_is_there_stays(content: bytes) -> None:
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
def test_a_file_that_cannot_be_changed_safely_is_refused_with_what_to_write(content: bytes) -> None:
    with pytest.raises(
        GenError,
        match=r"^settings\.json: is not a JSON object with comments; "
        r'add "remote\.SSH\.connectTimeout": 60 to it yourself$',
    ):
        with_timeout(content, "settings.json")


@pytest.mark.parametrize(
    ("edited", "left"),
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
        pytest.param(b"not JSON at all", None, id="it is no JSON any more"),
    ],
)
def test_what_was_edited_meanwhile_stays_the_users(edited: bytes, left: bytes | None) -> None:
    assert without_timeout(edited, created=True) == (edited if left is None else left)


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
def test_any_settings_come_out_as_they_went_in(
    settings: dict[str, object], indent: int | str | None, crlf: bool
) -> None:
    text = json.dumps(settings, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    content = text.replace(b"\n", b"\r\n") if crlf else text
    after = with_timeout(content, "settings.json")
    if SETTING in settings:
        assert after is None
    else:
        assert after is not None
        assert json.loads(after) == {SETTING: 60} | json.loads(content)
        assert without_timeout(after, created=False) == content


def test_it_is_wanted_where_a_name_starts_a_job() -> None:
    assert needs_timeout(b"Host mila-cpu\n    ConnectTimeout 600\n")
    assert not needs_timeout(b"Host musica\n    Port 22\n# ConnectTimeout\n")


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        pytest.param("linux", "/home/ada/.config/Code/User/settings.json", id="Linux"),
        pytest.param(
            "darwin", "/home/ada/Library/Application Support/Code/User/settings.json", id="macOS"
        ),
        pytest.param("win32", "/home/ada/AppData/Roaming/Code/User/settings.json", id="Windows"),
    ],
)
def test_the_settings_are_where_vs_code_keeps_them(platform: str, place: str) -> None:
    assert settings_path(Path("/home/ada"), platform) == Path(place)
