"""Programs, servers and files that give too much, or nothing, for ever.

gen ends with an error, within its bound of time, in less than 150 MiB, and no control character
of the other side reaches the terminal.
"""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.system

# A start of gen takes about 60; nothing that it reads may add much to that.
MEBIBYTES = 150
FLOOD = "exec head -c 1500000000 /dev/zero"
FLOOD_OF_ERRORS = "exec head -c 1500000000 /dev/zero >&2"
# Output in lines: a reader that waits for the end of a line is bounded, and one of all lines is
# not.
LINES = "exec yes a-line-of-a-program"
# exec, so that the program to stop is the sleep itself.
HANG = "exec sleep 300"
# It renames the terminal, clears it, and looks like a command to a CI runner.
CONTROL = r"printf '\033]0;owned\007\033[2J::error ::x\n' >&2; exit 1"
ROOT = b"the root certificate of a test"
FINGERPRINT = sha256(ROOT).hexdigest()
STEP_SITE = f"""\
site: ours
title: Ours
hosts: {{{{ ours: {{{{ host: ours.example.org }}}} }}}}
auth:
  method: step
  ca_url: https://127.0.0.1:1
  ca_fingerprint: {FINGERPRINT}
  context: ours
  oidc: {{{{ token_url: "{{url}}/token", client_id: x, username: x }}}}
"""
COMMAND_SITE = """\
site: ours
title: Ours
hosts: { ours: { host: ours.example.org } }
auth: { method: certificate, command: [get-certificate] }
"""


# gen, with its peak memory in a file. Linux hands ru_maxrss down to a child, where it would count
# the memory of pytest; VmHWM is that of gen alone (proc_pid_status(5)). macOS counts in bytes.
MEASURED_GEN = """
import atexit, os, re, resource, sys

def write_peak():
    try:
        with open("/proc/self/status") as status:
            peak = int(re.search(r"VmHWM:\\s*([0-9]+)", status.read())[1]) / 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with open(os.environ["PEAK"], "w") as file:
        file.write(str(peak))

atexit.register(write_peak)
from generator.__main__ import main
main()
"""


class Ended(NamedTuple):
    """A run of gen that has ended."""

    status: int
    err: str
    seconds: float
    mebibytes: float


class User:
    """A user with a home directory and programs of the test's own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.programs = home / "bin"
        self.programs.mkdir(parents=True)
        self.write(".config/gen/profile.yaml", "user: ada\nemail: ada@example.org\n")

    def write(self, path: str, content: str | bytes) -> Path:
        target = self.home / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def program(self, name: str, script: str) -> None:
        """Put a shell script in place of a program."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def gen(self, *arguments: str, **variables: str) -> Ended:
        """Run gen without a terminal, and measure it."""
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "LC_ALL": "C.UTF-8",
            "PEAK": str(self.home / "peak"),
            **variables,
        }
        begin = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", MEASURED_GEN, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=self.home,
            # The watchdog ends the whole session: gen and whatever it started.
            start_new_session=True,
        )
        # A test of hanging must not hang.
        watchdog = threading.Timer(100, os.killpg, [process.pid, signal.SIGKILL])
        watchdog.start()
        assert process.stderr
        with process.stderr as pipe:
            err = pipe.read().decode()
        process.wait()
        watchdog.cancel()
        seconds = time.monotonic() - begin
        peak = float((self.home / "peak").read_text())
        return Ended(process.returncode, err, seconds, peak)


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


def check(ended: Ended, words: str, seconds: float = 20, status: int = 2, lines: int = 3) -> None:
    """Check that a run ended with some words, within the bounds."""
    assert ended.status == status, ended
    assert words in ended.err
    # A flood of lines would hide the one that matters.
    assert ended.err.count("\n") <= lines
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", ended.err)
    assert len(ended.err) < 2_000
    assert ended.seconds < seconds
    assert ended.mebibytes < MEBIBYTES
    assert "Traceback" not in ended.err


PROGRAMS = [
    pytest.param(FLOOD, "printed more than 1024 KiB", id="1.5 GB of output"),
    pytest.param(FLOOD_OF_ERRORS, "printed more than 1024 KiB", id="1.5 GB of errors"),
    pytest.param(LINES, "printed more than 1024 KiB", id="lines without end"),
    pytest.param(CONTROL, r"\u001b]0;owned\u0007\u001b[2J::error", id="control characters"),
]


