"""The command that ssh runs before a connection, tested with `ssh -G`, which runs it too.

A script in place of gen records its arguments; `test_renew_on_connect.py` has the real gen.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.system

STEP: dict[str, Any] = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "rig",
}
CALL = "refresh rig --on-connect"
Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Home:
    """A home directory with a certificate, and a script in place of gen."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "rig.conf"

    @property
    def due(self) -> Path:
        return self.path / ".local/state/gen/rig.due"

    @property
    def certificate(self) -> Path:
        return self.path / ".ssh/id_rig-cert.pub"

    def settle(self, **auth: Any) -> None:
        """Compile a site, and create a certificate that is not due for an hour."""
        hosts = {
            "rig": {"host": "rig.example.org"},
            "jump": {"host": "jump.example.org", "role": "jump"},
        }
        compute = {"nodes": {"match": ["cn???", "!cn000"], "through": "rig"}}
        spec = {
            "site": "rig",
            "title": "Rig",
            "hosts": hosts,
            "compute": compute,
            "auth": STEP | auth,
        }
        (artifact,) = ssh_config.emit(
            Account(SiteSpec.model_validate(spec), SiteProfile(user="ada", email="ada@example.org"))
        )
        self.config.write_bytes(artifact.content)
        for file in (self.due, self.certificate, self.path / ".local/bin/gen"):
            file.parent.mkdir(parents=True, exist_ok=True)
        self.certificate.touch()
        self.until(3600)
        self.gen('printf "%s\\n" "$*" >>~/calls')

    def until(self, seconds: int) -> None:
        """Let the certificate be due in some seconds."""
        second = int(time.time())
        self.due.write_text(f"{second + seconds}\n{second}\n")

    def gen(self, script: str) -> None:
        """Write a script in place of gen."""
        program = self.path / ".local/bin/gen"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def calls(self) -> list[str]:
        """Return the arguments of each call of gen."""
        file = self.path / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def ssh(
        self, name: str = "rig", *options: str, cwd: Path | None = None, **environment: str
    ) -> Result:
        """Return the settings of ssh for a name."""
        return subprocess.run(
            ["ssh", "-G", "-T", "-F", str(self.config), *options, name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.path),
                "SHELL": "/bin/sh",
                "LC_ALL": "C",
                **environment,
            },
            cwd=cwd,
            check=False,
        )


@pytest.fixture
def home(tmp_path: Path, need: Callable[..., None]) -> Home:
    need("ssh")
    # The hook looks there too, so these tests would run that gen.
    if shutil.which("gen", path="/opt/homebrew/bin:/usr/local/bin"):
        pytest.skip("a gen of this machine's own is in the way")
    # Blanks, quotes, a variable and a pattern: the hook is a line of shell with this path in it.
    home = Home(tmp_path / "it's $HOME *")
    home.path.mkdir()
    home.settle()
    return home


def test_nothing_runs_while_the_certificate_is_not_due(home: Home) -> None:
    result = home.ssh()
    assert (result.returncode, result.stderr, home.calls()) == (0, "", [])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("1\n", id="a time that is past"),
        pytest.param("", id="an empty file"),
        pytest.param("soon\n", id="no number"),
        pytest.param("9999999999 9999999999\n1\n", id="two numbers in a line"),
        pytest.param("9999999999\n", id="no time of the writing"),
        # A clock that was ahead when gen wrote the file must not keep ssh from renewing for years.
        pytest.param("9999999999\n9999999998\n", id="written in the future"),
        # The file is in a directory of the user, but a shell must not run its content.
        pytest.param("$(touch ~/calls)\n", id="a command"),
        pytest.param(None, id="no file"),
    ],
)
def test_gen_runs_unless_the_file_names_a_second_in_the_future(
    home: Home, content: str | None
) -> None:
    home.due.unlink() if content is None else home.due.write_text(content)
    result = home.ssh()
    assert (result.returncode, result.stderr, home.calls()) == (0, "", [CALL])


def test_gen_runs_if_the_certificate_is_newer(home: Home) -> None:
    # The user got it without gen, or restored an old one: the file is about another one.
    second = home.due.stat().st_mtime
    os.utime(home.certificate, (second + 1, second + 1))
    home.ssh()
    assert home.calls() == [CALL]


