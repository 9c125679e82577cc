"""What MARIO exports: a workbook with the sheets flows and units, or a folder `flows` of CSV or Parquet files.

A label has three parts: region, level (Sector; or Activity and Commodity; Consumption category; Factor of production)
and item.

    workbook   three lines and three columns of labels around all flows
    CSV        Z.csv and Y.csv, four lines and three columns of labels; units.csv
    Parquet    data.parquet, a cell a line: Scenario, Matrix, Region_from, Sector_from, …, Value; units.parquet

A table of supply and use (workbook) becomes industry by industry (`supply_use.py`). Only the scenario baseline is read.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.frames import read_frame
from shockmesh.io.inputs.workbooks import numbers_of, open_workbook, text_of
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Of, Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.labelled import (
    ADDED,
    FINAL,
    INDUSTRY,
    OTHER,
    LabelledRow,
    Meaning,
    columns_of,
    rows_by_region,
)  # fmt: skip
from shockmesh.io.tables.forms.text import cells_of, lines_of
from shockmesh.io.tables.forms.years import by_year
from shockmesh.io.tables.readers.saved import MONEY
from shockmesh.io.tables.store import Header, Rows, TableError
from shockmesh.io.tables.supply_use import MODEL, industry_by_industry

type Parts = tuple[str, str, str]  # region, level, item
type Line = tuple[Parts, Float[np.ndarray, " column"]]

SECTOR, ACTIVITY, PRODUCT = "Sector", "Activity", "Commodity"
CATEGORY, FACTOR = "Consumption category", "Factor of production"
NAMES = MONEY | {"m eur": "million EUR", "m usd": "million USD", "eur": "EUR", "usd": "USD"}


def fits(source: Source) -> list[File]:
    """Workbooks with the sheets flows and units, or Z.csv or data.parquet in a folder `flows`."""
    books = [file for file in source.matching(r".*\.xlsx") if {"flows", "units"} <= set(open_workbook(file).sheets)]
    folders = source.matching(r"Z\.csv|data\.parquet")
    return books or [file for file in folders if file.folder == "flows"]


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open an export of MARIO, or one a year.

    Raises:
        TableError, SourceError: no such file, labels that are not MARIO's, or sectors that differ in their unit.
    """
    files = fits(source)
    if not files:
        raise TableError(
            f"{source}: no workbook with the sheets flows and units, nor a folder flows with Z.csv or data.parquet"
        )
    return by_year(source, files, said, partial(_read, about))


def _read(about: About, file: File) -> tuple[Header, Raw]:
    form = {".csv": _of_csv, ".parquet": _of_parquet}.get(file.suffix, _of_workbook)
    columns, lines, units = form(file)
    levels = {level for _, level, _ in columns}
    makers = ACTIVITY if ACTIVITY in levels else SECTOR
    if makers not in levels or CATEGORY not in levels:
        raise TableError(f"{file}: levels: {', '.join(sorted(levels))}: must have {makers} and {CATEGORY}")
    money = {unit for level, _, unit in units if level == makers}
    if len(money) != 1:
        raise TableError(f"{file}: unit: {', '.join(sorted(money)) or 'none'}: all of level {makers} must have one")
    unit = next(iter(money))
    open_ = partial(header_of, about, file, money=NAMES.get(unit.lower(), unit))
    if makers == ACTIVITY:
        return _of_supply_and_use(open_, columns, list(lines))
    level_of = {(region, item): level for region, level, item in columns}
    meaning = Meaning(
        lambda region, item: {SECTOR: INDUSTRY, CATEGORY: FINAL}.get(level_of[region, item], OTHER),
        lambda level, item: {FACTOR: ADDED, OTHER: OTHER}.get(level, INDUSTRY),
    )
    found = columns_of(file, [(region, item) for region, _, item in columns], meaning)

    def rows() -> Iterator[LabelledRow]:
        for (region, level, item), numbers in lines:
            yield region if level == SECTOR else level if level == FACTOR else OTHER, item, numbers

    return open_(found.labels), lambda year: rows_by_region(file, found, rows(), meaning)


