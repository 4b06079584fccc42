"""Compare gen and cookiecutter: CPU time and memory for a project from the same template.

Run `python benchmarks/scaffold.py` in an environment that has both. Each round makes every
project in an empty directory; the table shows medians. The program fails if gen's scaffolding
alone takes more than cookiecutter. The whole of `gen project`, which also reads, validates and
compiles a site, is shown beside it.
"""

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 9
LIMIT = 1.0
SCRIPTS = Path(sysconfig.get_path("scripts"))
SCAFFOLD = "scaffold"
COOKIECUTTER = "cookiecutter"
SCAFFOLDING = "gen, scaffolding"


@dataclass(frozen=True)
class Usage:
    """The cost of one run."""

    seconds: float
    """CPU time, of the user and the system."""
    mebibytes: float
    """Largest resident size."""


def scaffold() -> None:
    """Make a project in the current directory, without its site's file."""
    from generator.compiler.scaffold import files

    for name, content in files("x", "x", "musica", "musica").items():
        path = Path("x", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def measure(command: list[str]) -> Usage:
    """Run a command once in an empty directory, which is its home directory too."""
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "HOME": directory, "XDG_CACHE_HOME": directory},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> int:
    """Print one line for each command; return 1 if the scaffolding exceeds its limit."""
    from generator.resources import PROJECT

    this_file = str(Path(__file__).resolve())
    commands = {
        COOKIECUTTER: [str(SCRIPTS / "cookiecutter"), "--no-input", str(PROJECT), "name=x"],
        SCAFFOLDING: [sys.executable, this_file, SCAFFOLD],
        "gen project": [str(SCRIPTS / "gen"), "project", "x", "--site", "musica"],
    }
    usages: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            usages[name].append(measure(command))
    base = usages[COOKIECUTTER]
    status = 0
    for name, runs in usages.items():
        pairs = list(zip(runs, base, strict=True))
        time = statistics.median(run.seconds / other.seconds for run, other in pairs)
        memory = statistics.median(run.mebibytes / other.mebibytes for run, other in pairs)
        seconds = statistics.median(run.seconds for run in runs)
        mebibytes = statistics.median(run.mebibytes for run in runs)
        print(f"{name:20}{seconds:6.2f} s {time:5.2f} ×{mebibytes:6.0f} MiB {memory:5.2f} ×")
        if name == SCAFFOLDING and max(time, memory) > LIMIT:
            status = 1
    return status


if __name__ == "__main__":
    if sys.argv[1:] == [SCAFFOLD]:
        scaffold()
    else:
        sys.exit(main())