def test_gen_runs_if_the_certificate_is_missing(home: Home) -> None:
    home.certificate.unlink()
    home.ssh()
    assert home.calls() == [CALL]


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh", "fish", "tcsh"])
def test_the_hook_works_with_each_login_shell(
    home: Home, shell: str, need: Callable[..., None]
) -> None:
    need(shell)
    fresh = home.ssh(SHELL=shutil.which(shell) or "")
    assert (fresh.returncode, fresh.stderr, home.calls()) == (0, "", [])
    home.until(0)
    due = home.ssh(SHELL=shutil.which(shell) or "")
    assert (due.returncode, due.stderr, home.calls()) == (0, "", [CALL])
    assert due.stdout == fresh.stdout


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_hook_works_with_each_sh(home: Home, shell: str, need: Callable[..., None]) -> None:
    # On a Mac sh is bash, on Debian dash, on Alpine busybox. The script below stands for the user's
    # shell, and runs the hook with the sh of the row.
    need(shell)
    (home.path / "sh").symlink_to(shutil.which(shell) or "")
    shell_program = home.path / "shell"
    shell_program.write_text('#!/bin/sh\neval "set -- ${2#/bin/sh }"\nexec "${0%/*}/sh" "$@"\n')
    shell_program.chmod(0o755)
    assert home.ssh(SHELL=str(shell_program)).stderr == ""
    assert home.calls() == []
    home.until(0)
    assert home.ssh(SHELL=str(shell_program)).stderr == ""
    assert home.calls() == [CALL]


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        pytest.param("rig", 1, id="an alias"),
        pytest.param("rig.example.org", 1, id="its host name"),
        pytest.param("cn001", 1, id="a compute node"),
        pytest.param("cn000", 0, id="a name that a pattern leaves out"),
        pytest.param("example.org", 0, id="another host"),
        pytest.param("github.com", 0, id="a foreign host"),
    ],
)
def test_gen_runs_for_the_hosts_of_the_site_only(home: Home, name: str, calls: int) -> None:
    home.until(0)
    home.ssh(name)
    assert len(home.calls()) == calls


@pytest.mark.parametrize(
    "lines",
    [
        # ssh then reads its configuration a second time (ssh_config(5), Match canonical and final).
        pytest.param("CanonicalizeHostname always", id="host names made canonical"),
        pytest.param("Match final\n    ForwardX11 no", id="a final match"),
        pytest.param("Match exec true\n    ForwardX11 no", id="another command"),
    ],
)
def test_gen_runs_once_even_if_ssh_reads_its_files_twice(home: Home, lines: str) -> None:
    home.until(0)
    with home.config.open("a") as config:
        config.write(f"{lines}\n")
    home.ssh("rig")
    assert home.calls() == [CALL]


def test_the_hook_changes_no_setting_of_ssh(home: Home) -> None:
    home.until(0)
    names = ("rig", "jump", "cn001", "github.com")
    before = [home.ssh(name).stdout for name in names]
    assert home.calls()
    home.settle(renew_on_connect=False)
    assert [home.ssh(name).stdout for name in names] == before


@pytest.mark.parametrize(
    ("script", "output"),
    [
        pytest.param("exit 1", "", id="that fails"),
        pytest.param("kill -KILL $$", "Killed\n", id="that is killed"),
        pytest.param("kill -TERM $$", "Terminated\n", id="that is terminated"),
        pytest.param("echo rubbish", "", id="that prints to stdout, which ssh discards"),
        pytest.param("cat", "", id="that reads, and finds nothing"),
        pytest.param("echo 'a line' >&2", "a line\n", id="that has something to say"),
    ],
)
def test_ssh_goes_on_after_gen_ends(home: Home, script: str, output: str) -> None:
    usual = home.ssh()
    home.until(0)
    home.gen(script)
    result = home.ssh()
    assert (result.returncode, result.stdout, result.stderr) == (0, usual.stdout, output)


def test_without_gen_nothing_happens_and_nothing_is_printed_before_an_installation(
    home: Home,
) -> None:
    home.until(0)
    (home.path / ".local/bin/gen").unlink()
    result = home.ssh()
    assert (result.returncode, result.stderr) == (0, "")


def test_an_installed_site_whose_gen_is_gone_says_so_in_one_line(home: Home) -> None:
    installed = home.path / ".ssh/gen.d/rig.conf"
    installed.parent.mkdir()
    installed.touch()
    (home.path / ".local/bin/gen").unlink()
    # While the certificate is good, there is nothing to say.
    assert home.ssh().stderr == ""
    home.until(0)
    result = home.ssh()
    message = "rig: ssh does not find gen, so no certificate is renewed\n"
    assert (result.returncode, result.stderr) == (0, message)


@pytest.mark.parametrize(
    "nowhere",
    [pytest.param({"HOME": "/no/such/place"}, id="gone"), pytest.param({"HOME": ""}, id="empty")],
)
def test_a_user_without_a_home_directory_can_connect(
    home: Home, nowhere: dict[str, str], tmp_path: Path
) -> None:
    result = home.ssh(cwd=tmp_path, **nowhere)
    assert (result.returncode, result.stderr) == (0, "")


def test_gen_is_looked_up_on_the_path_of_the_user_first(home: Home, tmp_path: Path) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "gen").write_text('#!/bin/sh\necho "mine: $*" >>~/calls\n')
    (directory / "gen").chmod(0o755)
    home.until(0)
    home.ssh(PATH=f"{directory}:{os.environ['PATH']}")
    assert home.calls() == [f"mine: {CALL}"]


def test_gen_starts_in_the_home_directory(home: Home, tmp_path: Path) -> None:
    # A spec in `site_specs` below another directory could name any command.
    (tmp_path / "site_specs").mkdir()
    home.until(0)
    home.gen("pwd >~/calls")
    home.ssh(cwd=tmp_path)
    assert home.calls() == [str(home.path)]
