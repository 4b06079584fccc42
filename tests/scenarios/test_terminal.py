"""Commands in real terminals: of 80 and of 60 columns, and of a locale without UTF-8."""

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from running import Gen
from terminal import Terminal

from generator import resources

GEN = (sys.executable, "-m", "generator")
SITES = sorted(path.stem for path in resources.CATALOGUE.glob("*.yaml"))
COMMANDS = (
    *("init", "site", "project", "install", "uninstall", "disconnect", "refresh", "check"),
    *("accept", "diff", "review", "list", "show", "validate", "new-site", "schema", "status"),
    *("import", "source", "source add", "source update", "source list", "source remove"),
    "source sign",
)
# Prompts of ssh-keygen and links have longer words than these.
LONGEST_WORD = 50


@pytest.fixture
def in_terminal(tmp_path: Path) -> Callable[..., str]:
    """Run gen in a terminal, type an answer to its question, and return what it shows."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
        "NO_COLOR": "1",
        "LANG": "C.UTF-8",
        "PAGER": "cat",
    }

    def run(
        *arguments: str,
        columns: int = 80,
        answers: Mapping[str, str] = {},
        status: int = 0,
        **variables: str,
    ) -> str:
        terminal = Terminal(
            *GEN,
            *arguments,
            environment=environment | variables,
            directory=tmp_path,
            columns=columns,
        )
        for question, reply in answers.items():
            terminal.expect(question)
            terminal.type(reply)
        assert terminal.end() == status, terminal.shown
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.shown).replace("\r\n", "\n")

    return run


def columns_of(text: str) -> int:
    """Return how many columns a text takes; letters of East Asia take two."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def cut_words(shown: str, columns: int) -> list[str]:
    """Return the words that the edge of the terminal cuts, though they would fit into a line."""
    cut: list[str] = []
    for line in shown.split("\n"):
        for word in re.finditer(r"\S+", line):
            start, end = columns_of(line[: word.start()]), columns_of(line[: word.end()])
            is_cut = start // columns != (end - 1) // columns
            if is_cut and end - start <= min(LONGEST_WORD, columns - 10):
                cut.append(f"{word[0]}  in  {line}")
    return cut


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        *[pytest.param((*name.split(), "--help"), marks=pytest.mark.long) for name in COMMANDS],
        ("list",),
        ("list", "--country", "CA"),
        *[("show", site) for site in ("mila", "musica", "csc-roihu", "nersc-perlmutter")],
        ("status",),
        ("source", "list"),
        ("disconnect",),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_no_word_is_cut_at_the_edge_of_the_terminal(
    in_terminal: Callable[..., str], columns: int, arguments: tuple[str, ...]
) -> None:
    assert cut_words(in_terminal(*arguments, columns=columns), columns) == []


