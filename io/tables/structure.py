"""Where the parts of an input-output table are in a sheet, told by its labels and its sums alone.

    label row      the line, among the first ones, that shares the longest run of labels with a column among the first
    sectors        that run; a last one that is the sum of the others is a total
    final demand   columns to the right, until the sectors' labels begin again, that are no sum of columns before them
    output         a row below that equals what the rows sum to: without one, nothing is sure, and the sheet is refused
    imports        a column named so; or rows below named so that, with another row, are what the rows sum to: then
                   that row is output, and what the rows sum to is supply

Labels are compared without what offices put around codes: 01 is 1, CPA_A01 and TTL_A01 are A1, D01 is 1.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.grids import Grid
from shockmesh.io.inputs.workbooks import text_of
from shockmesh.io.tables.corrections import NOTHING, Corrections
from shockmesh.io.tables.imports import IMPORTS
from shockmesh.io.tables.store import TableError

TOP, LEFT = 40, 8  # rows and columns among which labels are looked for
FEWEST = 3  # sectors
CLOSE = 2e-3  # of a sum: tables are printed rounded
IMPORT_WORD = re.compile(
    r"\b(imports?|p\.?7|invoer|einfuhr\w*|importa\w+|importer\w*|tuonti|uvoz|dovoz)\b", re.IGNORECASE
)
SUPPLY = re.compile(r"\b(supply|aanbod|tillgång\w*|oferta|aufkommen|ressources|ponuda)\b", re.IGNORECASE)
TOTALS = re.compile(r"\b(total|sum|summa|gesamt|insgesamt|suma|soma|all)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Structure:
    """The parts of a sheet: numbers of rows and columns, from 0."""

    grid: Grid
    label_row: int
    label_column: int
    rows: range  # of the sectors
    columns: range
    final: tuple[int, ...]  # columns of final demand
    imports: tuple[int, ...]  # those of them that are imports
    totals: tuple[int, ...]  # columns that are sums of others
    output_row: int | None
    repeated: tuple[int, ...]  # rows below that have a sector's label again: imports, mostly
    others: tuple[int, ...]  # further rows with numbers: taxes, value added
    import_rows: tuple[int, ...] = ()  # rows of imports by product, which the flows hold too: they sum to supply

    @property
    def flows(self) -> Float[np.ndarray, "sector sector"]:
        return _numbers(self.grid)[np.ix_(self.rows, self.columns)]

    @property
    def demand(self) -> Float[np.ndarray, "sector category"]:
        """Final demand; imports are below zero."""
        found = _numbers(self.grid)[np.ix_(self.rows, self.final)]
        signs = [
            -1.0 if at in self.imports and column.sum() > 0 else 1.0
            for at, column in zip(self.final, found.T, strict=True)
        ]
        if not self.import_rows:
            return found * signs
        return np.column_stack([found * signs, -_numbers(self.grid)[np.ix_(self.import_rows, self.columns)].sum(0)])

    @property
    def categories(self) -> list[str]:
        """The labels of final demand."""
        return [self.column_label(at) for at in self.final] + ["imports"] * bool(self.import_rows)

    @property
    def sectors(self) -> list[str]:
        """The labels of the sectors: texts where the sheet has texts, so that 01 stays 01."""
        pairs = zip(self.rows, self.columns, strict=True)
        cells = [
            (self.grid.cells[self.label_row][column], self.grid.cells[row][self.label_column]) for row, column in pairs
        ]
        return [text_of(next((cell for cell in both if isinstance(cell, str)), both[0])) for both in cells]

    @property
    def names(self) -> dict[str, str]:
        """What else tells the sectors apart beside or above their labels; of several, the longest texts."""
        cells, sectors = self.grid.cells, self.sectors
        beside = [[text_of(cells[row][at]) for row in self.rows] for at in range(self.columns.start)]
        above = [[text_of(line[at]) for at in self.columns] for line in cells[: self.rows.start]]
        told = [texts for texts in (*beside, *above) if len(set(texts)) == len(sectors)]
        return dict(zip(sectors, max(told, key=lambda texts: sum(map(len, texts)), default=sectors), strict=True))

    def column_label(self, at: int) -> str:
        return _column_label(self.grid, self.label_row, self.rows.start, at)

    def row_label(self, at: int) -> str:
        return _row_label(self.grid, self.label_column, self.columns.start, at)

    def account(self) -> list[str]:
        """What was taken for what, and what was left out, in sentences."""
        flows, demand = self.flows, self.demand
        sectors = self.sectors
        said = [
            f"labels in line {self.label_row + 1} and column {_letter(self.label_column)}: {len(sectors)} sectors, "
            f"{sectors[0]} … {sectors[-1]}, whose flows are {flows.sum():.6g}"
        ]
        finals = [f"{name} ({amount:.6g})" for name, amount in zip(self.categories, demand.sum(0), strict=True)]
        said.append(f"final demand: {', '.join(finals) or 'none'}")
        for what, found, label in (
            ("imports", self.imports, self.column_label),
            ("rows of imports, which with output make the supply that rows sum to", self.import_rows, self.row_label),
            ("columns left out, sums of others", self.totals, self.column_label),
            ("rows with labels of sectors again, left out of the flows", self.repeated[:1], self.row_label),
            ("other rows, in value added", self.others, self.row_label),
        ):
            if found:
                said.append(f"{what}: {', '.join(dict.fromkeys(map(label, found)))}")
        if self.output_row is not None:
            output = f"row {self.output_row + 1}, {self.row_label(self.output_row)}"
            said.append(f"output: {output}, agrees with the sums of the rows")
        else:
            said.append("output: no row below agrees with the sums of the rows")
        return said


def recognise(grid: Grid, corrections: Corrections = NOTHING) -> Structure:
    """Find the parts of a table.

    Raises:
        TableError: no labels that rows and columns share, or nothing that shows what output is; with the account.
    """
    top, left, first_row, first_column, length = _labels(grid, corrections)
    numbers = _numbers(grid)
    rows, columns = range(first_row, first_row + length), range(first_column, first_column + length)
    rows, columns = _without_total(numbers, rows, columns)
    final, imports, totals = _right(grid, corrections, numbers, top, rows, columns)
    demand = [_signed(numbers[list(rows), at], at in imports) for at in final]
    made = numbers[np.ix_(rows, columns)].sum(1) + sum(demand)
    output_row, repeated, others = _below(grid, corrections, numbers, left, rows, columns, made)
    output_row, import_rows = _without_imports(grid, numbers, output_row, (*repeated, *others), rows, columns, made)
    found = Structure(
        grid, top, left, rows, columns, tuple(final), tuple(imports), tuple(totals), output_row, repeated,
        tuple(at for at in others if at not in (output_row, *import_rows)), import_rows,
    )  # fmt: skip
    supply = output_row is not None and not import_rows and SUPPLY.search(_texts(grid, columns.start, output_row))
    if corrections.output == "sums" or not (output_row is None or supply):
        return found
    account = "\n".join(f"  {line}" for line in found.account())
    rule = HOLDS_IMPORTS if supply else NOT_SURE
    raise TableError(f"{grid}: {rule}. It was taken so:\n{account}\n  {ADVICE}")


NOT_SURE = "not sure that this is the table: no row below equals what its rows sum to"
HOLDS_IMPORTS = "its rows sum to supply, imports among it, and no row of imports tells how much"
ADVICE = "a file of corrections (--corrections FILE.yaml) can say what is what; `output: sums` takes it as it is"


def _labels(grid: Grid, corrections: Corrections) -> tuple[int, int, int, int, int]:
    """Label row, label column, first row and column of the sectors, and how many there are."""
    height, width = len(grid.cells), len(grid.cells[0]) if grid.cells else 0
    if (corrections.label_row or 0) > height or (corrections.column or 0) >= max(width, 1):
        raise TableError(f"{grid}: label_row, label_column: the sheet has {height} lines and {width} columns")
    tops = [corrections.label_row - 1] if corrections.label_row else range(min(TOP, height))
    lefts = [corrections.column] if corrections.column is not None else range(min(LEFT, width))
    down = {left: [normal(row[left]) for row in grid.cells] for left in lefts}
    best: tuple[int, int, tuple[int, ...]] = (0, 0, ())
    for top, left in product(tops, lefts):
        across = [normal(cell) for cell in grid.cells[top]]
        length, column, row = _longest(across, down[left], top, left, corrections)
        letters = -sum(map(len, across[column : column + length]))  # codes rather than names
        best = max(best, (length, letters, (top, left, row, column, length)), key=lambda one: one[:2])
    if best[0] < FEWEST:
        rule = f"no {FEWEST} labels that one of {TOP} lines and one of {LEFT} columns have in the same order"
        raise TableError(f"{grid}: cannot be recognised as a table: {rule}; {ADVICE}")
    return best[2]  # pyright: ignore


def _longest(
    across: Sequence[str], down: Sequence[str], top: int, left: int, corrections: Corrections
) -> tuple[int, int, int]:  # fmt: skip
    """The longest run of labels that a line and a column share: its length, first column and first row."""
    at: dict[str, list[int]] = {}
    for row in range(top + 1, len(down)):
        if down[row]:
            at.setdefault(down[row], []).append(row)
    begin, end = (normal(label) if label else "" for label in (corrections.first, corrections.last))
    best, before = (0, 0, 0), dict[int, int]()
    for column in range(left + 1, len(across)):
        label = across[column]
        broken = bool(end) and bool(across[column - 1] == end)
        runs = {row: 1 + (0 if broken else before.get(row - 1, 0)) for row in at.get(label, ())}
        if begin:
            runs = {row: length for row, length in runs.items() if label == begin or length > 1}
        for row, length in runs.items():
            if length > best[0]:
                best = (length, column - length + 1, row - length + 1)
        before = runs
    return best


def normal(cell: Any) -> str:
    """A label as it is compared: CPA_A01 as A1, C10_12 as C10-12, D01 as 1, 1.0 as 1."""
    if re.fullmatch(r"_[A-Z]", text_of(cell)):  # ESA: no code, or a total
        return ""
    text = re.sub(r"[–—_ \n]+", "-", text_of(cell)).upper().strip("-")
    text = re.sub(r"^(CPA|TTL|DOM|IMP|NACE)-", "", text)
    text = re.sub(r"^D(?=\d)", "", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _numbers(grid: Grid) -> Float[np.ndarray, "row column"]:
    """The cells as numbers, 0 where they are none."""
    return np.array(
        [[cell if isinstance(cell, int | float) else 0.0 for cell in row] for row in grid.cells], np.float64
    )


def _without_total(numbers: np.ndarray, rows: range, columns: range) -> tuple[range, range]:
    """The sectors up to the first that is the sum of those before it, where the run goes on into totals."""
    block = numbers[np.ix_(rows, columns)]
    for at in range(FEWEST, len(rows)):
        if _close(block[:at, at], block[:at, :at].sum(1)):
            return rows[:at], columns[:at]
    return rows, columns


def _right(
    grid: Grid, corrections: Corrections, numbers: np.ndarray, top: int, rows: range, columns: range
) -> tuple[list[int], list[int], list[int]]:  # fmt: skip
    """Columns of final demand, imports among them, and sums."""
    known = {normal(cell) for cell in grid.cells[top][columns.start : columns.stop]}
    parts = [numbers[np.ix_(rows, columns)].sum(1)]
    final, imports, totals = list[int](), list[int](), list[int]()
    for at in range(columns.stop, len(grid.cells[0])):
        column, label = numbers[list(rows), at], _column_label(grid, top, rows.start, at)
        if normal(grid.cells[top][at]) in known and column.any():
            break
        if not column.any() or corrections.leaves_out(label):
            totals += [at] if column.any() else []
            continue
        if not corrections.is_final(label) and _is_sum(column, parts, label):
            totals.append(at)
            continue
        is_import = corrections.is_import(label) or IMPORTS.fullmatch(label.strip()) is not None
        imports += [at] if is_import else []
        final.append(at)
        parts.append(_signed(column, is_import))
    return final, imports, totals


def _is_sum(column: np.ndarray, parts: list[np.ndarray], label: str) -> bool:
    """Whether a column is the sum of the last of those before it, or of all flows, as totals are."""
    if len(parts) == 1 and _close(column, parts[0]):
        return True
    running = np.zeros_like(column)
    for count, part in enumerate(reversed(parts), start=1):
        running = running + part
        if _close(column, running) and (count > 1 or TOTALS.search(label)):
            return True
    return _close(column, sum(parts[1:])) and len(parts) > 2


def _below(
    grid: Grid, corrections: Corrections, numbers: np.ndarray, left: int, rows: range, columns: range, made: Any
) -> tuple[int | None, tuple[int, ...], tuple[int, ...]]:  # fmt: skip
    """The row of output, the rows that have sectors' labels again, and the others."""
    known = {normal(row[left]) for row in grid.cells[rows.start : rows.stop]}
    inputs = numbers[np.ix_(rows, columns)].sum(0)
    output, repeated, others = None, list[int](), list[int]()
    for at in range(rows.stop, len(grid.cells)):
        values = numbers[at, list(columns)]
        if not values.any():
            continue
        if output is None and (
            _close(values, made) or corrections.is_output(_row_label(grid, left, columns.start, at))
        ):
            output = at
        elif normal(grid.cells[at][left]) in known:
            repeated.append(at)
        elif not _close(values, inputs):
            others.append(at)
    return output, tuple(repeated), tuple(others)


