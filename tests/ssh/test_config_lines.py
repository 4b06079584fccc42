"""Lines of an ssh config are split as ssh splits them; the real ssh reads each spelling."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.ssh.config_lines import lines, numbered

SPELLINGS = [
    pytest.param(b"Port 2222", id="blank"),
    pytest.param(b"\t  Port \t 2222  ", id="blanks"),
    pytest.param(b"Port=2222", id="equals sign"),
    pytest.param(b"PORT = 2222", id="capitals, equals sign between blanks"),
    pytest.param(b'Port "2222"', id="quotes"),
    pytest.param(b"Port '2222'", id="single quotes"),
    pytest.param(b'"Port" 2222', id="keyword in quotes"),
    pytest.param(b"Port 2222 # of the balancer", id="comment at the end"),
    pytest.param(b"Port 2222\r", id="carriage return"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_line_is_read_as_ssh_reads_it(
    spelling: bytes, tmp_path: Path, need: Callable[..., None]
) -> None:
    (line,) = lines(spelling)
    assert (line.keyword, line.arguments) == ("port", ("2222",))
    need("ssh")
    config = tmp_path / "config"
    config.write_bytes(spelling + b"\n")
    process = subprocess.run(
        ["ssh", "-G", "-F", config, "host"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert "port 2222" in process.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        pytest.param(b"Host a b", ("a", "b"), id="words"),
        pytest.param(
            b'Include "~/my files/*.conf" other',
            ("~/my files/*.conf", "other"),
            id="a blank in quotes",
        ),
        pytest.param(b"Include ~/my\\ files/x", ("~/my files/x",), id="a blank behind a backslash"),
        pytest.param(b'Host a"b c"d', ("ab cd",), id="quotes within a word"),
        pytest.param(
            b'Match exec "test \\"$A\\" = 1"', ("exec", 'test "$A" = 1'), id="quotes within quotes"
        ),
        pytest.param(
            b"Host a\\xb c\\", ("a\\xb", "c\\"), id="a backslash before anything else is one"
        ),
        pytest.param(b"Host a#b #c d", ("a#b",), id="a comment begins a word"),
    ],
)
def test_a_value_is_split_into_words_as_ssh_splits_it(
    line: bytes, arguments: tuple[str, ...]
) -> None:
    assert next(lines(line)).arguments == arguments


def test_an_unclosed_quote_takes_linear_time() -> None:
    assert next(lines(b'Match exec "' + b"\\\\" * 5000)).keyword == "match"


def test_comments_and_empty_lines_are_skipped_but_counted() -> None:
    content = b"# Host a\n\n \t\nHost b\n#\nUser c"
    numbers = {line.keyword: line.number for line in lines(content)}
    assert numbers == {"host": 4, "user": 6}


@given(st.binary(max_size=200) | st.text("Host =\"'\\#\r\n\t\ufeffé", max_size=80).map(str.encode))
def test_every_byte_belongs_to_one_line(content: bytes) -> None:
    assert b"".join(raw for *_, raw in numbered(content)) == content
    for line in lines(content):
        assert line.written.encode("utf-8", "surrogateescape") in content[line.start : line.end]
