"""How much buyers need each input, where no file says so: the ratings of a survey, carried over to other sectors.

`survey/ratings.csv` has the ratings χ of Pichler et al. (2022) for the sectors of WIOD 2016, inputs (rows) to
industries (columns): 1 critical, 0.5 important, 0 not critical. `survey/crosswalk.csv` says which of these a sector of
WIOD 2016, of OECD ICIO, of NACE Rev. 2 in 64 industries (FIGARO) or of ISIC Rev. 4 (a section, a division) covers.
Source and licence: `survey/README.md`.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float
from shockmesh.io.examples import EXAMPLES
from shockmesh.io.inputs.csv_text import read_csv_text

SURVEY = Path(__file__).with_suffix("")
CROSSWALK = SURVEY / "crosswalk.csv"
WORLD = EXAMPLES / "tables" / "wiod2016_2014_parts.npz"


GOODS = ("A", "B", "C")  # sections whose products can be kept in stock; of C all but C33, which repairs


def surveyed_criticality(sectors: Sequence[str], *, goods: bool = False) -> Float[np.ndarray, "product sector"]:
    """χ of inputs from each sector (rows) for buyers of each sector (columns), 0 … 1.

    Each sector stands for the rated ones that it covers, whole or in part. A rating is the mean over all pairs that the
    two sectors cover, by what the world's buyers paid in 2014: so wide sectors are as critical as their parts are on
    average, where the strictest rating would make them more so. What the survey did not rate is not critical.

    >>> surveyed_criticality(["A01_02", "C10T12"]).round(3).tolist()  # A02, forestry, is hardly needed by food
    [[0.945, 0.995], [1.0, 1.0]]

    Args:
        goods: count only goods as critical. Services, construction, repair, power and water then stop nobody.

    Raises:
        ValueError: a sector that the crosswalk does not have.
    """
    if unknown := unrated(sectors):
        raise ValueError(f"sectors: {', '.join(unknown)}: not in {CROSSWALK}")
    rated, ratings = _ratings()
    if goods:
        ratings = ratings * np.array([of[0] in GOODS and of != "C33" for of in rated])[:, None]
    covers = np.array([[of in _crosswalk()[sector] for of in rated] for sector in sectors], float)
    paid = _purchases(rated)
    all_paid = covers @ paid @ covers.T
    return covers @ (paid * ratings) @ covers.T / np.where(all_paid > 0, all_paid, 1)


def unrated(sectors: Sequence[str]) -> list[str]:
    """The sectors that the crosswalk does not have."""
    return [sector for sector in sectors if sector not in _crosswalk()]


@cache
def _crosswalk() -> dict[str, frozenset[str]]:
    """Sector → the rated sectors that it covers, whole or in part."""
    table = read_csv_text(CROSSWALK, ValueError)
    return {sector: frozenset(rated.split()) for sector, rated in zip(table["sector"], table["rated"], strict=True)}


@cache
def _ratings() -> tuple[list[str], Float[np.ndarray, "product sector"]]:
    """The rated sectors, and their ratings."""
    table = read_csv_text(SURVEY / "ratings.csv", ValueError).set_index("input")
    return list(table.columns), table.loc[list(table.columns)].to_numpy(float)


def _purchases(sectors: Sequence[str]) -> Float[np.ndarray, "product sector"]:
    """What the world's buyers (columns) paid for inputs from each sector (rows) in 2014 [million USD].

    A million more for each pair makes those that trade nothing count alike.
    """
    with np.load(WORLD) as table:
        flows = table["Zd"].sum(axis=0, dtype=float) + table["M"].sum(axis=0, dtype=float)
        order = [table["sectors"].tolist().index(sector) for sector in sectors]
    return flows[np.ix_(order, order)] + 1
