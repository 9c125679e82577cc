"""`import_table`: a published table, of any kind that is known, into a store."""

from pathlib import Path
from zipfile import BadZipFile

from shockmesh.io.tables.checks import Finding, check_table
from shockmesh.io.tables.readers.figaro import read_figaro
from shockmesh.io.tables.readers.gloria import read_gloria
from shockmesh.io.tables.readers.icio import read_icio_extract
from shockmesh.io.tables.readers.niot import read_niot
from shockmesh.io.tables.readers.through_pymrio import read_through_pymrio, read_workbooks_2013
from shockmesh.io.tables.readers.wiod import PACKAGED, read_compact_2013, read_reassembled_2014
from shockmesh.io.tables.readers.wiod_workbook import read_workbook
from shockmesh.io.tables.store import Header, Reader, TableError, open_table, write_table

EXAMPLES = {
    "wiod2016": read_reassembled_2014,
    "wiod2013": lambda: read_compact_2013(PACKAGED),
    "icio": read_icio_extract,
    "niot": read_niot,
}
KINDS = ("wiod2016", "wiod2013", "icio", "niot", "exiobase3", "eora26", "figaro", "gloria", "pymrio")


def import_table(kind: str, source: str | Path, store: str | Path) -> list[Finding]:
    """Turn a table into a store, and say what its checks find.

    Args:
        source: a file or folder of that kind, or "example" for the packaged one.

    Raises:
        TableError: an unknown kind, a source that is not of it, or a store that exists.
    """
    try:
        header, read = _open(kind, source)
        write_table(store, header, read)
    except TableError:
        raise
    except (ValueError, KeyError, BadZipFile) as error:
        raise TableError(f"{source}: cannot be read as {kind}: {error}") from error
    with open_table(store) as table:
        return check_table(table)


def _open(kind: str, source: str | Path) -> tuple[Header, Reader]:
    if kind not in KINDS:
        raise TableError(f"{kind}: no such kind of table; there are {', '.join(KINDS)}")
    if str(source) == "example":
        if kind not in EXAMPLES:
            raise TableError(f"{kind}: no packaged example; there are {', '.join(EXAMPLES)}")
        return EXAMPLES[kind]()
    path = Path(source)
    match kind:
        case "wiod2016":
            return read_workbook(path)
        case "wiod2013" if path.is_dir():
            return read_workbooks_2013(path) if any(path.glob("wiot*.xlsx")) else read_compact_2013(path)
        case "niot":
            return read_niot(path)
        case "figaro":
            return read_figaro(path)
        case "gloria":
            return read_gloria(path)
        case _:
            return read_through_pymrio(kind, path)
