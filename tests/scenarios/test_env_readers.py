"""One meaning for every reader: a shell, systemd, docker and python-dotenv read the same from what gen writes."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from usermanager import PROGRAMS, UNITS, UserManager, user_manager

from generator.compiler.account import Account
from generator.compiler.emitters import env_file
from generator.compiler.emitters.env_file import AmbiguousValueError, Variable, content
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.system

Values = Mapping[str, str | None]
Reader = Callable[[bytes], Values]
UNIT = """[Service]
Type=oneshot
EnvironmentFile=%h/read.env
ExecStart=/usr/bin/env --null
StandardOutput=truncate:%h/read
"""


def environment(output: bytes) -> Values:
    """Return the environment that `env --null` printed."""
    return dict(
        line.split("=", 1) for line in output.decode(errors="surrogateescape").split("\0") if line
    )


def dotenv(folder: Path) -> Reader:
    def read(file: bytes) -> Values:
        (folder / "dotenv.env").write_bytes(file)
        return dict(dotenv_values(folder / "dotenv.env"))

    return read


def shell(name: str, folder: Path) -> Reader:
    """A shell that exports all that it reads; its home folder is not the person's."""

    def read(file: bytes) -> Values:
        path = folder / f"{name}.env"
        path.write_bytes(file)
        command = [name, "-c", 'set -a; . "$1"; exec env --null', name, str(path)]
        env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8"}
        return environment(
            subprocess.run(command, env=env, cwd=folder, capture_output=True, check=False).stdout
        )

    return read


def systemd(manager: UserManager) -> Reader:
    """A unit of a real user manager; it does not start with a file that it cannot read, so nothing is read then."""
    manager.write(UNITS / "read.service", UNIT)
    manager.systemctl("daemon-reload")

    def read(file: bytes) -> Values:
        manager.write("read.env", file)
        manager.write("read", "")
        manager.run("systemctl", "--user", "start", "read.service")
        return environment((manager.home / "read").read_bytes())

    return read


def docker_rules(file: bytes) -> Values:
    """Read as `docker run --env-file`, after the rules of docker/cli: a stand-in, for no engine runs here.

    White space is taken from the front of a line and nowhere else; a line that then starts with # is a comment; the
    first = ends the name; all that follows is the value, quotes and white space at the end too.
    """
    found: dict[str, str | None] = {}
    for raw in file.decode().removeprefix("\ufeff").split("\n"):
        line = raw.removesuffix("\r").lstrip()
        name, equals, value = line.partition("=")
        if line and not line.startswith("#"):
            if any(space in name for space in " \t") or not name or "\0" in line:
                return {}
            found[name] = value if equals else None
    return found


@pytest.fixture
def readers(need: Callable[..., None], tmp_path: Path) -> Iterator[Mapping[str, Reader]]:
    need(*PROGRAMS, "dash", "bash", root=True)
    with user_manager("daemon") as manager:
        found = {name: shell(name, tmp_path) for name in ("sh", "dash", "bash")}
        found |= {"dotenv": dotenv(tmp_path), "systemd": systemd(manager), "docker": docker_rules}
        yield {name: assigning(read) for name, read in found.items()}


def assigning(read: Reader) -> Reader:
    """Leave out what a reader finds in its environment anyway."""
    before = read(b"")
    return lambda file: {name: value for name, value in read(file).items() if name not in before}


def test_every_reader_reads_the_generated_file_the_same(
    readers: Mapping[str, Reader], shipped: SiteSpec, ada: SiteProfile
) -> None:
    account = Account(shipped, ada)
    expected = {
        line.name: line.value for line in env_file.variables(account) if line.value is not None
    }
    file = next(env_file.emit(account)).content
    assert {name: read(file) for name, read in readers.items()} == dict.fromkeys(readers, expected)
    assert len(expected) >= 6


HOSTILE = "'\"$`\\#~ =:;&|<>(){}[]*?!%^@+,./-_\t\n\r\x00\x1b\x7f\x85\u00a0\u2003\u2028\u202e\u200b\u3000\ufeff"
LETTERS = "aZ09éßñžЖλçاक日本語𝔘²½"
WORDS = [
    "~",
    ":~",
    "=~",
    "~/",
    "/x",
    " #",
    "# ",
    "$HOME",
    "${A}",
    "`a`",
    "$(a)",
    "\\n",
    "\\\n",
    "x:",
    "%h",
    "%%",
    "é",
    "日",
]
ANY = (
    st.text()
    | st.text(st.sampled_from(HOSTILE) | st.sampled_from(LETTERS), max_size=4)
    | st.lists(
        st.sampled_from(WORDS) | st.sampled_from(HOSTILE) | st.sampled_from("aZ09"), max_size=4
    ).map("".join)
)
PLAIN = st.text(
    st.sampled_from("@%+=:,./-_~") | st.sampled_from("aZ09") | st.characters(categories=("L", "N")),
    max_size=30,
).filter(lambda text: not text.startswith("~") and ":~" not in text)


