"""Sources as users hold them: files, folders, archives; workbooks and data frames."""

import gzip
import lzma
from datetime import date, datetime
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import openpyxl
import pandas as pd
import pytest
import rdata
from shockmesh.io.inputs.files import SourceError, open_source
from shockmesh.io.inputs.frames import read_frame, read_r
from shockmesh.io.inputs.workbooks import numbers_of, open_workbook, text_of
from xlsb import write_xlsb

TEXT = "a,b\n01,ü\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the same file stands as it is, compressed, and in an archive."""
    (tmp_path / "in").mkdir()
    (tmp_path / "plain_2014.csv").write_text(TEXT, "utf-8-sig")
    (tmp_path / "in" / "zipped_2014.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "in" / "packed_2014.CSV.xz").write_bytes(lzma.compress(TEXT.encode()))
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("2014/inside_2014.csv", "__MACOSX/._x.csv", ".DS_Store"):
            archive.writestr(name, TEXT)
    for name in (".hidden.csv", "~$open.csv"):
        (tmp_path / name).write_text(TEXT)
    return tmp_path


def test_every_file_is_found_and_read_in_one_way(folder):
    files = open_source(folder).matching(r".*\.csv")
    assert [file.name for file in files] == ["inside_2014.csv", "packed_2014.CSV", "plain_2014.csv", "zipped_2014.csv"]
    for file in files:
        with file.text() as lines:
            assert list(lines) == ["a,b\n", "01,ü\n"]
        assert (file.suffix, file.first_line, file.head(3)[-3:] != b"") == (".csv", "a,b", True)
    assert [file.folder for file in files] == ["2014", "in", folder.name, "in"]


def test_what_lies_beside_a_file_is_found_on_disk_and_in_an_archive(folder):
    (inside,) = open_source(folder / "all.zip").files
    (plain,) = open_source(folder / "plain_2014.csv").files
    assert (inside.beside("inside_2014.csv"), inside.beside("none"), plain.beside("none")) == (inside, None, None)
    other = plain.beside("all.zip")
    assert other is not None
    assert str(other) == str(folder / "all.zip")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda at: None, "no such file or folder"),
        (lambda at: at.mkdir(), "no file in it"),
        (lambda at: at.with_suffix("").write_text("x"), "no such file or folder"),
        (lambda at: at.write_text("no archive"), "t.zip: cannot be read as an archive: File is not a zip file"),
    ],
)
def test_a_source_that_cannot_be_opened_is_named(tmp_path, make, says):
    make(tmp_path / "t.zip")
    with pytest.raises(SourceError, match=says):
        open_source(tmp_path / "t.zip")


def test_more_files_than_a_table_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("shockmesh.io.inputs.files.MOST_FILES", 2)
    for name in "abc":
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match="more than 2 files; hand in the folder that holds the table alone"):
        open_source(tmp_path)


def test_cells_of_a_workbook_stand_where_excel_shows_them(tmp_path):
    book = openpyxl.Workbook()
    sheet = book["Sheet"]
    sheet["C3"], sheet["D4"], sheet["C5"], sheet["D5"] = "x", 19, "01", datetime(2014, 1, 2)
    book.create_sheet("empty")
    book.save(tmp_path / "t.xlsx")
    with ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.write(tmp_path / "t.xlsx", "deep/t.xlsx")
    for source in ("t.xlsx", "t.zip"):
        opened = open_workbook(open_source(tmp_path / source).files[0])
        rows = list(opened.rows("Sheet"))
        assert rows[:2] == [[""] * 4] * 2
        assert rows[2] == ["", "", "x", ""]
        assert [text_of(cell) for cell in rows[3]] == ["", "", "", "19"]
        assert rows[4][2:] == ["01", date(2014, 1, 2)]
        assert (opened.sheets, list(opened.rows("empty"))) == (["Sheet", "empty"], [])
        for sheet, says in ((None, "sheet: none given; there are Sheet, empty"), ("S", "sheet: S: no such sheet")):
            with pytest.raises(SourceError, match=says):
                list(opened.rows(sheet))


def test_cells_become_numbers_or_are_named():
    np.testing.assert_array_equal(numbers_of([1.0, "", "2.5"], "line 3"), [1, 0, 2.5])
    with pytest.raises(SourceError, match="line 3: could not convert string to float: 'n/a'"):
        numbers_of([1.0, "n/a"], "line 3")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04cut"])
def test_a_workbook_that_is_none_is_named(tmp_path, content):
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(SourceError, match=r"t\.xlsx: cannot be read as a workbook"):
        open_workbook(open_source(tmp_path / "t.xlsx").files[0])


def test_a_workbook_at_which_its_reader_panics_is_named(tmp_path):
    write_xlsb(tmp_path / "t.xlsb", [["a"]], relations="<Relationships/>")
    with pytest.raises(SourceError, match=r"t\.xlsb: cannot be read as a workbook: no entry found"):
        open_workbook(open_source(tmp_path / "t.xlsb").files[0])


def test_data_frames_of_parquet_stata_and_r(tmp_path):
    table = pd.DataFrame({"name": ["a", "b"], "value": [1.5, 2.0]}).astype({"name": object})
    table.to_parquet(tmp_path / "t.parquet")
    table.to_stata(tmp_path / "t.dta", write_index=False)
    rdata.write_rda(tmp_path / "t.RData", {"t": table})
    rdata.write_rds(tmp_path / "t.rds", table)
    for name in ("t.parquet", "t.dta", "t.RData", "t.rds"):
        (file,) = open_source(tmp_path / name).files
        found = read_frame(file)
        assert (found["name"].tolist(), found["value"].tolist()) == (["a", "b"], [1.5, 2.0])


@pytest.mark.parametrize("name", ["t.parquet", "t.dta", "t.RData"])
def test_a_data_frame_that_is_none_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(SourceError, match=rf"{name}: cannot be read"):
        read_frame(open_source(tmp_path / name).files[0])


def test_data_of_r_without_a_data_frame_are_said_to_have_none(tmp_path):
    rdata.write_rda(tmp_path / "t.RData", {"x": np.arange(3.0), "y": np.arange(2.0)})
    (file,) = open_source(tmp_path / "t.RData").files
    assert list(read_r(file)) == ["x", "y"]
    with pytest.raises(SourceError, match="0 data frames, expected one"):
        read_frame(file)
