"""`import_table`: a published table, of any kind that is known, into a store."""

from pathlib import Path

from shockmesh.io.read_icio import read_icio_extract
from shockmesh.io.read_wiod import PACKAGED, read_compact_2013, read_reassembled_2014
from shockmesh.io.table_checks import Finding, check_table
from shockmesh.io.tables import Header, Reader, TableError, open_table, write_table

EXAMPLES = {
    "wiod2016": read_reassembled_2014,
    "wiod2013": lambda: read_compact_2013(PACKAGED),
    "icio": read_icio_extract,
}


def import_table(kind: str, source: str | Path, store: str | Path) -> list[Finding]:
    """Turn a table into a store, and say what its checks find.

    Args:
        source: a file or folder of that kind, or "example" for the packaged one.

    Raises:
        TableError: an unknown kind, a source that is not of it, or a store that exists.
    """
    header, read = _open(kind, source)
    with open_table(write_table(store, header, read)) as table:
        return check_table(table)


def _open(kind: str, source: str | Path) -> tuple[Header, Reader]:
    if str(source) == "example":
        if kind not in EXAMPLES:
            raise TableError(f"{kind}: no packaged example; there are {', '.join(EXAMPLES)}")
        return EXAMPLES[kind]()
    return read_compact_2013(Path(source))
