"""Matrices as text: labels first, then numbers, split by one mark; some lines are read at a time."""

import csv
from collections.abc import Iterator
from itertools import islice

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File
from shockmesh.io.tables.store import TableError

CELLS = 2_000_000  # read at once: 16 MB of numbers


def lines_of(
    file: File, mark: str, labels: int, skip: int, width: int
) -> Iterator[tuple[list[str], Float[np.ndarray, " column"]]]:
    """The lines below the first `skip`, as their labels and their numbers.

    An empty cell is 0; a line without a label, or without anything, is left out.

    Args:
        width: how many cells a line has, labels included.

    Raises:
        TableError: a line of another width, or a cell that is no number; it names the file and the line.
    """
    number = skip
    with file.text() as text:
        for _ in islice(text, skip):
            pass
        while lines := list(islice(text, max(1, CELLS // width))):
            named = [_labels(line, mark, labels) for line in lines]
            kept = [at for at, names in enumerate(named) if (any(names) if labels else lines[at].strip())]
            block = _numbers(file, number, [(at, lines[at]) for at in kept], mark, labels, width)
            yield from ((named[at], block[row]) for row, at in enumerate(kept))
            number += len(lines)


def cells_of(line: str, mark: str) -> list[str]:
    """The cells of one line as texts, quotes undone."""
    if '"' in line:
        return next(csv.reader([line], delimiter=mark))
    return line.rstrip("\r\n").split(mark)


def _labels(line: str, mark: str, labels: int) -> list[str]:
    quoted = line.startswith('"')
    return cells_of(line, mark)[:labels] if quoted else line.rstrip("\r\n").split(mark, labels)[:labels]


def _numbers(
    file: File, before: int, lines: list[tuple[int, str]], mark: str, labels: int, width: int
) -> Float[np.ndarray, "line column"]:
    if not lines:
        return np.empty((0, width - labels))
    try:
        block = np.loadtxt(
            [line for _, line in lines], delimiter=mark, usecols=range(labels, width), quotechar='"', ndmin=2,
            comments=None,
        )  # fmt: skip
        if all(line.count(mark) == width - 1 for _, line in lines if '"' not in line):
            return block
    except ValueError:
        pass  # an empty cell, or a fault: line by line, so that it can be named
    return np.stack([_of_line(file, before + at + 1, cells_of(line, mark), labels, width) for at, line in lines])


def _of_line(file: File, number: int, cells: list[str], labels: int, width: int) -> Float[np.ndarray, " column"]:
    if len(cells) != width:
        raise TableError(f"{file}:{number}: {len(cells)} cells, the first line has {width}")
    try:
        return np.array([float(cell or 0) for cell in cells[labels:]])
    except ValueError as error:
        raise TableError(f"{file}:{number}: {error}") from error
