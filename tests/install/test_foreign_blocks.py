"""What other tools wrote: recognised, never written into; entries of `mila init` taken over and given back."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from other_tools import MILA_INIT, MINE, TOOLS

from generator.install.foreign_blocks import foreign_blocks
from generator.install.milatools import give_back, mila_entries, options_to_keep, take_over


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_block_of_another_tool_is_recognised_to_the_byte(tool: str, ending: bytes) -> None:
    mine, block = (part.replace(b"\n", ending) for part in (MINE, TOOLS[tool]))
    (found,) = foreign_blocks(mine + block + mine)
    assert (found.tool, found.start, found.end) == (tool, len(mine), len(mine + block))
    assert (found.first_line, found.last_line) == (5, 4 + block.count(b"\n"))


def test_all_of_them_in_one_file_are_recognised_in_order() -> None:
    assert [
        found.tool for found in foreign_blocks(b"".join(block + MINE for block in TOOLS.values()))
    ] == list(TOOLS)


def test_two_blocks_of_one_tool_are_two() -> None:
    other = TOOLS["DevPod"].replace(b"work", b"play")
    assert [found.first_line for found in foreign_blocks(TOOLS["DevPod"] + other)] == [1, 5]


def test_a_block_without_its_last_marker_goes_on_to_the_end() -> None:
    content = MINE + b"# ------------START-CODER-----------\nHost coder.*\n" + MINE
    (found,) = foreign_blocks(content)
    assert (found.tool, found.start, found.end) == ("coder", len(MINE), len(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(MINE, id="a Host block"),
        pytest.param(b"# START-CODER is a marker\n# end\n", id="prose about markers"),
        pytest.param(b"Host # DevPod Start x\n", id="a marker that is no comment"),
        pytest.param(b"Include ~/.colima/ssh_config\n", id="an Include alone"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_block_is_not_taken_for_one(content: bytes) -> None:
    assert foreign_blocks(content) == ()


def test_entries_of_mila_init_are_found_with_their_lines_and_what_the_person_chose() -> None:
    found = mila_entries(MINE + MILA_INIT)
    assert [(entry.names, entry.first_line, entry.last_line) for entry in found] == [
        ("mila", 6, 16),
        ("mila-cpu", 18, 33),
        ("*.server.mila.quebec !*login.server.mila.quebec", 35, 38),
        ("cn-????", 40, 43),
    ]
    assert {(entry.choices["user"], entry.choices["identityfile"]) for entry in found} == {
        ("ada", "~/.ssh/id_rsa_mila")
    }
    assert not any(entry.additions for entry in found)


@pytest.mark.parametrize(
    ("user", "key", "options"),
    [
        pytest.param("ada", "~/.ssh/id_rsa_mila", (), id="as it was"),
        pytest.param(
            "ada", "~/.ssh/id_mila", ("--identity-file ~/.ssh/id_rsa_mila",), id="another key"
        ),
        pytest.param(
            None, None, ("--identity-file ~/.ssh/id_rsa_mila", "--user ada"), id="nothing known"
        ),
    ],
)
def test_what_the_person_chose_in_them_is_told_as_options(
    user: str | None, key: str | None, options: tuple[str, ...]
) -> None:
    assert options_to_keep(mila_entries(MILA_INIT), user, key) == options


def test_taken_over_nothing_of_them_is_read_and_all_else_stays() -> None:
    after = take_over(MINE + MILA_INIT + MINE)
    assert mila_entries(after) == ()
    assert after.startswith(MINE) and after.endswith(MINE)
    assert b"\n# taken over by gen: Host mila\n# taken over by gen:   HostName login" in after


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
def test_an_entry_that_was_changed_by_hand_stays(entry: bytes) -> None:
    assert take_over(entry) == entry
    assert mila_entries(entry)[0].additions


def test_an_entry_within_a_block_of_a_tool_stays() -> None:
    content = b"# BEGIN ANSIBLE MANAGED BLOCK\n" + MILA_INIT + b"# END ANSIBLE MANAGED BLOCK\n"
    assert take_over(content) == content


PARTS = [MINE, *TOOLS.values(), *(b"Host" + part for part in MILA_INIT.split(b"Host ")[1:])]
PARTS += [
    b"Host mila\n",
    b"Host cn-????",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"# \xe9t\xe9\n",
    b"Match host mila\n Port 1\n",
]
WHOLE = [MILA_INIT, MILA_INIT.replace(b"\n", b"\r\n"), MILA_INIT.rstrip(b"\n")]


@given(st.lists(st.sampled_from(PARTS + WHOLE) | st.binary(max_size=20), max_size=12).map(b"".join))
def test_what_was_taken_over_is_given_back_to_the_byte(content: bytes) -> None:
    assert give_back(take_over(content)) == content


@given(st.sampled_from(WHOLE), st.binary(max_size=30), st.binary(max_size=30))
def test_it_is_given_back_whatever_was_written_around_it_meanwhile(
    entries: bytes, above: bytes, below: bytes
) -> None:
    assume(b"# taken over" not in above + below)
    assert (
        give_back(above + b"\n" + take_over(entries) + b"\n" + below)
        == above + b"\n" + entries + b"\n" + below
    )
