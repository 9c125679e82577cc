"""Networks in the text layout of the Inoue–Todo simulator.

    links.txt         supplier buyer amount         daily flow
    final_demand.txt  firm value                    daily, 0 for a firm that is not listed
    output.txt        firm value                    daily, every firm
    sector.txt        firm sector                   every firm

or by its own names for them: aTableLine, cVector, piniVector and firmAffi (`toyATableLine.txt` …). Columns are split by
blanks, without a header. Output is computed as sales plus final demand; the file's is compared with it. Firms whose
inputs exceed their output are accepted, as the simulator accepts them.

Inoue, H., Todo, Y. (2019). Firm-level propagation of shocks through supply-chain networks. Nature Sustainability 2,
841–847; names of https://github.com/HiroyasuInoue/ProductionNetworkSimulator.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from shockmesh.io.inputs.files import File, Source, open_source
from shockmesh.io.inputs.rows.lists import read_blank_separated
from shockmesh.io.inputs.rows.sheets import Sheet, SheetError, refuse
from shockmesh.io.networks.companies import companies_of
from shockmesh.io.networks.import_links import assemble
from shockmesh.io.networks.store import write_network
from shockmesh.io.sources import SILENT, Said
from shockmesh.io.stores.places import Place

FILES = {  # our name → its columns, and a pattern of the simulator's name
    "links.txt": (("supplier", "buyer", "amount"), r".*aTableLine.*"),
    "final_demand.txt": (("firm", "final_demand"), r".*cVector.*"),
    "output.txt": (("firm", "output"), r".*piniVector.*"),
    "sector.txt": (("firm", "sector"), r".*firmAffi.*"),
}
MONEY = "million JPY"
OUTPUT_TOLERANCE = 1e-3  # text files are rounded


def import_inoue_todo(directory: str | Path, store: str | Place, said: Said = SILENT) -> Place:
    """Check the four files and write the network; the region of every firm is "all".

    Args:
        directory: a folder, or an archive of one.
        said: where the files come from, and what amounts are counted in; million JPY unless said.

    Raises:
        SheetError: a file or row breaks a rule, or output.txt differs from sales plus final demand by more than 0.1 %.
        SourceError: no such folder.
        NetworkStoreError: `store` exists.
    """
    files = _files(open_source(directory))
    sheets = (read_blank_separated(files[name], columns) for name, (columns, _) in FILES.items())
    links, final, output, firms = sheets
    refuse(_check_listed(final, firms, complete=False) + _check_listed(output, firms, complete=True))
    companies, problems = companies_of(firms)
    companies = replace(companies, final_demand=_by_firm(final, companies.ids))
    attrs: dict[str, Any] = {
        "title": f"firm network of {Path(directory).name} (Inoue–Todo layout)",
        "references": "Inoue and Todo (2019), Nature Sustainability 2, 841-847",
        "inputs": {file.name: hashlib.sha256(file.read().getvalue()).hexdigest() for file in files.values()},
        **said.cited(),
    }
    network = assemble(links, (companies, problems), 1, f"{said.money or MONEY} / day", attrs)
    told = _by_firm(output, companies.ids)
    off = np.abs(told - network.output) > OUTPUT_TOLERANCE * np.maximum(network.output, told)
    refuse(firms.complain(off, f"{output.name} must give sales + final demand, to 0.1 %", "firm"))
    return write_network(network, store)


def _files(source: Source) -> dict[str, File]:
    """The four files, by our names."""
    found: dict[str, File] = {}
    for name, (_, theirs) in FILES.items():
        files = source.matching(name.replace(".", r"\.")) or source.matching(theirs)
        if len(files) > 1:
            raise SheetError(f"{source}: {name}: several files may be it: {', '.join(file.name for file in files)}")
        if files:
            found[name] = files[0]
    if absent := [name for name in FILES if name not in found]:
        raise SheetError(f"{source}: no {', '.join(absent)}; needed are {', '.join(FILES)}")
    return found


def _by_firm(sheet: Sheet, firms: list[str]) -> np.ndarray:
    """The number of each firm, 0 where a file lists none."""
    codes, labels = sheet.codes("firm")
    value = next(iter(sheet.values))
    listed = dict(zip(np.array(labels)[codes].tolist(), sheet.numbers(value).tolist(), strict=True))
    return np.array([listed.get(firm, 0.0) for firm in firms])


def _check_listed(sheet: Sheet, firms: Sheet, *, complete: bool) -> list[str]:
    """Each firm known, listed once, with a number; all of them, if the file must be complete."""
    value = next(iter(sheet.values))
    mine, theirs = _names(sheet), _names(firms)
    absent = ~np.isin(theirs, mine)
    return [
        *sheet.complain(~np.isin(mine, theirs), f"firm is not in {firms.name}", "firm"),
        *sheet.complain(_repeated(mine), "firm was given before", "firm"),
        *sheet.complain(~np.isfinite(sheet.numbers(value)), f"{value} must be a finite number", value),
        *(firms.complain(absent, f"firm is not in {sheet.name}", "firm") if complete else []),
    ]


def _names(sheet: Sheet) -> np.ndarray:
    codes, labels = sheet.codes("firm")
    return np.array(labels)[codes]


def _repeated(names: np.ndarray) -> Bool[np.ndarray, " row"]:
    _, first = np.unique(names, return_index=True)
    return ~np.isin(np.arange(len(names)), first)
