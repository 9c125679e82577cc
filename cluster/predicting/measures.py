"""How strongly measures against a disease act on each day, from a published index of how strict they are.

    s = (I(t − lag) − start) / (full − start), within 0 … 1
    a = 1 / (1 + (days since the onset / adaptation)^power)

An index I below `start` costs nothing (masks, advice); at `full`, the United Kingdom's of April 2020, the losses are
those published for it. Where people need not meet, work is done otherwise after a while, and later waves cost little:
there the strength is s a. Where they meet or travel it is s. The onset is the first day with s ≥ 0.3, before the lag.

The five numbers are the same for all countries, and round; what comes out when they are fitted to all other countries
is told in docs/choosing/prediction.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from shockmesh.io.validation import DAYS, PACK

BEGUN = 0.3  # of the strength, from which days of adaptation are counted


@dataclass(frozen=True)
class Response:
    """How losses follow the index."""

    start: float = 30.0
    full: float = 80.0
    lag: int = 5  # days from a measure to its effect
    adaptation: float = 100.0  # days
    power: float = 3.0


def strengths(
    index: Float[np.ndarray, " day"], response: Response = Response()
) -> tuple[Float[np.ndarray, " day"], Float[np.ndarray, " day"]]:
    """The strength where people meet or travel, and where they need not, 0 … 1, by day."""
    at_once = np.clip((index - response.start) / (response.full - response.start), 0, 1)
    begun = np.flatnonzero(at_once >= BEGUN)
    since = np.maximum(np.arange(len(index)) - (begun[0] if len(begun) else len(index)), 0)
    standing = np.concatenate([np.zeros(response.lag), at_once[: len(index) - response.lag]])
    return standing, standing / (1 + (since / response.adaptation) ** response.power)


def stringency() -> pd.DataFrame:
    """The pack's index by day of 2020 and country."""
    return pd.read_csv(PACK / "stringency.csv", index_col="day").reindex(range(DAYS)).ffill()


def write_measures(folder: Path, response: Response = Response()) -> None:
    """Write what measures leave, as factors by region and day: `standing.csv`, `fading.csv`, which specs name."""
    index = stringency()
    found = {name: strengths(index[name].to_numpy(float), response) for name in index}
    for k, file in enumerate(("standing.csv", "fading.csv")):
        rows = (row for name, both in found.items() for row in _rows(name, 1 - both[k]))
        (folder / file).write_text("region,day,factor\n" + "".join(rows), "utf-8")


def _rows(region: str, factor: Float[np.ndarray, " day"]) -> Iterator[str]:
    """A row for each day on which the factor changes."""
    told = factor.round(4)
    before = np.concatenate([[1.0], told[:-1]])
    yield from (f"{region},{day},{told[day]:g}\n" for day in np.flatnonzero(told != before))
