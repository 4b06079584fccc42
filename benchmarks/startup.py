"""How long each command takes, as a multiple of `python -c pass`: medians of pairs measured in one run.

Run it with the Python that gen is installed for: `python benchmarks/startup.py`. Bounds: `gen --version` 6,
`gen site mila` 12, with a warm cache; the first line of a pair is `python -c pass`, the second the command.
"""

import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

PAIRS = 31
GEN = str(Path(sysconfig.get_path("scripts")) / "gen")
COMMANDS = {
    "gen --version": (["--version"], 6.0),
    "gen site mila --out DIR": (["site", "mila", "--out", "DIR"], 12.0),
    "gen list": (["list"], None),
    "gen show mila": (["show", "mila"], None),
    "gen validate mila": (["validate", "SPEC"], None),
    "gen schema": (["schema"], None),
    "gen --help": (["--help"], None),
}


def seconds(command: list[str]) -> float:
    """Return the wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def ratio(command: list[str]) -> float:
    """Return the median of pairs; the first run, which fills caches, does not count."""
    seconds(command)
    return statistics.median(
        seconds(command) / seconds([sys.executable, "-c", "pass"]) for _ in range(PAIRS)
    )


def main() -> int:
    """Print a line for each command; 1 when one is above its bound."""
    from generator.resources import CATALOGUE

    above = 0
    with tempfile.TemporaryDirectory() as folder:
        places = {"DIR": folder, "SPEC": str(CATALOGUE / "mila.yaml")}
        for name, (arguments, bound) in COMMANDS.items():
            measured = ratio([GEN, *(places.get(word, word) for word in arguments)])
            above += bound is not None and measured > bound
            print(
                f"{name:26}{measured:6.1f} × python -c pass"
                + (f"   (at most {bound:.0f})" if bound else "")
            )
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