def _without_imports(
    grid: Grid, numbers: np.ndarray, matched: int | None, below: Sequence[int], rows: range, columns: range, made: Any
) -> tuple[int | None, tuple[int, ...]]:  # fmt: skip
    """The row of output and those of imports, where it is their sum that rows sum to: a table of total flows."""
    named = [at for at in below if IMPORT_WORD.search(_texts(grid, columns.start, at))]
    runs = [tuple(named[begin:end]) for begin in range(len(named)) for end in range(begin + 1, len(named) + 1)]
    for imports in runs if matched is not None else ():
        output = made - numbers[np.ix_(imports, columns)].sum(0)
        for at in below:
            if at not in imports and _close(numbers[at, list(columns)], output):
                return at, imports
    return matched, ()


def _texts(grid: Grid, right: int, at: int) -> str:
    return " ".join(text_of(cell) for cell in grid.cells[at][:right] if isinstance(cell, str))


def _close(one: Any, other: Any) -> bool:
    """Equal but for rounding, as a whole."""
    size = float(np.abs(other).sum())
    return size > 0 and float(np.abs(np.asarray(one) - other).sum()) <= CLOSE * size


def _signed(column: np.ndarray, is_import: bool) -> np.ndarray:
    """Imports count below zero, however the sheet writes them."""
    return -column if is_import and column.sum() > 0 else column


def _column_label(grid: Grid, top: int, below: int, at: int) -> str:
    """The label of a column, or else the text nearest to where it would be."""
    lines = sorted(range(below), key=lambda line: abs(line - top))
    return next((text_of(grid.cells[line][at]) for line in lines if text_of(grid.cells[line][at])), _letter(at))


def _row_label(grid: Grid, left: int, right: int, at: int) -> str:
    columns = sorted(range(right), key=lambda column: abs(column - left))
    texts = (text_of(grid.cells[at][column]) for column in columns)
    return next((text for text in texts if text), f"line {at + 1}")


def _letter(at: int) -> str:
    """A column as spreadsheets name it."""
    return (_letter(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)