def drawn(strategy: st.SearchStrategy[str], number: int) -> list[str]:
    """Return different values of a strategy: all at once, since each reader is asked once, with a file of them all.

    Each round has a seed of its own: where CI is set, hypothesis would draw the same values in all of them.
    """
    found: dict[str, None] = {}

    @settings(
        max_examples=number // 5,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=5))
    def draw(values: list[str]) -> None:
        found.update(dict.fromkeys(values))

    rounds = count()
    while len(found) < number:
        seed(next(rounds))(draw)()
    return list(found)[:number]


def is_refused(value: str) -> bool:
    """Tell whether a value is refused, with its key and the reason."""
    try:
        content("x", "head", [Variable("NAME", value)])
    except AmbiguousValueError as error:
        assert str(error).startswith(f"x: NAME: {value!r} would not mean the same to")
        return True
    return False


def lines(values: list[str]) -> list[Variable]:
    return [Variable(f"V{number}", value) for number, value in enumerate(values)]


def test_every_reader_reads_any_500_values_the_same_unless_they_are_refused(
    readers: Mapping[str, Reader],
) -> None:
    values = [value for value in drawn(ANY, 500) if not is_refused(value)]
    assert values
    check_all(readers, values)


def test_every_reader_reads_500_plain_values_the_same_and_none_is_refused(
    readers: Mapping[str, Reader],
) -> None:
    values = drawn(PLAIN, 500)
    assert not [value for value in values if is_refused(value)]
    check_all(readers, values)


def check_all(readers: Mapping[str, Reader], values: list[str]) -> None:
    file = content("x", "head", lines(values))
    expected = dict(enumerate(values))
    for name, read in readers.items():
        found = read(file)
        assert {number: found.get(f"V{number}") for number in expected} == expected, name
        assert len(found) == len(expected), name


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("~/x", id="a home folder"),
        pytest.param("/a:~/x", id="a home folder in a list"),
        pytest.param("a b", id="a space"),
        pytest.param("a ", id="a space at the end"),
        pytest.param("a\u00a0", id="a space at the end that does not break"),
        pytest.param("$HOME", id="a variable"),
        pytest.param("${HOME}", id="a variable in braces"),
        pytest.param("`echo a`", id="a command"),
        pytest.param("'a'", id="single quotes"),
        pytest.param('"a"', id="double quotes"),
        pytest.param("it's", id="an apostrophe"),
        pytest.param("a\\b", id="a backslash"),
        pytest.param("a\\", id="a backslash at the end"),
        pytest.param("a #b", id="a comment"),
        pytest.param("a;b", id="a semicolon"),
        pytest.param("a&b", id="an ampersand"),
        pytest.param("a\nB", id="a line break"),
    ],
)
def test_a_refused_value_would_really_mean_different_things(
    readers: Mapping[str, Reader], value: str
) -> None:
    assert is_refused(value)
    file = f"NAME={value}\nLAST=1\n".encode()
    meanings = [read(file) for read in readers.values()]
    assert any(meaning != meanings[0] for meaning in meanings)


@pytest.mark.parametrize(
    "title",
    [
        pytest.param('It\'s "half" a quote', id="quotes"),
        pytest.param("$(touch here) `touch here` $HOME", id="commands"),
        pytest.param("# NAME=other", id="a comment in the comment"),
        pytest.param("Zürich – 日本 ½", id="letters of any language"),
    ],
)
def test_no_title_in_a_comment_changes_what_a_reader_reads(
    readers: Mapping[str, Reader], title: str, ada: SiteProfile, tmp_path: Path
) -> None:
    spec = {
        "site": "x",
        "title": title,
        "hosts": {"x": {"host": "x.example.org"}},
        "auth": {"method": "publickey"},
    }
    account = Account(SiteSpec.model_validate(spec), ada)
    file = next(env_file.emit(account)).content
    assert f"login node of {title}\n" in file.decode()
    expected = {
        line.name: line.value for line in env_file.variables(account) if line.value is not None
    }
    assert {name: read(file) for name, read in readers.items()} == dict.fromkeys(readers, expected)
    assert not (tmp_path / "here").exists()


@pytest.mark.skipif(
    not shutil.which("docker"), reason="needs docker's client; its rules stand in for it elsewhere"
)
def test_the_stand_in_for_docker_reads_as_its_client_does(
    tmp_path: Path, shipped: SiteSpec, ada: SiteProfile
) -> None:
    values = [value for value in drawn(ANY, 500) if not is_refused(value)]
    kept = [" a ", "'a'", '"a', "$HOME", "a #b", "a\\", "~/x", "\u00a0a\u00a0"]
    raw = b"\n  # a comment\n\t INDENTED=a\nEMPTY=\nTWO==a=b\n"
    raw += "".join(f"K{number}={value}\n" for number, value in enumerate(kept)).encode()
    for file in (
        next(env_file.emit(Account(shipped, ada))).content,
        content("x", "head", lines(values)),
        raw,
    ):
        assert docker_client(tmp_path, file) == docker_rules(file)


def docker_client(folder: Path, file: bytes) -> Values:
    """Return what docker's client sends to an engine; the engine is a stand-in that takes whatever it is sent."""
    path = folder / "docker.env"
    path.write_bytes(file)
    with engine() as (address, asked):
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_HOST": address}
        command = ["docker", "create", "--env-file", str(path), "image"]
        subprocess.run(command, env=env, capture_output=True, check=True, timeout=60)
    return dict(line.split("=", 1) for line in asked[0]["Env"])


@contextmanager
def engine() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    asked: list[dict[str, list[str]]] = []

    class Engine(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(200, b"")

        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(201, b'{"Id": "0", "Warnings": []}')

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("API-Version", "1.41")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()
