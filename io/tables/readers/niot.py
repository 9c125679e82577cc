"""National input-output tables, domestic flows, as CSV with labels such as GBR_A01: WIOD's of 2016, or a user's."""

from dataclasses import replace
from pathlib import Path

from shockmesh.io.sources import About
from shockmesh.io.tables.readers.headers import Labels, header_of
from shockmesh.io.tables.readers.labelled import read_matrix_csv
from shockmesh.io.tables.store import Header, Reader

FINAL = ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN", "EXP")
NOT_FLOWS = "imported inputs, taxes less subsidies on products, and transport margins"


def read(path: Path, about: About) -> tuple[Header, Reader]:
    """Open a national table. What industries buy from abroad is not a flow of the table: it stays in value added.

    Rows that are not an industry's (imports, taxes, value added) are left out. The file does not say its unit.

    Raises:
        TableError: no such file, or labels that are not of this form.
    """
    return read_matrix_csv(path, lambda columns: _header(path, about, columns.labels), lambda code: code in FINAL)


def _header(path: Path, about: About, labels: Labels) -> Header:
    header = header_of(about, path, labels, title=f"{about.title}, {', '.join(labels.regions)}")
    return replace(header, notes={"value_added_includes": NOT_FLOWS})
