"""The commands of the tutorial, typed in a real terminal of 80 by 24.

One test types those of each step, with the spec that a reader has, and compares every line of the
output. Another one types those of the last section, against servers of the test. Specs in
./site_specs come before those that ship with gen, so the commands are typed as they are.
test_dagster_project.py runs those of the Dagster project.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from console_blocks import examples
from homes import tree
from page_session import PROMPT, PageSession
from ruamel.yaml import YAML
from sshd import PROGRAMS, TEST_USER, Rig, SshServer, site

pytestmark = pytest.mark.system

PAGE = Path(__file__).parents[2] / "docs/tutorial.md"
EXAMPLES = {example.command: example for example in examples(PAGE)}
STEPS = (
    *("gen init", "gen install mila", "gen status", "gen site mila --out .", "gen check"),
    "gen uninstall mila",
)
"""The commands that need no server, in the order of the page."""
# 40 words a minute, of five letters each.
LETTERS_A_MINUTE = 200


def commands() -> list[str]:
    """Return the commands of the last section, without their comments."""
    section = PAGE.read_text().partition("## The commands in short")[2]
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


def test_the_commands_in_short_work_with_two_sites(rig: Rig) -> None:
    # Two names of the loopback: no name may have two meanings.
    mila = serve(rig, "mila", "localhost")
    serve(rig, "narval", "127.0.0.1")
    before = tree(rig.home)
    page = iter(commands())
    session = PageSession(rig.directory, rig.home)
    try:
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
        EXAMPLES["ssh mila"].check(of_the_site(session, output, mila))
        output = session.run(next(page))
        EXAMPLES["gen status mila --live"].check(of_the_site(session, output, mila))
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


def of_the_site(session: PageSession, output: str, server: SshServer) -> str:
    """Return an output with the names of the real site in place of those of the server."""
    text = session.as_on_the_page(output).replace("The mila cluster", "Mila cluster")
    text = text.replace(f"[localhost]:{server.port}", "[login.server.mila.quebec]:2222")
    return text.replace("localhost", "login.server.mila.quebec")


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A home directory whose path is no longer than usual: sockets of ssh fit below it."""
    with tempfile.TemporaryDirectory(prefix="gen") as directory:
        yield Path(directory)


def test_each_step_prints_the_output_on_the_page(rig: Rig, short_home: Path) -> None:
    session = PageSession(rig.directory, short_home)
    try:
        session.replay([example for example in EXAMPLES.values() if example.command in STEPS])
    finally:
        session.terminal.close()


def installation(name: str) -> tuple[tuple[str, str], ...]:
    """Return the questions of `gen install` for a new site, with answers."""
    return (
        ("files in", "y"),
        (f"{name} needs a key pair", "y"),
        ("passphrase", ""),
        ("again", ""),
    )


def login(session: PageSession, command: str) -> str:
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
