"""The WIOD 2016 workbook. No library writes .xlsb: the few records of [MS-XLSB] that one needs are written here."""

import struct
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import TableError, open_table

REGIONS, SECTORS, FINAL = ["AUS", "ROW"], ["A01", "A02", "U"], ["CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN"]
LABELS = [(r, s) for r in REGIONS for s in SECTORS] + [(r, c) for r in REGIONS for c in FINAL]
ROW, BLANK, INTEGER, FLOAT, STRING = 0x00, 0x01, 0x02, 0x05, 0x07
SHEETS, SHEETS_END, SHEET = 0x018F, 0x0190, 0x019C
SHEET_DATA, SHEET_DATA_END, DIMENSION = 0x0191, 0x0192, 0x0194
STRINGS, STRINGS_END, ONE_STRING = 0x019F, 0x01A0, 0x13

type Lines = list[list[Any]]


def record(number: int, data: bytes = b"") -> bytes:
    size = len(data)
    return number.to_bytes(1 if number < 0x80 else 2, "little") + bytes([size & 0x7F | 0x80, size >> 7]) + data


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def cell(column: int, value: Any, strings: list[str]) -> bytes:
    at = struct.pack("<II", column, 0)
    match value:
        case None:
            return record(BLANK, at)
        case str():
            strings.append(value)
            return record(STRING, at + struct.pack("<I", len(strings) - 1))
        case int():
            return record(INTEGER, at + struct.pack("<i", value << 2 | 2))
        case _:
            return record(FLOAT, at + struct.pack("<d", value))


def write_xlsb(file: Path, lines: Lines, sheets: int = 1) -> None:
    """A workbook of one sheet; a line without any value is left out, as Excel does."""
    strings: list[str] = []
    sheet = record(DIMENSION, struct.pack("<4I", 0, len(lines) - 1, 0, max(map(len, lines)) - 1)) + record(SHEET_DATA)
    for number, line in enumerate(lines):
        if any(value is not None for value in line):
            sheet += record(ROW, struct.pack("<I", number))
            sheet += b"".join(cell(column, value, strings) for column, value in enumerate(line))
    about = record(SHEET, struct.pack("<II", 0, 1) + text("rId1") + text("2014"))
    shared = b"".join(record(ONE_STRING, b"\0" + text(value)) for value in strings)
    with ZipFile(file, "w") as book:
        book.writestr("xl/workbook.bin", record(SHEETS) + about * sheets + record(SHEETS_END))
        book.writestr("xl/_rels/workbook.bin.rels", '<R><r Id="rId1" Target="worksheets/sheet1.bin"/></R>')
        book.writestr("xl/worksheets/sheet1.bin", sheet + record(SHEET_DATA_END))
        book.writestr("xl/sharedStrings.bin", record(STRINGS, bytes(8)) + shared + record(STRINGS_END))


@pytest.fixture
def lines() -> Lines:
    """Titles, then codes, names, countries and numbers of the columns, industries, value added, output."""
    flows = np.round(np.random.default_rng(0).uniform(1, 9, (6, len(LABELS))), 3)
    top: Lines = [["Intercountry Input-Output Table"], ["(industry-by-industry)"]]
    top.append(["(millions of US$)", None, None, None, *(code for _, code in LABELS), "GO"])
    top.append([None] * 4 + ["a name"] * len(LABELS) + ["Total output"])
    top.append([None] * 4 + [region for region, _ in LABELS] + ["TOT"])
    top.append([None] * 4 + [f"c{i}" for i in range(len(LABELS))] + ["c62"])
    for i, (region, sector) in enumerate(LABELS[:6]):
        top.append([sector, "a name", region, f"r{i}", *flows[i].tolist(), float(flows[i].sum())])
    foot = [[name, "a name", "TOT", "r65", *([1] * len(LABELS)), 0] for name in ("II_fob", "VA", "GO")]
    return [*top, *foot]


def test_a_workbook_becomes_a_table(tmp_path, lines):
    lines[7][5], lines[8][6] = 3, None  # a whole number and an empty cell
    write_xlsb(tmp_path / "WIOT2014_Nov16_ROW.xlsb", lines)
    import_table("wiod2016", tmp_path / "WIOT2014_Nov16_ROW.xlsb", tmp_path / "t.zarr")
    numbers = np.array([[value or 0.0 for value in line[4:-1]] for line in lines[6:12]])
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.attrs["year"], table.attrs["units"]) == (2014, "million USD / year")
        assert (table.region.values.tolist(), table.sector.values.tolist()) == (REGIONS, SECTORS)
        assert table.category.values.tolist() == FINAL
        np.testing.assert_array_equal(table.Z.values.reshape(6, 6), numbers[:, :6])
        np.testing.assert_array_equal(table.Y.values.reshape(6, 10), numbers[:, 6:])


def _set(line: int, column: int, value: Any) -> Any:
    def change(lines: Lines) -> Lines:
        lines[line][column] = value
        return lines

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set(8, 7, "n/a"), "xlsb: line 9: could not convert string to float: 'n/a'"),
        (_set(2, 5, "A01"), "xlsb: a column is there twice"),
        (_set(2, 5, "B"), "columns: every region has the same sectors; missing AUS A02, ROW B"),
        (lambda lines: [*lines[:9], *lines[10:]], "xlsb: rows of ROW: missing A01"),
        (lambda lines: lines[:4], "xlsb: 4 lines, a WIOD sheet has codes in line 3 and countries in line 5"),
    ],
)
def test_a_sheet_that_is_not_wiod_is_refused(tmp_path, lines, change, says):
    write_xlsb(tmp_path / "WIOT2014_Nov16_ROW.xlsb", change(lines))
    with pytest.raises(TableError, match=says):
        import_table("wiod2016", tmp_path / "WIOT2014_Nov16_ROW.xlsb", tmp_path / "t.zarr")
    assert [path.suffix for path in tmp_path.iterdir()] == [".xlsb"]


def test_a_workbook_without_sheets_or_year_is_refused(tmp_path, lines):
    write_xlsb(tmp_path / "WIOT2014.xlsb", lines, sheets=0)
    write_xlsb(tmp_path / "WIOT.xlsb", lines)
    for name, says in (("WIOT2014", "no sheet there"), ("WIOT", "year: none in its name")):
        with pytest.raises(TableError, match=says):
            import_table("wiod2016", tmp_path / f"{name}.xlsb", tmp_path / "t.zarr")
