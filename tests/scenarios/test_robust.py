"""`gen` in a hostile or broken environment: one line that says why, and the right status."""

import os
import pwd
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import Gen, running

from generator import resources
from generator.errors import GenError
from generator.loading import overrides, yaml_document
from generator.workspace import writer

REPOSITORY = Path(__file__).parents[2]
GEN = [sys.executable, "-m", "generator"]
LONG = "a" * 300
"""No file system takes a name as long."""


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with an empty home."""
    folder = tmp_path / "work"
    for path in (folder, tmp_path / "home"):
        path.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    return folder


@pytest.fixture
def gen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gen:
    """Run gen; return its status and its output."""
    return running(monkeypatch, capsys.readouterr)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            ".".join("a" * 3000) + "=1",
            f"--set: has 3000 keys; a spec is at most {yaml_document.DEEPEST} levels deep",
            id="deep",
        ),
        pytest.param(
            "title=" + "x" * 3_000_000,
            "--set: has 3000006 characters; a spec has at most",
            id="value",
        ),
        pytest.param(
            "x" * 3_000_000, "--set: has 3000000 characters; a spec has at most", id="no value"
        ),
        pytest.param("x" * 5_000 + "=1", "--set: has a key of 5000 characters", id="key"),
        pytest.param(
            "title\udcff=1",
            "--set: has a character that cannot be printed",
            id="half a character",
        ),
    ],
)
def test_a_change_beyond_the_limits_of_a_spec_is_refused_soon_and_in_a_line(
    change: str, message: str
) -> None:
    start = time.perf_counter()
    with pytest.raises(GenError) as caught:
        overrides.change(change)
    assert time.perf_counter() - start < 0.5
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 200


def test_a_change_may_be_as_deep_as_a_spec() -> None:
    keys = "a" * yaml_document.DEEPEST
    assert overrides.change(".".join(keys) + "=1").keys == tuple(keys)


@pytest.mark.parametrize("title", ["X [/y]", "X [bold]", "X :smile:"])
def test_a_title_is_listed_as_it_is_written(
    gen: Gen, monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    Path("site_specs").mkdir()
    text = (resources.CATALOGUE / "mila.yaml").read_text()
    # rich would read these as markup: a style, the end of one, an emoji.
    text = re.sub(r"^title: .*$", f'title: "{title}"', text, flags=re.MULTILINE)
    Path("site_specs/mila.yaml").write_text(text)
    status, out, _ = gen("list")
    assert status == 0
    assert title in out


def typed(lines: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gen new-site ours` on a terminal on which this was typed ahead."""
    terminal, stdin = os.openpty()
    os.write(terminal, "".join(f"{line}\n" for line in lines).encode())
    os.write(terminal, b"\x04")
    command = [*GEN, "new-site", "ours", *arguments]
    done = subprocess.run(
        command, stdin=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    os.close(terminal)
    os.close(stdin)
    return done


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        pytest.param(
            # str.isdigit() is true for it, and int() fails.
            ["²", "22", "publickey", ""],
            "should be a valid integer",
            id="a digit that is no number",
        ),
        pytest.param(["9" * 4000, "22", "publickey", ""], "  ", id="more digits than a number has"),
        pytest.param(
            ["", "certificate", "it's", "step ssh login"],
            "No closing quotation",
            id="an open quote",
        ),
    ],
)
def test_new_site_asks_again_after_an_answer_that_it_cannot_read(
    work: Path, answers: list[str], message: str
) -> None:
    values = ("title=Ours", "operator=We", "country=AT", "docs=https://a.example")
    options: list[str] = []
    for value in (*values, "hosts.ours.host=a.example.org"):
        options += ["--set", value]
    done = typed(["", *answers], *options)
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    assert (work / "site_specs/ours.yaml").exists() == (done.returncode == 0)
    assert done.returncode == 0, done.stderr


def test_the_end_of_input_at_a_question_is_130_and_writes_nothing(work: Path) -> None:
    done = typed(["Ours"])
    assert (done.returncode, list(work.iterdir())) == (130, [])
    assert "Traceback" not in done.stderr


def test_an_interrupt_at_a_question_is_130_and_writes_nothing(work: Path) -> None:
    terminal, stdin = os.openpty()
    with subprocess.Popen(
        [*GEN, "new-site", "ours"], stdin=stdin, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        assert process.stderr.read(len("Name of the cluster")) == b"Name of the cluster"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
    os.close(terminal)
    os.close(stdin)
    assert (process.returncode, list(work.iterdir())) == (130, [])
    assert b"Traceback" not in output


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the home: no HOME, and no entry in passwd."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    # A container that runs with any uid (OpenShift) has no entry in passwd.
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_has_no_profile(gen: Gen, homeless: None, work: Path) -> None:
    status, out, err = gen("site", "mila", "--dry-run")
    assert (status, list(work.iterdir())) == (0, []), err
    assert out.startswith("diff --git")


def test_a_relative_configuration_directory_is_ignored(
    monkeypatch: pytest.MonkeyPatch, gen: Gen
) -> None:
    Path("config/gen").mkdir(parents=True)
    Path("config/gen/profile.yaml").write_text("bogus: 1\n")
    # XDG Base Directory Specification: a relative path is invalid and is ignored. A checkout could
    # bring a profile otherwise.
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    assert gen("site", "mila", "--dry-run")[0] == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path("config").resolve()))
    assert gen("site", "mila", "--dry-run")[0] == 2


