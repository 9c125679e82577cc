"""Sources as people have them on disk, through the command line: kinds found, archives, years, progress."""

import bz2
import gzip
import json
import lzma
import time
from argparse import Namespace
from pathlib import Path
from zipfile import ZipFile

import national
import numpy as np
import pandas as pd
import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.cluster.verbs.progress import Progress
from shockmesh.io.sources import SaidError, years_of
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import open_table

FIGARO = ["rowLabels,AT_A01,AT_B,AT_P3_S14", "AT_A01,1,2,3", "AT_B,4,5,6", "W2_D1,1,8,0"]


def test_a_kind_is_found_by_its_looks(tmp_path, capsys):
    with ZipFile(tmp_path / "matrix_eu-ic-io_ind-by-ind_26ed.zip", "w") as archive:
        for year in (2021, 2022):
            archive.writestr(f"matrix_eu-ic-io_ind-by-ind_26ed_{year}.csv", "\n".join(FIGARO))
    source, store = str(tmp_path / "matrix_eu-ic-io_ind-by-ind_26ed.zip"), tmp_path / "t.zarr"
    assert main(["import", source, str(store), "--year", "2021-2022", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["findings"][0].startswith("note: taken as figaro: a CSV, matrix or flat")
    with open_table(store) as table:
        assert table.year.values.tolist() == [2021, 2022]
        np.testing.assert_array_equal(table.Z.values[0].reshape(2, 2), [[1, 2], [4, 5]])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["import", "{}/notes.txt", "t.zarr"], "notes.txt: looks like no kind of table that is known here; name its"),
        (["import", "figaro", "t.zarr"], "import figaro t.zarr: what to import, or the store to write, is missing"),
        (["import", "figaro", "{}/notes.txt", "t.zarr", "--year", "2020-"], "year: 2020-: must be a year, years with"),
    ],
)
def test_calls_that_leave_something_out_are_refused(tmp_path, capsys, words, says):
    (tmp_path / "notes.txt").write_text("nothing")
    assert main([word.format(tmp_path) for word in words]) == BAD_INPUT
    assert says in capsys.readouterr().err


def test_a_national_table_through_the_command_line(tmp_path, capsys):
    file = national.write(tmp_path / "t.csv", national.oecd(national.economy()))
    words = ["import", "table", str(file), str(tmp_path / "t.zarr"), "--region", "BEL", "--unit", "million USD"]
    assert main([*words, "--year", "2018"]) == DONE
    told = capsys.readouterr().out
    assert "labels in line 1 and column A: 5 sectors, D01 … D05" in told
    assert "inputs of" in told


def flipped(content: bytes) -> bytes:
    """With its middle changed, as a bad disk or a broken transfer leaves it."""
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 4]) + content[middle + 4 :]


DAMAGED = {"cut": lambda content: content[: len(content) // 2], "flipped": flipped, "other": lambda content: b"none\n"}
PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize(
    ("suffix", "damage"), [(".gz", "cut"), (".xz", "flipped"), (".bz2", "flipped"), (".xz", "other")]
)
@pytest.mark.parametrize("words", ["figaro", "", "table --region AT --unit EUR --year 2020", "links", "zip"])
def test_damaged_sources_are_named(tmp_path, capsys, words, suffix, damage):
    lines = [FIGARO[0], *(f"AT_{row},{row * 7919},{row**3},{row}" for row in range(300))]
    name = f"f_2020.csv{suffix}"
    content = DAMAGED[damage](PACKED[suffix]("\n".join(lines).encode()))
    source = tmp_path / name
    source.write_bytes(content)
    if words == "zip":
        source = tmp_path / "t.zip"
        with ZipFile(source, "w") as archive:
            archive.writestr(name, content)
    kind, *rest = ["figaro"] if words == "zip" else words.split() or [""]
    said = [*([kind] if kind else []), str(source), str(tmp_path / "t.zarr"), *rest]
    assert main(["import", *said]) == BAD_INPUT
    told = capsys.readouterr().err
    assert f"{name}: cannot be read, damaged perhaps: " in told
    assert "\n" not in told.strip()
    assert {path.name for path in tmp_path.iterdir()} <= {name, "t.zip"}


@pytest.mark.parametrize(
    ("text", "years"), [("2014", (2014,)), ("2010-2012", (2010, 2011, 2012)), ("2000, 2010–2011", (2000, 2010, 2011))]
)
def test_years_as_people_write_them(text, years):
    assert years_of(text) == years


@pytest.mark.parametrize("text", ["", "14", "2014-", "2014:2015", "x"])
def test_years_of_another_form_are_refused(text):
    with pytest.raises(SaidError, match="must be a year, years with commas between, or a range"):
        years_of(text)


def gloria(folder: Path, off_diagonal: float = 0.0) -> np.ndarray:
    """One region of two sectors, zipped, its labels in a workbook beside; the rows of products × industries."""
    flows = np.array([[1.0, 2], [3, 4]])
    t = np.zeros((4, 4))
    t[2:, :2], t[:2, 2:] = flows, [[9, off_diagonal], [0, 9]]
    with ZipFile(folder / "GLORIA_MRIOs_59_2022.zip", "w") as archive:
        for name, cells in (("T", t), ("Y", np.full((4, 1), 5.0))):
            text = "\n".join(",".join(map(str, row)) for row in cells.tolist())
            archive.writestr(f"0_120sec_{name}-Results_2022_059_Markup001(full).csv", text)
            archive.writestr(f"0_120sec_{name}-Results_2022_059_Markup005(full).csv", "other prices")
    with pd.ExcelWriter(folder / "GLORIA_ReadMe_059.xlsx") as book:
        pd.DataFrame({"Region_acronyms": ["AA"]}).to_excel(book, sheet_name="Regions")
        pd.DataFrame({"Sector_names": ["s1", "s2"]}).to_excel(book, sheet_name="Sectors")
        pd.DataFrame({"Final_demand_names": ["c"]}).to_excel(book, sheet_name="Value added and final demand")
    return flows


def test_gloria_as_downloaded_with_its_readme_beside(tmp_path):
    flows = gloria(tmp_path, off_diagonal=0.5)
    told = import_table("gloria", tmp_path / "GLORIA_MRIOs_59_2022.zip", tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_array_equal(table.Z.values.reshape(2, 2), flows)
    assert told[0].message == "industries also make products of other names, which is left out: 0.5 of 18.5"


def test_long_works_tell_how_far_they_are(monkeypatch, capsys):
    """Not in the first two seconds, then at most every five where nobody watches; never with --json or --quiet."""
    now = iter([0.0, 1.0, 3.0, 4.0, 8.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with Progress(Namespace(quiet=False, json=False)) as tell:
        for part in (0.1, 0.2, 0.3, 0.4):
            tell("2014: region 3 of 44", part)
    assert capsys.readouterr().err == "2014: region 3 of 44, 20%\n2014: region 3 of 44, 40%\n"
    monkeypatch.setattr(time, "monotonic", lambda: 99.0)
    with Progress(Namespace(quiet=True, json=False)) as tell:
        tell("anything", 0.5)
    assert not capsys.readouterr().err
