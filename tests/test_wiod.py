"""Workbooks of WIOD's layout, and what R and Stata users hold of WIOD 2016."""

from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import rdata
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table, kind_of
from shockmesh.io.tables.store import TableError, open_table
from xlsb import Lines, write_xlsb

REGIONS, SECTORS, FINAL = ["AUS", "ROW"], ["A01", "A02", "U"], ["CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN"]
LABELS = [(r, s) for r in REGIONS for s in SECTORS] + [(r, c) for r in REGIONS for c in FINAL]


@pytest.fixture
def lines() -> Lines:
    """Titles, then codes, names, countries and numbers of the columns, industries, value added, output."""
    flows = np.round(np.random.default_rng(0).uniform(1, 9, (6, len(LABELS))), 3)
    top: Lines = [["Intercountry Input-Output Table"], ["(industry-by-industry)"]]
    top.append(["(millions of US$)", None, None, None, *(code for _, code in LABELS), "GO"])
    top.append([None] * 4 + ["a name"] * len(LABELS) + ["Total output"])
    top.append([None] * 4 + [region for region, _ in LABELS] + ["TOT"])
    top.append([None] * 4 + [f"c{i}" for i in range(1, len(LABELS) + 1)] + ["c62"])
    for i, (region, sector) in enumerate(LABELS[:6]):
        top.append([sector, "a name", region, f"r{i}", *flows[i].tolist(), None])
    return with_sums(top)


def with_sums(lines: Lines) -> Lines:
    """The same lines with the outputs, value added and taxes that belong to their cells."""
    body = lines[6:12]
    cells = np.array([[cell or 0.0 for cell in line[4:-1]] for line in body])
    inputs, output = cells[:, :6].sum(0), cells.sum(1)
    foot = {"II_fob": inputs, "TXSP": 0 * inputs + 1, "VA": output - inputs - 1, "GO": output}
    rows = [[*line[:-1], float(made)] for line, made in zip(body, output, strict=True)]
    return [
        *lines[:6],
        *rows,
        *([name, "a name", "TOT", "r65", *sums.tolist(), *[0] * 11] for name, sums in foot.items()),
    ]


def test_a_workbook_becomes_a_table(tmp_path, lines):
    lines[7][5], lines[8][6] = 3, None  # a whole number and an empty cell
    write_xlsb(tmp_path / "WIOT2014_Nov16_ROW.xlsb", with_sums(lines))
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
        (lambda lines: lines[:4], "xlsb: sheet 2014: the number of every column .c1, c2, …. must stand in one line"),
        (
            _set(13, 5, 900.0),
            "inputs and value added add up to another output than the file has for 1 industries, in all",
        ),
        (
            _set(9, 6, 900.0),
            "sales add up to another output than the file has for 1 industries.*: it is damaged, or of",
        ),
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


def frame(lines: Lines, prefix: str = "") -> pd.DataFrame:
    """What WIOD publishes for R and Stata: the same rows, columns numbered 1 … 56 and 57 … 61."""
    at = {code: number for number, code in enumerate(SECTORS, start=1)}
    at |= {code: number for number, code in enumerate(FINAL, start=57)}
    head = {"IndustryCode": 0, "IndustryDescription": 1, "Country": 2}
    rows = {name: [line[position] for line in lines[6:]] for name, position in head.items()}
    rows |= {"RNr": [at.get(line[0], 65) for line in lines[6:]], "Year": [2014] * len(lines[6:])}
    names = [*(f"{prefix}{region}{at[code]}" for region, code in LABELS), "TOT"]
    return pd.DataFrame(rows | {name: [float(line[4 + i]) for line in lines[6:]] for i, name in enumerate(names)})


def as_r_has_it(table: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name, of in table.dtypes.items() if of == "str"]
    return table.astype(dict.fromkeys(texts, object))


