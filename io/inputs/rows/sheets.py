"""Files of rows as people keep them (CSV, Parquet, workbooks, data frames), read so that messages can name the row.

A column of names is a dictionary of texts and a code for each row, so that ten million rows need little memory and
names are looked at once. Blanks at the ends of names are taken off, and counted; «007» stays what it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Bool, Float, Int

SHOWN = 5
UNTIDY = r"[\x00-\x1f\x7f]"
TEXT = pa.dictionary(pa.int32(), pa.string())
pc: Any = pyarrow.compute  # whose functions are made when it is imported


class SheetError(ValueError):
    """Rows or files that break a rule: one line per rule, with the file, the first rows and how many there are."""


@dataclass(frozen=True)
class Sheet:
    """Rows of a file."""

    name: str
    columns: Mapping[str, pa.Array]  # our name → names as codes and a dictionary; or numbers, as they are written
    values: Mapping[str, Float[np.ndarray, " row"]]  # of the columns of numbers; NaN where one is none
    word: str  # "line" of a text file, "row" of all others
    places: Callable[[Sequence[int]], list[int]]  # rows from 0 on → their numbers as a user counts
    told: dict[str, Any] = field(default_factory=dict[str, Any])  # how it was read, to be kept

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def codes(self, column: str) -> tuple[Int[np.ndarray, " row"], list[str]]:
        """A column as positions in its sorted labels, -1 where it is empty, and the labels."""
        names: Any = self.columns[column]
        order = pc.sort_indices(names.dictionary).to_numpy()
        codes, labels = _codes(names), names.dictionary.take(order).to_pylist()
        rank = np.zeros(len(order) + 1, np.int32)
        rank[order], rank[-1] = np.arange(len(order)), -1
        return rank[codes], labels

    def numbers(self, column: str) -> Float[np.ndarray, " row"]:
        """A column as numbers, NaN where it is none."""
        return self.values[column]

    def missing(self, column: str) -> Bool[np.ndarray, " row"]:
        entries = self.columns[column]
        if column not in self.values:
            return _codes(entries) < 0
        empty = pc.is_null(entries, nan_is_null=pa.types.is_floating(entries.type))
        if pa.types.is_string(entries.type):
            empty = pc.or_(empty, pc.equal(pc.utf8_trim_whitespace(pc.fill_null(entries, "")), ""))
        return empty.to_numpy(zero_copy_only=False)

    def untidy(self, column: str) -> Bool[np.ndarray, " row"]:
        """Names with a line break or another control character inside."""
        names: Any = self.columns[column]
        odd = pc.match_substring_regex(names.dictionary, UNTIDY).to_numpy(zero_copy_only=False)
        codes = _codes(names)
        return (codes >= 0) & odd[codes] if len(odd) else codes >= 0

    def complain(self, bad: Bool[np.ndarray, " row"], rule: str, show: str | None = None) -> list[str]:
        """One line that names the rule and the first offending rows, with their entry in column `show`, or nothing."""
        at = np.flatnonzero(bad)
        if not len(at):
            return []
        first = at[:SHOWN].tolist()
        entries = [f" ({show} {self.columns[show][row].as_py()!r})" for row in first] if show else [""] * SHOWN
        entries = [entry.replace("None)", "'')") for entry in entries]
        shown = ", ".join(f"{row}{entry}" for row, entry in zip(self.places(first), entries, strict=False))
        more = f" and {len(at) - SHOWN} more" if len(at) > SHOWN else ""
        return [f"{self.name}: {rule}: {self.word} {shown}{more}"]


def refuse(problems: list[str]) -> None:
    """Raise all problems at once, if there are any."""
    if problems:
        raise SheetError("\n".join(problems))


def names_of(values: Any) -> tuple[pa.DictionaryArray, int]:
    """A column of any type as names without blanks at their ends, null where empty; and how many were trimmed.

    A whole number is written without a point, as ids are that a program took for numbers since one was missing.
    """
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    coded: Any = values if pa.types.is_dictionary(values.type) else pc.dictionary_encode(values)
    given = _as_text(coded.dictionary)
    trimmed = pc.utf8_trim_whitespace(given)
    distinct = pc.dictionary_encode(pc.if_else(pc.equal(trimmed, ""), None, trimmed))
    codes = pc.take(distinct.indices, coded.indices)
    changed = pc.fill_null(pc.and_(pc.not_equal(trimmed, given), pc.not_equal(trimmed, "")), False)
    count = pc.sum(pc.take(changed, coded.indices)).as_py() or 0 if pc.any(changed).as_py() else 0
    return pa.DictionaryArray.from_arrays(codes.cast(pa.int32()), distinct.dictionary), count


def ids(known: Sequence[str] | np.ndarray) -> np.ndarray:
    """Ids as integers where every one is written as an integer is, else as text."""
    text = np.array(known, str)
    whole: Any = pd.to_numeric(pd.Series(text), errors="coerce")
    if whole.notna().all() and (whole.abs() < 2**53).all() and (whole.astype(np.int64).astype(str) == text).all():
        return whole.to_numpy(np.int64)
    return text


def positions(known: pd.Index, codes: Int[np.ndarray, " row"], labels: list[str]) -> Int[np.ndarray, " row"]:
    """Where each entry of a column (`Sheet.codes`) is among known names; -1 where it is empty or not there."""
    return np.append(known.get_indexer(labels), -1).astype(np.int32)[codes]


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        whole = pc.equal(pc.round(values), values)
        if pc.all(whole).as_py() is not False:
            values = pc.cast(values, pa.int64())
    return pc.cast(values, pa.string())


def _codes(names: Any) -> Int[np.ndarray, " row"]:
    return pc.fill_null(names.indices, -1).to_numpy(zero_copy_only=False)
