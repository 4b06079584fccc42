"""Our blocks in somebody's ssh config: what becomes of every other byte, and of ssh's answers for their hosts."""

import random
from collections.abc import Iterator

import pytest
from ssh_configs import BOM, Case, case, cases

from generator.compiler.digests import digest
from generator.errors import GenError
from generator.install.managed_blocks import (
    INCLUDE,
    arranged,
    edited,
    inline_body,
    managed_blocks,
    mode_of,
)
from generator.install.mode import Mode

BEGIN = b"# >>> gen: managed, do not edit between these lines >>>\n"
END = b"# <<< gen <<<\n"
BLOCK = BEGIN + INCLUDE + END
CONF = b"# Made by gen for mila\nIgnoreUnknown KnownHostsCommand\n\nHost mila\n    Port 2222\n"
MILA = (
    b"# >>> gen mila: managed, do not edit between these lines >>>\n"
    + CONF
    + b"\nHost *\n# <<< gen mila <<<\n"
)
INCLUDED = {"": INCLUDE}
INLINED = {"mila": inline_body(CONF)}


def test_the_text_of_the_markers_is_frozen() -> None:
    """People search for it, and an older gen must be undone: change nothing here."""
    assert arranged(b"", "config", INCLUDED) == (
        b"# >>> gen: managed, do not edit between these lines >>>\nInclude ~/.ssh/gen.d/*.conf\n# <<< gen <<<\n"
    )
    assert arranged(b"", "config", INLINED) == MILA


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"", b"Host a\n", id="above the first Host"),
        pytest.param(
            b"", b"# mine\nServerAliveInterval 9\nHost a\n", id="above options for every host"
        ),
        pytest.param(b"IgnoreUnknown Fancy\n", b"Fancy yes\nHost a\n", id="below an IgnoreUnknown"),
        pytest.param(
            b"# mine\nignoreunknown=Fancy\n",
            b"IgnoreUnknown x\n",
            id="below the first of them, as ssh has it",
        ),
        pytest.param(
            b"", b"Host a\nIgnoreUnknown Fancy\n", id="not below one that is a host's own"
        ),
        pytest.param(b"", b"Host=a\nIgnoreUnknown Fancy\n", id="Host with an equals sign"),
        pytest.param(
            b"", b'\t"hOsT" a\nIgnoreUnknown Fancy\n', id="Host indented, quoted, in other case"
        ),
        pytest.param(b"", b"match all\nIgnoreUnknown Fancy\n", id="above the first Match"),
        pytest.param(
            b"", b"IgnoreUnknown Fancy", id="above an IgnoreUnknown that no line ending follows"
        ),
        pytest.param(BOM, b"Host a\n", id="behind a byte order mark"),
        pytest.param(BOM, b"", id="a byte order mark and no more"),
        pytest.param(b"", b"# b\xfcro\nHost a", id="Latin-1, no final newline"),
        pytest.param(
            b"",
            b"# DevPod Start x\nIgnoreUnknown Fancy\nHost x\n# DevPod End x\n",
            id="never within what another tool manages",
        ),
        pytest.param(
            b"",
            b"#Include x\n# Host a\nIgnoreKnown 1\n",
            id="comments and other keywords are no mark",
        ),
    ],
)
def test_the_block_goes_on_top_and_comes_out_again(before: bytes, after: bytes) -> None:
    content = before + after
    assert arranged(content, "config", INCLUDED) == before + BLOCK + after
    assert arranged(before + BLOCK + after, "config", {}) == content


def test_our_lines_end_as_those_of_the_file() -> None:
    content = b"Host a\r\n  User b\r\n"
    installed = arranged(content, "config", INLINED)
    assert installed == MILA.replace(b"\n", b"\r\n") + content
    assert edited(installed, "config", {"mila": {digest(CONF)}}) is None
    assert arranged(installed, "config", INLINED) == installed
    assert arranged(installed, "config", {}) == content


