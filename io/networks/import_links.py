"""A user's own links and firms, in the form of administrative data, become a firm network store.

    links: supplier, buyer, amount[, product]             text with a header line, Parquet, a workbook, a data frame
    firms: firm, sector[, region][, final_demand][, output]

Columns go by these names, by those of `inputs/rows/words/columns.csv`, or by what the user says. Ids may be numbers or
text; they are compared as written («007» is not «7»), without blanks at their ends. Nothing is mended that was not
asked for (`cleaning.py`): every problem is told with its file and rows, and nothing is written. What was recognised and
what was mended is in the store's `cleaning` and `repairs`, which `describe` shows.

Links that say the sectors of their ends (supplier_sector, buyer_sector), as those of the program of Diem et al. (2022),
need no file of firms.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from shockmesh.io.inputs.files import File, open_source
from shockmesh.io.inputs.frames import FRAMES
from shockmesh.io.inputs.rows.columns import FIRMS, LINKS, Columns
from shockmesh.io.inputs.rows.lists import AS_FOUND, Written, read_sheet
from shockmesh.io.inputs.rows.sheets import Sheet, SheetError, ids, positions, refuse
from shockmesh.io.inputs.workbooks import WORKBOOKS
from shockmesh.io.networks.candidates import candidates_of
from shockmesh.io.networks.cleaning import MENDS, Cleaned, clean, close_balance
from shockmesh.io.networks.companies import FINAL_DEMAND_RULE, Companies, companies_of, companies_within
from shockmesh.io.networks.graphs import GRAPHS, read_graph
from shockmesh.io.networks.repairs import Repair, as_records
from shockmesh.io.networks.store import write_network
from shockmesh.io.sources import SILENT, Said
from shockmesh.io.stores.places import Place
from shockmesh.kernels.network import FirmNetwork, firm_network

MONEY = "million USD"
DAYS_PER = {"year": 365, "day": 1}
SUFFIXES = (".csv", ".tsv", ".txt", *FRAMES, *WORKBOOKS)
LEVELS = ("0", "1", "2")  # of essentiality

type Listed = str | Path | pd.DataFrame


def import_links(
    source: Listed,
    store: str | Place,
    firms: Listed | None = None,
    said: Said = SILENT,
    *,
    unit_per: Literal["year", "day"] = "year",
    written: Written = AS_FOUND,
    mend: Sequence[str] = (),
    candidates: str | None = None,
) -> Place:
    """Check links and firms, and write the network.

    Args:
        source: links: a file, a data frame, or a folder or archive that holds `links` and `firms`; or a graph with
            both (.graphml, .gexf, .gml).
        store: the store to make.
        firms: the firms, a file or a data frame; not needed with a folder or graph, or where links say sectors.
        said: where the files come from, and what amounts are counted in; million USD unless said.
        unit_per: whether amounts, final demand and output are per year (then divided by 365) or per day.
        written: what is said of how the files are written.
        mend: what may be changed, of `cleaning.MENDS`; or «all».
        candidates: who else could supply: a file, or how many to draw for each pool; see `candidates_of`.

    Raises:
        SheetError, SourceError, DialectError: a file, column or row breaks a rule; every broken rule is listed.
        NetworkError: candidates break a rule of `with_candidates`.
        NetworkStoreError: `store` exists.
    """
    if unit_per not in DAYS_PER:
        raise SheetError(f"unit_per: {unit_per!r}, must be one of {', '.join(DAYS_PER)}")
    mend = _mends(mend)
    of_links, of_firms = _sources(source, firms)
    links = read_sheet(of_links, LINKS, written, "links")
    sheet = None if of_firms is None else read_sheet(of_firms, FIRMS, written, "firms")
    inputs = {sheet_.name: _digest(of) for sheet_, of in ((links, of_links), (sheet, of_firms)) if sheet_ is not None}
    attrs: dict[str, Any] = {
        "title": f"firm network of {links.name}",
        "inputs": {name: digest for name, digest in inputs.items() if digest},
        "unit_per": unit_per,
        **said.cited(),
    }
    unit = f"{said.money or MONEY} / day"
    network = assemble(links, _companies(links, sheet), DAYS_PER[unit_per], unit, attrs, mend)
    return write_network(network if candidates is None else candidates_of(network, candidates), store)


def assemble(
    links: Sheet, firms: tuple[Companies, list[str]], days: int, unit: str, attrs: Mapping[str, Any],
    mend: Sequence[str] = (),
) -> FirmNetwork:  # fmt: skip
    """Make the network of links and firms, whose flows are per `days`.

    Raises:
        SheetError: they break a rule that is not to be mended; all problems at once.
    """
    companies, problems = firms
    if len({*companies.ids}) < len(companies.ids):
        refuse(problems)
    essential, more = _essential(links, companies) if "essential" in links else (None, [])
    cleaned = clean(links, companies, mend)
    hint = [f"what may be changed can be asked for: --mend {','.join(cleaned.could)}"] if cleaned.could else []
    refuse([*problems, *more, *cleaned.problems, *hint])
    final, repairs, wrong = close_balance(companies, cleaned, mend)
    refuse(wrong)
    deals = cleaned.deals
    own = {"products": cleaned.products} if cleaned.products else {}
    own |= {} if essential is None else {"essential": essential}
    report = _report(links, companies, cleaned, [*cleaned.repairs, *repairs])
    return firm_network(
        deals.supplier, deals.buyer, deals.amount / days, final / days, product=deals.product,
        region=companies.region, sector=companies.sector, firm=ids(companies.ids),
        regions=companies.regions, sectors=companies.sectors, unit=unit, attrs={**attrs, **report, **own},
    )  # fmt: skip


def _report(links: Sheet, firms: Companies, cleaned: Cleaned, repairs: Sequence[Repair]) -> dict[str, Any]:
    """What went in and what came out, how the files were read, and what was mended."""
    amounts = links.numbers("amount")
    sheets = [links, *([] if firms.sheet is None else [firms.sheet])]
    return {
        "cleaning": {
            "rows": len(links), "links": len(cleaned.deals.row), "firms": len(firms.ids),
            "amount_read": float(np.nansum(amounts)), "amount_kept": float(cleaned.deals.amount.sum()),
            "read": {sheet.name: sheet.told for sheet in sheets},
        },
        "repairs": as_records(repairs),
    }  # fmt: skip


def _companies(links: Sheet, firms: Sheet | None) -> tuple[Companies, list[str]]:
    if firms is None:
        if not {"supplier_sector", "buyer_sector"} <= set(links.columns):
            raise SheetError(
                f"{links.name}: a file of firms (firm, sector, final_demand or output) is needed too, or the columns "
                f"supplier_sector and buyer_sector: {FINAL_DEMAND_RULE}"
            )
        return companies_within(links)
    if "final_demand" not in firms and "output" not in firms:
        there = ", ".join(firms.told["columns"].values())
        raise SheetError(f"{firms.name}: no column final_demand or output beside {there}; {FINAL_DEMAND_RULE}")
    return companies_of(firms)


def _essential(links: Sheet, firms: Companies) -> tuple[list[list[str | int]], list[str]]:
    """How essential inputs of a sector are to buyers of another, as links between firms say: [input, buyer, level]."""
    codes, labels = links.codes("essential")
    known = pd.Index(firms.ids)
    supplier, buyer = (
        np.append(firms.sector, -1)[positions(known, *links.codes(end))] for end in ("supplier", "buyer")
    )
    within = (supplier >= 0) & (buyer >= 0)  # a partner outside has no sector
    wrong = within & ~np.isin(np.array([*labels, ""])[codes], LEVELS)
    problems = links.complain(
        wrong, "essential must be 2 (essential), 1 (non-essential) or 0 (negligible)", "essential"
    )
    ends = {"input": supplier[within], "buyer": buyer[within], "level": codes[within]}
    pairs = pd.DataFrame(ends).drop_duplicates()
    twice = pairs.duplicated(["input", "buyer"])
    if twice.any():
        one = pairs[twice].iloc[0]
        pair = f"{firms.sectors[one['input']]!r} → {firms.sectors[one['buyer']]!r}"
        problems.append(f"{links.name}: essential: {pair} has several levels; it must be one for each pair of sectors")
    rows = pairs.itertuples(index=False)
    return [[firms.sectors[i], firms.sectors[j], int(labels[k])] for i, j, k in rows if not problems], problems


def _mends(mend: Sequence[str]) -> tuple[str, ...]:
    wrong = [name for name in mend if name not in (*MENDS, "all")]
    if wrong:
        raise SheetError(f"--mend {wrong[0]}: there are {', '.join(MENDS)}, and all")
    return MENDS if "all" in mend else tuple(mend)


def _sources(source: Listed, firms: Listed | None) -> tuple[File | pd.DataFrame, File | pd.DataFrame | None]:
    """The links and the firms that a call names."""
    of_firms = firms if isinstance(firms, pd.DataFrame | None) else _file(firms, FIRMS)
    if isinstance(source, pd.DataFrame):
        return source, of_firms
    found = open_source(source)
    if len(found.files) == 1 and found.files[0].suffix in GRAPHS:
        links, nodes = read_graph(found.files[0])
        return links, nodes if of_firms is None else of_firms
    if len(found.files) > 1 and of_firms is None:
        of_firms = _named(source, found.files, FIRMS)
    return _file(source, LINKS), of_firms


def _file(source: str | Path, kind: Columns) -> File:
    """The one file of a source; of several, that which bears the kind's name."""
    files = open_source(source).files
    found = files[0] if len(files) == 1 else _named(source, files, kind)
    if found is None:
        raise SheetError(
            f"{source}: no file named {kind.title}; there are {', '.join(file.name for file in files[:5])}"
        )
    return found


def _named(source: str | Path, files: Sequence[File], kind: Columns) -> File | None:
    """The file that bears the kind's name, if there is one."""
    named = [file for file in files if file.stem.casefold() == kind.title and file.suffix in SUFFIXES]
    if len(named) > 1:
        raise SheetError(f"{source}: one file named {kind.title} is needed; there are {', '.join(map(str, named))}")
    return named[0] if named else None


def _digest(source: File | pd.DataFrame | None) -> str | None:
    """SHA-256 of a file."""
    if not isinstance(source, File):
        return None
    with source.open() as opened:
        data: Any = opened
        return hashlib.file_digest(data, "sha256").hexdigest()
