"""A user with a scratch home directory, also for programs that read the passwd database, as ssh."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import generator

PROGRAMS = ("ssh", "unshare")
_TEST_USER = pwd.getpwuid(os.geteuid())
_PACKAGE = str(Path(generator.__file__).parents[1])
Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class ShellUser:
    """The user who runs the tests, with another home directory; it needs root."""

    home: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the words that run a command as the user, in the home directory."""
        passwd = self.home.parent / f"{self.home.name}.passwd"
        # The file stays the same for all commands of one user.
        if not passwd.exists():
            passwd.write_text(passwd_file(self.home))
        # ssh ignores $HOME, so the passwd file is replaced, in a mount namespace of its own.
        script = 'mount --bind "$1" /etc/passwd && cd && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(passwd), *arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment of the programs of the user."""
        return {
            "HOME": str(self.home),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": _PACKAGE,
        }

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Result:
        """Run a command as the user, with some text on its standard input."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            # Output of other programs may be any bytes.
            errors="surrogateescape",
            timeout=240,
            env=self.environment() | environment,
            check=False,
        )

    def gen(self, *arguments: str, **environment: str) -> Result:
        """Run gen as the user."""
        return self.run(*gen_command(*arguments), **environment)


def passwd_file(home: Path, shell: str = "/bin/sh") -> str:
    """Return the passwd file of this machine, with another home directory for the user."""
    name, uid, gid = _TEST_USER.pw_name, _TEST_USER.pw_uid, _TEST_USER.pw_gid
    lines = [f"{name}:x:{uid}:{gid}::{home}:{shell}"]
    for line in Path("/etc/passwd").read_text().splitlines():
        if not line.startswith(f"{name}:"):
            lines.append(line)
    return "\n".join([*lines, ""])


def gen_command(*arguments: str) -> Sequence[str]:
    """Return the words that run the gen under test."""
    return (sys.executable, "-m", "generator", *arguments)
