"""How much firms need each input: the criticality that a spec names, on its network."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from shockmesh.cluster.spec.fields import SURVEYED, SURVEYS
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.problems import first_of
from shockmesh.cluster.spec.source import Problem
from shockmesh.io.inputs.scenarios import read_criticality
from shockmesh.io.inputs.sector_matrices import products_are_sectors
from shockmesh.io.inputs.survey import CROSSWALK, surveyed_criticality, unrated
from shockmesh.kernels.network import FirmNetwork

SHOWN = 8  # sectors


def read_ratings(spec: Spec, network: FirmNetwork) -> Float[np.ndarray, "product sector"] | None:
    """The criticality χ that the spec's model reads, 0 … 1; None if it reads none.

    Raises:
        ScenarioError: a file that breaks a rule.
    """
    named = spec.model.criticality
    if named is None:
        return None
    if named not in SURVEYS:
        return read_criticality(named, network)
    return surveyed_criticality(network.sectors, goods=named != SURVEYED)


def without_rating(spec: Spec, network: FirmNetwork) -> Iterator[Problem]:
    """Sectors for which the survey, where the spec reads it, has no rating."""
    named = spec.model.criticality
    if named not in SURVEYS:
        return
    unknown, file = unrated(network.sectors), "name a CSV of sectors by sectors"
    if unknown:
        shown = first_of(unknown[:SHOWN], len(unknown))
        told = f"no ratings of sectors {shown}: {file}; sectors with ratings: {CROSSWALK}"
        yield spec.problem("model.criticality", named, told)
    elif not products_are_sectors(network):
        told = f"the network's products are not its sectors, which are rated: {file}"
        yield spec.problem("model.criticality", named, told)
