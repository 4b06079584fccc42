"""Files that gen wrote, or that a checkout brings, with random changes.

Lock, install record, renewal state, bindings of secrets, accepted drift, profile, credentials. gen
ends with 0, 1 or 2 and no traceback, deletes no file that is not its own, and sends nothing to an
address that is not the site's. The changes come from a fixed seed.
"""

import json
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pytest
from depth import examples
from running import Gen, Result, running

from generator.renewal import http

# The discard service (RFC 863), which no test machine runs: a secret that is sent is lost.
PORT = 9
# Any bytes will do: only their SHA-256 has to be that of the spec.
ROOT = b"the root certificate of a test"
SPEC = f"""\
site: ours
title: Ours
hosts: {{ ours: {{ host: ours.example.org }} }}
auth:
  method: step
  ca_url: https://127.0.0.1:1
  ca_fingerprint: {sha256(ROOT).hexdigest()}
  context: ours
  oidc: {{ token_url: "http://127.0.0.1:{PORT}/token", client_id: x, username: x }}
  authentik: {{ api_base: "http://127.0.0.1:{PORT}", credentials_file: "~/.config/ours.env" }}
"""
PROFILE = """\
user: ada
email: ada@example.org
account: p1
sites:
  mila: { user: eve, account: p2 }
"""
CREDENTIALS = """\
ASC_OIDC_APP_PASSWORD="an-app-password-of-a-test"
ASC_OIDC_APP_PASSWORD_ID="gen-app-1"
ASC_OIDC_APP_PASSWORD_EXPIRES_AT="2099-01-01T00:00:00+00:00"
ASC_AUTHENTIK_API_TOKEN="an-api-token-of-a-test"
ASC_AUTHENTIK_API_TOKEN_ID="gen-api-1"
"""
ACCEPTED = """\
accepted:
  - { path: .env.ours, until: 2099-01-01, reason: a test }
"""
STATE = {
    "format_version": "2.0",
    "finished": 1,
    "result": "failed",
    "message": "no luck",
    "issued": [1, 2],
    "pause_until": 0,
    # An app password that an earlier rotation lost: each run asks the provider for it.
    "known_tokens": ["gen-app-0"],
}
# Files that no command may change, whatever the others say.
PRECIOUS = (
    "precious.txt",
    "out/precious.txt",
    ".ssh/id_ed25519",
    ".config/precious/auth.env",
    ".local/state/precious",
)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    # Beyond 64 bits: as a time, datetime refuses it with OverflowError and not ValueError.
    10**30,
    1.5,
    "",
    "x" * 5000,
    [],
    {},
    [[[[]]]],
    "precious.txt",
    "../precious.txt",
    "../../precious.txt",
    "/etc/passwd",
    # Paths by which a changed record could lead gen to files of the user.
    "~/.ssh/id_ed25519",
    ".ssh/id_ed25519",
    ".config/precious/auth.env",
    ".",
    "..",
    "/",
    "mila",
    # A terminal would obey these: it clears the screen, rings, or turns the text around.
    "\x1b[2J\x07",
    "a\nb",
    "\u202e",
    # An address that is not the site's: a secret must not go there.
    "http://127.0.0.1:7/token",
    {"path": "precious.txt"},
    ["precious.txt", "../precious.txt"],
)
# The nesting is deeper than the stack of Python's own JSON parser.
RAW = (b"\0", b"\xff", b"\x1b[2J", b"\n---\n", b"\xef\xbb\xbf", b"[" * 100_000, b"\r", b"\\ud800")
SHORT = 40  # most bytes of a repeated or deleted part