@pytest.mark.parametrize(("script", "words"), PROGRAMS)
def test_output_of_the_command_of_a_spec_is_bounded(user: User, script: str, words: str) -> None:
    user.write("site_specs/ours.yaml", COMMAND_SITE)
    user.program("get-certificate", script)
    check(user.gen("refresh", "ours"), words)


@pytest.mark.parametrize(("script", "words"), PROGRAMS)
def test_output_of_step_is_bounded(user: User, script: str, words: str) -> None:
    user.write("site_specs/ours.yaml", STEP_SITE.format(url="http://127.0.0.1:1"))
    user.program("step", script)
    check(user.gen("refresh", "ours", OURS_OIDC_APP_PASSWORD="secret"), words)  # noqa: S106


@pytest.mark.parametrize(("script", "words"), PROGRAMS)
def test_output_of_ssh_keygen_is_bounded(user: User, script: str, words: str) -> None:
    user.write("site_specs/ours.yaml", STEP_SITE.format(url="http://127.0.0.1:1"))
    user.program("ssh-keygen", script)
    check(user.gen("refresh", "ours", OURS_OIDC_APP_PASSWORD="secret"), words)  # noqa: S106


@pytest.mark.long
@pytest.mark.parametrize("program", ["get-certificate", "step"])
def test_a_program_that_hangs_delays_a_connection_by_twelve_seconds(
    user: User, program: str
) -> None:
    text = COMMAND_SITE
    if program == "step":
        text = STEP_SITE.format(url="http://127.0.0.1:1")
    user.write("site_specs/ours.yaml", text)
    user.program(program, HANG)
    secret = {"OURS_OIDC_APP_PASSWORD": "secret"}
    ended = user.gen("refresh", "ours", "--on-connect", **secret)
    # Twelve seconds and some for a busy machine. Status 0: ssh has to go on.
    check(ended, "ours: ", seconds=16, status=0)
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "made",
    [
        # Opening a FIFO waits for a writer, so gen must look before it opens.
        pytest.param("mkfifo ~/.ssh/id_ours-cert.pub", id="a FIFO"),
        pytest.param("ln -s /dev/zero ~/.ssh/id_ours-cert.pub", id="a device"),
        pytest.param("truncate -s 1500M ~/.ssh/id_ours-cert.pub", id="1.5 GB"),
    ],
)
def test_a_certificate_that_is_not_a_regular_file_is_not_read(user: User, made: str) -> None:
    user.write("site_specs/ours.yaml", COMMAND_SITE)
    (user.home / ".ssh").mkdir(mode=0o700)
    user.program("get-certificate", made)
    check(user.gen("refresh", "ours"), "get-certificate left no valid certificate")
    # The file stays, and later runs must get over it too.
    check(user.gen("refresh", "ours", "--check"), "there is no certificate", status=1)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param("mkfifo ~/.ssh/id_ours", "is a FIFO; move it away", id="a FIFO"),
        pytest.param("ln -s /dev/zero ~/.ssh/id_ours", "is a device; move it away", id="a device"),
        pytest.param("truncate -s 1500M ~/.ssh/id_ours", "is larger than 64 KiB", id="1.5 GB"),
    ],
)
def test_a_key_that_is_not_a_regular_file_is_refused_without_reading_it(
    user: User, made: str, words: str
) -> None:
    user.write("site_specs/ours.yaml", STEP_SITE.format(url="http://127.0.0.1:1"))
    (user.home / ".ssh").mkdir(mode=0o700)
    subprocess.run(["sh", "-c", made], check=True, env={**os.environ, "HOME": str(user.home)})
    ended = user.gen("refresh", "ours", OURS_OIDC_APP_PASSWORD="secret")  # noqa: S106
    check(ended, words)


