"""Systems that pymrio saved, EXIOBASE 3 among them: Z (or A and x), Y and unit beside a file_parameters.json.

Read here and not by pymrio, because labels are text: pymrio turns a sector 01 into a number, and a region NA into a
missing value. A pickle is refused unopened, since it can run code.
"""

import csv
import json
import zipfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pymrio
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.frames import labels_of, rows_of
from shockmesh.io.tables.readers.headers import header_of, years_in
from shockmesh.io.tables.store import Header, Reader, TableError

type Folder = Path | zipfile.Path

PARAMETERS = "file_parameters.json"
WANTED = ("Z", "Y", "unit", "A", "x")
MONEY = {
    "m.eur": "million EUR", "m.usd": "million USD", "mill usd": "million USD", "million usd": "million USD",
    "millions of us$": "million USD", "000 usd": "thousand USD",
}  # fmt: skip


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open a system, a folder or a zip of one; it is held in memory whole.

    Raises:
        TableError: no such system, a pickle, a table missing or of another form, or sectors that differ in their unit.
    """
    folder, files = _find(path)
    _refuse_pickles(path, files)
    tables = {name: _table(folder / files[name]["name"], files[name]) for name in WANTED if name in files}
    if "Y" not in tables:
        raise TableError(f"{path}: Y: no final demand there")
    flows, final = _flows(path, tables), tables["Y"]
    labels = labels_of(path, flows, final)
    header = header_of(
        about, path, labels, title=f"{about.title}, {path.stem}", money=money_of(path, tables.get("unit")),
        years=years_in(path.stem) or years_in(_name(folder)),
    )  # fmt: skip
    return header, lambda year: rows_of(labels, flows, final)


def money_of(path: Path, unit: pd.DataFrame | None) -> str:
    """What all sectors are counted in.

    Raises:
        TableError: nothing says it, or sectors differ.
    """
    if unit is None:
        raise TableError(f"{path}: unit: not there; every sector needs one and the same")
    units = sorted(set(map(str, unit["unit"])))
    if len(units) != 1:
        raise TableError(f"{path}: unit: {', '.join(units)}: all sectors must have one unit")
    return MONEY.get(units[0].lower(), units[0])


def _find(path: Path) -> tuple[Folder, dict[str, Any]]:
    """The folder of the one system there, and its files by the names of their tables."""
    if not path.exists():
        raise TableError(f"{path}: no such file or folder")
    if not path.is_dir() and not zipfile.is_zipfile(path):
        raise TableError(f"{path}: neither a folder nor a zip that holds {PARAMETERS}")
    found = [
        (at.parent, parameters["files"])
        for at in _parameters(path)
        if isinstance(parameters := json.loads(at.read_text("utf-8")), dict)
        and parameters.get("systemtype") == "IOSystem"
    ]
    if len(found) != 1:
        raise TableError(f"{path}: {len(found)} files {PARAMETERS} of a whole system, expected one")
    return found[0]


def _parameters(path: Path) -> list[Any]:
    """Every file of parameters in a folder or a zip, extensions' included."""
    if path.is_dir():
        return list(path.rglob(PARAMETERS))
    with zipfile.ZipFile(path) as archive:
        return [zipfile.Path(path, name) for name in archive.namelist() if Path(name).name == PARAMETERS]


def _refuse_pickles(path: Path, files: Mapping[str, Any]) -> None:
    for of_table in files.values():
        if Path(of_table["name"]).suffix.lower() in (".pkl", ".pickle"):
            rule = "a pickle can run code when it is opened; save the system as text or Parquet"
            raise TableError(f"{path}: {of_table['name']}: {rule}")


def _table(file: Folder, parameters: Mapping[str, Any]) -> pd.DataFrame:
    if Path(file.name).suffix.lower() in (".parquet", ".par", ".parq"):
        with file.open("rb") as data:
            return pd.read_parquet(data)
    return _text_table(file, int(parameters["nr_index_col"]), int(parameters["nr_header"]))


def _text_table(file: Folder, levels: int, lines: int) -> pd.DataFrame:
    """A tab-separated table, labels as written. A line of its own may hold the names of the row labels."""
    with file.open("r", encoding="utf-8-sig", newline="") as text:
        top = list(islice(csv.reader(text, delimiter="\t"), lines + 1))
    named = lines > 1 and not any(top[-1][levels:])
    labels = [line[levels:] for line in top[:lines]]
    with file.open("rb") as data:
        as_text: Any = dict.fromkeys(range(levels), str)
        body: Any = pd.read_csv(
            data, sep="\t", header=None, skiprows=lines + named, dtype=as_text, na_filter=False, encoding="utf-8-sig"
        )
    table = body.drop(columns=range(levels))
    table.index = pd.MultiIndex.from_frame(body[range(levels)])
    table.columns = pd.MultiIndex.from_arrays(labels) if lines > 1 else labels[0]
    return table


def _flows(path: Path, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Z, or A · x where only coefficients were saved."""
    if "Z" in tables:
        return tables["Z"]
    if "A" not in tables or "x" not in tables:
        raise TableError(f"{path}: Z: not there, nor A and x to make it from")
    return pymrio.calc_Z(tables["A"], tables["x"])


def _name(folder: Folder) -> str:
    """The name of the system as pymrio noted it, or nothing."""
    notes = folder / "metadata.json"
    return str(json.loads(notes.read_text("utf-8")).get("name", "")) if notes.is_file() else ""
