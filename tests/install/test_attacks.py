"""Attacks that came to mind after the rules were made: each is refused, or comes to nothing."""

import os
import subprocess
from pathlib import Path

import pytest
from homes import CERTIFICATE, names_in, spec, tree
from running import Gen

ELSEWHERE = {"host": "evil.example.net", "port": 22}


@pytest.mark.parametrize("alias", ["MILA", "Mila", "MILA1", "LOGIN.server.mila.quebec"])
def test_a_name_of_an_installed_site_in_other_letters_is_refused(
    gen: Gen, home: Path, alias: str
) -> None:
    # ssh compares the names of a `Match host` line without their case.
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    before = tree(home)
    evil = spec(Path(), "aaa", hosts={alias: ELSEWHERE})
    result = gen("install", str(evil), "--yes", "--force", "--allow-name", alias)
    assert result.status == 2
    assert f"{alias.lower()}: aaa and mila give this name different meanings" in result.err.lower()
    assert tree(home) == before


def test_an_alias_cannot_end_with_a_dot(gen: Gen, home: Path) -> None:
    result = gen("install", str(spec(Path(), "aaa", hosts={"mila.": ELSEWHERE})), "--yes")
    assert result.status == 2
    assert tree(home).keys() == {"."}


@pytest.mark.parametrize("value", ["", ".", "relative"])
def test_a_home_directory_without_an_absolute_path_is_refused(
    gen: Gen, home: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", value)
    before = tree(Path.cwd())
    # Only a dry run: without the refusal, an empty HOME would mean the root directory.
    result = gen("install", "mila", "--user", "ada", "--dry-run")
    assert result.status == 2
    assert result.err == (f"HOME={value}: is not an absolute path; set it to your home directory\n")
    assert tree(Path.cwd()) == before


@pytest.mark.parametrize("name", [".ssh/gen.d", ".local/state/gen", ".config/gen"])
def test_a_directory_that_is_a_link_to_one_of_others_is_refused(
    gen: Gen, home: Path, tmp_path: Path, name: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    link = home / name
    link.parent.mkdir(parents=True, mode=0o700)
    link.symlink_to(shared)
    result = gen("install", str(spec(Path(), auth=CERTIFICATE)), "--yes")
    assert (result.status, names_in(shared)) == (2, []), result


def test_a_record_of_another_site_is_not_taken_for_the_sites_own(gen: Gen, home: Path) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    assert gen("install", str(spec(Path())), "--yes").status == 0
    records = home / ".local/state/gen/install"
    (records / "ours.lock").write_bytes((records / "mila.lock").read_bytes())
    before = tree(home)
    result = gen("uninstall", "ours", "--yes")
    assert result.status == 2
    assert tree(home) == before


def program_with_a_trace(directory: Path) -> tuple[Path, Path]:
    """Return a program, and the file that is there once it ran."""
    program, trace = directory / "program", directory / "trace"
    program.write_text(f"#!/bin/sh\necho ran >> {trace}\n")
    program.chmod(0o755)
    return program, trace


def test_environment_variables_run_no_program_at_an_installation(
    gen: Gen, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, trace = program_with_a_trace(tmp_path)
    for name in ("SSH_ASKPASS", "GIT_SSH", "GIT_EXTERNAL_DIFF", "GIT_ASKPASS", "PAGER", "EDITOR"):
        monkeypatch.setenv(name, str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("DISPLAY", ":0")
    assert gen("install", str(spec(Path())), "--yes").status == 0
    assert gen("status").status in (0, 1)
    assert gen("uninstall", "ours", "--yes").status == 0
    assert not trace.exists()


# In `%s` stands the program. git runs the one of core.fsmonitor whenever it reads the index.
SETTINGS_OF_A_REPOSITORY = {
    "core.fsmonitor": "%s",
    "core.sshCommand": "%s",
    "diff.external": "%s",
    "diff.evil.command": "%s",
    "diff.evil.textconv": "%s",
    "filter.evil.clean": "%s",
    "filter.evil.smudge": "%s",
    "filter.evil.required": "true",
    # A partial clone fetches the files that it lacks.
    "extensions.partialClone": "origin",
    "remote.origin.promisor": "true",
    "remote.origin.url": ".",
    "remote.origin.uploadpack": "%s",
}


@pytest.fixture
def hostile_repository(
    gen: Gen, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Make a repository with such settings; return the file that is there once one ran."""
    program, trace = program_with_a_trace(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    Path("site_specs").mkdir()
    spec(Path("site_specs"))
    assert gen("site", "ours").status == 0
    # git says whether such a directory belongs to the repository.
    Path("env").mkdir()
    Path("env/pyvenv.cfg").touch()
    Path("old.yaml").touch()
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    blob = subprocess.run(
        ["git", "rev-parse", "HEAD:site_specs/ours.yaml"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(".gitattributes").write_text("*.yaml diff=evil filter=evil\n")
    for key, value in SETTINGS_OF_A_REPOSITORY.items():
        subprocess.run(["git", "config", key, value.replace("%s", str(program))], check=True)
    spec(Path("site_specs"), title="Changed")
    Path(".git/objects", blob[:2], blob[2:]).unlink()
    # git compares the content of files that are not older than the index.
    os.utime("old.yaml", (10**9, 10**9))
    subprocess.run(
        ["git", "-c", "core.fsmonitor=", "-c", "filter.evil.clean=cat", "add", "old.yaml"],
        check=True,
    )
    os.utime(".git/index", (10**9, 10**9))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    monkeypatch.setenv("GIT_PAGER", str(program))
    return trace


@pytest.mark.parametrize("command", ["review HEAD", "check", "diff"])
def test_gen_runs_no_program_of_a_repository_or_of_gits_environment(
    gen: Gen, hostile_repository: Path, command: str
) -> None:
    assert gen(*command.split()).status == {"review HEAD": 0}.get(command, 1)
    assert not hostile_repository.exists()


@pytest.mark.parametrize(
    "command",
    [
        "ls-files",
        "cat-file -p HEAD:site_specs/ours.yaml",
        "-c core.fsmonitor= diff-files --name-only",
    ],
)
def test_git_itself_runs_the_program_of_a_repository(
    hostile_repository: Path, command: str
) -> None:
    # Otherwise the test above would prove nothing.
    subprocess.run(["git", *command.split()], check=False, capture_output=True)
    assert hostile_repository.exists()


def test_a_filter_that_gen_cannot_turn_off_is_refused(gen: Gen, hostile_repository: Path) -> None:
    subprocess.run(["git", "config", "filter.a=b.clean", "false"], check=True)
    result = gen("review", "HEAD")
    assert (result.status, result.err) == (
        2,
        "filter.a=b.clean: gen cannot turn this filter of the repository off; "
        "delete it with: git config --unset-all filter.a=b.clean\n",
    )


def test_a_key_that_another_site_has_by_set_is_not_purged(gen: Gen, home: Path) -> None:
    shared = {"method": "publickey", "key": "~/.ssh/id_shared"}
    gen("install", str(spec(Path(), auth=shared)), "--yes")
    gen("install", str(spec(Path(), "other")), "--set", "auth.key=~/.ssh/id_shared", "--yes")
    (home / ".ssh/id_shared").write_text("")
    result = gen("uninstall", "ours", "--purge", "--yes")
    assert (result.status, (home / ".ssh/id_shared").exists()) == (0, True)
    assert "other" in result.err


@pytest.mark.parametrize("umask", [0o022, 0o000], ids="{:03o}".format)
def test_a_link_that_takes_the_place_of_a_scratch_file_is_not_followed(
    gen: Gen, home: Path, tmp_path: Path, umask: int
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    directory = home / ".ssh/gen.d"
    directory.mkdir(parents=True, mode=0o700)
    for name in ("ours.conf", ".ours.conf.tmp", "ours.conf.tmp", ".gen-ours.tmp"):
        (directory / name).symlink_to(precious)
    before = os.umask(umask)
    try:
        gen("install", str(spec(Path())), "--yes")
    finally:
        os.umask(before)
    assert precious.read_text() == "precious"
