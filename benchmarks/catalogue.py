"""The cost of the whole catalogue: a multiple of `python -c pass`, and milliseconds for a site.

`gen list`, `gen show` of one site, and `gen site --all` of a directory that has every site, in one
process. Medians of runs; the first run does not count.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from generator.loading.catalogue import shipped

GEN = [sys.executable, "-m", "generator"]
RUNS = 7


def seconds(*arguments: str, runs: int = RUNS) -> float:
    """Return the median wall time of a command."""

    def once() -> float:
        start = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True)
        return time.perf_counter() - start

    once()
    return statistics.median(once() for _ in range(runs))


def main() -> None:
    """Print a line for each command."""
    nothing = seconds(sys.executable, "-c", "pass")
    sites = list(shipped())
    with tempfile.TemporaryDirectory() as directory:
        for site in sites:
            subprocess.run(
                [*GEN, "site", site, "--out", directory], check=True, capture_output=True
            )
        shown = sum(seconds(*GEN, "show", site, runs=1) for site in sites)
        print(
            f"{'gen show':16}{shown / len(sites) / nothing:6.1f} × python -c pass"
            f"   (each of {len(sites)} sites)"
        )
        for name, arguments, count in (
            ("gen list", ["list"], len(sites)),
            ("gen site --all", ["site", "--all", "--out", directory], len(sites)),
            ("gen check", ["check", directory], len(sites)),
        ):
            took = seconds(*GEN, *arguments)
            each = f"{1000 * took / count:.0f} ms a site, " if count > 1 else ""
            print(f"{name:16}{took / nothing:6.1f} × python -c pass   ({each}{count} sites)")
        print(f"{sum(1 for path in Path(directory).rglob('*') if path.is_file())} files")


if __name__ == "__main__":
    main()
