"""Every CSV that a user hands in is read whole, or refused with the line, whatever it is for."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shockmesh.io.inputs.csv_text import read_csv_text
from shockmesh.io.inputs.files import File, SourceError
from shockmesh.io.inputs.rows.columns import LINKS
from shockmesh.io.inputs.rows.lists import read_sheet
from shockmesh.io.inputs.rows.sheets import SheetError
from shockmesh.io.inputs.scenarios import ScenarioError, read_numbers
from shockmesh.io.inputs.sector_matrices import read_cells
from shockmesh.io.inputs.series import SeriesError, read_series
from shockmesh.kernels.network import FirmNetwork, firm_network

BAD = {
    "long row": ("a,b,c\n1,2,2,75\n", "line 2 has 4 fields, the header 3"),
    "long rows throughout": ("a,b\n1,2,3\n1,2,3\n", "line 2 has 3 fields, the header 2"),
    "short row": ("a,b,c\n1,2,3\n\n1,2\n", "line 4 has 2 fields, the header 3"),
    "column twice": ("a,b,b\n1,2,3\n", "b is there twice"),
    "columns that differ by a blank": ("a,b,b \n1,2,3\n", "b is there twice"),
    "semicolons, decimal commas": ("a;b;c\nx;y;2,75\n", "its columns are split by ';'; they must be split by commas"),
    "tabs": ("a\tb\tc\nx\ty\t2\n", "its columns are split by '\\t'; they must be split by commas"),
    "no rows": ("a,b,c\n,,\n\n", "rows: 0: must be at least one"),
    "nothing": ("", "rows: 0: must be at least one"),
    "open quote": ('a,b\n1,2\n"3,4\n', "line 3 has 1 fields, the header 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_would_lose_something_is_refused_by_line(name: str, tmp_path: Path) -> None:
    text, says = BAD[name]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SheetError) as caught:
        read_csv_text(tmp_path / "t.csv", SheetError)
    assert str(caught.value).startswith(f"{tmp_path / 't.csv'}: {says}")


def test_texts_keep_their_form_and_their_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\ufefffirm, region\n007,NA\n,\n\n1.0, null\n", "utf-8")
    frame = read_csv_text(tmp_path / "t.csv", SheetError)
    assert (frame.index.tolist(), frame.to_numpy().tolist()) == ([2, 5], [["007", "NA"], ["1.0", "null"]])
    assert frame.columns.tolist() == ["firm", "region"]


@pytest.fixture
def network() -> FirmNetwork:
    return firm_network(
        [0], [1], [1.0], [1.0, 1.0], region=[0, 0], sector=[0, 0], regions=["r"], sectors=["s"], unit=""
    )


READERS: dict[str, tuple[type[ValueError], Callable[[Path, FirmNetwork], Any]]] = {
    "links": (SourceError, lambda path, network: read_sheet(File(path), LINKS)),
    "numbers by firm": (ScenarioError, lambda path, network: read_numbers(str(path), network)),
    "observations": (SeriesError, lambda path, network: read_series(path, 3)),
    "sector matrix": (ScenarioError, lambda path, network: read_cells(path, network, ScenarioError)),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses_a_compressed_file_that_is_cut_short(
    name: str, tmp_path: Path, network: FirmNetwork
) -> None:
    error, read = READERS[name]
    whole = gzip.compress(b"firm,day\n" + b"".join(b"%d,%d\n" % (k * k, k) for k in range(500)))
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(error, match=r"t\.csv\.gz: cannot be read.*: Compressed file ended"):
        read(tmp_path / "t.csv.gz", network)