Provider = Callable[[bytes, bytes], str]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Return a function that starts a server whose answer repeats without end."""
    listener = socket.create_server(("127.0.0.1", 0))
    parts = [b"", b""]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                # The answer may come before the request is complete; gen has to bear that as well.
                connection.recv(65_536)
                connection.sendall(parts[0])
                while parts[1]:
                    connection.sendall(parts[1])
            except OSError:
                return  # gen has closed the connection

    def start(first: bytes, repeated: bytes) -> str:
        parts[:] = [first, repeated]
        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    # Ends the loops of the threads that still send.
    parts[1] = b""
    listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Below 1 MiB, so that the parser gets it: Python's own raises RecursionError.
DEEP = b"[" * 900_000


@pytest.mark.parametrize(
    ("first", "repeated", "words"),
    [
        pytest.param(
            OK + b"Content-Length: 1500000000\r\n\r\n",
            b"x" * 65_536,
            "larger than 1 MiB",
            id="body",
        ),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + b"x" * 65_536 + b"\r\n",
            "larger than 1 MiB",
            id="chunks",
        ),
        # http.client stops after 100 headers, and after 64 KiB of one.
        pytest.param(OK, b"Name: value\r\n", "the answer was cut short", id="headers"),
        pytest.param(OK + b"Name: ", b"x" * 65_536, "the answer was cut short", id="a header"),
        pytest.param(
            OK + b"Content-Length: 900000\r\n\r\n" + DEEP,
            b"",
            "answers 200 without a JSON object",
            id="deep JSON",
        ),
        pytest.param(
            b"HTTP/1.1 400 \x1b[2J\r\nContent-Length: 26\r\n\r\n" + b'{"error":"\\u001b[2J owned"}',
            b"",
            "refuses the app password",
            id="control characters",
        ),
    ],
)
def test_an_endless_answer_of_the_identity_provider_is_bounded(
    user: User, provider: Provider, first: bytes, repeated: bytes, words: str
) -> None:
    url = provider(first, repeated)
    user.write("site_specs/ours.yaml", STEP_SITE.format(url=url))
    know_ca(user)
    user.program("step", "exit 1")
    ended = user.gen("refresh", "ours", OURS_OIDC_APP_PASSWORD="secret")  # noqa: S106
    check(ended, words, seconds=40)


def know_ca(user: User) -> None:
    """Write the files of step about the CA, so that gen needs no step until the signature."""
    root = user.write("root.crt", ssl.DER_cert_to_PEM_cert(ROOT))
    user.write(".step/contexts.json", '{"ours": {"authority": "ours"}}')
    user.write(
        ".step/authorities/ours/config/defaults.json",
        f'{{"root": "{root}", "fingerprint": "{FINGERPRINT}"}}',
    )


@pytest.mark.parametrize(
    "made",
    [
        pytest.param('mkfifo "${4%.pub}-cert.pub"', id="a FIFO"),
        pytest.param('ln -s /dev/zero "${4%.pub}-cert.pub"', id="a device"),
        pytest.param('truncate -s 1500M "${4%.pub}-cert.pub"', id="1.5 GB"),
    ],
)
def test_a_step_that_returns_a_certificate_that_is_not_a_file_is_refused(
    user: User, provider: Provider, made: str
) -> None:
    body = b'{"access_token": "a.b.c"}'
    url = provider(OK + b"Content-Length: 25\r\n\r\n" + body, b"")
    user.write("site_specs/ours.yaml", STEP_SITE.format(url=url))
    know_ca(user)
    user.program("step", made)
    ended = user.gen("refresh", "ours", OURS_OIDC_APP_PASSWORD="secret")  # noqa: S106
    check(ended, "step returned no valid certificate; the old certificate stays")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(FLOOD, id="1.5 GB of output"),
        pytest.param(FLOOD_OF_ERRORS, id="1.5 GB of errors"),
        pytest.param(LINES, id="lines without end"),
        pytest.param(HANG, id="hangs"),
        pytest.param(CONTROL, id="control characters"),
    ],
)
def test_output_of_the_login_node_is_bounded(user: User, script: str) -> None:
    user.write("site_specs/ours.yaml", COMMAND_SITE)
    user.program("ssh", script)
    ended = user.gen("status", "ours", "--live", "--seconds", "3")
    assert ended.status in (1, 2), ended
    assert "Traceback" not in ended.err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", ended.err)
    assert ended.seconds < 40
    assert ended.mebibytes < MEBIBYTES


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param("mkfifo spec.yaml", "is a FIFO; move it away", id="a FIFO"),
        pytest.param("ln -s /dev/zero spec.yaml", "is a device; move it away", id="a device"),
        pytest.param("truncate -s 1500M spec.yaml", "is larger than", id="1.5 GB"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "show", "site", "install", "refresh"])
def test_a_spec_that_is_not_a_regular_file_is_refused_without_reading_it(
    user: User, command: str, made: str, words: str
) -> None:
    subprocess.run(["sh", "-c", made], check=True, cwd=user.home)
    check(user.gen(command, "./spec.yaml"), words)


# Python needs more memory for a small value than the text has bytes, most for an empty list.
TINY_VALUES = {
    "objects": ("{}", "has more than 100000 objects and lists"),
    "lists": ("[]", "has more than 100000 objects and lists"),
    "lists in lists": ("[[[[[[]]]]]]", "has more than 100000 objects and lists"),
    "numbers": ("1.5", "there is no such key"),
    "texts": ('"a"', "there is no such key"),
}


@pytest.mark.parametrize(("value", "words"), TINY_VALUES.values(), ids=TINY_VALUES)
def test_a_lock_of_4_mib_of_tiny_values(user: User, value: str, words: str) -> None:
    count = (4 * 2**20 - 100) // (len(value) + 1)
    values = ",".join([value] * count)
    user.write("site_specs/ours.yaml", COMMAND_SITE)
    user.write("out/.gen/ours.lock", f'{{"format_version":"2.0","tiny":[{values}]}}')
    ended = user.gen("site", "ours", "--out", "out")
    print(f"{ended.mebibytes:.0f} MiB")  # noqa: T201 - the figure
    check(ended, words)


@pytest.mark.parametrize(
    ("files", "size"),
    [
        pytest.param(1, 150_000_000, id="one that is huge"),
        pytest.param(40, 4_000_000, id="many that are large"),
    ],
)
def test_the_files_of_a_pull_request(user: User, files: int, size: int) -> None:
    user.write("site_specs/ours.yaml", COMMAND_SITE)
    author = "git -c user.name=Ada -c user.email=ada@example.org"
    script = f"""\
