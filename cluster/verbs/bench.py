"""The benchmarks: of speed, which come with a clone of the repository (tests/bench/NAME.py), and of predictions.

Each has a `main`.
"""

import runpy
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "bench"
NAMES = ("kernels", "scaling", "sweeps", "calibration", "prediction", "driver")


class BenchError(ValueError):
    """A benchmark that is not here. The message says which are."""


def run_bench(name: str, arguments: Sequence[str]) -> None:
    """Run a benchmark; it prints a table, or JSON if its arguments say so.

    Raises:
        BenchError: no such benchmark, or no clone.
    """
    if name not in NAMES:
        raise BenchError(f"{name}: no such benchmark; there are {', '.join(NAMES)}")
    if name == "prediction":
        from shockmesh.cluster.predicting.bench import main

        return main(arguments)
    file = FOLDER / f"{name}.py"
    if not file.is_file():
        raise BenchError(f"{name}: benchmarks come with a clone of the repository, not with an installed package")
    runpy.run_path(str(file))["main"](arguments)