def _of_workbook(file: File) -> tuple[list[Parts], Iterator[Line], list[Parts]]:
    book = open_workbook(file)
    top = list(islice(book.rows("flows"), 3))

    def lines() -> Iterator[Line]:
        for number, cells in enumerate(book.rows("flows"), start=1):
            if number > len(top):
                region, level, item = map(text_of, cells[:3])
                yield (region, level, item), numbers_of(cells[3:], f"{file}: flows, line {number}")

    units = [_three(list(map(text_of, cells))) for cells in islice(book.rows("units"), 1, None)]
    return (
        [_three(list(map(text_of, column))) for column in zip(*(line[3:] for line in top), strict=True)],
        lines(),
        units,
    )


def _of_csv(file: File) -> tuple[list[Parts], Iterator[Line], list[Parts]]:
    others = {name: file.beside(name) for name in ("Y.csv", "units.csv")}
    if missing := [name for name, found in others.items() if found is None]:
        raise TableError(f"{file}: {', '.join(missing)}: not beside it")
    flows, final = _columns(file), _columns(others["Y.csv"])  # pyright: ignore

    def lines() -> Iterator[Line]:
        demand = {tuple(label): row for label, row in lines_of(others["Y.csv"], ",", 3, 4, 3 + len(final))}  # pyright: ignore
        for label, row in lines_of(file, ",", 3, 4, 3 + len(flows)):
            if tuple(label) not in demand:
                raise TableError(f"{others['Y.csv']}: no row {' '.join(label)}")
            yield _three(label), np.concatenate([row, demand[tuple(label)]])

    with others["units.csv"].text() as text:  # pyright: ignore
        units = [_three(cells_of(line, ",")) for line in islice(text, 1, None) if line.strip()]
    return [*flows, *final], lines(), units


def _columns(file: File) -> list[Parts]:
    with file.text() as text:
        top = [cells_of(line, ",")[3:] for line in islice(text, 3)]
    return [_three(column) for column in zip(*top, strict=True)]


def _of_parquet(file: File) -> tuple[list[Parts], Iterator[Line], list[Parts]]:
    cells, units = read_frame(file), file.beside("units.parquet")
    if units is None or "Matrix" not in cells:
        raise TableError(f"{file}: units.parquet: not beside it, or no column Matrix")
    cells = cells[cells["Matrix"].isin(["Z", "Y"]) & (cells["Scenario"] == "baseline")]
    keys = ["Region_from", "Sector_from"], ["Region_to", "Sector_to", f"{CATEGORY}_to"]
    table = cells.pivot(index=keys[0], columns=keys[1], values="Value").fillna(0.0)
    columns: list[Parts] = [
        (str(region), SECTOR if sector else CATEGORY, str(sector or category))
        for region, sector, category in table.columns
    ]
    rows = zip(table.index, table.to_numpy(np.float64), strict=True)
    lines: Iterator[Line] = (((str(region), SECTOR, str(sector)), row) for (region, sector), row in rows)
    return columns, lines, [_three(line) for line in read_frame(units).astype(str).to_numpy().tolist()]


def _three(label: Sequence[str]) -> Parts:
    one, two, three = label
    return str(one), str(two), str(three)


def _of_supply_and_use(open_: Any, columns: list[Parts], lines: list[Line]) -> tuple[Header, Raw]:
    """Supply and use of all regions, held whole, as flows between their industries."""
    regions = list(dict.fromkeys(region for region, level, _ in columns if level == ACTIVITY))
    sectors, goods, categories = (
        list(dict.fromkeys(item for _, level, item in columns if level == wanted))
        for wanted in (ACTIVITY, PRODUCT, CATEGORY)
    )
    order = {
        level: np.array([columns.index((r, level, i)) for r in regions for i in items])
        for level, items in ((ACTIVITY, sectors), (PRODUCT, goods), (CATEGORY, categories))
    }
    of_row = dict(lines)
    made = np.stack([of_row[r, ACTIVITY, i][order[PRODUCT]] for r in regions for i in sectors])
    used = np.stack([of_row[r, PRODUCT, i] for r in regions for i in goods])
    flows, final, lost = industry_by_industry(
        made, used[:, order[ACTIVITY]], used[:, order[CATEGORY]], [f"{r} {i}" for r in regions for i in goods]
    )
    header = open_(Labels(regions, sectors, categories), remarks=(MODEL, *([lost] if lost else [])))
    sizes, output = (len(regions), len(sectors)), made.sum(1)
    blocks = flows.reshape(*sizes, *sizes), final.reshape(*sizes, len(regions), -1), output.reshape(sizes)

    def rows(year: int) -> Iterator[Of]:
        yield from (Rows(region, *(block[position] for block in blocks)) for position, region in enumerate(regions))

    return header, rows
