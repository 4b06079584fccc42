"""`gen accept`: drift that a team accepts for a while, file by file."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from history import EDIT, git, shell
from running import Gen

UNTIL = str(date.today() + timedelta(days=90))
ENTRY = ("--until", UNTIL, "--reason", "the jump host moves: soon")


def test_accepted_drift_does_not_fail_a_check_until_the_file_changes_again(
    writing_gen: Gen,
) -> None:
    shell(EDIT)
    result = writing_gen("accept", "ssh/aster.conf", *ENTRY)
    assert (result.status, result.out) == (0, "")
    assert result.err == (
        f".gen/accepted.yaml: accepts that ssh/aster.conf is edited, until {UNTIL}\n"
        "A reviewer sees this as a change of trust. Commit it with the file.\n"
    )
    assert writing_gen("check").status == 0
    shell("echo '  ProxyCommand evil' >> ssh/aster.conf")
    result = writing_gen("check")
    assert result.status == 1
    assert "ssh/aster.conf (edited) is another file than the accepted one" in result.out
    assert "ssh/aster.conf" in writing_gen("diff").out


def test_a_list_in_a_subdirectory_counts_from_above_and_from_there(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("rm teams/a/ssh/cedar.conf; echo '# by hand' >> teams/a/ssh/dahlia.conf")
    monkeypatch.chdir("teams/a")
    assert writing_gen("accept", "ssh/cedar.conf", *ENTRY).status == 0
    assert writing_gen("accept", "ssh/dahlia.conf", *ENTRY).status == 0
    assert Path(".gen/accepted.yaml").read_text().count("sha256: ") == 1  # a missing file has none
    monkeypatch.chdir("../..")
    assert writing_gen("check").status == 0
    assert writing_gen("diff").out == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(
            ("ssh/birch.conf", *ENTRY),
            "ssh/birch.conf: does not drift, so there is nothing to accept; gen check lists"
            " what does",
            id="no drift",
        ),
        pytest.param(
            ("ssh/aster.conf", "--until", "soon", "--reason", "x"),
            "--until soon: is not a date; write it as YYYY-MM-DD",
            id="no date",
        ),
        pytest.param(
            ("ssh/aster.conf", "--until", "2999-12-31", "--reason", "x"),
            "--until 2999-12-31: name a day from today to",
            id="too late",
        ),
        pytest.param(
            ("ssh/aster.conf", "--until", "2001-01-01", "--reason", "x"),
            "--until 2001-01-01: name a day from today to",
            id="in the past",
        ),
        pytest.param(
            ("ssh/aster.conf", "--until", UNTIL, "--reason", "x\ny"),
            "reason: ",
            id="a reason of two lines",
        ),
    ],
)
def test_an_acceptance_that_makes_no_sense_is_refused(
    reading_gen: Gen, arguments: tuple[str, ...], problem: str
) -> None:
    shell(EDIT)
    result = reading_gen("accept", *arguments)
    assert result.status == 2
    assert problem in result.err


def test_a_second_acceptance_of_one_file_is_refused(writing_gen: Gen, reading_gen: Gen) -> None:
    shell(EDIT)
    assert writing_gen("accept", "ssh/aster.conf", *ENTRY).status == 0
    result = reading_gen("accept", "ssh/aster.conf", *ENTRY)
    assert result.status == 2
    assert "has an entry for ssh/aster.conf (edited); delete it, then try again" in result.err


@pytest.mark.parametrize("marker", ["pyvenv.cfg", ".pixi/x"])
def test_a_directory_is_searched_for_generated_files_if_git_tracks_it(
    reading_gen: Gen, marker: str
) -> None:
    # A marker of an environment would hide a copy of a generated file.
    directory = Path("tools", marker).parent
    shell(f"mkdir -p {directory}/ssh; touch tools/{marker}; cp ssh/aster.conf {directory}/ssh/")
    assert reading_gen("check").status == 0
    git("add", "--all")
    result = reading_gen("check")
    assert result.status == 1
    assert f"{directory}/ssh/aster.conf:1: orphaned: no lock records this file" in result.out
