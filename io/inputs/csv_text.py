"""CSV files as texts, read so that nothing in them is lost: each column once, and every row as wide as the header."""

import bz2
import csv
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UNREADABLE = (OSError, EOFError, ValueError, csv.Error, zlib.error, lzma.LZMAError)


def read_csv_text(path: str | Path, refuse: type[ValueError]) -> Any:
    """A CSV with a header line, also compressed (.gz, .bz2, .xz), as a pandas DataFrame of texts, "" where empty.

    Rows without an entry are left out. The index is each row's line in the file.

    Raises:
        refuse: no such file, no CSV, no rows, a column twice, or a row wider or narrower than the header.
    """
    path = Path(path)
    if not path.is_file():
        raise refuse(f"{path}: no such file")
    try:
        problem = next(_problems(path), None)
        frame = None if problem else _frame(path)
    except UNREADABLE as error:
        raise refuse(f"{path}: cannot be read as CSV: {str(error).strip()}") from error
    if frame is None:
        raise refuse(f"{path}: {problem}")
    return frame


def _problems(path: Path) -> Iterator[str]:
    """What pandas would mend without a word, in the order of the lines."""
    with _opened(path) as lines:
        rows = csv.reader(lines, skipinitialspace=True)
        header = [name.strip() for name in next(rows, [])]
        split = next((mark for mark in (";", "\t") if len(header) == 1 and mark in header[0]), None)
        if split:
            yield f"its columns are split by {split!r}; they must be split by commas, numbers have a decimal point"
        yield from (f"{name} is there twice" for at, name in enumerate(header) if name in header[:at])
        filled = False
        for row in rows:
            if row and len(row) != len(header):
                yield f"line {rows.line_num} has {len(row)} fields, the header {len(header)}"
            filled = filled or any(row)
        if not filled:
            yield "rows: 0: must be at least one"


def _opened(path: Path) -> TextIO:
    return OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8-sig", newline="")


def _frame(path: Path) -> Any:
    frame: Any = pd.read_csv(
        path, dtype=str, keep_default_na=False, skip_blank_lines=False, skipinitialspace=True, index_col=False,
        encoding="utf-8-sig",
    )  # fmt: skip
    frame = frame.fillna("").set_axis(range(2, len(frame) + 2))
    return frame[~(frame == "").all(axis=1)]
