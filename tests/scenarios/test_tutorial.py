"""The commands of the tutorial, typed in a real terminal of 80 by 24.

Two servers of the test stand for the two sites: specs in ./site_specs come before those that ship
with gen, so that the commands of the page are typed as they are.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import tree
from ruamel.yaml import YAML
from sshd import PROGRAMS, TEST_USER, Rig, SshServer, mount_over, site
from terminal import Terminal

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
PROMPT = "ready> "
# 40 words a minute, of five letters each.
LETTERS_A_MINUTE = 200


def commands() -> list[str]:
    """Return the commands of the page, without their comments."""
    section = (ROOT / "docs/tutorial.md").read_text()
    [block] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line.partition("#")[0].strip() for line in block.splitlines()]


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, "setsid", "bash", root=True)
    with Rig(tmp_path) as new_rig:
        yield new_rig


def serve(rig: Rig, name: str, host: str) -> SshServer:
    """Start the server of a site that pins its key, and write the spec of the site."""
    key = rig.home / ".ssh" / f"id_{name}"
    server = rig.serve(name, [f"ed25519-{name}"], f"AuthorizedKeysFile {key}.pub")
    pins = {"fingerprints": {"ed25519": rig.fingerprint(f"ed25519-{name}")}}
    spec = site(server, pins) | {"site": name, "title": f"The {name} cluster"}
    spec["hosts"] = {name: {"host": host, "port": server.port}}
    spec["host_keys"]["login"]["hosts"] = name
    path = rig.directory / "work/site_specs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        YAML(typ="safe").dump(spec, file)
    return server


class Session:
    """A shell in a terminal, with the scratch home directory, in the directory of the user."""

    def __init__(self, rig: Rig) -> None:
        # The environment of the tests stands for the one that the page has made.
        (rig.directory / "work/.venv").symlink_to(Path(sys.executable).parents[1])
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(rig.home),
            "USER": TEST_USER.pw_name,
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "PS1": PROMPT,
            "HISTFILE": "",
            "VIRTUAL_ENV_DISABLE_PROMPT": "1",
        }
        # ssh takes `~` from the passwd database. Python may be below the real home directory, so
        # that stays where it is.
        passwd = rig.directory / "passwd"
        passwd.write_text(f"{TEST_USER.pw_name}:x:{TEST_USER.pw_uid}:0::{rig.home}:/bin/sh\n")
        bash = ("bash", "--norc", "--noprofile", "--noediting", "-i")
        shell = [*mount_over("/etc/passwd", passwd), *bash]
        directory = rig.directory / "work"
        self.terminal = Terminal(*shell, environment=environment, directory=directory)
        self.letters = 0
        self.terminal.expect(PROMPT)

    def type(self, line: str) -> None:
        self.letters += len(line) + 1
        self.terminal.type(line)

    def run(self, command: str, *answers: tuple[str, str]) -> str:
        """Type a command and its answers, and return the output up to the next prompt."""
        start = len(self.terminal.shown)
        self.type(command)
        for question, reply in answers:
            self.terminal.expect(question)
            self.type(reply)
        self.terminal.expect(PROMPT)
        return self.terminal.shown[start:].replace("\r\n", "\n")


def test_the_commands_of_the_tutorial(rig: Rig) -> None:
    # Two names of the loopback: no name may have two meanings.
    mila = serve(rig, "mila", "localhost")
    serve(rig, "narval", "127.0.0.1")
    before = tree(rig.home)
    page = iter(commands())
    session = Session(rig)
    try:
        session.run(next(page))
        output = session.run(
            next(page),
            ("Your user name at most sites", TEST_USER.pw_name),
            ("Your e-mail address", "ada@example.org"),
            ("Private key for all sites", ""),
            ("Your home directory", ""),
            ("Your sites", "mila narval"),
            ("User name at mila", ""),
            ("User name at narval", ""),
            ("Write it?", "y"),
            ("Install mila, narval now?", "n"),
        )
        assert "To install later: gen install mila narval" in output
        output = session.run(next(page), *installation("mila"))
        assert "Your public key, in ~/.ssh/id_mila.pub:" in output
        # No question about the host key, since it is pinned.
        assert login(session, next(page)) == "mila"
        session.run(next(page), *installation("narval"))
        output = session.run(next(page))
        assert "mila: 2 files installed\n" in output
        assert "narval: 2 files installed\n" in output
        assert session.run("echo $?") == "echo $?\n0\n" + PROMPT
        with rig.stopped(mila):
            text = mila.config.read_text()
            text = text.replace(str(rig.key("ed25519-mila")), str(rig.key("ed25519-other")))
            mila.config.write_text(text)
        output = session.run(next(page))
        assert "gen: mila: the key that " in output
        assert "is not one of the pinned keys" in output
        assert "Host key verification failed." in output
        output = session.run(next(page))
        assert "host-key: host_keys.login" in output
        assert rig.fingerprint("ed25519-other") in output
        output = session.run(next(page), ("Delete mila, narval from", "y"))
        assert "removed   ~/.ssh/gen.d/mila.conf" in output
        assert list(page) == []
    finally:
        session.terminal.close()
    assert session.letters / LETTERS_A_MINUTE < 3
    # The profile and the keys are the user's; everything else is as it was.
    left = set(tree(rig.home)) - set(before)
    keys = {f".ssh/id_{name}{end}" for name in ("mila", "narval") for end in ("", ".pub")}
    profile = {".config", ".config/gen"}
    profile |= {f".config/gen/profile.{ending}" for ending in ("yaml", "schema.json")}
    assert left == keys | profile


def installation(name: str) -> tuple[tuple[str, str], ...]:
    """Return the questions of `gen install` for a new site, with answers."""
    return (
        ("files in", "y"),
        (f"{name} needs a key pair", "y"),
        ("passphrase", ""),
        ("again", ""),
    )


def login(session: Session, command: str) -> str:
    """Log in, and return the name of the server in which the session is."""
    session.type(command)
    # The shell there has another prompt.
    session.terminal.expect("# ")
    session.type("echo server=$SERVER.")
    session.terminal.expect("server=")
    session.terminal.expect("server=")
    name = ""
    while not name.endswith("."):
        session.terminal.expect(".")
        name = session.terminal.shown.rpartition("server=")[2].partition("\r")[0]
    session.type("exit")
    session.terminal.expect(PROMPT)
    return name.removesuffix(".")
