"""Networks in the text layout of the Inoue–Todo simulator.

    links.txt         supplier buyer amount         daily flow
    final_demand.txt  firm value                    daily, 0 for a firm that is not listed
    output.txt        firm value                    daily, every firm
    sector.txt        firm sector                   every firm

Columns are split by blanks, without a header. Output is computed as sales plus final demand; the file's is compared
with it. Firms whose inputs exceed their output are accepted, as the simulator accepts them.

Inoue, H., Todo, Y. (2019). Firm-level propagation of shocks through supply-chain networks. Nature Sustainability 2,
841–847.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from shockmesh.io.inputs.sheets import Sheet, SheetError, read_blank_separated, refuse
from shockmesh.io.networks.import_links import assemble, check_firms, check_links
from shockmesh.io.networks.store import write_network
from shockmesh.io.sources import SILENT, Said
from shockmesh.io.stores.places import Place

FILES = {
    "links.txt": ("supplier", "buyer", "amount"),
    "final_demand.txt": ("firm", "final_demand"),
    "output.txt": ("firm", "output"),
    "sector.txt": ("firm", "sector"),
}
MONEY = "million JPY"
OUTPUT_TOLERANCE = 1e-3  # text files are rounded


def import_inoue_todo(directory: str | Path, store: str | Place, said: Said = SILENT) -> Place:
    """Check the four files and write the network; the region of every firm is "all".

    Args:
        said: where the files come from, and what amounts are counted in; million JPY unless said.

    Raises:
        SheetError: a file or row breaks a rule, or output.txt differs from sales plus final demand by more than 0.1 %.
        NetworkStoreError: `store` exists.
    """
    paths = [Path(directory, name) for name in FILES]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise SheetError(f"{directory}: no {', '.join(absent)}; needed are {', '.join(FILES)}")
    links, final, output, firms = (read_blank_separated(path, FILES[path.name]) for path in paths)
    refuse(_check_listed(final, firms, complete=False) + _check_listed(output, firms, complete=True))
    joined = Sheet(firms.name, _join(firms, final), firms.rows, firms.word)
    refuse(check_firms(joined) + check_links(links, joined))
    attrs: dict[str, Any] = {
        "title": f"firm network of {Path(directory).name} (Inoue–Todo layout)",
        "references": "Inoue and Todo (2019), Nature Sustainability 2, 841-847",
        "inputs": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
        **said.cited(),
    }
    network = assemble(links, joined, 1, f"{said.money or MONEY} / day", attrs)
    told = output.frame.set_index("firm")["output"].astype(float)[firms.text("firm")].to_numpy()
    off = np.abs(told - network.output) > OUTPUT_TOLERANCE * np.maximum(network.output, told)
    refuse(firms.complain(off, "output.txt must give sales + final demand, to 0.1 %", "firm"))
    return write_network(network, store)


def _join(firms: Sheet, final: Sheet) -> Any:
    """The firms' frame with final demand, 0 where none is listed, and one region."""
    listed = final.frame.set_index("firm")["final_demand"]
    return firms.frame.assign(region="all", final_demand=firms.text("firm").map(listed).fillna("0"))


def _check_listed(sheet: Sheet, firms: Sheet, *, complete: bool) -> list[str]:
    """Each firm known, listed once, with a number; all of them, if the file must be complete."""
    value = sheet.frame.columns[1]
    known = sheet.text("firm").isin(firms.text("firm")).to_numpy(bool)
    absent = ~firms.text("firm").isin(sheet.text("firm")).to_numpy(bool)
    return [
        *sheet.complain(~known, f"firm is not in {firms.name}", "firm"),
        *sheet.complain(sheet.repeated(["firm"]), "firm was given before", "firm"),
        *sheet.complain(~np.isfinite(sheet.numbers(value)), f"{value} must be a finite number", value),
        *(firms.complain(absent, f"firm is not in {sheet.name}", "firm") if complete else []),
    ]