def flip_a_bit(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content or b"x")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut_the_end(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def insert_raw_bytes(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.choice(RAW) + content[at:]


def delete_a_part(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.randrange(SHORT) :]


def repeat_a_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    number = chance.randrange(len(lines))
    return b"\n".join([*lines[: number + 1], *lines[number:]])


def replace_a_value(chance: random.Random, content: bytes) -> bytes:
    """Replace a value of JSON by an odd one, or the value of a line in any other file."""
    odd = chance.choice(ODD)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        lines = content.split(b"\n")
        number = chance.randrange(len(lines))
        key, separator, _ = re.split(rb"([:=] ?)", lines[number] + b":", maxsplit=1)
        lines[number] = key + separator + json.dumps(odd).encode()
        return b"\n".join(lines)
    # An empty list has nothing to replace, so the whole document becomes the odd value.
    owner = chance.choice(_containers(document) or [[]])
    if not owner:
        return json.dumps(odd).encode()
    if isinstance(owner, dict):
        key = chance.choice(sorted(owner))
        if chance.random() < 0.3:
            owner[str(odd)] = owner.pop(key)
        else:
            owner[key] = odd
    else:
        owner[chance.randrange(len(owner))] = odd
    return json.dumps(document).encode()


def _containers(value: Any) -> list[Any]:
    """Return the objects and lists in a JSON value."""
    if not isinstance(value, dict | list):
        return []
    below = value.values() if isinstance(value, dict) else value
    containers = [value]
    for item in below:
        containers += _containers(item)
    return containers


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip_a_bit,
    cut_the_end,
    insert_raw_bytes,
    delete_a_part,
    repeat_a_line,
    replace_a_value,
    replace_a_value,
    replace_a_value,
)
REFRESH = (("refresh", "ours"), ("refresh", "ours", "--on-connect"), ("status", "ours"))
UNINSTALL = (("status",), ("uninstall", "ours", "--yes", "--purge"))
# The commands that read each file: those that would trust it.
GENERATED = (("check", "out"), ("diff", "out"), ("site", "--all", "--out", "out"))
TARGETS = {
    "out/.gen/ours.lock": GENERATED,
    "out/.gen/accepted.yaml": (("check", "out"),),
    ".local/state/gen/install/ours.lock": (*UNINSTALL, ("refresh", "ours", "--check")),
    ".local/state/gen/install/home.json": UNINSTALL,
    ".local/state/gen/install/ours.yaml": (*REFRESH, *UNINSTALL),
    ".local/state/gen/ours.json": REFRESH,
    ".local/state/gen/ours.due": REFRESH,
    ".local/state/gen/ours.secrets": REFRESH,
    ".config/gen/profile.yaml": (("site", "mila", "--dry-run"), ("refresh", "ours", "--check")),
    ".config/ours.env": REFRESH,
}


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # gen refuses files of state that others can write, so the mode comes before the content.
    path.touch(0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def fuzz_gen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Gen:
    """Run gen in a home directory that does not exist yet, with no more than one attempt."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # The options of a user who runs the tests must not take part.
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_", "DBUS_", "ASC_", "OURS_")):
            monkeypatch.delenv(name)
    # Four attempts with their pauses take seconds, for each of thousands of runs.
    monkeypatch.setattr(http, "_ATTEMPTS", 1)

    def read_output() -> tuple[str, str]:
        out, err = capfdbinary.readouterr()
        return out.decode(errors="surrogateescape"), err.decode()

    return running(monkeypatch, read_output)


@pytest.fixture
def installed(tmp_path: Path, fuzz_gen: Gen, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with an installed site, whose certificate has expired."""
    home = tmp_path / "home"
    home.mkdir()
    for path in PRECIOUS:
        write(home / path, "precious")
    write(home / "ours.yaml", SPEC)
    write(home / ".config/gen/profile.yaml", PROFILE)
    root = home / "root.crt"
    write(root, ssl.DER_cert_to_PEM_cert(ROOT))
    write(home / ".step/contexts.json", '{"ours": {"authority": "ours"}}')
    defaults = {"root": str(root), "fingerprint": sha256(ROOT).hexdigest()}
    write(home / ".step/authorities/ours/config/defaults.json", json.dumps(defaults))
    key = home / ".ssh/id_ours"
    keygen("-t", "ed25519", "-N", "", "-f", str(key))
    # Expired, so that a refresh is due and reads every file.
    keygen("-s", str(key), "-I", "id", "-n", "ada", "-V", "-2h:-1h", f"{key}.pub")
    monkeypatch.chdir(home)
    assert fuzz_gen("site", "./ours.yaml", "--out", "out").status == 0
    assert fuzz_gen("install", "./ours.yaml", "--yes").status == 0
    write(home / ".config/ours.env", CREDENTIALS)
    write(home / ".local/state/gen/ours.json", json.dumps(STATE))
    write(home / "out/.gen/accepted.yaml", ACCEPTED)
    fuzz_gen("refresh", "ours")
    # Otherwise a mutation would make a file, and change none.
    for target in TARGETS:
        assert (home / target).exists(), target
    return home


def keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, capture_output=True, timeout=60)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses to which gen tries to connect; every connection is refused."""
    addresses: list[Any] = []

    def connect(_: socket.socket, address: Any) -> NoReturn:
        # Python tries IPv6 and IPv4 in turn: a refusal lets it go on to the next.
        addresses.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return addresses


def contents(home: Path) -> dict[str, bytes]:
    """Return the files of a home directory, without those that a run may delete."""
    files = {}
    for path in home.rglob("*"):
        # Locks and scratch files come and go with each run.
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith(".gen-"):
            files[str(path.relative_to(home))] = path.read_bytes()
    return files


def test_gen_tries_to_send_the_secret_of_an_unchanged_home(
    installed: Path, fuzz_gen: Gen, connections: list[Any]
) -> None:
    # Otherwise the test below would show nothing.
    assert fuzz_gen("refresh", "ours").status == 2
    assert [port for _, port, *_ in connections] == [PORT]


@pytest.mark.parametrize("target", TARGETS)
def test_a_changed_file_is_an_error_and_costs_nothing(
    target: str,
    installed: Path,
    fuzz_gen: Gen,
    connections: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(target)  # noqa: S311 - the same changes in every run
    original = (installed / target).read_bytes()
    # Moved away and copied back, because gen records paths below the home directory.
    saved = tmp_path / "saved"
    installed.rename(saved)
    for number in range(examples(2000) // len(TARGETS)):
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(installed, ignore_errors=True)
        shutil.copytree(saved, installed, symlinks=True)
        monkeypatch.chdir(installed)
        changed = original
        # Mostly one change: after several, a file rarely gets past the first check.
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            changed = chance.choice(MUTATIONS)(chance, changed)
        (installed / target).write_bytes(changed)
        for command in TARGETS[target]:
            before = contents(installed)
            result = fuzz_gen(*command)
            name = f"{target}, change {number}, gen {' '.join(command)}: {changed[:500]!r}"
            check(result, name)
            after = contents(installed)
            for path in PRECIOUS:
                assert after[path] == b"precious", name
            if command[0] != "uninstall":
                assert not before.keys() - after.keys(), name
    assert {port for _, port, *_ in connections} <= {PORT}


def check(result: Result, name: str) -> None:
    assert result.status in (0, 1, 2), f"{name}\n{result.err}"
    assert "Traceback" not in result.err, name
    # The newline is allowed: a message may have several lines.
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.err), f"{name}\n{result.err!r}"
    # A text of the file must not fill the terminal.
    assert len(result.err) < 20_000, name


def test_a_damaged_profile_in_the_record_is_named(installed: Path, fuzz_gen: Gen) -> None:
    lock = installed / ".local/state/gen/install/ours.lock"
    recorded = json.loads(lock.read_text())
    # An empty text is valid JSON of the right type; only the model refuses it.
    recorded["inputs"]["profile"]["account"] = ""
    lock.write_text(json.dumps(recorded))
    for command in (("uninstall", "ours", "--yes", "--purge"), ("status", "ours", "--live")):
        result = fuzz_gen(*command)
        assert result.status == 2
        assert f"{lock}: inputs.profile.account: '' is not a name of letters" in result.err
    assert (installed / ".ssh/id_ours").exists()


def test_a_long_path_in_the_record_is_cut(installed: Path, fuzz_gen: Gen) -> None:
    path = installed / ".local/state/gen/install/home.json"
    recorded = json.loads(path.read_text())
    recorded["directories"].append("x" * 5000)
    path.write_text(json.dumps(recorded))
    result = fuzz_gen("uninstall", "ours", "--yes")
    assert result.status == 2
    fix = f"delete it with rm {path}"
    assert result.err == f"{path}: directories: gen never creates {'x' * 300!r}; {fix}\n"
