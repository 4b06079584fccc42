"""Logins where ~/.ssh can hold the sockets of shared connections, and where it cannot."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from sshd import PROGRAMS, TEST_USER, Rig, mount_over, site

import generator

pytestmark = pytest.mark.system

# Every bind(2) fails, as of a socket in a directory on AFS.
NO_SOCKETS = ("strace", "-f", "-o", "/dev/null", "-e", "inject=bind:error=EPERM")
# With 29 characters, the path of a socket has just the 107 bytes that it may have.
LONGEST_HOME = 29


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


class SharingUser:
    """A user with a home directory of some length, who may log in to one server."""

    def __init__(self, rig: Rig, home: Path, runtime_directory: Path | None = None) -> None:
        self.home = home
        self._passwd = rig.directory / "passwd"
        self._passwd.write_text(f"{TEST_USER.pw_name}:x:{TEST_USER.pw_uid}:0::{home}:/bin/sh\n")
        (home / ".ssh").mkdir(mode=0o700, parents=True)
        self._environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(generator.__file__).parents[1]),
            "LC_ALL": "C",
        }
        if runtime_directory:
            self._environment["XDG_RUNTIME_DIR"] = str(runtime_directory)
        self.server = rig.serve("login", ["ed25519"])
        pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
        self._spec = rig.directory / "rig.yaml"
        auth = {"method": "publickey", "key": str(rig.key("ed25519-ada"))}
        with self._spec.open("w") as file:
            YAML(typ="safe").dump(site(self.server, pins, multiplexing="allowed", auth=auth), file)

    def run(
        self, *command: str, before: tuple[str, ...] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command with that home directory in the passwd database."""
        return subprocess.run(
            [*mount_over("/etc/passwd", self._passwd), *before, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=self._environment,
            cwd=self.home,
            check=False,
        )

    def gen(self, *arguments: str, before: tuple[str, ...] = ()) -> str:
        """Run gen, and return its output."""
        result = self.run(sys.executable, "-m", "generator", *arguments, before=before)
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    def install(self, *options: str, before: tuple[str, ...] = ()) -> str:
        """Install the site, and return the output of gen."""
        return self.gen("install", str(self._spec), "--yes", *options, before=before)

    def two_logins(self, before: tuple[str, ...] = ()) -> int:
        """Log in twice, and return the number of connections that the server saw."""
        earlier = len(self.server.logins())
        # A session with a shared connection leaves a process that holds stderr open.
        script = (
            "for n in 1 2; do ssh -o BatchMode=yes rig 'echo $SERVER' 2>$HOME/err || exit; done"
        )
        result = self.run("sh", "-c", script, before=before)
        errors = (self.home / "err").read_text()
        assert (result.returncode, result.stdout, errors) == (0, "login\nlogin\n", "")
        self.run("ssh", "-O", "exit", "rig")
        return len(self.server.logins()) - earlier


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Return an empty directory whose path has ten characters."""
    directory = Path(f"/tmp/{secrets.token_hex(3)[:5]}")
    directory.mkdir(mode=0o700)
    yield directory
    shutil.rmtree(directory)


def home_of(directory: Path, length: int) -> Path:
    rest = length - len(str(directory)) - 1
    return directory / ("h" * rest) if rest > 0 else directory


@pytest.mark.parametrize("length", [10, LONGEST_HOME, LONGEST_HOME + 1, 40, 41, 57, 58, 100])
def test_a_login_succeeds_from_a_home_of_any_length(
    rig: Rig, short_directory: Path, length: int
) -> None:
    user = SharingUser(rig, home_of(short_directory, length))
    output = user.install()
    fits = length <= LONGEST_HOME
    assert ("shared connections: off, because ~/.ssh has a path that is" in output) is not fits
    assert (user.home / ".ssh/gen.d/+rig.conf").exists() is not fits
    assert user.two_logins() == (1 if fits else 2)
    status = user.gen("status", "rig")
    assert ("shared connections: off" in status) is not fits
    user.gen("uninstall", "rig", "--yes")
    assert not (user.home / ".ssh/gen.d").exists()


@pytest.mark.parametrize("mode", ["include", "inline"])
def test_sockets_are_in_the_runtime_directory_while_it_exists(
    rig: Rig, short_directory: Path, mode: str
) -> None:
    runtime_directory = short_directory / "run"
    runtime_directory.mkdir(mode=0o700)
    user = SharingUser(rig, home_of(short_directory, 58), runtime_directory)
    output = user.install("--mode", mode)
    assert (
        f"shared connections: in {runtime_directory}, because ~/.ssh has a path that is 29 bytes "
        "too long for a socket"
    ) in output
    assert user.two_logins() == 1
    # After the last session of the user, no such directory exists.
    runtime_directory.rmdir()
    assert user.two_logins() == 2


@pytest.mark.parametrize(
    ("mode", "is_used"),
    [
        pytest.param(0o777, False, id="others can replace it"),
        pytest.param(0o1777, True, id="sticky"),
        pytest.param(0o755, True, id="of the user alone"),
    ],
)
def test_a_runtime_directory_that_others_can_replace_holds_no_sockets(
    rig: Rig, short_directory: Path, mode: int, is_used: bool
) -> None:
    # ssh would use the connection of a socket there, whoever made it.
    shared = short_directory / "s"
    shared.mkdir()
    shared.chmod(mode)
    runtime_directory = shared / "run"
    runtime_directory.mkdir(mode=0o700)
    user = SharingUser(rig, home_of(short_directory, 58), runtime_directory)
    output = user.install()
    assert (f"in {runtime_directory}, because" in output) is is_used
    assert user.two_logins() == (1 if is_used else 2)


def test_the_file_of_the_site_is_the_same_on_every_machine(rig: Rig, short_directory: Path) -> None:
    user = SharingUser(rig, home_of(short_directory, 58))
    user.install()
    user.gen("site", "rig", "--out", "out")
    installed = (user.home / ".ssh/gen.d/rig.conf").read_bytes()
    assert installed == (user.home / "out/ssh/rig.conf").read_bytes()


def test_nothing_is_shared_where_a_directory_cannot_hold_sockets(
    rig: Rig, short_directory: Path, need: Callable[..., None]
) -> None:
    need("strace")
    user = SharingUser(rig, short_directory)
    assert (
        "shared connections: off, because ~/.ssh cannot hold sockets (Operation not permitted) and "
        "$XDG_RUNTIME_DIR names no directory that can hold their sockets"
    ) in user.install(before=NO_SOCKETS)
    assert user.two_logins(before=NO_SOCKETS) == 2


def test_only_a_private_directory_holds_sockets(rig: Rig, short_directory: Path) -> None:
    user = SharingUser(rig, short_directory)
    (user.home / ".ssh").chmod(0o755)
    assert (
        "shared connections: off, because ~/.ssh has mode 0755 (make it private: "
        f"chmod 700 {user.home}/.ssh)"
    ) in user.install()
    assert user.two_logins() == 2
    (user.home / ".ssh").chmod(0o700)
    user.install()
    assert not (user.home / ".ssh/gen.d/+rig.conf").exists()
    assert user.two_logins() == 1


def open_connection(user: SharingUser) -> None:
    result = user.run("sh", "-c", "ssh -o BatchMode=yes rig true 2>$HOME/err")
    assert (result.returncode, (user.home / "err").read_text()) == (0, "")


def sockets(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("gen-*")]


@pytest.mark.parametrize("arguments", [("rig",), ()], ids=["a site", "all"])
def test_status_shows_an_open_connection_and_disconnect_ends_it(
    rig: Rig, short_directory: Path, arguments: tuple[str, ...]
) -> None:
    user = SharingUser(rig, short_directory)
    user.install()
    assert "shared connection" not in user.gen("status")
    assert "no shared connection is open" in user.gen("disconnect", *arguments)
    open_connection(user)
    assert "  1 shared connection since 20" in user.gen("status")
    assert "; to end: gen disconnect rig\n" in user.gen("status")
    ended = user.gen("disconnect", *arguments)
    assert ended.startswith("  ended     ~/.ssh/gen-")
    assert sockets(user.home / ".ssh") == []
    assert "shared connection" not in user.gen("status")


def test_sockets_in_the_runtime_directory_are_found_too(
    rig: Rig, short_directory: Path, tmp_path: Path
) -> None:
    runtime = Path(f"{short_directory}r")
    runtime.mkdir(mode=0o700)
    try:
        user = SharingUser(rig, home_of(short_directory, LONGEST_HOME + 5), runtime)
        user.install()
        open_connection(user)
        assert len(sockets(runtime)) == 1
        user.gen("disconnect")
        assert sockets(runtime) == []
    finally:
        shutil.rmtree(runtime)


def test_a_socket_that_a_killed_master_left_is_removed(rig: Rig, short_directory: Path) -> None:
    user = SharingUser(rig, short_directory)
    user.install()
    open_connection(user)
    check = user.run("ssh", "-O", "check", "rig").stderr
    os.kill(int(check.partition("pid=")[2].partition(")")[0]), 9)
    assert len(sockets(user.home / ".ssh")) == 1
    # A status shows connections, and there is none.
    assert "shared connection" not in user.gen("status")
    assert "which a connection had left" in user.gen("disconnect", "rig")
    assert sockets(user.home / ".ssh") == []


def test_an_uninstallation_ends_the_connections_of_the_site(
    rig: Rig, short_directory: Path
) -> None:
    user = SharingUser(rig, short_directory)
    user.install()
    open_connection(user)
    planned = user.gen("uninstall", "rig", "--dry-run")
    assert "  end       ~/.ssh/gen-" in planned
    assert len(sockets(user.home / ".ssh")) == 1
    assert "  ended     ~/.ssh/gen-" in user.gen("uninstall", "rig", "--yes")
    assert sockets(user.home / ".ssh") == []
    user.install()
    assert "ended" not in user.gen("uninstall", "rig", "--yes")


def test_an_uninstallation_leaves_the_connections_of_another_site(
    rig: Rig, short_directory: Path
) -> None:
    user = SharingUser(rig, short_directory)
    user.install()
    other = rig.directory / "other.yaml"
    text = (rig.directory / "rig.yaml").read_text().replace("localhost", "127.0.0.1")
    other.write_text(text.replace("rig:", "other:").replace(": rig\n", ": other\n"))
    user.gen("install", str(other), "--yes")
    open_connection(user)
    assert "ended" not in user.gen("uninstall", "other", "--yes")
    assert len(sockets(user.home / ".ssh")) == 1
    user.gen("disconnect")


def test_a_connection_of_another_program_stays(rig: Rig, short_directory: Path) -> None:
    user = SharingUser(rig, short_directory)
    user.install()
    own = user.home / ".ssh/mine"
    options = ["-M", "-S", str(own), "-o", "ControlPersist=60"]
    script = "ssh -o BatchMode=yes " + " ".join(options) + " rig true 2>$HOME/err"
    assert user.run("sh", "-c", script).returncode == 0
    user.gen("disconnect")
    assert own.is_socket()
    assert user.run("ssh", "-S", str(own), "-O", "exit", "rig").returncode == 0


def test_disconnect_refuses_a_site_that_is_not_installed(rig: Rig, short_directory: Path) -> None:
    user = SharingUser(rig, short_directory)
    user.install()
    result = user.run(sys.executable, "-m", "generator", "disconnect", "rog")
    assert (result.returncode, result.stderr) == (
        2,
        "rog: is not installed; did you mean rig? Otherwise run gen disconnect to end every"
        " shared connection\n",
    )
