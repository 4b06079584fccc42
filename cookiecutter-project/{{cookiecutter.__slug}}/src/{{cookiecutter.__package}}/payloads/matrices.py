"""Multiply two matrices of SIZE rows: with PyTorch on a GPU, or without both in plain Python."""

import importlib
import os
import platform
import random
import time
from collections.abc import Callable
from typing import Any

from dagster_pipes import open_dagster_pipes

Matrix = list[list[float]]


def plain(left: Matrix, right: Matrix) -> Matrix:
    """Return a product without any library."""
    columns = list(zip(*right, strict=True))
    return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left]


def on_a_gpu() -> tuple[Callable[[Matrix, Matrix], Any], str] | None:
    """Return a product on the GPU of the job, and the name of the GPU, if PyTorch is installed and sees one."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None

    def product(left: Matrix, right: Matrix) -> Any:
        result = torch.tensor(left, device="cuda") @ torch.tensor(right, device="cuda")
        torch.cuda.synchronize()  # a GPU works while Python goes on
        return result

    return product, torch.cuda.get_device_name()


def main() -> None:
    """Report the time and the device to Dagster."""
    size = int(os.environ["SIZE"])
    numbers = random.Random(size)
    left, right = ([[numbers.random() for _ in range(size)] for _ in range(size)] for _ in range(2))
    product, device = on_a_gpu() or (plain, "CPU")
    start = time.perf_counter()
    product(left, right)
    seconds = time.perf_counter() - start
    with open_dagster_pipes() as pipes:
        pipes.report_asset_materialization(
            metadata={"size": size, "seconds": seconds, "device": device, "node": platform.node()}
        )


if __name__ == "__main__":
    main()
