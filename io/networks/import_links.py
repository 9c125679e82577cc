"""A user's own links and firms, in the form of administrative data, become a firm network store.

    links: supplier, buyer, amount[, product]                 CSV with a header line, or Parquet
    firms: firm, region, sector, final_demand[, output]

Ids may be numbers or text; they are compared as written ("007" is not "7"). Nothing is mended: every problem is told
with its file and rows, and nothing is written.
"""

import hashlib
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.io.inputs.sheets import Sheet, SheetError, ids, read_sheet, refuse
from shockmesh.io.networks.store import write_network
from shockmesh.io.sources import SILENT, Said
from shockmesh.io.stores.places import Place
from shockmesh.kernels.network import BALANCE_TOLERANCE, FirmNetwork, firm_network

LINK_COLUMNS = ("supplier", "buyer", "amount")
FIRM_COLUMNS = ("firm", "region", "sector", "final_demand")
MONEY = "million USD"
DAYS_PER = {"year": 365, "day": 1}
FINAL_DEMAND_RULE = (
    "final demand (what each firm sells to others than firms: households, government, investment, abroad) closes a "
    "firm's balance, output = sales to firms + final demand, and is never guessed; 0 is a value too"
)


def import_links(
    source: str | Path,
    store: str | Place,
    firms: str | Path | None = None,
    said: Said = SILENT,
    *,
    unit_per: Literal["year", "day"] = "year",
) -> Place:
    """Check a file of links and one of firms, and write the network.

    Args:
        source: the links file, or a folder that holds `links` and `firms` (.csv or .parquet).
        store: the store to make.
        firms: the firms file; not needed with a folder.
        said: where the files come from, and what amounts are counted in; million USD unless said.
        unit_per: whether amounts, final demand and output are per year (then divided by 365) or per day.

    Raises:
        SheetError: a file, column or row breaks a rule; every broken rule is listed.
        NetworkStoreError: `store` exists.
    """
    if unit_per not in DAYS_PER:
        raise SheetError(f"unit_per: {unit_per!r}, must be one of {', '.join(DAYS_PER)}")
    paths = _paths(Path(source), None if firms is None else Path(firms))
    links, companies = (read_sheet(path) for path in paths)
    refuse(_lacking(links, LINK_COLUMNS) + _lacking(companies, FIRM_COLUMNS))
    refuse(check_firms(companies) + check_links(links, companies))
    attrs: dict[str, Any] = {
        "title": f"firm network of {links.name}",
        "inputs": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
        "unit_per": unit_per,
        **said.cited(),
    }
    network = assemble(links, companies, DAYS_PER[unit_per], f"{said.money or MONEY} / day", attrs)
    return write_network(network, store)


def assemble(links: Sheet, firms: Sheet, days: int, unit: str, attrs: dict[str, Any]) -> FirmNetwork:
    """Make the network of checked sheets, whose flows are per `days`.

    Raises:
        SheetError: a firm buys but sells nothing, or a given output is not sales plus final demand.
    """
    known = pd.Index(firms.text("firm"))
    supplier, buyer = (known.get_indexer(links.text(end)) for end in ("supplier", "buyer"))
    amount, final = links.numbers("amount") / days, firms.numbers("final_demand") / days
    refuse(check_balance(firms, supplier, buyer, amount * days, final * days))
    region, regions = firms.codes("region")
    sector, sectors = firms.codes("sector")
    product, products = links.codes("product") if "product" in links else (None, [])
    return firm_network(
        supplier, buyer, amount, final, product=product, region=region, sector=sector, firm=ids(known),
        regions=regions, sectors=sectors, unit=unit, attrs=attrs | ({"products": products} if products else {}),
    )  # fmt: skip


