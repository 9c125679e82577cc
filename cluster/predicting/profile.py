"""The profile of systemic risk of a country's firms, beside Hungary's as published.

Diem, Borsos, Reisch, Kertész, Thurner (2022), Scientific Reports 12:7719, rank some 92,000 firms (from memory) by what
their failure costs: 0.035 % of them cost about 23 % of output each, and 99.8 % below 1 %. Here firms are drawn from
Hungary's table of 2014, and inputs are essential as surveyed, or all of them. The drawn firms are fewer, so each is
larger.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from shockmesh.io.inputs.survey import surveyed_criticality
from shockmesh.io.networks.generate import STRUCTURES, generate_network
from shockmesh.io.validation import national_table
from shockmesh.kernels.esri import esri
from shockmesh.kernels.network import FirmNetwork

FIRMS, SEED, BATCH = 10_000, 7, 64
STOPS, SLOWS = 0.75, 0.25  # rating from which an input is essential, and not unimportant


@dataclass(frozen=True)
class Profile:
    """How the index is spread over firms."""

    structure: str  # of the network
    essential: str  # inputs
    above_tenth: float  # share of firms that cost more than a tenth of output
    below_hundredth: float  # share of firms that cost less than a hundredth
    largest: float  # share of output


def profiles(firms: int = FIRMS, region: str = "HUN") -> Iterator[Profile]:
    """The profile of a country's firms, by structure of the network and by which inputs are essential."""
    table = national_table(region)
    for structure in STRUCTURES:
        network = generate_network(table, firms, SEED, structure=structure)
        for essential in ("surveyed", "all"):
            yield _profile(network, structure, essential)


def _profile(network: FirmNetwork, structure: str, essential: str) -> Profile:
    level = levels(network.sectors) if essential == "surveyed" else "all"
    index = np.asarray(esri(network, level, market="sector", size="output", batch=BATCH))
    return Profile(structure, essential, float(np.mean(index > 0.1)), float(np.mean(index < 0.01)), float(index.max()))


def levels(sectors: tuple[str, ...]) -> np.ndarray:
    """Levels of inputs (rows) for buyers (columns) as the index reads them: 2 essential, 1 not, 0 unimportant."""
    rated = surveyed_criticality(sectors)
    return np.where(rated >= STOPS, 2, np.where(rated >= SLOWS, 1, 0))
