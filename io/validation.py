"""The validation pack: past shocks of which it is known what followed, and the economies that they struck.

A folder of `validation/` with a `case.yaml` is one case: what was observed (`observed.csv`), the standard deviation of
each value (`noise.csv`: what such series do in other years, and 3 % at least), and which industries each series sums
(`series.csv`: a series, its region, and its sectors or sections; none named means all). Days count from 1 January 2020.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import yaml
from jaxtyping import Float
from shockmesh.io.inputs.series import Series, read_noise, read_series
from shockmesh.kernels.network import FirmNetwork, firm_network

PACK = Path(__file__).with_name("validation")
TABLE = Path(__file__).with_name("examples") / "tables" / "wiod2016_2014_parts.npz"
DAYS, DAYS_PER_YEAR = 366, 365.0
NOISE_LOW, NOISE_HIGH = 1e-6, 100.0


@dataclass(frozen=True)
class Case:
    """What followed a past shock."""

    name: str
    title: str
    source: str
    licence: str
    windows: dict[str, tuple[int, int]]  # name → first and last day that are scored together
    series: Series
    noise: Float[np.ndarray, "period series"]  # standard deviation of each value
    parts: tuple[tuple[str, str, tuple[str, ...]], ...]  # series, region, its sectors or sections

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(region for _, region, _ in self.parts))

    def weights(self, network: FirmNetwork) -> Float[np.ndarray, "firm series"]:
        """The value added of the firms that each series sums [unit], 0 elsewhere."""
        worth = np.maximum(network.value_added, 0)
        found = np.zeros((network.n_firms, len(self.series.names)))
        sectors = np.array(network.sectors)[network.sector]
        for name, region, chosen in self.parts:
            here = np.array(network.regions)[network.region] == region
            if chosen:
                here &= np.isin(sectors, chosen) | np.isin(_sections(sectors), chosen)
            found[here, self.series.names.index(name)] = worth[here]
        return found


def _sections(sectors: np.ndarray) -> np.ndarray:
    """The letter of each sector."""
    return np.array([name[:1] for name in sectors])


def cases() -> dict[str, Case]:
    """Every case of the pack by its name, in alphabetical order."""
    return {path.parent.name: _read(path.parent) for path in sorted(PACK.glob("*/case.yaml"))}


def _read(folder: Path) -> Case:
    said = yaml.safe_load((folder / "case.yaml").read_text("utf-8"))
    series = read_series(folder / "observed.csv", DAYS)
    parts = pd.read_csv(folder / "series.csv", dtype=str, keep_default_na=False)
    return Case(
        folder.name, said["title"], said["source"], said["licence"],
        {name: (first, last) for name, (first, last) in said["windows"].items()},
        series, read_noise(folder / "noise.csv", series, NOISE_LOW, NOISE_HIGH),
        tuple((name, region, tuple(sectors.split())) for name, region, sectors in parts.itertuples(index=False)),
    )  # fmt: skip


def national_economies(regions: tuple[str, ...]) -> FirmNetwork:
    """The industries of some countries in 2014, without links between countries: each industry is one firm.

    Domestic flows are WIOD's (release 2016, the packaged table); what is sold abroad is final demand. Cells below 0 and
    industries without output are left out; output is what is left, sold or used.
    """
    parts = np.load(TABLE)
    position = {str(name): k for k, name in enumerate(parts["countries"])}
    sectors = tuple(str(name) for name in parts["sectors"])
    blocks = [_block(parts["Zd"][position[name]].astype(float), parts["X"][position[name]]) for name in regions]
    start = np.cumsum([0, *(len(kept) for _, _, kept in blocks)])
    ends = [np.nonzero(flows) for flows, _, _ in blocks]
    return firm_network(
        np.concatenate([first + rows for first, (rows, _) in zip(start, ends, strict=False)]),
        np.concatenate([first + columns for first, (_, columns) in zip(start, ends, strict=False)]),
        np.concatenate([flows[at] for (flows, _, _), at in zip(blocks, ends, strict=True)]) / DAYS_PER_YEAR,
        np.concatenate([final for _, final, _ in blocks]) / DAYS_PER_YEAR,
        region=np.repeat(np.arange(len(regions)), np.diff(start)),
        sector=np.concatenate([kept for _, _, kept in blocks]),
        firm=np.array([f"{name} {sectors[k]}" for name, (*_, kept) in zip(regions, blocks, strict=True) for k in kept]),
        regions=regions, sectors=sectors,
        attrs={"title": "national tables of 2014, WIOD 2016", "license": "CC BY 4.0"},
    )  # fmt: skip


def _block(flows: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flows and final demand of the industries of a country that make something, and which they are."""
    kept = np.flatnonzero(output > 0)
    flows = np.maximum(flows[np.ix_(kept, kept)], 0)
    return flows, np.maximum(output[kept] - flows.sum(axis=1), 0), kept


def national_table(region: str) -> xr.Dataset:
    """The table of one of these countries, from which firms can be generated; what is sold abroad is final demand."""
    parts = np.load(TABLE)
    k = list(parts["countries"]).index(region)
    flows, output = parts["Zd"][k].astype(float), parts["X"][k].astype(float)
    sectors, here = [str(name) for name in parts["sectors"]], [region]
    final = output - flows.sum(axis=1)
    return xr.Dataset(
        {
            "Z": (("region_from", "sector_from", "region_to", "sector_to"), flows[None, :, None, :]),
            "Y": (("region_from", "sector_from"), final[None]),
            "output": (("region", "sector"), output[None]),
        },
        {"region": here, "region_from": here, "region_to": here, "sector": sectors, "sector_from": sectors,
         "sector_to": sectors},
        {"units": "million USD / year", "title": f"{region} in 2014, WIOD 2016", "license": "CC BY 4.0", "year": 2014},
    )  # fmt: skip


def facts() -> Iterator[dict[str, str]]:
    """Published numbers that firm networks were found to show, with their sources; see `validation/facts.csv`."""
    table = pd.read_csv(PACK / "facts.csv", dtype=str, keep_default_na=False)
    yield from table.to_dict("records")
