"""The criterion of a login to a shell, asked of the installed ssh with many command lines."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from generator.compiler.plain_login import PLAIN_LOGIN

CONFIG = f"""Match host job {PLAIN_LOGIN}
    RemoteCommand enter
    RequestTTY force
Host job
    HostName job.example.org
"""
LOGINS = (
    "job",
    "-v job",
    "job -v",
    "ada@job",
    "-l ada -p22 -o ServerAliveInterval=5 job",
    "-oUser=ada -tt -- job",
    "-A -X -L 8000:localhost:8000 job",
)
COMMANDS = (
    "job hostname",
    "job echo job",
    "-t job top",
    "-l ada job rsync --server -logDtpre.iLsfxCIvu . data",
    "-o SendEnv=GIT_PROTOCOL ada@job git-upload-pack 'r'",
    "-x -oRequestTTY=no -s -- job sftp",
    "job -s sftp",
    # Of editors: the commands come by the standard input.
    "-T -D 41000 job",
    "-N -L 8000:localhost:8000 job",
    "-W [10.0.0.1]:22 job",
)


@pytest.fixture
def config(tmp_path: Path, need: Callable[..., None]) -> Path:
    need("ssh", "ps")
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def has_command(config: Path, arguments: str, shell: str = "/bin/sh") -> bool:
    """Return whether ssh would run the RemoteCommand, on a terminal."""
    answer = subprocess.run(
        ["ssh", "-G", "-F", str(config), *arguments.split()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "SHELL": shell},
        check=True,
    ).stdout
    assert ("remotecommand enter\n" in answer) == ("requesttty force\n" in answer)
    return "remotecommand enter\n" in answer


@pytest.mark.parametrize("arguments", LOGINS)
def test_a_login_runs_the_command_of_the_site(config: Path, arguments: str) -> None:
    assert has_command(config, arguments)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_and_a_program_run_without_it(config: Path, arguments: str) -> None:
    assert not has_command(config, arguments)


# ssh runs the criterion by the shell of the user, which may start another process for it.
@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish", "tcsh"])
def test_the_shell_of_the_user_does_not_matter(
    config: Path, shell: str, need: Callable[..., None]
) -> None:
    need(shell)
    path = shutil.which(shell) or shell
    assert has_command(config, "job", path)
    assert not has_command(config, "job hostname", path)


def test_another_name_runs_no_shell(config: Path, tmp_path: Path) -> None:
    # Each connection would pay for it otherwise.
    (tmp_path / "shell").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "shell").chmod(0o755)
    assert not has_command(config, "other", str(tmp_path / "shell"))
    assert not (tmp_path / "ran").exists()
    has_command(config, "job", str(tmp_path / "shell"))
    assert (tmp_path / "ran").exists()


def test_without_ps_a_login_runs_no_command(config: Path, tmp_path: Path) -> None:
    # It still gets a shell in the job. A command that fails would be worse.
    (tmp_path / "ps").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "ps").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    answer = subprocess.run(
        ["ssh", "-G", "-F", str(config), "job"],
        capture_output=True,
        text=True,
        env={"PATH": path, "SHELL": "/bin/sh"},
        check=True,
    )
    assert "remotecommand" not in answer.stdout
