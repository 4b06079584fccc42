"""gen's blocks in the ssh config of a user, of which every other byte stays."""

import random
from collections import Counter
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


def test_the_text_of_the_markers_never_changes() -> None:
    # Users search for it, and a newer gen has to remove the blocks of an older one.
    assert arranged(b"", "config", INCLUDED) == (
        b"# >>> gen: managed, do not edit between these lines >>>\n"
        b"Include ~/.ssh/gen.d/*.conf\n"
        b"# <<< gen <<<\n"
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
        # ssh knows Fancy as harmless only below this line, and takes the first IgnoreUnknown alone.
        pytest.param(b"IgnoreUnknown Fancy\n", b"Fancy yes\nHost a\n", id="below an IgnoreUnknown"),
        pytest.param(
            b"# mine\nignoreunknown=Fancy\n",
            b"IgnoreUnknown x\n",
            id="below the first IgnoreUnknown",
        ),
        pytest.param(
            b"", b"Host a\nIgnoreUnknown Fancy\n", id="not below the IgnoreUnknown of a host"
        ),
        pytest.param(b"", b"Host=a\nIgnoreUnknown Fancy\n", id="Host with an equals sign"),
        pytest.param(
            b"", b'\t"hOsT" a\nIgnoreUnknown Fancy\n', id="Host indented, quoted, in other case"
        ),
        pytest.param(b"", b"match all\nIgnoreUnknown Fancy\n", id="above the first Match"),
        pytest.param(
            b"", b"IgnoreUnknown Fancy", id="above an IgnoreUnknown without a line ending"
        ),
        pytest.param(BOM, b"Host a\n", id="behind a byte order mark"),
        pytest.param(BOM, b"", id="a byte order mark alone"),
        pytest.param(b"", b"# b\xfcro\nHost a", id="Latin-1, no final newline"),
        pytest.param(
            b"",
            # DevPod deletes everything between its markers.
            b"# DevPod Start x\nIgnoreUnknown Fancy\nHost x\n# DevPod End x\n",
            id="never inside the block of another tool",
        ),
        pytest.param(
            b"",
            b"#Include x\n# Host a\nIgnoreKnown 1\n",
            id="comments and other keywords do not count",
        ),
    ],
)
def test_a_block_is_added_at_the_top_and_can_be_deleted(before: bytes, after: bytes) -> None:
    content = before + after
    assert arranged(content, "config", INCLUDED) == before + BLOCK + after
    assert arranged(before + BLOCK + after, "config", {}) == content


def test_our_lines_have_the_line_ending_of_the_file() -> None:
    content = b"Host a\r\n  User b\r\n"
    installed = arranged(content, "config", INLINED)
    assert installed == MILA.replace(b"\n", b"\r\n") + content
    assert edited(installed, "config", {"mila": {digest(CONF)}}) is None
    assert arranged(installed, "config", INLINED) == installed
    assert arranged(installed, "config", {}) == content


# ssh takes the first value, so the position decides which of two settings counts; that is for the
# user.
def test_a_block_that_the_user_moved_stays_there() -> None:
    content = b"Host a\n" + BLOCK + b"Host b\n"
    assert arranged(content, "config", INCLUDED) == content
    assert arranged(content, "config", INLINED) == b"Host a\n" + MILA + b"Host b\n"


def test_inline_mode_has_a_block_for_each_site() -> None:
    two_bodies = INLINED | {"musica": inline_body(b"Host musica\n")}
    mila_alone = arranged(b"Host a\n", "config", INLINED)
    mila_and_musica = arranged(b"Host a\n", "config", two_bodies)
    assert arranged(mila_alone, "config", two_bodies) == mila_and_musica
    assert [block.site for block in managed_blocks(mila_and_musica, "config")] == ["mila", "musica"]
    assert arranged(mila_and_musica, "config", INLINED) == mila_alone
    assert arranged(mila_and_musica, "config", INCLUDED) == BLOCK + b"Host a\n"


def test_a_block_is_updated_in_its_position() -> None:
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
def test_the_blocks_show_the_mode(content: bytes, expected: Mode | None) -> None:
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
def test_an_edit_inside_a_block_is_detected(content: bytes, fault: str | None) -> None:
    message = edited(content, "config", {"mila": {digest(CONF), digest(b"")}})
    assert message == (fault and f"the block of gen at {fault} was edited since gen wrote it")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(BEGIN, [1], id="no end"),
        pytest.param(b"Host a\n" + END, [2], id="no begin"),
        pytest.param(END + BEGIN, [1, 2], id="the wrong way round"),
        pytest.param(BEGIN + BLOCK, [1], id="one within another"),
        pytest.param(BLOCK + b"\n" + BLOCK, [5], id="twice"),
        # The intention of the user is not known, and a guess could delete the lines of the user.
        pytest.param(BEGIN + MILA + END, [1, 11], id="a site within the Include"),
        pytest.param(
            MILA.replace(b"# <<< gen mila", b"# <<< gen nero"), [9, 1], id="the end of another"
        ),
        pytest.param(
            BLOCK.replace(b">>> gen: managed", b">>> gen: handled"),
            [1, 3],
            id="an edited marker",
        ),
        pytest.param(b"Host a\n\xff\xfeH\0o\0", [2], id="UTF-16"),
        pytest.param(b"Host a\0\n", [1], id="a NUL byte"),
    ],
)
def test_unpaired_markers_are_refused_with_their_lines(content: bytes, lines: list[int]) -> None:
    with pytest.raises(GenError) as refusal:
        arranged(content, "~/.ssh/config", {})
    problems = str(refusal.value).splitlines()
    assert problems.pop() == "~/.ssh/config was not changed."
    numbers = []
    for problem in problems:
        path, number, _ = problem.split(":", 2)
        assert path == "~/.ssh/config"
        numbers.append(int(number))
    assert sorted(numbers) == sorted(lines)


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
def test_similar_lines_are_not_taken_for_markers(line: bytes) -> None:
    assert managed_blocks(line, "config") == []


