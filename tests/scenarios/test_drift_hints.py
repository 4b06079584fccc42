"""The commands that gen prints end the drift, pasted into a shell as they are, in any directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from history import commit, git, shell
from running import Gen

pytestmark = pytest.mark.system

BIN = Path(sys.executable).parent
PROJECT = ("project", "pipelines", "--site", "site_specs/aster.yaml")
PAGE = Path(__file__).parents[2] / "docs/drift-review.md"


def next_command(output: str) -> str:
    """Return the first of the next commands at the end of gen's output."""
    _, label, commands = output.partition("\nNext:\n")
    assert label
    return commands.splitlines()[0].strip()


def paste(command: str) -> None:
    """Run a command line in a shell whose PATH has gen."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    # `gen diff` exits with 1 when it prints a patch, so no pipefail: as in a user's shell.
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("current", "directory"),
    [
        pytest.param(".", ".", id="at the top"),
        pytest.param(".", "teams", id="a directory below the top"),
        pytest.param("teams", "..", id="the top from below"),
        pytest.param("site_specs", "..", id="the top from a directory without generated files"),
        pytest.param("teams/b", "../..", id="from far below"),
    ],
)
def test_the_command_of_gen_diff_ends_the_drift(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, current: str, directory: str
) -> None:
    if directory == "teams":
        # A directory with its own specs, as gen check needs them below the directory.
        shell(
            "cp -r site_specs teams/ && sed -i 's#../../site_specs#../site_specs#' teams/a/.gen/*"
        )
        shell("sed -i 's#../../../site_specs#../../site_specs#' teams/b/lab/.gen/*")
    commit("Before")
    shell("echo '# by hand' >> teams/a/ssh/cedar.conf; rm teams/a/.env.cedar")
    monkeypatch.chdir(current)
    result = writing_gen("diff", directory)
    assert result.status == 1, result.err
    paste(next_command(result.err))
    assert writing_gen("check", directory).status == 0


def test_the_command_works_without_a_repository(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shell("rm -rf .git && echo '# by hand' >> ssh/aster.conf")
    for current, directory in ((tmp_path / "repo", "."), (tmp_path, "repo")):
        monkeypatch.chdir(current)
        shell(f"echo '# by hand' >> {directory}/ssh/aster.conf")
        paste(next_command(writing_gen("diff", directory).err))
        assert writing_gen("check", directory).status == 0


def test_the_command_for_a_copy_of_a_generated_file_deletes_it(writing_gen: Gen) -> None:
    shell("cp ssh/aster.conf ssh/aster-old.conf; cp ssh/aster.conf teams/a/ssh/aster.conf")
    result = writing_gen("check")
    assert result.status == 1
    command = next_command(result.err)
    assert command == "rm -- ssh/aster-old.conf teams/a/ssh/aster.conf"
    paste(command)
    assert writing_gen("check").status == 0


def test_a_copy_beside_other_drift_has_both_commands(writing_gen: Gen) -> None:
    shell("cp ssh/aster.conf ssh/aster-old.conf; rm .env.aster")
    assert writing_gen("check").err.endswith(
        "\nNext:\n  rm -- ssh/aster-old.conf\n  gen diff .\n  gen site --all --out .\n"
    )


def attributes() -> str:
    [text] = re.findall(r"```gitattributes\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(text)


def test_with_the_attributes_of_the_page_a_checkout_for_windows_is_in_sync(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path(".gitattributes").write_text(attributes())
    assert writing_gen(*PROJECT).status == 0
    commit("Attributes and a project")
    clone = tmp_path / "windows"
    git("clone", "--quiet", "--config=core.autocrlf=true", ".", str(clone))
    monkeypatch.chdir(clone)
    assert b"\r\n" in Path("site_specs/aster.yaml").read_bytes()
    assert writing_gen("check").status == 0


def test_the_patch_ends_the_drift_of_a_checkout_for_windows(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert writing_gen(*PROJECT).status == 0
    commit("A project")
    clone = tmp_path / "windows"
    git("clone", "--quiet", "--config=core.autocrlf=true", ".", str(clone))
    monkeypatch.chdir(clone)
    assert writing_gen("check").status == 1
    Path(".gitattributes").write_text(attributes())
    result = writing_gen("diff")
    paste(next_command(result.err))
    result = writing_gen("check")
    assert result.status == 0, result.out
