"""An alias that starts a job takes a login, commands and files, with two real servers.

The job is a second server, which the login host alone relays to.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import PROGRAMS, TEST_USER, Result, Rig, SshServer, mount_over, site
from terminal import Terminal

pytestmark = pytest.mark.system


class JobUser:
    """A user with an alias for a job in the ssh configuration."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        login = rig.serve("login", ["ed25519"])
        self.job: SshServer = rig.serve("job", ["ed25519-job"])
        pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
        job = {
            "through": "rig",
            "proxy": f"{rig.relay()} 127.0.0.1 {self.job.port}",
            "command": "printenv SERVER SSH_TTY",
        }
        config = rig.compile(site(login, pins, jobs={"labjob": job}))
        # The ssh of a ProxyCommand reads the configuration of the user.
        (rig.home / ".ssh/config").write_text(f"Include {config}\n")

    def command(self, *arguments: str) -> list[str]:
        """Return the words that run a program with the home directory of the user."""
        return [*mount_over(TEST_USER.pw_dir, self.rig.home), *arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment of the user."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.rig.home), "LC_ALL": "C"}

    def run(self, *arguments: str) -> Result:
        """Run a program that must succeed."""
        result = subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment(),
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result


@pytest.fixture
def user(tmp_path: Path, need: Callable[..., None]) -> Iterator[JobUser]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path / "rig") as rig:
        yield JobUser(rig)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a directory that the job sees too, as all are on one machine."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "a.bin").write_bytes(bytes(range(256)) * 100)
    return path


def test_a_login_runs_the_command_that_enters_the_job(user: JobUser) -> None:
    terminal = Terminal(*user.command("ssh", "labjob"), environment=user.environment())
    assert terminal.end() == 0
    assert terminal.shown.startswith("job\r\n/dev/pts/")


def test_a_command_runs_in_the_job_as_it_is(user: JobUser) -> None:
    assert user.run("ssh", "labjob", "echo $SERVER; printf 'a\\nb'").stdout == "job\na\nb"
    assert len(user.job.logins()) == 1


def test_rsync_copies_bytes_to_and_from_the_job(
    user: JobUser, data: Path, need: Callable[..., None]
) -> None:
    need("rsync")
    user.run("rsync", "-a", f"{data}/a.bin", f"labjob:{data}/b.bin")
    user.run("rsync", "-a", f"labjob:{data}/b.bin", f"{data}/c.bin")
    assert (data / "c.bin").read_bytes() == (data / "a.bin").read_bytes()
    assert len(user.job.logins()) == 2


@pytest.mark.parametrize("program", [("scp",), ("scp", "-O")], ids=" ".join)
def test_scp_copies_bytes_to_the_job(
    user: JobUser, data: Path, program: tuple[str, ...], need: Callable[..., None]
) -> None:
    need("scp")
    if program == ("scp",):
        # The sftp server of Debian's package.
        sftp = "/usr/lib/openssh/sftp-server"
        if not Path(sftp).exists():
            pytest.skip("needs sftp-server")
        config = user.job.config
        config.write_text(f"Subsystem sftp {sftp}\n{config.read_text()}")
        with user.rig.stopped(user.job):
            pass
    user.run(*program, f"{data}/a.bin", f"labjob:{data}/b.bin")
    assert (data / "b.bin").read_bytes() == (data / "a.bin").read_bytes()
    assert len(user.job.logins()) == 1


def test_git_reads_and_writes_a_repository_in_the_job(
    user: JobUser, data: Path, need: Callable[..., None]
) -> None:
    need("git")
    name = ("-c", "user.name=ada", "-c", "user.email=ada@example.org", "-C", str(data))
    user.run("git", "init", "-q", "--bare", f"{data}/remote.git")
    user.run("git", "init", "-q", str(data))
    user.run("git", *name, "commit", "-q", "--allow-empty", "-m", "first")
    remote = f"labjob:{data}/remote.git"
    user.run("git", *name, "push", "-q", remote, "HEAD:main")
    listed = user.run("git", "ls-remote", remote).stdout
    assert listed.split()[1::2] == ["refs/heads/main"]
    assert len(user.job.logins()) == 2


def test_an_editor_that_hands_its_script_over_gets_a_shell(user: JobUser) -> None:
    # VS Code runs ssh in this way, and expects nothing but the output of its script.
    result = subprocess.run(
        user.command("ssh", "-T", "labjob"),
        input="echo $SERVER\n",
        capture_output=True,
        text=True,
        timeout=120,
        env=user.environment(),
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "job\n"), result.stderr