git init --quiet --initial-branch=main; git add site_specs; {author} commit --quiet --message=Site
mkdir ssh
for number in $(seq {files}); do yes "Host $number" | head -c {size} >ssh/$number.conf; done
git add ssh; {author} commit --quiet --message=Large"""
    subprocess.run(["sh", "-euc", script], check=True, cwd=user.home)
    ended = user.gen("review", "HEAD~", "HEAD", "--fail-on", "trust")
    print(f"{ended.mebibytes:.0f} MiB")  # noqa: T201 - the figure
    check(ended, f"{files} trust", seconds=60, status=1)


ADAS_HOSTS = "Host h{n}\n  HostName h{n}.example.net\n  Port 2222\n  User ada\n"


def hosts(count: int) -> str:
    return "".join(ADAS_HOSTS.format(n=number) for number in range(count))


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"config": hosts(250_000)}, id="a million lines"),
        pytest.param({"config": "Host " + "\\" * 10_000_000}, id="a long line"),
        pytest.param(
            {f"d/{n}": f"Include d/{n + 1} d/{n + 1}\n" for n in range(15)}
            | {"config": "Include d/0\n", "d/15": "Host x\n"},
            id="a file that is included 32,768 times",
        ),
    ],
)
def test_an_ssh_configuration_without_bounds(user: User, files: dict[str, str]) -> None:
    for name, content in files.items():
        user.write(f".ssh/{name}", content)
    spec = str(user.write("ours.yaml", COMMAND_SITE))
    check(user.gen("install", spec, "--yes"), "~/.ssh/config: is too long for gen to check")
    # The way that the message names.
    check(user.gen("install", spec, "--mode", "print"), "Add this to", status=0, lines=20)


def test_a_large_ssh_configuration_is_none_without_bounds(user: User) -> None:
    includes = "".join(f"Include d/{number}\n" for number in range(15))
    user.write(".ssh/config", includes + hosts(4_000))
    for number in range(15):
        user.write(f".ssh/d/{number}", f"Include d/{number + 1}\n")
    spec = str(user.write("ours.yaml", COMMAND_SITE))
    for command in (("install", spec), ("uninstall", "ours")):
        ended = user.gen(*command, "--yes")
        check(ended, "changed   ~/.ssh/config", seconds=60, status=0, lines=40)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param("mkfifo known_hosts", "is a FIFO", id="FIFO"),
        pytest.param("truncate -s 1G known_hosts", "is larger than 16384 KiB", id="1 GiB"),
        pytest.param("ln -s /dev/zero known_hosts", "is a device", id="device"),
    ],
)
def test_a_known_hosts_file_without_bounds(user: User, made: str, words: str) -> None:
    directory = user.write(".ssh/config", "").parent
    subprocess.run(["sh", "-c", made], cwd=directory, check=True)
    spec = str(user.write("ours.yaml", COMMAND_SITE))
    check(user.gen("install", spec, "--yes"), words)
