"""Measure every function of the modules in DATA_DIR/corpus.csv in parallel, and write DATA_DIR/complexity.csv."""

import ast
import csv
import os
import platform
import resource
import sysconfig
from pathlib import Path

import ray
from dagster_pipes import open_dagster_pipes

LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)
BRANCHES = (*LOOPS, ast.If, ast.IfExp, ast.ExceptHandler, ast.BoolOp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def complexity(function: ast.AST) -> int:
    """Return McCabe's number of a function: one more than its branches."""
    return 1 + sum(isinstance(node, BRANCHES) for node in ast.walk(function))


@ray.remote
def measured(modules: list[str]) -> tuple[list[tuple[str, str, int]], str, int]:
    """Return module, name and complexity of every function, the node, and Ray's limit of open files."""
    library = Path(sysconfig.get_path("stdlib"))
    rows = []
    for module in modules:
        try:
            tree = ast.parse((library / module).read_bytes())
        except SyntaxError:  # the tests of the library have modules with errors
            continue
        rows += [(module, node.name, complexity(node)) for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    return rows, platform.node(), resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def main() -> None:
    """Distribute the modules, large ones first, and report the result to Dagster."""
    data = Path(os.path.expandvars(os.environ["DATA_DIR"]))
    with (data / "corpus.csv").open(newline="") as file:
        by_size = sorted(csv.DictReader(file), key=lambda row: -int(row["bytes"]))
    modules = [row["module"] for row in by_size]
    ray.init()
    parts = 4 * int(ray.cluster_resources()["CPU"])
    results = ray.get([measured.remote(modules[part::parts]) for part in range(parts)])
    rows = sorted((row for found, _, _ in results for row in found), key=lambda row: -row[2])
    with (data / "complexity.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("module", "function", "complexity"), *rows])
    # As code, for Markdown would read `__init__` as bold.
    top = "\n".join(f"| `{module}` | `{name}` | {number} |" for module, name, number in rows[:10])
    with open_dagster_pipes() as pipes:
        pipes.report_asset_materialization(
            metadata={
                "functions": len(rows),
                "mean": sum(number for _, _, number in rows) / len(rows),
                "most_complex": {
                    "raw_value": f"| module | function | complexity |\n|---|---|---|\n{top}",
                    "type": "md",
                },
                "tasks": parts,
                "nodes": sorted({node for _, node, _ in results}),
                "open_files": min(limit for _, _, limit in results),
            }
        )


if __name__ == "__main__":
    main()