def check_firms(firms: Sheet) -> list[str]:
    """Ids given and unique, labels given and tidy, final demand a number of 0 or more, and not 0 everywhere."""
    final, missing = firms.numbers("final_demand"), firms.missing("final_demand")
    wrong = ~(np.isfinite(final) & (final >= 0)) & ~missing
    tidy = "has blanks at an end, or a line break inside"
    untidy = [firms.complain(firms.untidy(name), f"{name} {tidy}", name) for name in ("firm", "region", "sector")]
    none = [f"{firms.name}: final_demand is 0 for every firm; {FINAL_DEMAND_RULE}"]
    return [
        *chain(*untidy),
        *firms.complain(firms.missing("firm"), "firm is empty"),
        *firms.complain(firms.repeated(["firm"]), "firm was given before", "firm"),
        *firms.complain(firms.missing("region"), "region is empty", "firm"),
        *firms.complain(firms.missing("sector"), "sector is empty", "firm"),
        *firms.complain(missing, f"final_demand is empty; {FINAL_DEMAND_RULE}", "firm"),
        *firms.complain(wrong, "final_demand must be finite and ≥ 0", "final_demand"),
        *([] if (final != 0).any() else none),
    ]


def check_links(links: Sheet, firms: Sheet) -> list[str]:
    """Ends known and different, one row per supplier, buyer and product, amounts finite and above 0."""
    amount = links.numbers("amount")
    known = f"{firms.name}, whose first is {firms.text('firm').iloc[0]!r}"
    problems: list[str] = []
    for end in ("supplier", "buyer"):
        unknown = ~links.text(end).isin(firms.text("firm")).to_numpy(bool) & ~links.missing(end)
        problems += links.complain(links.missing(end), f"{end} is empty")
        problems += links.complain(unknown, f"{end} is not a firm of {known}", end)
    keys = [key for key in ("supplier", "buyer", "product") if key in links]
    product_missing = links.missing("product") if "product" in links else np.zeros(len(amount), bool)
    own = (links.text("supplier") == links.text("buyer")).to_numpy(bool)
    return [
        *problems,
        *links.complain(product_missing, "product is empty"),
        *links.complain(own, "supplier and buyer must differ", "supplier"),
        *links.complain(links.repeated(keys), f"the same {', '.join(keys)} was given before", "supplier"),
        *links.complain(~(np.isfinite(amount) & (amount > 0)), "amount must be finite and > 0", "amount"),
    ]


def check_balance(
    firms: Sheet, supplier: Int[np.ndarray, " link"], buyer: Int[np.ndarray, " link"],
    amount: Float[np.ndarray, " link"], final: Float[np.ndarray, " firm"],
) -> list[str]:  # fmt: skip
    """Whoever buys also sells; a given output equals sales plus final demand. In the unit of the file."""
    made = np.bincount(supplier, amount, len(final)) + final
    idle = (made == 0) & (np.bincount(buyer, minlength=len(final)) > 0)
    problems = firms.complain(idle, "a firm that buys must have sales or final demand", "firm")
    if "output" not in firms:
        return problems
    off = ~(np.abs(firms.numbers("output") - made) <= BALANCE_TOLERANCE * made)
    return problems + firms.complain(off, "output must be sales to firms + final_demand, to 1e-6", "output")


def _paths(source: Path, firms: Path | None) -> tuple[Path, Path]:
    if source.is_dir():
        return _inside(source, "links"), firms or _inside(source, "firms")
    if firms is None:
        raise SheetError(f"{source}: a file of firms ({', '.join(FIRM_COLUMNS)}) is needed too: {FINAL_DEMAND_RULE}")
    return source, firms


def _inside(folder: Path, stem: str) -> Path:
    found = [path for suffix in ("csv", "parquet") if (path := folder / f"{stem}.{suffix}").is_file()]
    if len(found) != 1:
        raise SheetError(f"{folder}: exactly one of {stem}.csv and {stem}.parquet is needed, {len(found)} are there")
    return found[0]


def _lacking(sheet: Sheet, wanted: tuple[str, ...]) -> list[str]:
    lacking = [column for column in wanted if column not in sheet]
    if not lacking:
        return []
    rule = f"; {FINAL_DEMAND_RULE}" if "final_demand" in lacking else ""
    return [f"{sheet.name}: no column {', '.join(lacking)}; it has {', '.join(map(str, sheet.frame.columns))}{rule}"]
