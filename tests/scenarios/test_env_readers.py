"""A shell, systemd, docker and python-dotenv read the same values from a generated `.env` file."""

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
from depth import examples
from dotenv import dotenv_values
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from usermanager import PROGRAMS, UNITS, UserManager, user_manager

from generator.compiler.account import Account
from generator.compiler.emitters import env_file
from generator.compiler.emitters.env_file import AmbiguousValueError, Variable, env_content
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.system

NUMBER = examples(500)
Values = Mapping[str, str | None]
ReadFile = Callable[[bytes], Values]
"""Return the variables that a reader gets from the content of a file."""

# %h is the home directory of the user of the manager; truncate: empties the output first.
UNIT = """[Service]
Type=oneshot
EnvironmentFile=%h/read.env
ExecStart=/usr/bin/env --null
StandardOutput=truncate:%h/read
"""


def parse_environment(output: bytes) -> Values:
    """Return the variables in the output of `env --null`."""
    variables = {}
    for line in output.decode(errors="surrogateescape").split("\0"):
        if line:
            name, _, value = line.partition("=")
            variables[name] = value
    return variables


def dotenv_reader(directory: Path) -> ReadFile:
    def read(file: bytes) -> Values:
        (directory / "dotenv.env").write_bytes(file)
        return dict(dotenv_values(directory / "dotenv.env"))

    return read


def shell_reader(shell: str, directory: Path) -> ReadFile:
    """Return a reader that lets a shell, with another home directory, export all that it reads."""

    def read(file: bytes) -> Values:
        path = directory / f"{shell}.env"
        path.write_bytes(file)
        result = subprocess.run(
            [shell, "-c", 'set -a; . "$1"; exec env --null', shell, str(path)],
            # A shell that expanded ~ or $HOME would give itself away by /nowhere.
            env={"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8"},
            cwd=directory,
            capture_output=True,
            check=False,
        )
        return parse_environment(result.stdout)

    return read


def systemd_reader(manager: UserManager) -> ReadFile:
    """Return a reader that starts a unit, which systemd does only if it can read the file."""
    manager.write(UNITS / "read.service", UNIT)
    manager.systemctl("daemon-reload")

    def read(file: bytes) -> Values:
        manager.write("read.env", file)
        manager.write("read", "")
        manager.run("systemctl", "--user", "start", "read.service")
        return parse_environment((manager.home / "read").read_bytes())

    return read


def read_as_docker(file: bytes) -> Values:
    """Read a file by the rules of `docker run --env-file` (docker/cli), since no engine runs here.

    White space at the front of a line is ignored. A line that then starts with # is a comment. The
    first = ends the name. All that follows is the value, with quotes and with white space at the
    end.
    """
    variables: dict[str, str | None] = {}
    for raw in file.decode().removeprefix("\ufeff").split("\n"):
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or " " in name or "\t" in name or "\0" in line:
            return {}  # docker refuses the file
        variables[name] = value if equals else None
    return variables


@pytest.fixture
def readers(need: Callable[..., None], tmp_path: Path) -> Iterator[Mapping[str, ReadFile]]:
    need(*PROGRAMS, "dash", "bash", root=True)
    with user_manager("daemon") as manager:
        readers = {name: shell_reader(name, tmp_path) for name in ("sh", "dash", "bash")}
        readers["dotenv"] = dotenv_reader(tmp_path)
        readers["systemd"] = systemd_reader(manager)
        # Docker itself is rarely installed; one test compares the rules with its client.
        readers["docker"] = read_as_docker
        yield {name: without_environment(read) for name, read in readers.items()}


def without_environment(read: ReadFile) -> ReadFile:
    """Return a reader without the variables that it also has after an empty file."""
    # PATH, PWD, or the variables that systemd gives to each service.
    before = read(b"")

    def read_new(file: bytes) -> Values:
        return {name: value for name, value in read(file).items() if name not in before}

    return read_new


def expected_values(account: Account) -> dict[str, str]:
    """Return the variables that the file of an account sets."""
    values = {}
    for variable in env_file.variables(account):
        if variable.value is not None:
            values[variable.name] = variable.value
    return values


def test_every_reader_gets_the_same_values_from_a_generated_file(
    readers: Mapping[str, ReadFile], shipped: SiteSpec, ada: SiteProfile
) -> None:
    account = Account(shipped, ada)
    expected = expected_values(account)
    file = next(env_file.emit(account)).content
    for name, read in readers.items():
        assert read(file) == expected, name
    # Otherwise the file was nearly empty.
    assert len(expected) >= 6


