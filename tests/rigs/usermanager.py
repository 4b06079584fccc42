"""A real systemd user manager for a test, in namespaces and a control group of its own.

It ends with its block.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_until

from generator.compiler.artifact import Artifact

PROGRAMS = ("systemd", "systemctl", "systemd-analyze", "unshare", "nsenter", "setpriv")
UNITS = Path(".config/systemd/user")

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_SYSTEMD = shutil.which("systemd", path="/lib/systemd:/usr/lib/systemd") or "systemd"

# An unprivileged manager needs a control group that is its own. It is mounted as the root of all
# groups, so that the manager neither sees nor moves a process of the machine's, whichever version
# of groups the machine itself uses. The kernel mounts no file system over itself; so a tmpfs goes
# between.
_GROUPS = "mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"
_START = f"""
set -e
{_GROUPS}
group=/sys/fs/cgroup/$1 user=$2
mkdir "$group"
chown "$user" "$group" "$group"/cgroup.procs "$group"/cgroup.threads "$group"/cgroup.subtree_control
echo $$ > "$group"/cgroup.procs
shift 2
exec unshare --cgroup --mount sh -c '
    set -e
    {_GROUPS}
    mount -t tmpfs -o mode=755 none /run
    mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
    chown "$0" "$XDG_RUNTIME_DIR"
    exec "$@"' "$user" "$@"
"""
# What has outlived the manager is in its group, and nothing else is.
_END = f"""
{_GROUPS}
cd /sys/fs/cgroup/"$1" || exit 0
echo 1 > cgroup.kill
for try in 1 2 3 4 5 6 7 8 9; do
    find "$PWD" -depth -type d -exec rmdir {{}} + && exit
    sleep 0.1
done
exit 1
"""

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class UserManager:
    """A running manager, and the scratch home directory of its user."""

    user: pwd.struct_passwd
    home: Path
    pid: int

    def run(self, *command: str) -> Result:
        """Run a command as the user, where the manager can be reached."""
        return subprocess.run(
            self.command(*command),
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
            cwd="/",
            check=False,
        )

    def command(self, *command: str) -> list[str]:
        """Return the command that runs another as the user, where the manager can be reached."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--cgroup", "--net"]
        return [*enter, *_as(self.user), *command]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the user's shell."""
        return _environment(self.user, self.home)

    def systemctl(self, *arguments: str) -> str:
        """Run `systemctl --user`, which must succeed, and return its output."""
        result = self.run("systemctl", "--user", *arguments)
        assert result.returncode == 0, (
            f"{result.stderr}{self.run('systemctl', '--user', 'status', '*').stdout}"
        )
        return result.stdout

    def shown(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.systemctl("show", "--property", name, "--value", unit).strip()

    def write(self, path: Path | str, content: bytes | str, mode: int = 0o644) -> Path:
        """Write a file of the user's below the home folder, and return where it is."""
        target = self.home / path
        for folder in [*reversed(target.relative_to(self.home).parents)][1:]:
            self._own(self.home / folder, lambda path: path.mkdir(mode=0o700, exist_ok=True))
        data = content.encode() if isinstance(content, str) else content
        self._own(target, lambda path: path.write_bytes(data))
        target.chmod(mode)
        return target

    def install(self, *artifacts: Artifact) -> None:
        """Write artifacts where they are installed, and let the manager read its units."""
        for artifact in artifacts:
            assert artifact.install_to
            self.write(str(artifact.install_to), artifact.content, artifact.mode)
        self.systemctl("daemon-reload")

    def _own(self, path: Path, make: Callable[[Path], object]) -> None:
        make(path)
        os.chown(path, self.user.pw_uid, self.user.pw_gid)


@contextmanager
def user_manager(
    user: str = "root", home: str = "home", *, network: bool = False
) -> Iterator[UserManager]:
    """Run the manager of a user.

    `home` is the last part of the path of the home folder. With `network` the manager has a network
    namespace of its own, which leads nowhere. This needs root.
    """
    entry = pwd.getpwnam(user)
    # Not pytest's tmp_path: an unprivileged user may not enter it.
    with tempfile.TemporaryDirectory(prefix="gen-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, home)
        path.mkdir(mode=0o700)
        os.chown(path, entry.pw_uid, entry.pw_gid)
        namespaces = ("--mount", "--net") if network else ("--mount",)
        with _running(entry, path, Path(folder, "log"), namespaces) as manager:
            yield manager


@contextmanager
def _running(
    user: pwd.struct_passwd, home: Path, log: Path, namespaces: tuple[str, ...]
) -> Iterator[UserManager]:
    """Start the manager, and stop it with all that it runs.

    It has the pid of the child, since each step is an exec.
    """
    group = log.parent.name
    command = [
        "unshare",
        *namespaces,
        "sh",
        "-c",
        _START,
        "sh",
        group,
        str(user.pw_uid),
        *_as(user),
        _SYSTEMD,
        "--user",
    ]
    environment = _environment(user, home) | {"SYSTEMD_LOG_TARGET": "console"}
    with log.open("w") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd="/",
        )
    manager = UserManager(user, home, child.pid)
    try:
        wait_until(lambda: child.poll() is not None or _is_up(manager), log.read_text)
        assert child.poll() is None, log.read_text()
        yield manager
    finally:
        child.terminate()
        try:
            child.wait(timeout=60)
        finally:
            child.kill()
            subprocess.run(["unshare", "--mount", "sh", "-c", _END, "sh", group], check=True)


def _is_up(manager: UserManager) -> bool:
    """Return whether the manager has started.

    A unit of the machine may have failed there (`degraded`).
    """
    with suppress(FileNotFoundError):
        if Path(f"/proc/{manager.pid}/exe").readlink().name == "systemd":
            return manager.run("systemctl", "--user", "is-system-running").stdout.strip() in (
                "running",
                "degraded",
            )
    return False


def _environment(user: pwd.struct_passwd, home: Path) -> dict[str, str]:
    return {
        "PATH": _PATH,
        "HOME": str(home),
        "USER": user.pw_name,
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": f"/run/user/{user.pw_uid}",
    }


def _as(user: pwd.struct_passwd) -> list[str]:
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
