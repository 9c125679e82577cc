"""An economy in Python: a store of firms or of a table, looked at as data frames."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
from shockmesh.io.networks.generate import generate_network
from shockmesh.io.networks.import_links import import_links
from shockmesh.io.networks.industries import load_economy
from shockmesh.io.networks.store import write_network
from shockmesh.io.rankings import named_firms
from shockmesh.io.sources import Said
from shockmesh.io.tables.store import one_year, open_table
from shockmesh.kernels.network import FirmNetwork

SCRATCH = TemporaryDirectory(prefix="shockmesh-", ignore_cleanup_errors=True)  # until Python ends


@dataclass(frozen=True)
class Economy:
    """Firms and who buys from whom, in a store. Make one with `economy`."""

    path: str
    year: int | None = None  # of a table of several

    @cached_property
    def network(self) -> FirmNetwork:
        """Its firms and links as arrays."""
        return load_economy(self.path, self.year)

    @property
    def unit(self) -> str:
        """What amounts are counted in, such as million USD / day."""
        return self.network.unit

    @property
    def regions(self) -> tuple[str, ...]:
        """Codes of its regions."""
        return self.network.regions

    @property
    def sectors(self) -> tuple[str, ...]:
        """Codes of its sectors."""
        return self.network.sectors

    @property
    def firms(self) -> pd.DataFrame:
        """A row for each firm: firm, region, sector; output, final_demand, value_added [unit]."""
        of = self.network
        amounts = {"output": of.output, "final_demand": of.final_demand, "value_added": of.value_added}
        return pd.DataFrame({**named_firms(of), **amounts})

    @property
    def links(self) -> pd.DataFrame:
        """A row for each link: supplier, buyer (ids of firms), amount [unit]."""
        of = self.network
        return pd.DataFrame({"supplier": of.firm[of.supplier], "buyer": of.firm[of.buyer], "amount": of.amount})

    def generate(
        self, firms: int, seed: int = 0, *, mean_degree: float = 10.0, store: str | Path | None = None
    ) -> "Economy":
        """Draw firms from this table, and write them to a store (left out: until Python ends).

        Args:
            firms: how many.
            mean_degree: links per firm to aim at.

        Raises:
            TableError, GenerateError: it is no table, or numbers that cannot be.
            NetworkStoreError: the store exists.
        """
        with open_table(self.path, year=self.year) as table:
            return _written(generate_network(one_year(table), firms, seed, mean_degree), store)

    def _facts(self) -> dict[str, str]:
        of = self.network
        return {
            "store": self.path,
            "firms": f"{of.n_firms:,}",
            "links": f"{of.n_links:,}",
            "regions": f"{len(of.regions)}: {_some(of.regions)}",
            "sectors": f"{len(of.sectors)}: {_some(of.sectors)}",
            "output": f"{of.output.sum():.4g} {of.unit}",
        }

    def __str__(self) -> str:
        return "\n".join(f"{name:8} {value}" for name, value in self._facts().items())

    def __rich_repr__(self) -> Any:
        yield from self._facts().items()

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in self._facts().items())
        return f"<table>{rows}</table>"


def economy(
    source: str | Path | FirmNetwork | None = None,
    *,
    links: pd.DataFrame | str | Path | None = None,
    firms: pd.DataFrame | str | Path | None = None,
    year: int | None = None,
    money: str = "million USD",
    per: Literal["year", "day"] = "year",
    store: str | Path | None = None,
) -> Economy:
    """An economy from a store, from a network in memory, or from lists of links and firms.

    Args:
        source: the store of a network or of a table, whose industries are then firms; or a network.
        links: data frame or file with columns supplier, buyer, amount [money per `per`].
        firms: data frame or file with columns firm, sector[, region] and final_demand, or turnover as output.
        year: of a table of several years.
        money: what amounts are counted in.
        store: where to keep what was made from lists; left out, until Python ends.

    Raises:
        ValueError: neither source nor links, or both.
        SheetError, DialectError, NetworkStoreError, TableError: a list or a store breaks a rule; every broken rule is
            named.
    """
    if (source is None) == (links is None):
        raise ValueError("economy: takes a source, or links and firms, and not both")
    if isinstance(source, FirmNetwork):
        return _written(source, store)
    if links is not None:
        path = _place(store)
        import_links(links, path, firms, Said(money), unit_per=per)
        return Economy(str(path))
    assert source is not None
    found = Economy(str(source), year)
    _ = found.network  # what is wrong with it is told now
    return found


def _written(network: FirmNetwork, store: str | Path | None) -> Economy:
    path = _place(store)
    write_network(network, path)
    return Economy(str(path))


def _place(store: str | Path | None) -> Path:
    """Where to write a store: as said, or in this process's own folder."""
    return Path(store) if store is not None else scratch("economy") / "economy.zarr"


def scratch(name: str) -> Path:
    """A new folder that is there until Python ends."""
    path = Path(SCRATCH.name) / f"{name}-{sum(1 for _ in Path(SCRATCH.name).iterdir())}"
    path.mkdir()
    return path


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