def test_frames_of_r_and_stata_hold_the_same_table(tmp_path, lines):
    write_xlsb(tmp_path / "WIOT2014_Nov16_ROW.xlsb", lines)
    rdata.write_rda(tmp_path / "WIOT2014_October16_ROW.RData", {"wiot": as_r_has_it(frame(lines))})
    frame(lines, "v").to_stata(tmp_path / "WIOT2014_October16_ROW.dta", write_index=False)
    import_table("wiod2016", tmp_path / "WIOT2014_Nov16_ROW.xlsb", tmp_path / "sheet.zarr")
    with open_table(tmp_path / "sheet.zarr") as expected:
        for suffix in ("RData", "dta"):
            source = tmp_path / f"WIOT2014_October16_ROW.{suffix}"
            assert kind_of(source) == "wiod2016"
            import_table("wiod2016", source, tmp_path / f"{suffix}.zarr")
            with open_table(tmp_path / f"{suffix}.zarr") as table:
                assert table.drop_attrs().identical(expected.drop_attrs())
                assert table.attrs["license"] == "CC BY 4.0"


def test_an_archive_of_years_is_one_table_of_the_years_that_are_asked_for(tmp_path, lines):
    with ZipFile(tmp_path / "WIOTS_in_EXCEL.zip", "w") as archive:
        for year in (2012, 2013, 2014):
            write_xlsb(tmp_path / "one.xlsb", [[*line] for line in lines])
            archive.write(tmp_path / "one.xlsb", f"WIOTS/WIOT{year}_Nov16_ROW.xlsb")
        archive.writestr("__MACOSX/._WIOT2014_Nov16_ROW.xlsb", "of a system")
    told: list[str] = []
    for name, said in (("all", Said()), ("two", Said(years=(2014, 2012)))):
        import_table(
            "wiod2016", tmp_path / "WIOTS_in_EXCEL.zip", tmp_path / name, said, lambda doing, _: told.append(doing)
        )
    with open_table(tmp_path / "all") as table, open_table(tmp_path / "two") as two:
        assert (table.year.values.tolist(), two.year.values.tolist()) == ([2012, 2013, 2014], [2012, 2014])
    assert "2013: region 2 of 2" in told
    with pytest.raises(TableError, match="year: 1999: there are 2012, 2013, 2014"):
        import_table("wiod2016", tmp_path / "WIOTS_in_EXCEL.zip", tmp_path / "t.zarr", Said(years=(1999,)))


def test_a_workbook_of_the_adb(tmp_path, lines):
    """No codes: sectors are c1 …, categories F1 …; a legend is another sheet."""
    codes = {"A01": "c1", "A02": "c2", "U": "c3", **{code: f"F{k}" for k, code in enumerate(FINAL, start=1)}}
    top = [["Multiregional Input-Output Table 2024"], ["2 economies"], ["In millions of US$"], []]
    top += [lines[3], [*lines[4][:-1], "ToT"], [None] * 4 + [codes[code] for _, code in LABELS] + [None]]
    rows = [[None, line[1], line[2], codes[line[0]], *line[4:]] for line in lines[6:12]]
    foot = [
        [None, *line[1:3], number, *line[4:]]
        for line, number in zip(lines[12:], ("r60", "r99", "r64", "r69"), strict=True)
    ]
    file = tmp_path / "ADB-MRIO-2024-August 2025.xlsx"
    with pd.ExcelWriter(file) as book:
        padded = [[*line, *[None] * (len(rows[0]) - len(line))] for line in (*top, *rows, *foot)]
        pd.DataFrame(padded).to_excel(book, sheet_name="ADB MRIO 2024", header=False, index=False)
        pd.DataFrame({"Code": REGIONS}).to_excel(book, sheet_name="Legend")
    assert kind_of(file) == "adb"
    import_table("adb", file, tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.sector.values.tolist(), table.category.values.tolist()) == (
            ["c1", "c2", "c3"],
            [f"F{k}" for k in range(1, 6)],
        )
        assert (table.attrs["year"], table.attrs["units"]) == (2024, "million USD / year")
        numbers = np.array([line[4:-1] for line in lines[6:12]], float)
        np.testing.assert_array_equal(table.Z.values.reshape(6, 6), numbers[:, :6])
        np.testing.assert_array_equal(table.Y.values.reshape(6, 10), numbers[:, 6:])
