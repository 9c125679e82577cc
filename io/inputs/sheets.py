"""Files of rows as people keep them (CSV, Parquet, split by blanks), read so that messages can name the row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from shockmesh.io.inputs.csv_text import read_csv_text

SHOWN = 5
UNTIDY = r"^\s|\s$|[\x00-\x1f\x7f]"


class SheetError(ValueError):
    """Rows or files that break a rule: one line per rule, with the file, the first rows and how many there are."""


@dataclass(frozen=True)
class Sheet:
    """A file of rows."""

    name: str
    frame: Any  # a pandas DataFrame; every column of a text file is text, "" where it is empty
    rows: Int[np.ndarray, " row"]  # the number of each row as a user counts
    word: str  # "line" of a text file, "row" of a Parquet file

    def __contains__(self, column: str) -> bool:
        return column in self.frame.columns

    def text(self, column: str) -> Any:
        """A column as text (a pandas Series)."""
        return self.frame[column].astype(str)

    def numbers(self, column: str) -> Float[np.ndarray, " row"]:
        """A column as numbers, NaN where it is none."""
        converted: Any = pd.to_numeric(self.frame[column], errors="coerce")
        return converted.to_numpy(np.float64, na_value=np.nan)

    def missing(self, column: str) -> Bool[np.ndarray, " row"]:
        return (self.frame[column].isna() | (self.text(column).str.strip() == "")).to_numpy(bool)

    def untidy(self, column: str) -> Bool[np.ndarray, " row"]:
        """Entries with blanks at an end, or a line break or another control character inside."""
        found: Any = self.text(column).str.contains(UNTIDY, regex=True)
        return found.to_numpy(bool) & ~self.missing(column)

    def repeated(self, columns: list[str]) -> Bool[np.ndarray, " row"]:
        """Rows that repeat the entries of an earlier row in these columns."""
        return self.frame[columns].astype(str).duplicated().to_numpy(bool)

    def codes(self, column: str) -> tuple[Int[np.ndarray, " row"], list[str]]:
        """A column as positions in its sorted labels, and the labels."""
        codes, labels = pd.factorize(self.text(column), sort=True)
        return codes.astype(np.int32), [str(label) for label in labels]

    def complain(self, bad: Bool[np.ndarray, " row"], rule: str, show: str | None = None) -> list[str]:
        """One line that names the rule and the first offending rows, with their entry in column `show`, or nothing."""
        at = np.flatnonzero(bad)
        if not len(at):
            return []
        entries = [f" ({show} {text!r})" for text in self.text(show).iloc[at[:SHOWN]]] if show else [""] * SHOWN
        shown = ", ".join(f"{row}{entry}" for row, entry in zip(self.rows[at[:SHOWN]], entries, strict=False))
        more = f" and {len(at) - SHOWN} more" if len(at) > SHOWN else ""
        return [f"{self.name}: {rule}: {self.word} {shown}{more}"]


def read_sheet(path: Path) -> Sheet:
    """Read a Parquet file (.parquet) or a CSV with a header line (any other name).

    Raises:
        SheetError: no such file, or one that `read_csv_text` or Parquet refuses.
    """
    if path.suffix == ".parquet":
        frame = _read(path, "Parquet", pd.read_parquet)
        refuse([] if len(frame) else [f"{path}: rows: 0: must be at least one"])
        return Sheet(path.name, frame, np.arange(len(frame)) + 1, "row")
    frame = read_csv_text(path, SheetError).rename(columns=str.strip)
    return Sheet(path.name, frame, frame.index.to_numpy(), "line")


def read_blank_separated(path: Path, columns: tuple[str, ...]) -> Sheet:
    """Read a file without header whose columns are split by blanks.

    Raises:
        SheetError: no such file, or a row with another number of columns.
    """
    options: dict[str, Any] = {"sep": r"\s+", "header": None, "dtype": str, "keep_default_na": False}
    frame = _read(path, "columns split by blanks", pd.read_csv, skip_blank_lines=False, **options)
    rule = f"{len(columns)} columns needed: {' '.join(columns)}"
    if frame.shape[1] != len(columns):
        raise SheetError(f"{path.name}: {rule}; it has {frame.shape[1]}")
    frame = frame.fillna("").set_axis(list(columns), axis=1).set_axis(range(1, len(frame) + 1))
    frame = frame[~(frame == "").all(axis=1)]
    sheet = Sheet(path.name, frame, frame.index.to_numpy(), "line")
    refuse(sheet.complain((frame == "").any(axis=1).to_numpy(bool), rule))
    return sheet


def refuse(problems: list[str]) -> None:
    """Raise all problems at once, if there are any."""
    if problems:
        raise SheetError("\n".join(problems))


def ids(known: Any) -> np.ndarray:
    """Ids as integers where every one is written as an integer is, else as text."""
    text = np.array(list(known), str)
    whole: Any = pd.to_numeric(pd.Series(text), errors="coerce")
    if whole.notna().all() and (whole.abs() < 2**53).all() and (whole.astype(np.int64).astype(str) == text).all():
        return whole.to_numpy(np.int64)
    return text


def _read(path: Path, kind: str, read: Callable[..., Any], **options: Any) -> Any:
    if not path.is_file():
        raise SheetError(f"{path}: no such file")
    try:
        return read(path, **options)
    except (ValueError, OSError) as error:
        raise SheetError(f"{path}: cannot be read as {kind}: {str(error).strip()}") from error
