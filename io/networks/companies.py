"""The firms of a user's list: of a file of firms, or of the links themselves where these say each end's sector."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.io.inputs.rows.sheets import Sheet, positions

FINAL_DEMAND_RULE = (
    "final demand (what each firm sells to others than firms: households, government, investment, abroad) closes a "
    "firm's balance, output = sales to firms + final demand, and is never guessed; 0 is a value too; where turnover is "
    "known instead, give it as output"
)
MOST = 1e100  # an amount; above it, sums of squares leave what a number can hold
ALONE = "all"  # the region of every firm where no file says one


@dataclass(frozen=True)
class Companies:
    """Firms as a user lists them. Flows are in the unit of the file."""

    name: str  # of the file
    ids: list[str]
    region: Int[np.ndarray, " firm"]
    regions: list[str]
    sector: Int[np.ndarray, " firm"]
    sectors: list[str]
    final_demand: Float[np.ndarray, " firm"] | None = None
    output: Float[np.ndarray, " firm"] | None = None
    sheet: Sheet | None = None  # to name rows by; none where the links say the firms


def companies_of(firms: Sheet) -> tuple[Companies, list[str]]:
    """The firms of a file, and what is wrong with them."""
    ids, labels = firms.codes("firm")
    sector, sectors = firms.codes("sector")
    alike = np.zeros(len(firms), np.int32), [ALONE]
    region, regions = firms.codes("region") if "region" in firms else alike
    numbers = {name: firms.numbers(name) for name in ("final_demand", "output") if name in firms}
    names = [labels[code] if code >= 0 else "" for code in ids.tolist()]
    return Companies(firms.name, names, region, regions, sector, sectors, sheet=firms, **numbers), _problems(firms, ids)


def _problems(firms: Sheet, ids: Int[np.ndarray, " firm"]) -> list[str]:
    """Ids given and unique, labels given and tidy, numbers of 0 or more, final demand not 0 everywhere."""
    labels = [name for name in ("firm", "region", "sector") if name in firms]
    repeated = pd.Series(ids).duplicated().to_numpy() & (ids >= 0)
    return [
        *chain(*(firms.complain(firms.untidy(name), f"{name} has a line break inside", name) for name in labels)),
        *firms.complain(firms.missing("firm"), "firm is empty"),
        *firms.complain(repeated, "firm was given before", "firm"),
        *chain(*(firms.complain(firms.missing(name), f"{name} is empty", "firm") for name in labels[1:])),
        *_wrong_numbers(firms),
    ]


def _wrong_numbers(firms: Sheet) -> list[str]:
    problems: list[str] = []
    for name in ("final_demand", "output"):
        if name in firms:
            values, missing = firms.numbers(name), firms.missing(name)
            rule = f"; {FINAL_DEMAND_RULE}" if name == "final_demand" else ""
            problems += firms.complain(missing, f"{name} is empty{rule}", "firm")
            wrong = ~(np.isfinite(values) & (values >= 0)) & ~missing
            problems += firms.complain(wrong, f"{name} must be finite and ≥ 0", name)
            large = np.isfinite(values) & (values >= MOST)
            problems += firms.complain(large, f"{name} must be below {MOST:.0e}", name)
    if "final_demand" in firms and not (firms.numbers("final_demand") != 0).any():
        problems.append(f"{firms.name}: final_demand is 0 for every firm; {FINAL_DEMAND_RULE}")
    return problems


def companies_within(links: Sheet) -> tuple[Companies, list[str]]:
    """The firms that links name, with the sectors (and regions) that the links give to their ends."""
    ends = [links.codes(end) for end in ("supplier", "buyer")]
    ids = sorted({*ends[0][1], *ends[1][1]})
    known = pd.Index(ids)
    firm = np.concatenate([positions(known, *end) for end in ends])
    sector, sectors, problems = _attribute(links, firm, ids, "sector")
    region, regions = np.zeros(len(ids), np.int32), [ALONE]
    if "supplier_region" in links and "buyer_region" in links:
        region, regions, more = _attribute(links, firm, ids, "region")
        problems += more
    return Companies(links.name, ids, region, regions, sector, sectors), problems


def _attribute(
    links: Sheet, firm: Int[np.ndarray, " end"], ids: list[str], what: str
) -> tuple[Int[np.ndarray, " firm"], list[str], list[str]]:
    """Each firm's sector or region as all of its links say, the labels, and the firms of which links say several."""
    ends = [links.codes(f"{end}_{what}") for end in ("supplier", "buyer")]
    labels = sorted({*ends[0][1], *ends[1][1]})
    index = pd.Index(labels)
    code = np.concatenate([positions(index, *end) for end in ends])
    given = (firm >= 0) & (code >= 0)
    low, high = np.full(len(ids), len(labels)), np.full(len(ids), -1)
    np.minimum.at(low, firm[given], code[given])
    np.maximum.at(high, firm[given], code[given])
    several, none = np.flatnonzero((high >= 0) & (low < high)), np.flatnonzero(high < 0)
    problems = [
        f"{links.name}: firm {ids[i]!r} has the {what}s {labels[low[i]]!r} and {labels[high[i]]!r}: must be one"
        for i in several[:5].tolist()
    ]
    problems += [f"{links.name}: {what} of firm {ids[i]!r} is nowhere given" for i in none[:5].tolist()]
    return np.maximum(high, 0).astype(np.int32), labels, problems