def test_a_configuration_directory_that_cannot_be_searched_is_an_error(
    gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{tmp_path}/{LONG}")
    status, _, err = gen("site", "mila", "--dry-run")
    assert (status, err) == (2, f"{tmp_path}/{LONG}/gen/profile.yaml: file name too long\n")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("check", LONG), id="check"),
        pytest.param(("diff", LONG), id="diff"),
        pytest.param(("site", "mila", "--out", LONG), id="--out"),
        pytest.param(("site", "--all", "--out", LONG), id="--all --out"),
        pytest.param(("list", "--specs", LONG), id="--specs"),
        pytest.param(("site", f"./{LONG}"), id="spec"),
    ],
)
def test_a_name_that_no_file_can_have_is_2_and_a_line(
    gen: Gen, work: Path, arguments: tuple[str, ...]
) -> None:
    status, out, err = gen(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert LONG in err
    assert list(work.iterdir()) == []


def shell(command: str) -> tuple[int, str]:
    """Run a command line of bash in which `gen` is gen; return its status and its stderr."""
    quoted = f'gen() {{ {sys.executable} -m generator "$@"; }}; set -o pipefail; {command}'
    done = subprocess.run(["bash", "-c", quoted], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command", ["list", "list --json", "show mila", "schema", "--help", "--version"]
)
def test_a_full_disk_behind_stdout_is_2_and_a_line(command: str) -> None:
    assert shell(f"gen {command} >/dev/full") == (2, "gen: no space left on device\n")


@pytest.mark.parametrize("command", ["list", "list --json", "show mila", "schema", "--version"])
def test_a_closed_stdout_is_2_and_a_line(command: str) -> None:
    status, err = shell(f"gen {command} >&-")
    assert (status, err) == (2, "gen: stdout is closed\n")


def test_new_site_without_stdin_asks_nothing(work: Path) -> None:
    status, err = shell("gen new-site ours <&-")
    assert (status, "there is no terminal to ask on" in err, list(work.iterdir())) == (2, True, [])


def test_a_command_with_nothing_for_stdout_runs_without_it(work: Path) -> None:
    assert shell("gen site mila <&- >&- 2>&-") == (0, "")
    assert (work / "ssh/mila.conf").read_text().startswith("#")


@pytest.mark.parametrize("command", ["site mila", "site bogus"])
def test_stderr_that_is_full_does_not_make_a_mistake_a_drift(command: str) -> None:
    # Status 1 means drift, and Python ends with 1 or 120 when it cannot write an error.
    assert shell(f"gen {command} 2>/dev/full") == (2, "")


@pytest.mark.parametrize(
    "command", ["list", "list --json", "show mila", "schema", "--help", "--version"]
)
def test_a_reader_that_goes_away_ends_gen_quietly(command: str) -> None:
    # 128 + SIGPIPE, as for `yes | true`: a shell with pipefail expects it.
    assert shell(f"(sleep 0.1; gen {command}) | true") == (141, "")


def test_a_fault_in_the_code_keeps_its_traceback(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generator.cli.schema.run", lambda: [].pop())
    status, _, err = gen("schema")
    assert (status, "Traceback" in err, "internal error" in err) == (70, True, True)


def test_files_of_a_crash_do_not_block_the_next_run_with_the_same_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a container every run may have the same process number, which is in the scratch name.
    (tmp_path / "directory").mkdir()
    target = tmp_path / "directory/file"
    with monkeypatch.context() as crash, pytest.raises(TypeError):
        crash.setattr(Path, "replace", None)
        crash.setattr(Path, "unlink", lambda *_, **__: None)
        writer.replace(target, b"old", 0o600)
    [leftover] = target.parent.iterdir()
    writer.replace(target, b"new", 0o600)
    assert (target.read_bytes(), leftover.read_bytes()) == (b"new", b"old")


def test_a_name_as_long_as_the_system_takes_can_be_replaced(tmp_path: Path) -> None:
    # NAME_MAX of Linux. A scratch name that adds to it would be too long.
    target = tmp_path / ("a" * 255)
    writer.replace(target, b"x", 0o600)
    assert target.read_bytes() == b"x"


def test_two_runs_may_make_the_same_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another run makes it between the look and the act.
    real = Path.exists
    (tmp_path / "ssh").mkdir()
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "ssh" and real(path))
    writer._make_directories(tmp_path, tmp_path / "ssh")


# `files` opens files for reading only. `config_files` and `session` write copies for ssh to a
# temporary directory; so do `signature` and `key_lists` what ssh-keygen compares or lists, and
# `template_merge` what git merges. `refresh_on_connect` opens /dev/null. `sharing` deletes the
# socket with which it tried a directory.
MAY_WRITE = {
    "config_files.py",
    "files.py",
    "key_lists.py",
    "refresh_on_connect.py",
    "session.py",
    "sharing.py",
    "signature.py",
    "template_merge.py",
    "writer.py",
}
WRITING = (
    ".mkdir(",
    ".unlink(",
    ".write_text(",
    ".write_bytes(",
    ".chmod(",
    ".rename(",
    "os.open(",
    '.open("w',
)


def test_only_one_module_writes_the_files_of_the_user() -> None:
    writing: set[str] = set()
    for path in resources.PACKAGE.rglob("*.py"):
        text = path.read_text()
        if any(call in text for call in WRITING):
            writing.add(path.name)
    assert writing == MAY_WRITE