COUNT = 2000


def test_the_random_configs_cover_every_kind() -> None:
    # Without this coverage, the next test would prove little.
    configs = list(cases(COUNT))
    counts: Counter[str] = Counter()
    for config in configs:
        counts.update(_kinds(config))
    assert min(counts.values()) >= 50, counts
    assert len(counts) == 10
    large = [config for config in configs if config.content.count(b"\n") > 20000]
    assert len(large) == COUNT // 1000
    assert len({config.content for config in configs}) > COUNT * 0.9


def _kinds(config: Case) -> list[str]:
    content = config.content
    kinds = {
        "byte order mark": content.startswith(BOM),
        "CRLF": b"\r\n" in content,
        "both endings": b"\r\n" in content and b"\n" in content.replace(b"\r\n", b""),
        "no final newline": not content.endswith(b"\n"),
        "Latin-1": b"\xfc" in content,
        "IgnoreUnknown": b"IgnoreUnknown" in content,
        "Include": bool(config.included),
        "Match": b"match " in content.lower(),
        "another tool": b"START-CODER" in content or b"DevPod" in content,
        "empty": not content.strip(BOM),
    }
    return [kind for kind, applies in kinds.items() if applies]


@pytest.mark.long
def test_every_foreign_byte_is_kept_through_installs_edits_and_uninstalls() -> None:
    # Each of 2,000 configs goes through seven states, with edits around the blocks in between.
    states: list[dict[str, bytes]] = [
        INCLUDED,
        INCLUDED,
        INLINED,
        INLINED | {"musica": inline_body(b"Host musica\n")},
        INLINED,
        INCLUDED,
        {},
    ]
    for number, config in enumerate(cases(COUNT)):
        draw = random.Random(f"edits {number}")  # noqa: S311 - the same each time
        content, foreign = config.content, config.content
        for bodies in states:
            installed = arranged(content, "config", bodies)
            assert _foreign(installed) == foreign, number
            sites = {block.site for block in managed_blocks(installed, "config")}
            assert sites == set(bodies), number
            assert arranged(installed, "config", bodies) == installed, number
            content, foreign = _edited_around(draw, installed)
        assert content == foreign, number


# Not the code of gen: a fault there must not hide itself.
def _foreign(content: bytes) -> bytes:
    """Return the bytes outside the markers, by a second implementation."""
    foreign = b""
    is_inside = False
    for line in content.splitlines(keepends=True):
        text = line.removeprefix(BOM).lstrip()
        if text.startswith(b"# >>> gen") and b"managed" in text:
            is_inside = True
            if line.startswith(BOM):
                foreign += BOM
        elif text.startswith(b"# <<< gen"):
            is_inside = False
        elif not is_inside:
            foreign += line
    return foreign


def _edited_around(draw: random.Random, content: bytes) -> tuple[bytes, bytes]:
    """Return a config with new lines of the user, and the foreign bytes of it."""
    lines = content.splitlines(keepends=True)
    offsets = list(_outside_blocks(lines))
    if content.startswith(BOM):
        offsets.remove(0)  # nothing goes in front of a byte order mark
    count = min(len(offsets), draw.randrange(3))
    for offset in sorted(draw.sample(offsets, k=count), reverse=True):
        if offset and not lines[offset - 1].endswith(b"\n"):
            continue
        line = draw.choice((b"Host new\n", b"\n", b"  # x\r\n", b"User b\xfc\n"))
        lines.insert(offset, line)
    edited_content = b"".join(lines)
    return edited_content, _foreign(edited_content)


def _outside_blocks(lines: list[bytes]) -> Iterator[int]:
    """Yield the offsets between lines that are outside gen's blocks."""
    is_inside = False
    for offset, line in enumerate(lines):
        if not is_inside:
            yield offset
        if b"# >>> gen" in line:
            is_inside = True
        elif b"# <<< gen" in line:
            is_inside = False
    yield len(lines)


def test_a_random_config_is_reproducible() -> None:
    assert case(7) == case(7) != case(8)
    assert isinstance(case(7), Case)
