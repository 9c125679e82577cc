"""National input-output tables of the 2016 release of WIOD, domestic flows, as CSV: labels such as GBR_A01."""

import re
from pathlib import Path

from shockmesh.io.examples import EXAMPLES
from shockmesh.io.tables.readers.labelled import Columns, read_matrix_csv
from shockmesh.io.tables.store import Header, Reader, TableError

FINAL = ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN", "EXP")
PACKAGED = EXAMPLES / "uk2020" / "gbr_niot_2014.csv"


def read_niot(file: Path = PACKAGED) -> tuple[Header, Reader]:
    """Open a national table. What industries buy from abroad is not a flow of the table: it stays in value added.

    Rows that are not an industry's (imports, taxes, value added) are left out.

    Raises:
        TableError: no such file, no year in its name, or labels that are not WIOD's.
    """
    year = re.search(r"(?:19|20)\d\d", file.name)
    if year is None:
        raise TableError(f"{file}: the name of a national table says its year, as gbr_niot_2014.csv")
    return read_matrix_csv(file, lambda columns: _header(int(year[0]), columns), lambda code: code in FINAL)


def _header(year: int, columns: Columns) -> Header:
    return Header(
        regions=columns.regions,
        sectors=columns.sectors,
        categories=columns.categories,
        unit="million USD / year",
        title=f"National input-output table of {', '.join(columns.regions)} {year}, domestic flows, WIOD 2016 release",
        source="World Input-Output Database, 2016 release, National IO Tables",
        licence="CC BY 4.0",
        references="Timmer, Dietzenbacher, Los, Stehrer, de Vries (2015), Rev. International Economics 23, 575-605",
        years=(year,),
        notes={"value_added_includes": "imported inputs, taxes less subsidies on products, and transport margins"},
    )
