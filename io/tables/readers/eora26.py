"""Eora26 (Lenzen et al. 2013): tab-separated numbers without labels, and a file of labels for each side.

`Eora26_YYYY_bp_T.txt` and `_FD.txt`, in a folder or a zip; the labels are there too or in an indices.zip beside it.
ROW, one sector, holds statistical discrepancies and is no region: it is left out, and that is said.
"""

import re
import zipfile
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from shockmesh.io.sources import About
from shockmesh.io.tables.readers.frames import labels_of, rows_of
from shockmesh.io.tables.readers.headers import header_of
from shockmesh.io.tables.store import Header, Reader, TableError

ROW = "ROW"
CODE, NAME = 1, 3  # columns of a file of labels

type Place = Path | zipfile.Path


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open the tables at basic prices of one year; they are held in memory whole.

    Raises:
        TableError: a file is missing or not of the form that its labels say.
    """
    files = _files(path)
    years = [name[7:11] for name in files if re.fullmatch(r"Eora26_\d{4}_bp_T\.txt", name)]
    if len(years) != 1:
        raise TableError(f"{path}: {len(years)} files Eora26_YYYY_bp_T.txt, expected one")
    of_flows, of_final = (_labels(path, files, f"labels_{side}.txt") for side in ("T", "FD"))
    flows = _numbers(path, files, f"Eora26_{years[0]}_bp_T.txt", of_flows, of_flows)
    final = _numbers(path, files, f"Eora26_{years[0]}_bp_FD.txt", of_flows, of_final)
    kept_flows, kept_final = (_without_row(_without_row(frame, 0), 1) for frame in (flows, final))
    labels = labels_of(path, kept_flows, kept_final)
    header = header_of(
        about, path, labels, title=f"{about.title} {years[0]}, basic prices", years=(int(years[0]),),
        remarks=_left_out(about, flows, final),
    )  # fmt: skip
    return header, lambda year: rows_of(labels, kept_flows, kept_final)


def _files(path: Path) -> dict[str, Place]:
    """Every file by its name, also those in archives. Labels may lie in another archive beside the given one."""
    if not path.exists():
        raise TableError(f"{path}: no such file or folder")
    if path.is_dir():
        roots: list[Place] = [path, *map(zipfile.Path, sorted(path.glob("*.zip")))]
    else:
        roots = [zipfile.Path(file) for file in (path, path.parent / "indices.zip") if file.is_file()]
    return {file.name: file for root in reversed(roots) for file in root.iterdir()}


def _open(path: Path, files: dict[str, Place], name: str, **options: Any) -> pd.DataFrame:
    if name not in files:
        raise TableError(f"{path}: no {name} there, nor in an indices.zip")
    with files[name].open("rb") as data:
        return pd.read_csv(data, sep="\t", header=None, **options)


def _labels(path: Path, files: dict[str, Place], name: str) -> pd.MultiIndex:
    """Regions and sectors (or categories), as texts."""
    labels = _open(path, files, name, dtype=str, keep_default_na=False)
    return pd.MultiIndex.from_arrays([labels[CODE], labels[NAME]], names=["region", "sector"])


def _numbers(
    path: Path, files: dict[str, Place], name: str, rows: pd.MultiIndex, columns: pd.MultiIndex
) -> pd.DataFrame:
    numbers = _open(path, files, name)
    if numbers.shape != (len(rows), len(columns)):
        raise TableError(f"{path}: {name}: {numbers.shape}, the labels say {(len(rows), len(columns))}")
    return numbers.set_axis(rows).set_axis(columns, axis=1)


def _without_row(frame: pd.DataFrame, axis: Literal[0, 1]) -> pd.DataFrame:
    kept: Any = frame.axes[axis].get_level_values(0) != ROW
    return frame.loc[kept] if axis == 0 else frame.loc[:, kept]


def _left_out(about: About, flows: pd.DataFrame, final: pd.DataFrame) -> tuple[str, ...]:
    """What leaving out ROW takes from the table, if it is there."""
    whole = pd.concat([flows, final], axis=1)
    sold, bought = _without_row(whole, 0), _without_row(whole, 1)
    if sold.shape == whole.shape == bought.shape:
        return ()
    total, kept = (float(one.to_numpy().sum()) for one in (sold, _without_row(sold, 1)))
    from_row = float(bought.to_numpy().sum()) - kept
    said = f"ROW (statistical discrepancies) is no region and is left out: industries sell it {total - kept:.6g}"
    return (f"{said} of {total:.6g} in all, and it sells {from_row:.6g} [{about.money}]",)
