"""List the modules of Python's standard library in DATA_DIR/corpus.csv. It runs alone on the job's machine."""

import csv
import os
import platform
import sysconfig
from pathlib import Path

from dagster_pipes import open_dagster_pipes


def main() -> None:
    """Write the table and report it to Dagster."""
    library = Path(sysconfig.get_path("stdlib"))
    sources = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    modules = [(path.relative_to(library).as_posix(), path.stat().st_size) for path in sources]
    table = Path(os.path.expandvars(os.environ["DATA_DIR"]), "corpus.csv")
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("module", "bytes"), *modules])
    with open_dagster_pipes() as pipes:
        pipes.log.info(f"{len(modules)} modules in {library}")
        pipes.report_asset_materialization(
            metadata={
                "modules": len(modules),
                "bytes": sum(size for _, size in modules),
                "table": {"raw_value": str(table), "type": "path"},
                "node": platform.node(),
            }
        )


if __name__ == "__main__":
    main()
