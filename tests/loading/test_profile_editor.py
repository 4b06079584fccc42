"""The text of a profile: of a new one, and of one that a user has edited."""

from typing import Any

import pytest

from generator.compiler.build import parsed_profile
from generator.errors import GenError
from generator.loading.inputs import File
from generator.loading.overrides import SpecChange
from generator.loading.profile_editor import edited_profile, new_profile
from generator.schema.profile import SiteProfile

# Values of one machine, which a user looks up in the documentation of renewal.
RARE = {"step_binary", "extra_step_args", "command_directory"}
BY_HAND = b"""\
user: ada   # at most sites
# my sites
sites:
  # asked for by mail
  mila:
    user: bonnie
  narval: { user: c, set: { slurm.partition: main } }
email: 'a@b.org'
"""


def edited(content: bytes, *changes: tuple[str, Any]) -> str:
    """Return a text with changes of keys, whose parts have slashes between."""
    made = [SpecChange(tuple(keys.split("/")), value, "a test") for keys, value in changes]
    return edited_profile(content, made, "profile.yaml").decode()


def added_and_removed(before: bytes, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that a text got, and those that it lost."""
    old, new = before.decode().splitlines(), after.splitlines()
    added = [line for line in new if line not in old]
    return added, [line for line in old if line not in new]


def test_a_new_profile_has_every_key_as_a_comment() -> None:
    text = new_profile().decode()
    assert text.startswith("# yaml-language-server: $schema=profile.schema.json\n")
    assert parsed_profile(File(None, new_profile())).known() == {}  # type: ignore[arg-type]
    for key in set(SiteProfile.model_fields) - RARE - {"client_id"}:
        assert f"\n# {key}:\n" in text, key
    assert "client_id" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_value_uncomments_its_line() -> None:
    text = edited(new_profile(), ("user", "ada"), ("home", "/home/ada"))
    assert added_and_removed(new_profile(), text) == (
        ["user: ada", "home: /home/ada"],
        ["# user:", "# home:"],
    )
    again = edited(text.encode(), ("user", "grace"))
    assert added_and_removed(text.encode(), again) == (["user: grace"], ["user: ada"])


@pytest.mark.parametrize(
    ("change", "added", "removed"),
    [
        pytest.param(("sites/mila/account", "p1"), ["    account: p1"], [], id="a key in a block"),
        pytest.param(
            ("sites/narval/account", "p1"),
            ["  narval: { user: c, set: { slurm.partition: main }, account: p1 }"],
            ["  narval: { user: c, set: { slurm.partition: main } }"],
            id="a key within braces",
        ),
        pytest.param(("sites/fir/user", "d"), ["  fir: { user: d }"], [], id="another site"),
        pytest.param(("home", "/h"), ["home: /h"], [], id="a new key"),
        pytest.param(
            ("user", "123"),
            ['user: "123"   # at most sites'],
            ["user: ada   # at most sites"],
            id="a value that needs quotes",
        ),
        pytest.param(("email", None), [], ["email: 'a@b.org'"], id="a key that goes"),
        pytest.param(("account", None), [], [], id="a key that is not there"),
    ],
)
def test_a_change_keeps_every_other_line(
    change: tuple[str, Any], added: list[str], removed: list[str]
) -> None:
    text = edited(BY_HAND, change)
    got = added_and_removed(BY_HAND, text)
    # A new key at the end has a blank line above it.
    assert ([line for line in got[0] if line], got[1]) == (added, removed)


def test_a_text_of_comments_alone_gets_its_first_site() -> None:
    text = edited(b"# nothing yet\n", ("sites/mila/user", "bonnie"))
    assert text == "# nothing yet\n\nsites:\n  mila: { user: bonnie }\n"


def test_a_text_that_gen_cannot_change_is_refused() -> None:
    with pytest.raises(
        GenError, match=r"^p.yaml: gen cannot add account=.* to this file; add it yourself$"
    ):
        edited_profile(b"{ user: ada }", [SpecChange(("account",), "p1", "")], "p.yaml")