# Characters with a meaning for some reader: quotes, escapes, white space of Unicode, controls.
HOSTILE = (
    "'\"$`\\#~ =:;&|<>(){}[]*?!%^@+,./-_"
    "\t\n\r\x00\x1b\x7f\x85\u00a0\u2003\u2028\u202e\u200b\u3000\ufeff"
)
# Letters of several scripts, one beyond 16 bits, and digits that are none in ASCII.
LETTERS = "aZ09éßñžЖλçاक日本語𝔘²½"
FRAGMENTS = [
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
# Hypothesis rarely draws two special characters side by side, so pieces are combined.
PIECE = st.sampled_from(FRAGMENTS) | st.sampled_from(HOSTILE) | st.sampled_from("aZ09")
ANY = (
    st.text()
    | st.text(st.sampled_from(HOSTILE) | st.sampled_from(LETTERS), max_size=4)
    | st.lists(PIECE, max_size=4).map("".join)
)
# What gen promises to accept, whatever the reader: letters, digits and these signs.
PLAIN = st.text(
    st.sampled_from("@%+=:,./-_~") | st.sampled_from("aZ09") | st.characters(categories=("L", "N")),
    max_size=30,
).filter(lambda text: not text.startswith("~") and ":~" not in text)


def draw_values(strategy: st.SearchStrategy[str], number: int) -> list[str]:
    """Return different values of a strategy.

    A reader takes long to start and reads a file of many values in the time of one, so all values
    are drawn first. Each round has its own seed, because with CI in the environment hypothesis
    would draw the same values every time.
    """
    drawn: dict[str, None] = {}

    @settings(
        max_examples=max(1, number // 5),
        database=None,
        # No shrinking: the values are only collected here, and nothing can fail.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=5))
    def draw(values: list[str]) -> None:
        drawn.update(dict.fromkeys(values))

    rounds = count()
    while len(drawn) < number:
        seed(next(rounds))(draw)()
    return list(drawn)[:number]


def is_refused(value: str) -> bool:
    """Return whether gen refuses a value, and check that the message has the key and the value."""
    try:
        env_content("x", "head", [Variable("NAME", value)])
    except AmbiguousValueError as error:
        assert str(error).startswith(
            f"x: NAME: {value!r}: a shell, systemd, docker and dotenv read"
        )
        return True
    return False


def variables_of(values: list[str]) -> list[Variable]:
    return [Variable(f"V{number}", value) for number, value in enumerate(values)]


def accepted_values(strategy: st.SearchStrategy[str]) -> list[str]:
    return [value for value in draw_values(strategy, NUMBER) if not is_refused(value)]


def test_every_reader_gets_the_same_from_any_value_that_gen_accepts(
    readers: Mapping[str, ReadFile],
) -> None:
    values = accepted_values(ANY)
    assert values
    check_all(readers, values)


def test_gen_accepts_every_plain_value_and_every_reader_gets_the_same_from_it(
    readers: Mapping[str, ReadFile],
) -> None:
    values = draw_values(PLAIN, NUMBER)
    assert list(filter(is_refused, values)) == []
    check_all(readers, values)


def check_all(readers: Mapping[str, ReadFile], values: list[str]) -> None:
    file = env_content("x", "head", variables_of(values))
    expected = {f"V{number}": value for number, value in enumerate(values)}
    for name, read in readers.items():
        assert read(file) == expected, name


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
def test_readers_would_get_different_values_from_a_value_that_gen_refuses(
    readers: Mapping[str, ReadFile], value: str
) -> None:
    assert is_refused(value)
    file = f"NAME={value}\nLAST=1\n".encode()
    # LAST shows a reader that took an open quote to the end of the file.
    first, *remaining = [read(file) for read in readers.values()]
    assert remaining != [first] * len(remaining)


@pytest.mark.parametrize(
    "title",
    [
        pytest.param('It\'s "half" a quote', id="quotes"),
        pytest.param("$(touch here) `touch here` $HOME", id="commands"),
        pytest.param("# NAME=other", id="a comment in the comment"),
        pytest.param("Zürich – 日本 ½", id="letters of any language"),
    ],
)
def test_no_title_in_a_comment_changes_the_values_of_a_reader(
    readers: Mapping[str, ReadFile], title: str, ada: SiteProfile, tmp_path: Path
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
    expected = expected_values(account)
    for name, read in readers.items():
        assert read(file) == expected, name
    assert not (tmp_path / "here").exists()


@pytest.mark.skipif(
    not shutil.which("docker"), reason="needs the client of docker; other tests read by its rules"
)
def test_our_docker_rules_read_as_the_client_of_docker_does(
    tmp_path: Path, shipped: SiteSpec, ada: SiteProfile
) -> None:
    # Values that docker takes as they are, where a shell would change them.
    unchanged = [" a ", "'a'", '"a', "$HOME", "a #b", "a\\", "~/x", "\u00a0a\u00a0"]
    raw = b"\n  # a comment\n\t INDENTED=a\nEMPTY=\nTWO==a=b\n"
    raw += "".join(f"K{number}={value}\n" for number, value in enumerate(unchanged)).encode()
    generated = next(env_file.emit(Account(shipped, ada))).content
    any_values = env_content("x", "head", variables_of(accepted_values(ANY)))
    for file in (generated, any_values, raw):
        assert read_with_docker_client(tmp_path, file) == read_as_docker(file)


def read_with_docker_client(directory: Path, file: bytes) -> Values:
    """Return the variables that the client of docker sends to an engine."""
    path = directory / "docker.env"
    path.write_bytes(file)
    with recording_engine() as (address, requests):
        subprocess.run(
            ["docker", "create", "--env-file", str(path), "image"],
            env={"PATH": os.environ["PATH"], "HOME": str(directory), "DOCKER_HOST": address},
            capture_output=True,
            check=True,
            timeout=120,
        )
    variables: dict[str, str] = {}
    for line in requests[0]["Env"]:
        name, _, value = line.partition("=")
        variables[name] = value
    return variables


@contextmanager
def recording_engine() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """Run a server that accepts every request to create a container, and records it."""
    requests: list[dict[str, list[str]]] = []

    class Engine(BaseHTTPRequestHandler):
        # The client pings the engine before it sends a request.
        def do_HEAD(self) -> None:
            self.answer(200, b"")

        def do_POST(self) -> None:
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(201, b'{"Id": "0", "Warnings": []}')

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("API-Version", "1.41")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}", requests
        server.shutdown()
        thread.join()