def test_a_block_stays_where_somebody_moved_it() -> None:
    content = b"Host a\n" + BLOCK + b"Host b\n"
    assert arranged(content, "config", INCLUDED) == content
    assert arranged(content, "config", INLINED) == b"Host a\n" + MILA + b"Host b\n"


def test_each_site_has_a_block_of_its_own_inline() -> None:
    both = INLINED | {"musica": inline_body(b"Host musica\n")}
    one, two = arranged(b"Host a\n", "config", INLINED), arranged(b"Host a\n", "config", both)
    assert arranged(one, "config", both) == two
    assert [block.site for block in managed_blocks(two, "config")] == ["mila", "musica"]
    assert arranged(two, "config", INLINED) == one
    assert arranged(two, "config", INCLUDED) == BLOCK + b"Host a\n"


def test_a_new_text_replaces_the_old_one() -> None:
    installed = arranged(b"Host a\n", "config", {"mila": inline_body(b"Host mila\n")})
    assert arranged(installed, "config", INLINED) == MILA + b"Host a\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"Host a\n", None, id="not at all"),
        pytest.param(BLOCK, Mode.INCLUDE, id="by an Include"),
        pytest.param(MILA, Mode.INLINE, id="inline"),
    ],
)
def test_the_file_tells_its_mode(content: bytes, expected: Mode | None) -> None:
    assert mode_of(content, "config") is expected


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(BLOCK, None, id="as written"),
        pytest.param(MILA, None, id="as written inline"),
        pytest.param(BLOCK.replace(b"*.conf", b"mila.conf"), "line 1", id="another Include"),
        pytest.param(b"Host a\n" + MILA.replace(b"2222", b"22"), "line 2", id="a host's block"),
        pytest.param(MILA.replace(b"mila", b"other"), "line 1", id="a site that was not installed"),
    ],
)
def test_an_edit_within_is_seen(content: bytes, fault: str | None) -> None:
    found = edited(content, "config", {"mila": {digest(CONF), digest(b"")}})
    assert found == (fault and f"the block of gen at {fault} was edited since gen wrote it")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(BEGIN, [1], id="no end"),
        pytest.param(b"Host a\n" + END, [2], id="no begin"),
        pytest.param(END + BEGIN, [1, 2], id="the wrong way round"),
        pytest.param(BEGIN + BLOCK, [1], id="one within another"),
        pytest.param(BLOCK + b"\n" + BLOCK, [5], id="twice"),
        pytest.param(BEGIN + MILA + END, [1, 11], id="a site within the Include"),
        pytest.param(
            MILA.replace(b"# <<< gen mila", b"# <<< gen nero"), [9, 1], id="the end of another"
        ),
        pytest.param(
            BLOCK.replace(b">>> gen: managed", b">>> gen: handled"),
            [1, 3],
            id="a marker that was changed",
        ),
        pytest.param(b"Host a\n\xff\xfeH\0o\0", [2], id="UTF-16"),
        pytest.param(b"Host a\0\n", [1], id="a NUL byte"),
    ],
)
def test_markers_that_are_not_in_pairs_are_refused_with_their_lines(
    content: bytes, lines: list[int]
) -> None:
    with pytest.raises(GenError) as refusal:
        arranged(content, "~/.ssh/config", {})
    told = str(refusal.value).splitlines()
    assert sorted(told[:-1]) == sorted(line for line in told if line.startswith("~/.ssh/config:"))
    assert sorted(int(line.split(":")[1]) for line in told[:-1]) == sorted(lines)
    assert told[-1] == "~/.ssh/config was not changed."


@pytest.mark.parametrize(
    "line",
    [
        b"# >>> gentoo >>>\n",
        b"# generated\n",
        b"# >>> conda initialize >>>\n",
        b"#>>>\n",
        b"# gen <<<\n",
    ],
)
def test_words_of_others_are_no_markers(line: bytes) -> None:
    assert managed_blocks(line, "config") == []


