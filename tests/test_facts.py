"""What is told of a network: statistics of known networks, published facts beside them, findings."""

from pathlib import Path

import numpy as np
import pytest
from shockmesh.io.networks.facts import (
    describe_network,
    findings,
    largest_component,
    scaling,
    tail_exponent,
    walnut,
)
from shockmesh.io.networks.generate import generate_network
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.network import firm_network
from tables import random_table


def test_tail_exponent_and_scaling_recover_known_ones() -> None:
    rng = np.random.default_rng(0)
    assert tail_exponent(rng.random(200_000) ** (-1 / 1.3)) == pytest.approx(1.3, rel=0.05)
    degree = rng.integers(1, 1000, 5000)
    assert scaling(degree, 2.0 * degree**1.3) == pytest.approx(1.3, rel=0.02)
    assert np.isnan(tail_exponent(np.ones(10)))
    assert np.isnan(scaling(np.ones(5, int), np.ones(5)))


def test_largest_component_of_known_networks() -> None:
    assert largest_component(firm_network([0, 1, 3], [1, 2, 4], [1.0] * 3, [1.0] * 6)) == 0.5
    chain = np.arange(500)
    shuffled = np.random.default_rng(0).permutation(501)
    assert largest_component(firm_network(shuffled[chain], shuffled[chain + 1], np.ones(500), np.ones(501))) == 1


def test_core_and_half_shells_of_known_networks() -> None:
    """A ring of three, fed by a chain of two, feeding one firm; a pair apart; and one alone."""
    ring = [0, 1, 2], [1, 2, 0]
    fed = [3, 4, 1, 6], [4, 0, 5, 7]
    network = firm_network([*ring[0], *fed[0]], [*ring[1], *fed[1]], [1.0] * 7, [1.0] * 9)
    assert walnut(network) == pytest.approx((3 / 9, 2 / 9, 1 / 9))


def test_describe_puts_published_facts_beside(tmp_path: Path) -> None:
    network = generate_network(random_table(), 500, seed=1)
    described = describe_network(write_network(network, tmp_path / "n.zarr"))
    assert (described["firms"], described["links"]) == (500, network.n_links)
    assert described["aggregate_error"] == network.attrs["aggregate_error"]
    assert described["findings"] == []
    told = {record["quantity"]: record for record in described["statistics"]}
    assert told["sales vs degree exponent"]["fact"]["published"] == "1.3"
    assert told["links per firm"]["inside"] is True
    assert told["links per firm"]["text"].startswith(f"{network.n_links / 500:.3g} ✓ published 5 to 54 (")
    assert told["largest inputs per output"]["inside"] is None


def test_findings_name_firms_below_zero_value_added() -> None:
    network = firm_network([0, 1, 2], [1, 2, 0], [5.0, 1.0, 3.0], [1.0, 0, 0], firm=["a", "b", "c"])
    assert findings(network) == ["value added is below zero for 1 of 3 firms, lowest first: b"]
