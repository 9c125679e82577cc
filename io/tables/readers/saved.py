"""Systems that pymrio saved, EXIOBASE 3 among them: Z (or A, with x or without), Y and unit beside a
file_parameters.json.

Read here and not by pymrio, because labels are text: pymrio turns a sector 01 into a number, and a region NA into a
missing value. Only Z, Y and unit are read, Z a few lines at a time. Where a system has coefficients only, Z = A ·
diag(x), and where it has no x either (EXIOBASE up to 3.4), x = (I − A)⁻¹ y, as in every input-output model (Miller,
Blair, 2009, ch. 2). A pickle can run code when it is opened: it is refused, unless the user allows it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.inputs.frames import PARQUET
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Raw
from shockmesh.io.tables.forms.headers import header_of, years_in
from shockmesh.io.tables.forms.labelled import FINAL, INDUSTRY, Columns, Label, Meaning, columns_of, rows_by_region
from shockmesh.io.tables.forms.text import cells_of, lines_of
from shockmesh.io.tables.forms.years import by_year
from shockmesh.io.tables.store import Header, TableError

PARAMETERS = "file_parameters.json"
PICKLES = (".pkl", ".pickle")
MONEY = {
    "m.eur": "million EUR", "m.usd": "million USD", "mill usd": "million USD", "million usd": "million USD",
    "millions of us$": "million USD", "000 usd": "thousand USD",
}  # fmt: skip


type Line = tuple[list[str], Float[np.ndarray, " column"]]


@dataclass(frozen=True)
class Part:
    """One saved matrix: the labels of its columns, and its lines."""

    file: File
    levels: int  # of row labels
    columns: list[tuple[str, ...]]
    above: int  # lines before the numbers
    frame: Any = None  # of a file that is not text, held whole

    def lines(self) -> Iterator[Line]:
        if self.frame is None:
            yield from lines_of(self.file, "\t", self.levels, self.above, self.levels + len(self.columns))
        else:
            for label, row in zip(self.frame.index, self.frame.to_numpy(np.float64), strict=True):
                yield [str(level) for level in label], row

    def whole(self) -> Float[np.ndarray, "row column"]:
        """All its numbers."""
        return np.stack([numbers for _, numbers in self.lines()])


def fits(source: Source) -> list[File]:
    """The parameters of every system that is not EXIOBASE's."""
    from shockmesh.io.tables.readers.exiobase3 import is_exiobase

    return [file for file in systems(source) if not is_exiobase(source, file)]


def systems(source: Source) -> list[File]:
    """The parameters of every whole system."""
    return [file for file in source.matching(re.escape(PARAMETERS)) if _files(file)]


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open a system, or one a year; Z is never held whole where it is text.

    Raises:
        TableError, SourceError: no such system, a pickle, a table missing or of another form, or sectors that differ
            in their unit.
    """
    found = systems(source)
    if not found:
        raise TableError(f"{source}: no {PARAMETERS} of a whole system there")
    return by_year(source, found, said, partial(_read, source, about, said), partial(_years, source))


def _files(parameters: File) -> dict[str, Any]:
    """What a file of parameters says of the files beside it; empty if it is not of a whole system."""
    try:
        found = json.loads(parameters.read().getvalue().decode("utf-8-sig"))
    except ValueError:
        return {}
    return found["files"] if isinstance(found, dict) and found.get("systemtype") == "IOSystem" else {}


def _years(source: Source, parameters: File) -> tuple[int, ...]:
    """The year in the name of the archive or folder, or in what pymrio noted."""
    folder = "" if parameters.folder == source.path.name else parameters.folder
    return years_in(folder) or years_in(source.path.stem) or years_in(str(notes(parameters).get("name", "")))


def notes(parameters: File) -> dict[str, Any]:
    """What pymrio noted beside a system: name, description, version."""
    file = parameters.beside("metadata.json")
    found = json.loads(file.read().getvalue().decode("utf-8-sig")) if file else {}
    return found if isinstance(found, dict) else {}


def _read(source: Source, about: About, said: Said, parameters: File) -> tuple[Header, Raw]:
    files = _files(parameters)
    for of in files.values():
        if str(of["name"]).lower().endswith(PICKLES) and not said.pickles:
            rule = (
                "a pickle can run code when it is opened; save the system as text or Parquet, or allow it (--pickles)"
            )
            raise TableError(f"{source}: {of['name']}: {rule}")
    if "Y" not in files:
        raise TableError(f"{source}: Y: no final demand there")
    final = _part(parameters, files["Y"])
    flows = _part(parameters, files["Z"]) if "Z" in files else _part_of_coefficients(source, parameters, files)
    labels: list[Label] = [(str(label[0]), str(label[1])) for label in (*flows.columns, *final.columns)]
    meaning = _meaning(len(flows.columns), labels)
    columns = columns_of(flows.file, labels, meaning)
    money = _money(source, parameters, files.get("unit"))
    header = header_of(
        about, parameters, columns.labels, title=f"{about.title}, {parameters.folder or source.path.stem}", money=money,
        years=_years(source, parameters),
    )  # fmt: skip
    header = replace(header, licence=_licence(about, notes(parameters)))
    return replace(header, source=f"{about.title}, {source.path.name}"), lambda year: _rows(
        source, parameters, files, flows, final, columns, meaning
    )


def _licence(about: About, noted: Mapping[str, Any]) -> str:
    """EXIOBASE's licence depends on its version, which pymrio notes."""
    version = re.match(r"v?3\.(\d+)", str(noted.get("version") or ""))
    if about.licence and version:
        first = int(version[1][0]) if int(version[1]) > 20 else int(version[1])  # it calls 3.8.1 v3.81
        return "CC BY-SA 4.0" if first <= 8 else "CC BY-NC-SA 4.0 (non-commercial, from version 3.9 on)"
    return about.licence


