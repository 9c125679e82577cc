"""A table as an economy: each of its industries is one firm, as in models of industries (ARIO; BoARIO).

A link is a positive flow between two industries, or within one; its product is the sector that sells. Final demand is
the sum of its categories. What a table has that no firm can have is repaired as for `generate`, and told
(`cells.clean`).
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from shockmesh.io.networks.cells import clean, read_economy
from shockmesh.io.networks.generate import DAYS_PER_YEAR, about, names_of, unit_per_day
from shockmesh.io.networks.repairs import as_records, told
from shockmesh.io.networks.store import read_network
from shockmesh.io.stores.damage import reading
from shockmesh.io.stores.places import ROOT, Place, place
from shockmesh.io.stores.schemas import schema_of
from shockmesh.io.tables.store import TableError, one_year, open_table
from shockmesh.kernels.network import FirmNetwork, firm_network


def load_economy(path: str | Place, year: int | None = None) -> FirmNetwork:
    """The network of a store: of firms as it is, of a table with one firm for each industry.

    Args:
        year: which one, of a table of several years.

    Raises:
        NetworkStoreError, TableError, GenerateError, DamagedStoreError: nothing sound is there.
        TableError: a year that is not there, or is missing, or of a network, which has none.
    """
    if schema_of(place(path) / ROOT).startswith("table/"):
        with reading(path), open_table(path, year) as table:
            return industry_network(one_year(table))
    network = read_network(path)
    if year is not None:
        raise TableError(f"{path}: year: {year}: a network of firms has no years; only a table has")
    return network


def industry_network(table: xr.Dataset) -> FirmNetwork:
    """The industries of a table of one year that have output and sales, as firms named «region sector», per day.

    Raises:
        GenerateError: a variable or label is missing, a value is not finite, or the unit is not money per year.
    """
    unit, told_flows = unit_per_day(table), read_economy(table)
    economy = clean(told_flows)
    cells, kept = economy.cells, np.flatnonzero(economy.output > 0)
    region, sector = np.divmod(kept, len(economy.sectors))
    of = about(table)
    cited = {name: of[name] for name in ("source", "license", "references", "year") if name in of}
    title = f"the industries of: {of.get('title', 'an input–output table')}"
    return firm_network(
        np.searchsorted(kept, cells.supplier), np.searchsorted(kept, cells.buyer), cells.value / DAYS_PER_YEAR,
        economy.final_demand[kept] / DAYS_PER_YEAR, region=region, sector=sector, firm=np.array(economy.names(kept)),
        regions=economy.regions, sectors=economy.sectors, unit=unit, final_shares=told_flows.final_shares,
        attrs={**cited, **names_of(table), "title": title, "industries": len(kept),
               "repairs": as_records(economy.repairs)},
    )  # fmt: skip


def remarks_on_industries(network: FirmNetwork) -> Iterator[str]:
    """What a user should know of an economy whose firms are industries: that they are, and what was repaired."""
    if "industries" not in network.attrs:
        return
    yield f"economy: {network.attrs['title']}; each of {network.n_firms:,} industries is one firm"
    yield from (f"economy: {told(repair)} [{network.unit.partition(' / ')[0]}]" for repair in network.attrs["repairs"])
