"""Time and memory of making a project, against cookiecutter's own command on the same template, in one run.

Run it with the Python that both are installed for: `python benchmarks/scaffold.py`. Medians of rounds, each into an
empty folder. Bound: 1.2 × cookiecutter for what both do, the scaffolding. The whole of `gen project` is shown beside
it: it reads, validates and compiles a site as well, unless it remembers that from an earlier run.
"""

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROUNDS = 9
BOUND = 1.2
SCRIPTS = Path(sysconfig.get_path("scripts"))
SCAFFOLD = "scaffold"


def scaffold() -> None:
    """Make a project in this folder, and nothing else of its site."""
    from generator.compiler.scaffold import files

    for name, content in files("x", "x", "musica", "musica"):
        path = Path("x", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def measured(command: list[str], cache: str) -> tuple[float, float]:
    """Return the wall time of one run in seconds, and its largest resident size in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "HOME": folder, "XDG_CACHE_HOME": cache},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return took, usage.ru_maxrss / 1024


def main() -> int:
    """Print a line for each; 1 when the scaffolding is above its bound."""
    from generator.resources import PROJECT

    gen = [str(SCRIPTS / "gen"), "project", "x", "--site", "musica"]
    with tempfile.TemporaryDirectory() as cache:
        commands = {
            "cookiecutter": (
                [str(SCRIPTS / "cookiecutter"), "--no-input", str(PROJECT), "name=x"],
                cache,
            ),
            "gen, scaffolding": ([sys.executable, str(Path(__file__).resolve()), SCAFFOLD], cache),
            "gen project, unknown site": (gen, "/dev/null"),
            "gen project, known site": (gen, cache),
        }
        rounds = [
            {name: measured(*command) for name, command in commands.items()}
            for _ in range(ROUNDS + 1)
        ][1:]
    above = False
    for name in commands:
        times, sizes = ([one[name][what] for one in rounds] for what in (0, 1))
        ratios = [
            statistics.median(one[name][what] / one["cookiecutter"][what] for one in rounds)
            for what in (0, 1)
        ]
        bound = name == "gen, scaffolding"
        above |= bound and max(ratios) > BOUND
        print(
            f"{name:26}{statistics.median(times):6.2f} s {ratios[0]:5.2f} ×{statistics.median(sizes):6.0f} MiB"
            f" {ratios[1]:5.2f} ×" + (f"   (at most {BOUND})" if bound else "")
        )
    return 1 if above else 0


if __name__ == "__main__":
    if sys.argv[1:] == [SCAFFOLD]:
        scaffold()
    else:
        sys.exit(main())