@pytest.mark.long
@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("site", SITES)
def test_no_table_of_a_site_cuts_a_word(
    gen: Gen, monkeypatch: pytest.MonkeyPatch, site: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = gen("show", site).out
    assert cut_words(shown, columns) == []
    spec = gen("show", site, "--json").out
    for fingerprint in set(re.findall(r'"(SHA256:[^"]+)"', spec)):
        assert re.search(rf"{re.escape(fingerprint)}\b", shown), fingerprint


@pytest.mark.parametrize("site", ["mila", "musica"])
def test_the_facts_that_a_site_is_trusted_with_fit_into_80_columns(
    in_terminal: Callable[..., str], site: str
) -> None:
    options = ("--user", "ada", "--email", "ada@example.org", "--client-id", "a1")
    shown = in_terminal("install", site, *options, answers={"Change ": "n"})
    facts = shown.split("To see all changes line by line, answer d.")[0]
    assert facts.count("\n") > 10
    assert cut_words(facts, 80) == []
    assert max(map(columns_of, facts.splitlines())) <= 80


def test_a_patch_that_is_longer_than_the_screen_is_summarised_before_the_question(
    in_terminal: Callable[..., str], tmp_path: Path
) -> None:
    install = ("install", "mila", "--user", "ada")
    brief = in_terminal(*install, answers={"[y/N]: ": "n"})
    # The change of the user's own file is shown all the same.
    assert re.findall("diff --git.*", brief) == ["diff --git a/.ssh/config b/.ssh/config"]
    summary = r"""
  new       ~/\.ssh/gen\.d/mila\.conf  \(\+\d+ lines\)
diff (?s:.*)
\+# <<< gen <<<
To see all changes line by line, answer d\.
Change 2 files in .*/home\? \[y/N\]: n
"""
    assert re.search(summary, brief), brief
    ask_for_all = {"line by line, answer d.": "d", "+# <<< gen <<<": "maybe"}
    whole = in_terminal(*install, answers=ask_for_all | {"answer y, n or d": ""})
    assert whole.count("diff --git") == 3
    assert "  maybe: answer y, n or d\n" in whole
    assert in_terminal(*install, answers={"line by line, answer d.": "y", "key pair": "n"})
    # Now a few lines change, and they fit.
    (tmp_path / "home/.ssh/config").unlink()
    again = in_terminal(*install, answers={"[y/N]: ": "n"})
    assert "+# <<< gen <<<\nChange 1 file in " in again
    assert "answer d" not in again


def test_the_patch_of_an_uninstallation_is_summarised_if_it_is_longer_than_the_screen(
    in_terminal: Callable[..., str], tmp_path: Path
) -> None:
    config = tmp_path / "home/.ssh/config"
    config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    entries = ""
    for number in range(1, 6):
        entries += f"Host mila{number}\n    HostName login-{number}.login.server.mila.quebec\n"
        entries += "    User ada\n    Port 2222\n"
    config.write_text(entries)
    in_terminal("install", "mila", "--user", "ada", "--take-over", "--force", "--yes")
    brief = in_terminal("uninstall", "mila", answers={"[y/N]: ": "n"})
    summary = r"""  delete    ~/\.ssh/gen\.d/mila\.conf
  change    ~/\.ssh/config  \(\+\d+ -\d+ lines\)
To see all changes line by line, answer d\.
Delete mila from .*/home\? \[y/N\]: n
"""
    assert re.search(summary, brief), brief
    assert "diff --git" not in brief
    answers = {"line by line, answer d.": "d", "Delete mila": "y"}
    whole = in_terminal("uninstall", "mila", answers=answers)
    assert whole.count("diff --git") == 1
    assert config.read_text() == entries
    # Without entries to give back, the patch fits.
    config.unlink()
    in_terminal("install", "mila", "--user", "ada", "--yes")
    config.write_text(config.read_text() + "Host git\n    User git\n")
    short = in_terminal("uninstall", "mila", answers={"[y/N]: ": "n"})
    assert "-# <<< gen <<<" in short
    assert "answer d" not in short


LOCALES = [
    pytest.param({"LANG": "C"}, id="C"),
    pytest.param(
        {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        id="C, and Python keeps it",
        marks=pytest.mark.long,
    ),
    pytest.param({"LC_ALL": "POSIX"}, id="POSIX", marks=pytest.mark.long),
    pytest.param({"LANG": "de_DE.ISO-8859-1"}, id="not installed", marks=pytest.mark.long),
]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    ("arguments", "answers", "status"),
    [
        (("--help",), {}, 0),
        (("install", "--help"), {}, 0),
        (("list",), {}, 0),
        (("show", "musica"), {}, 0),
        (("show", "musica", "--json"), {}, 0),
        (("install", "mila", "--user", "ada"), {"answer d.": "d", "<<< gen <<<": "n"}, 0),
        (("install", "zürich"), {}, 2),
        (("site", "--wrong"), {}, 2),
        (("site", "mila", "--user", "ada", "--home", "/home/ada"), {}, 0),
        (("status",), {}, 0),
        (("refresh", "musica"), {}, 2),
        (("check",), {}, 2),
        (("import", "nosuch"), {}, 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_terminal_without_utf_8_gets_ascii(
    in_terminal: Callable[..., str],
    locale: Mapping[str, str],
    arguments: tuple[str, ...],
    answers: Mapping[str, str],
    status: int,
) -> None:
    shown = in_terminal(*arguments, answers=answers, status=status, **{"LANG": "", **locale})
    assert shown.isascii(), [line for line in shown.splitlines() if not line.isascii()]
    assert "Traceback" not in shown
    # No character of gen's own output became a number.
    assert not re.search(r"\\u2[0-9a-f]{3}|\\u00b2", shown), shown


@pytest.mark.parametrize(
    "locale",
    [{"LANG": "C.UTF-8"}, {"LANG": "", "LC_CTYPE": "UTF-8"}, {"LANG": "C", "LC_ALL": "C.UTF-8"}],
    ids=str,
)
def test_a_terminal_with_utf_8_gets_it(
    in_terminal: Callable[..., str], locale: Mapping[str, str]
) -> None:
    assert "─" in in_terminal("list", **locale)