def _meaning(flows: int, labels: list[Label]) -> Meaning:
    finals = set(labels[flows:])
    return Meaning(lambda *label: FINAL if label in finals else INDUSTRY, lambda *label: INDUSTRY)


def _rows(
    source: Source,
    parameters: File,
    files: Mapping[str, Any],
    flows: Part,
    final: Part,
    columns: Columns,
    meaning: Meaning,
):
    demand = {tuple(label): row for label, row in final.lines()}

    def joined():
        for (region, sector), row in _flows(source, parameters, files, flows, demand):
            if (region, sector) not in demand:
                raise TableError(f"{source}: rows of Y: missing {region} {sector}")
            yield region, sector, np.concatenate([row, demand[region, sector]])

    return rows_by_region(flows.file, columns, joined(), meaning)


def _flows(
    source: Source, parameters: File, files: Mapping[str, Any], part: Part, demand: Mapping[Any, Any]
) -> Iterator[Line]:
    """The lines of Z, or of A · diag(x)."""
    if "Z" in files:
        yield from part.lines()
    elif "x" in files:
        output = {tuple(label): row[0] for label, row in _part(parameters, files["x"]).lines()}
        x = np.array([output[label] for label in part.columns])
        yield from ((label, row * x) for label, row in part.lines())
    else:
        labels = [tuple(label) for label, _ in part.lines()]
        if labels != part.columns:
            raise TableError(f"{source}: A: its rows are not in the order of its columns")
        coefficients = part.whole()
        x = _output(source, coefficients, np.array([demand[label].sum() for label in labels]))
        yield from ((list(label), row * x) for label, row in zip(labels, coefficients, strict=True))


def _output(
    source: Source, coefficients: Float[np.ndarray, "n n"], demand: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """x = (I − A)⁻¹ y. Holds A twice.

    Raises:
        TableError: there is no such output, or it is below zero.
    """
    from scipy.linalg import lu_factor, lu_solve  # here: loading it takes longer than recognising a kind

    rest = -coefficients
    np.fill_diagonal(rest, 1 + rest.diagonal())
    output = lu_solve(lu_factor(rest.T, overwrite_a=True), demand, trans=1)  # its transpose is as LAPACK wants it
    if not np.isfinite(output).all() or output.min() < -1e-6 * output.max():
        raise TableError(f"{source}: A: no output ≥ 0 meets its final demand: (I − A)⁻¹ y has {output.min():.4g}")
    return output


def _part_of_coefficients(source: Source, parameters: File, files: Mapping[str, Any]) -> Part:
    if "A" not in files:
        raise TableError(f"{source}: Z: not there, nor A to make it from")
    return _part(parameters, files["A"])


def _part(parameters: File, of: Mapping[str, Any]) -> Part:
    file = parameters.beside(of["name"])
    if file is None:
        raise TableError(f"{parameters}: {of['name']}: named there, but not in its folder")
    if file.suffix in (*PARQUET, *PICKLES):
        frame: Any = pd.read_pickle(file.read()) if file.suffix in PICKLES else pd.read_parquet(file.read())
        columns = [tuple(map(str, label)) if isinstance(label, tuple) else (str(label),) for label in frame.columns]
        return Part(file, frame.index.nlevels, columns, 0, frame)
    levels, lines = int(of["nr_index_col"]), int(of["nr_header"])
    with file.text() as text:
        top = [cells_of(line, "\t") for line in islice(text, lines + 1)]
    named = lines > 1 and not any(top[-1][levels:])  # a line of its own has the names of the row labels
    columns = [tuple(label) for label in zip(*(line[levels:] for line in top[:lines]), strict=True)]
    return Part(file, levels, columns, lines + named)


def _money(source: Source, parameters: File, of: Mapping[str, Any] | None) -> str:
    """What all sectors are counted in.

    Raises:
        TableError: nothing says it, or sectors differ.
    """
    if of is None:
        raise TableError(f"{source}: unit: not there; every sector needs one and the same")
    part = _part_of_units(parameters, of)
    units = sorted(set(part))
    if len(units) != 1:
        raise TableError(f"{source}: unit: {', '.join(units[:5])}: all sectors must have one unit")
    return MONEY.get(units[0].lower(), units[0])


def _part_of_units(parameters: File, of: Mapping[str, Any]) -> list[str]:
    file = parameters.beside(of["name"])
    if file is None:
        raise TableError(f"{parameters}: {of['name']}: named there, but not in its folder")
    if file.suffix in PARQUET:
        return pd.read_parquet(file.read())["unit"].astype(str).tolist()
    if file.suffix in PICKLES:
        return pd.read_pickle(file.read())["unit"].astype(str).tolist()
    with file.text() as text:
        return [cells_of(line, "\t")[-1] for line in islice(text, int(of["nr_header"]), None) if line.strip()]
