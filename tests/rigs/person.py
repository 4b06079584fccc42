"""A person with a scratch home folder, for programs that take it from the passwd database, as ssh does."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import generator

PROGRAMS = ("ssh", "unshare")
_ME = pwd.getpwuid(os.geteuid())
_PACKAGE = str(Path(generator.__file__).parents[1])
Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Person:
    """Whoever runs the test, with another home folder; it needs root, and no other process notices."""

    home: Path

    def command(self, *words: str) -> list[str]:
        """Return the words that run a command as the person, in the home folder."""
        passwd = self.home.parent / f"{self.home.name}.passwd"
        if not passwd.exists():
            lines = Path("/etc/passwd").read_text().splitlines()
            mine = ":".join(
                (_ME.pw_name, "x", str(_ME.pw_uid), str(_ME.pw_gid), "", str(self.home), "/bin/sh")
            )
            passwd.write_text(
                "\n".join(
                    [mine, *(line for line in lines if not line.startswith(f"{_ME.pw_name}:")), ""]
                )
            )
        script = 'mount --bind "$1" /etc/passwd && cd && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(passwd), *words]

    def environment(self) -> dict[str, str]:
        """Return what the person's programs find in their environment; what gen recalls lies beside the home folder."""
        return {
            "HOME": str(self.home),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": _PACKAGE,
            "XDG_CACHE_HOME": str(self.home.parent / "cache"),
        }

    def run(self, *words: str, given: str | None = None, **environment: str) -> Result:
        """Run a command as the person, with something to read or nothing."""
        return subprocess.run(
            self.command(*words),
            input=given or "",
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=120,
            env=self.environment() | environment,
            check=False,
        )

    def gen(self, *words: str, **environment: str) -> Result:
        """Run gen as the person."""
        return self.run(*gen_command(*words), **environment)


def gen_command(*words: str) -> Sequence[str]:
    """Return the words that run the gen that is tested."""
    return (sys.executable, "-m", "generator", *words)