COUNT = 2000


def test_the_configs_are_of_every_kind() -> None:
    """Else the property below would say little."""
    every = list(cases(COUNT))
    kinds = {
        "byte order mark": [one.content.startswith(BOM) for one in every],
        "CRLF": [b"\r\n" in one.content for one in every],
        "both endings": [
            b"\r\n" in one.content and b"\n" in one.content.replace(b"\r\n", b"") for one in every
        ],
        "no final newline": [not one.content.endswith(b"\n") for one in every],
        "no UTF-8": [b"\xfc" in one.content for one in every],
        "IgnoreUnknown": [b"IgnoreUnknown" in one.content for one in every],
        "Include": [bool(one.included) for one in every],
        "Match": [b"match " in one.content.lower() for one in every],
        "another tool": [
            b"START-CODER" in one.content or b"DevPod" in one.content for one in every
        ],
        "empty": [not one.content.strip(BOM) for one in every],
    }
    assert min(map(sum, kinds.values())) >= 50, {kind: sum(found) for kind, found in kinds.items()}
    assert sum(one.content.count(b"\n") > 20000 for one in every) == COUNT // 1000
    assert len({one.content for one in every}) > COUNT * 0.9


@pytest.mark.long
def test_every_foreign_byte_is_kept_whatever_is_done() -> None:
    """Install, again, inline, another site, back, out, each time with edits around the block: two thousand times."""
    done = 0
    for number, one in enumerate(cases(COUNT)):
        draw = random.Random(f"edits {number}")  # noqa: S311 - the same each time
        now, theirs = one.content, one.content
        for wanted in (
            INCLUDED,
            INCLUDED,
            INLINED,
            INLINED | {"musica": inline_body(b"Host musica\n")},
            INLINED,
            INCLUDED,
            {},
        ):
            again = arranged(now, "config", wanted)
            assert _foreign(again) == theirs, number
            assert {block.site for block in managed_blocks(again, "config")} == set(wanted), number
            assert arranged(again, "config", wanted) == again, number
            now, theirs = _edited_around(draw, again)
            done += 1
        assert now == theirs, number
    assert done == COUNT * 7


def _foreign(content: bytes) -> bytes:
    """Return what lies outside of the markers, by a reader of its own."""
    kept, ours = [], False
    for line in content.splitlines(keepends=True):
        word = line.removeprefix(BOM).lstrip()
        if word.startswith(b"# >>> gen") and b"managed" in word:
            ours = True
            kept += [BOM] if line.startswith(BOM) else []
        elif word.startswith(b"# <<< gen"):
            ours = False
        elif not ours:
            kept.append(line)
    return b"".join(kept)


def _edited_around(draw: random.Random, content: bytes) -> tuple[bytes, bytes]:
    """Return a config with lines of others added, taken out or moved, and what is foreign in the result."""
    lines = content.splitlines(keepends=True)
    free = [place for place in _free(lines) if place > 0 or not content.startswith(BOM)]
    for place in sorted(draw.sample(free, k=min(len(free), draw.randrange(3))), reverse=True):
        if place and not lines[place - 1].endswith(b"\n"):
            continue
        new = draw.choice((b"Host new\n", b"\n", b"  # x\r\n", b"User b\xfc\n"))
        lines[place:place] = [new]
    edited_content = b"".join(lines)
    return edited_content, _foreign(edited_content)


def _free(lines: list[bytes]) -> Iterator[int]:
    """Yield the places between lines that are not within a block of ours."""
    ours = False
    for place, line in enumerate(lines):
        if not ours:
            yield place
        ours = b"# >>> gen" in line or (ours and b"# <<< gen" not in line)
    yield len(lines)


def test_a_case_is_the_same_each_time() -> None:
    assert case(7) == case(7) != case(8)
    assert isinstance(case(7), Case)
