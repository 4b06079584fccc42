"""`gen init` in a real terminal: questions, proposals, Ctrl-C, and values that a site lacks."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from homes import tree
from terminal import Terminal

pytestmark = pytest.mark.system

PROFILE = ".config/gen/profile.yaml"
Start = Callable[..., Terminal]


@pytest.fixture
def start(home: Path, need: Callable[..., None]) -> Iterator[Start]:
    """Start gen in a terminal of its own, with a home directory that ssh takes for its own."""
    need("setsid", "ssh", "git")
    (home / ".gitconfig").write_text("[user]\n\temail = ada@example.org\n")
    environment: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    terminals: list[Terminal] = []

    def run(*arguments: str) -> Terminal:
        command = (sys.executable, "-m", "generator", *arguments)
        terminal = Terminal(*command, environment=environment, directory=Path.cwd())
        terminals.append(terminal)
        return terminal

    yield run
    for terminal in terminals:
        terminal.close()


def values(home: Path) -> list[str]:
    """Return the lines of the profile that are no comments."""
    text = (home / PROFILE).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_new_user_answers_and_gets_a_profile(start: Start, home: Path) -> None:
    ssh = home / ".ssh"
    ssh.mkdir(mode=0o700)
    config = "Host m\n  HostName login.server.mila.quebec\n  User bonnie\n"
    (ssh / "config").write_text(f"{config}  IdentityFile ~/.ssh/id_work\n")
    (ssh / "id_work").touch(0o600)
    terminal = start("init")
    terminal.answer(
        ("Your user name at most sites [", "ada"),
        ("Your e-mail address, for certificates (from git) [ada@example.org]: ", ""),
        ("Private key for all sites; - for a new one for each site [-]: ", ""),
        (f"Your home directory, for paths in .env files [{home}]: ", ""),
        ("This machine knows mila (Host m).\r\nYour sites", "mila muscia"),
        ("muscia: no such site; did you mean musica?\r\nYour sites", "mila, musica"),
        ("User name at mila [bonnie]: ", ""),
        ("Private key at mila (from your ssh configuration) [~/.ssh/id_work]: ", ""),
        ("User name at musica [ada]: ", "a b"),
        ("a b: 'a b' is not a user name\r\nUser name at musica [ada]: ", ""),
        ("client_id: the id of your OIDC client; make it at https://auth.asc.ac.at: ", "abc"),
    )
    # Nothing is written before the whole profile was shown.
    terminal.expect("  user: ada\r\n  email: ada@example.org\r\n")
    terminal.expect(
        "mila: { user: bonnie, identity_file: ~/.ssh/id_work }\r\n"
        "    musica: { client_id: abc }\r\nWrite it? [y/N]: "
    )
    assert not (home / ".config").exists()
    terminal.type("y")
    terminal.answer(("Install mila, musica now? gen shows every change, and asks. [y/N]: ", "n"))
    assert terminal.end() == 0, terminal.shown
    assert "To install later: gen install mila musica\r\n" in terminal.shown
    assert values(home) == [
        "user: ada",
        "email: ada@example.org",
        f"home: {home}",
        "sites:",
        "  mila: { user: bonnie, identity_file: ~/.ssh/id_work }",
        "  musica: { client_id: abc }",
    ]
    # Every line fits into the terminal.
    shown = terminal.shown.replace(str(home), "/home/ada")
    assert max(map(len, shown.split("\r\n"))) <= 80, shown


def test_a_second_run_proposes_the_recorded_values_and_keeps_edits(
    start: Start, home: Path
) -> None:
    path = home / PROFILE
    path.parent.mkdir(parents=True)
    path.write_text("# mine\nuser: ada  # here\nsites:\n  mila: { user: bonnie, account: p1 }\n")
    before = path.read_bytes()
    terminal = start("init", "mila")
    terminal.answer(("User name at mila [bonnie]: ", ""), ("account [p1]: ", ""))
    terminal.expect("has these values already.")
    terminal.answer(("Install mila now?", "n"))
    assert terminal.end() == 0, terminal.shown
    assert path.read_bytes() == before
    # A dash takes a value out, and the usual name needs no entry.
    terminal = start("init", "mila")
    terminal.answer(
        ("User name at mila", "ada"), ("account [p1]: ", "-"), ("Write it?", "y"), ("Install", "n")
    )
    assert terminal.end() == 0, terminal.shown
    assert path.read_text() == "# mine\nuser: ada  # here\n"


def test_ctrl_c_at_any_question_leaves_nothing(start: Start, home: Path) -> None:
    questions = (
        ("user name", "ada"),
        ("e-mail", ""),
        ("Private key", ""),
        ("home directory", ""),
        ("Your sites", "musica"),
        ("User name at musica", ""),
        ("client_id", "abc"),
        ("Write it?", ""),
    )
    before = tree(home)
    for number in range(len(questions)):
        terminal = start("init")
        terminal.answer(*questions[:number])
        terminal.expect(questions[number][0])
        terminal.expect(": ")
        assert terminal.interrupt() == 130, terminal.shown
        assert "Traceback" not in terminal.shown
        assert tree(home) == before


def test_init_leads_to_an_installed_site(start: Start, home: Path) -> None:
    terminal = start("init", "mila")
    terminal.answer(
        ("User name at mila", "bonnie"),
        ("Write it?", "y"),
        ("Install mila now?", "y"),
        ("files in", "y"),
        ("needs a key pair", "n"),
        ("Log in to mila now, with ssh mila? [y/N]: ", "n"),
    )
    assert terminal.end() == 0, terminal.shown
    assert "User bonnie\n" in (home / ".ssh/gen.d/mila.conf").read_text()


def test_gen_site_offers_the_missing_values_and_adds_them_to_the_profile(
    start: Start, home: Path
) -> None:
    terminal = start("site", "mila", "--no-project")
    terminal.answer(
        ("  user: your user name at the site: ", "bonnie"),
        (f"  home: your home directory, for .env files (as in /home/ada) [{home}]: ", ""),
        (f"Add this to ~/{PROFILE}? [y/N]: ", "y"),
    )
    assert terminal.end() == 0, terminal.shown
    assert values(home) == [f"home: {home}", "sites:", "  mila: { user: bonnie }"]
    assert "User bonnie\n" in Path("ssh/mila.conf").read_text()
    assert "Missing values" not in terminal.shown
    # It asks once: a later run has the values of the first one.
    assert start("site", "mila", "--no-project").end() == 0


def test_declined_values_are_options_of_this_run(start: Start, home: Path) -> None:
    terminal = start("install", "mila")
    terminal.answer(
        ("  user: your user name at the site: ", "bonnie"),
        ("Add this to", "n"),
        ("files in", "y"),
        ("needs a key pair", "n"),
    )
    assert terminal.end() == 0, terminal.shown
    assert not (home / PROFILE).exists()
    assert "User bonnie\n" in (home / ".ssh/gen.d/mila.conf").read_text()


def test_values_that_are_left_out_stay_missing(start: Start, home: Path) -> None:
    terminal = start("site", "mila", "--no-project")
    terminal.answer(("user name at the site: ", ""), ("home: ", "-"))
    assert terminal.end() == 0, terminal.shown
    assert "Missing values" in terminal.shown
    assert "# User is left out: it needs user" in Path("ssh/mila.conf").read_text()
