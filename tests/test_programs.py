"""The runner of other programs: its limits, and its messages about a program that fails."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator import programs


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    # Not from /proc, which only Linux has.
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return done.returncode == 0 and b"Z" not in done.stdout


def test_status_and_both_outputs_are_returned() -> None:
    outcome = programs.run(sh("echo out; echo err >&2; exit 3"), seconds=20)
    assert (outcome.status, outcome.text, outcome.errors) == (3, "out\n", "err\n")


def test_a_program_reads_its_input() -> None:
    # More than a pipe holds (64 KiB): a runner that writes before it reads would hang.
    text = b"line\n" * 50_000
    assert programs.run(["cat"], seconds=20, stdin=text).stdout == text


def test_a_program_need_not_read_its_input() -> None:
    assert programs.run(["true"], seconds=20, stdin=b"x" * 1_000_000).status == 0


def test_without_input_the_standard_input_is_empty() -> None:
    assert programs.run(["cat"], seconds=20).stdout == b""


def test_a_program_gets_the_environment_that_is_given() -> None:
    outcome = programs.run(["/usr/bin/env"], seconds=20, environment={"NAME": "value"})
    assert outcome.text == "NAME=value\n"


def test_a_program_has_no_terminal() -> None:
    # ssh and sudo open /dev/tty, and would ask in the middle of a command that must not ask.
    script = "import os, sys; sys.exit(os.getsid(0) != os.getpid())"
    assert programs.run([sys.executable, "-c", script], seconds=20).status == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(
            "ssh-keyscan",
            "ssh-keyscan is not installed; install the OpenSSH client, then try again",
            id="program with a hint",
        ),
        pytest.param(
            "no-such-program",
            "no-such-program is not installed; "
            "install it or add its directory to PATH, then try again",
            id="another program",
        ),
    ],
)
def test_a_program_that_is_not_installed_is_named_with_a_remedy(
    command: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(programs.NotInstalledError) as error:
        programs.run([command], seconds=20)
    assert str(error.value) == message


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(programs.ProgramError) as error:
        programs.run([str(program)], seconds=20)
    assert str(error.value) == f"{program}: permission denied"


def test_a_program_is_stopped_at_its_time_limit_with_those_that_it_started() -> None:
    with pytest.raises(programs.TimeLimitError) as error:
        # The shell ignores SIGTERM, and its child would outlive it.
        programs.run(sh("sleep 60 & echo $!; trap '' TERM; wait; wait"), seconds=0.5)
    assert str(error.value) == "sh did not end within 1 s"
    assert not is_running(int(error.value.outcome.text))


def test_a_program_that_closes_its_output_is_stopped_too() -> None:
    with pytest.raises(programs.TimeLimitError):
        # A program can close its output and go on.
        programs.run(sh("exec sleep 60 >&- 2>&-"), seconds=0.3)


def test_a_program_is_stopped_at_its_output_limit() -> None:
    with pytest.raises(programs.OutputLimitError) as error:
        programs.run(["cat", "/dev/zero"], seconds=20, output_limit=2048)
    assert str(error.value) == "cat printed more than 2 KiB"
    assert len(error.value.outcome.stdout) > 2048


def test_output_at_the_limit_is_returned() -> None:
    outcome = programs.run(["head", "-c", "2048", "/dev/zero"], seconds=20, output_limit=2048)
    assert len(outcome.stdout) == 2048


def test_a_program_left_behind_that_holds_the_output_does_not_delay_the_answer() -> None:
    start = time.monotonic()
    outcome = programs.run(sh("sleep 30 & echo $!"), seconds=20)
    assert time.monotonic() - start < 15
    assert is_running(int(outcome.text))
    os.kill(int(outcome.text), 9)


def test_each_line_of_the_standard_error_is_heard_at_once() -> None:
    lines: list[tuple[str, float]] = []
    programs.run(
        # Two writes half a second apart, and a last line without a line break.
        sh("echo first >&2; sleep 0.5; printf 'a\\nlast' >&2"),
        seconds=20,
        hear=lambda line: lines.append((line, time.monotonic())),
    )
    assert [line for line, _ in lines] == ["first", "a", "last"]
    assert lines[1][1] - lines[0][1] > 0.25


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("echo out; echo a >&2; echo 'b\a' >&2", "b\\u0007", id="standard error"),
        pytest.param("echo out", "out", id="standard output where there is no other"),
        pytest.param("exit 3", "sh ended with status 3", id="status where nothing was printed"),
    ],
)
def test_the_message_of_a_failure_is_one_harmless_line(script: str, message: str) -> None:
    assert programs.run(sh(script), seconds=20).message == message


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux")
def test_a_program_with_a_secret_ends_when_gen_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        "from generator import programs\n"
        f"programs.run(['sh', '-c', 'echo $$ > {pid_file}; exec sleep 60'],"
        " seconds=60, end_with_gen=True)"
    )
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", script], os.environ)
    while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pid = int(pid_file.read_text())
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    raise AssertionError("the program still runs")


def test_a_program_in_the_terminal_prints_to_the_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert programs.run_in_terminal(sh("echo out; exit 4")) == 4
    assert capfd.readouterr() == ("", "out\n")


@pytest.fixture
def signal_that_ends_gen() -> Iterator[None]:
    """SIGPIPE as `gen` has it, so that `gen list | head` ends."""
    handler = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGPIPE, handler)


@pytest.mark.usefixtures("signal_that_ends_gen")
def test_a_program_that_does_not_read_its_input_does_not_end_gen() -> None:
    # ssh-keygen does so if it refuses another file first.
    outcome = programs.run(
        ["sh", "-c", "exec <&-; echo no >&2; exit 3"], seconds=60, stdin=b"x" * 2**20
    )
    assert (outcome.status, outcome.message) == (3, "no")
    # Afterwards the signal is as it was.
    assert signal.SIGPIPE not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGPIPE not in signal.sigpending()
