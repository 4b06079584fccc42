"""gen never changes the blocks of other tools; it can replace the entries of `mila init`."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from other_tools import MILA_INIT, TOOLS, USER_LINES

from generator.install.foreign_blocks import foreign_blocks
from generator.install.milatools import mila_entries, options_to_keep, take_over
from generator.install.replaced_entries import give_back


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_block_of_another_tool_is_found_with_its_exact_bytes(tool: str, ending: bytes) -> None:
    lines = USER_LINES.replace(b"\n", ending)
    content = TOOLS[tool].replace(b"\n", ending)
    (block,) = foreign_blocks(lines + content + lines)
    assert (block.tool, block.start, block.end) == (tool, len(lines), len(lines + content))
    assert (block.first_line, block.last_line) == (5, 4 + content.count(b"\n"))


def test_the_blocks_of_all_tools_in_one_file_are_found_in_order() -> None:
    content = b""
    for block in TOOLS.values():
        content += block + USER_LINES
    assert [block.tool for block in foreign_blocks(content)] == list(TOOLS)


def test_two_blocks_of_the_same_tool_are_found_as_two() -> None:
    # DevPod writes one block for each workspace.
    second = TOOLS["DevPod"].replace(b"work", b"play")
    assert [block.first_line for block in foreign_blocks(TOOLS["DevPod"] + second)] == [1, 5]


def test_a_block_without_an_end_marker_runs_to_the_end_of_the_file() -> None:
    # A user who deleted the end marker: to insert something below would put it into the block,
    # which coder rewrites.
    content = USER_LINES + b"# ------------START-CODER-----------\nHost coder.*\n" + USER_LINES
    (block,) = foreign_blocks(content)
    assert (block.tool, block.start, block.end) == ("coder", len(USER_LINES), len(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(USER_LINES, id="a Host block"),
        pytest.param(b"# START-CODER is a marker\n# end\n", id="prose about markers"),
        pytest.param(b"Host # DevPod Start x\n", id="a marker outside a comment"),
        pytest.param(b"Include ~/.colima/ssh_config\n", id="an Include alone"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_content_is_not_taken_for_a_block(content: bytes) -> None:
    assert foreign_blocks(content) == ()


def test_entries_of_mila_init_are_found_with_their_lines_and_the_choices_of_the_user() -> None:
    entries = mila_entries(USER_LINES + MILA_INIT)
    assert [(entry.names, entry.first_line, entry.last_line) for entry in entries] == [
        ("mila", 6, 16),
        ("mila-cpu", 18, 33),
        ("*.server.mila.quebec !*login.server.mila.quebec", 35, 38),
        ("cn-????", 40, 43),
    ]
    for entry in entries:
        assert entry.choices == {"user": "ada", "identityfile": "~/.ssh/id_rsa_mila"}
        assert entry.additions == ()


@pytest.mark.parametrize(
    ("user", "key", "options"),
    [
        pytest.param("ada", "~/.ssh/id_rsa_mila", (), id="as it was"),
        pytest.param("ada", str(Path.home() / ".ssh/id_rsa_mila"), (), id="the path in full"),
        pytest.param(
            "ada", "~/.ssh/id_mila", ("--identity-file ~/.ssh/id_rsa_mila",), id="another key"
        ),
        pytest.param(
            None, None, ("--identity-file ~/.ssh/id_rsa_mila", "--user ada"), id="nothing known"
        ),
    ],
)
def test_the_choices_of_the_user_become_options_of_gen(
    user: str | None, key: str | None, options: tuple[str, ...]
) -> None:
    assert options_to_keep(mila_entries(MILA_INIT), user, key) == options


def test_entries_that_are_taken_over_become_comments_and_other_lines_stay() -> None:
    after = take_over(USER_LINES + MILA_INIT + USER_LINES)
    assert mila_entries(after) == ()
    assert after.startswith(USER_LINES) and after.endswith(USER_LINES)
    assert (
        b"\n# taken over by gen for mila: Host mila\n# taken over by gen for mila:   HostName login"
        in after
    )


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            b"Host mila\n  Port 2222\n  LocalForward 8888 localhost:8888\n",
            id="a setting was added",
        ),
        pytest.param(
            b"Host mila\n  HostName login-3.login.server.mila.quebec\n", id="a setting was changed"
        ),
    ],
)
def test_an_entry_that_the_user_changed_is_not_taken_over(entry: bytes) -> None:
    assert take_over(entry) == entry
    assert mila_entries(entry)[0].additions


def test_an_entry_inside_the_block_of_a_tool_is_not_taken_over() -> None:
    # Ansible would write the entry again on its next run, and report a change each time.
    content = b"# BEGIN ANSIBLE MANAGED BLOCK\n" + MILA_INIT + b"# END ANSIBLE MANAGED BLOCK\n"
    assert take_over(content) == content


PARTS = [USER_LINES, *TOOLS.values(), *(b"Host" + part for part in MILA_INIT.split(b"Host ")[1:])]
PARTS += [
    b"Host mila\n",
    b"Host cn-????",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"# \xe9t\xe9\n",
    b"Match host mila\n Port 1\n",
]
COMPLETE = [MILA_INIT, MILA_INIT.replace(b"\n", b"\r\n"), MILA_INIT.rstrip(b"\n")]


@given(
    st.lists(st.sampled_from(PARTS + COMPLETE) | st.binary(max_size=20), max_size=12).map(b"".join)
)
def test_taking_over_and_giving_back_restores_every_byte(content: bytes) -> None:
    assert give_back(take_over(content)) == content


@given(st.sampled_from(COMPLETE), st.binary(max_size=30), st.binary(max_size=30))
def test_giving_back_works_after_edits_around_the_entries(
    entries: bytes, above: bytes, below: bytes
) -> None:
    assume(b"# taken over" not in above + below)
    edited = above + b"\n" + take_over(entries) + b"\n" + below
    assert give_back(edited) == above + b"\n" + entries + b"\n" + below
