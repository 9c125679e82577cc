"""Eora26 (Lenzen et al. 2013): tab-separated numbers without labels, and a file of labels for each side.

`Eora26_YYYY_bp_T.txt` and `_FD.txt`, in a folder or a zip; the labels are there too, or in an indices.zip beside it.
ROW, one sector, holds statistical discrepancies and is no region: it is left out, and that is said.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from shockmesh.io.inputs.files import File, Source, open_source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Of, Raw
from shockmesh.io.tables.forms.headers import header_of, years_in
from shockmesh.io.tables.forms.labelled import (
    FINAL,
    INDUSTRY,
    OTHER,
    Columns,
    Label,
    LabelledRow,
    Meaning,
    columns_of,
    rows_by_region,
)  # fmt: skip
from shockmesh.io.tables.forms.text import cells_of, lines_of
from shockmesh.io.tables.forms.years import by_year
from shockmesh.io.tables.store import Header, TableError

ROW = "ROW"
CODE, NAME = 1, 3  # columns of a file of labels


def fits(source: Source) -> list[File]:
    """The flows at basic prices, one file a year."""
    return source.matching(r"Eora26_\d{4}_bp_T\.txt")


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the tables at basic prices of a year or of several; the rows of one region are held at a time.

    Raises:
        TableError, SourceError: a file is missing or not of the form that its labels say.
    """
    files = fits(source)
    if not files:
        raise TableError(f"{source}: 0 files Eora26_YYYY_bp_T.txt among its {len(source.files)}")
    indices = source.path.parent / "indices.zip"
    known = (*source.files, *(open_source(indices).files if indices.is_file() else ()))
    return by_year(source, files, said, partial(_read, source, known, about))


def _read(source: Source, known: tuple[File, ...], about: About, flows: File) -> tuple[Header, Raw]:
    final = _one(source, known, flows.name.replace("_T.txt", "_FD.txt"))
    of_flows, of_final = (_labels(_one(source, known, f"labels_{side}.txt")) for side in ("T", "FD"))
    finals = set(of_final)
    meaning = Meaning(
        lambda region, code: OTHER if region == ROW else FINAL if (region, code) in finals else INDUSTRY,
        lambda region, code: OTHER if region == ROW else INDUSTRY,
    )
    columns = columns_of(flows, [*of_flows, *of_final], meaning)
    (year,) = years_in(flows.stem)
    header = header_of(about, flows, columns.labels, title=f"{about.title} {year}, basic prices")
    return header, lambda _: _rows(about, flows, final, of_flows, of_final, columns, meaning)


def _one(source: Source, known: tuple[File, ...], name: str) -> File:
    for file in known:
        if file.name == name:
            return file
    raise TableError(f"{source}: no {name} there, nor in an indices.zip")


def _labels(file: File) -> list[Label]:
    """Regions and sectors (or categories), as texts."""
    with file.text() as text:
        cells = [cells_of(line, "\t") for line in text if line.strip()]
    return [(of[CODE], of[NAME]) for of in cells]


def _rows(
    about: About, flows: File, final: File, of_flows: list[Label], of_final: list[Label], columns: Columns,
    meaning: Meaning,
) -> Iterator[Of]:  # fmt: skip
    to_row = np.array([region == ROW for region, _ in (*of_flows, *of_final)])
    sums = dict.fromkeys(("sold", "to it", "by it"), 0.0)

    def rows() -> Iterator[LabelledRow]:
        labels = iter(of_flows)
        for number, row in enumerate(_joined(flows, final, len(of_flows), len(of_final)), start=1):
            label = next(labels, None)
            if label is None:
                raise TableError(f"{flows}: {number} lines, the labels say {len(of_flows)}")
            if label[0] == ROW:
                sums["by it"] += float(row[~to_row].sum())
            else:
                sums["sold"] += float(row.sum())
                sums["to it"] += float(row[to_row].sum())
            yield *label, row
        if left := next(labels, None):
            raise TableError(f"{flows}: ends before the row of {' '.join(left)}")

    yield from rows_by_region(flows, columns, rows(), meaning)
    if to_row.any():
        said = f"ROW (statistical discrepancies) is no region and is left out: industries sell it {sums['to it']:.6g}"
        yield f"{said} of {sums['sold']:.6g} in all, and it sells {sums['by it']:.6g} [{about.money}]"


def _joined(flows: File, final: File, width: int, wide: int) -> Iterator[np.ndarray]:
    """The lines of both files, side by side."""
    demands = lines_of(final, "\t", 0, 0, wide)
    for _, row in lines_of(flows, "\t", 0, 0, width):
        demand = next(demands, None)
        if demand is None:
            raise TableError(f"{final}: has fewer lines than {flows.name}")
        yield np.concatenate([row, demand[1]])
    if next(demands, None):
        raise TableError(f"{final}: has more lines than {flows.name}")
