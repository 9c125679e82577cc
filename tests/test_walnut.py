"""Networks like national registers: the same however they are cut into chunks, and within published ranges."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shockmesh.io.networks.cells import GenerateError, clean, read_economy, thin
from shockmesh.io.networks.facts import FACTS, statistics
from shockmesh.io.networks.generate import DAYS_PER_YEAR, generate_network
from shockmesh.io.networks.parcels import draw_links
from shockmesh.io.networks.walnut import draw_sized, kept_cells, trade_of, uniform
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import open_table
from tables import random_table


@pytest.mark.parametrize("chunk", [1, 50, 400])
def test_chunks_change_no_bit(chunk: int) -> None:
    economy, partners = kept_cells(clean(read_economy(random_table(3, 4, seed=1))), 4000)
    firms = draw_sized(economy, 400, partners, seed=5)
    trade = trade_of(economy, firms, seed=5)
    whole, carried = draw_links(economy.cells, firms, trade, partners, 4000, 5, sectors=4)
    parts, again = draw_links(economy.cells, firms, trade, partners, 4000, 5, sectors=4, chunk=chunk)
    assert [part.tobytes() for part in parts] == [part.tobytes() for part in whole]
    assert again.tobytes() == carried.tobytes()


@given(st.integers(0, 2**64), st.integers(0, 4), st.permutations(range(50)))
def test_a_hashed_number_hangs_on_nothing_but_its_index(seed: int, purpose: int, order: list[int]) -> None:
    index = np.array(order)
    alone = np.array([uniform(seed, purpose, np.array([i]))[0] for i in order])
    np.testing.assert_array_equal(uniform(seed, purpose, index), alone)
    assert ((alone > 0) & (alone < 1)).all()


def test_hashed_numbers_are_uniform_and_unrelated() -> None:
    one, other = (uniform(seed, 3, np.arange(100_000)) for seed in (1, 2))
    assert np.abs(np.histogram(one, 20, (0, 1))[0] - 5000).max() < 5 * 5000**0.5
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.015
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.015


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_cells_that_meet_all_margins_are_kept(seed: int) -> None:
    economy = clean(read_economy(random_table(4, 5, seed=seed, shape=2.5)))
    kept = thin(economy, 150, exact=True)
    assert len(kept.cells.value) < len(economy.cells.value)
    for of in (kept.cells.sales, kept.cells.inputs):
        np.testing.assert_allclose(of(kept.n), getattr(economy.cells, of.__name__)(kept.n), rtol=2e-4)


def test_an_unknown_structure_is_refused() -> None:
    with pytest.raises(GenerateError, match=r"structure: 'random': one of proportional, walnut"):
        generate_network(random_table(), 100, seed=1, structure="random")


def test_the_world_of_20000_firms_is_within_published_ranges(tmp_path: Path) -> None:
    import_table("wiod2016", "example", tmp_path / "t.zarr")
    table = open_table(tmp_path / "t.zarr")
    network = generate_network(table, 20_000, seed=1, structure="walnut")
    outside = [str(found) for found in statistics(network) if found.fact and not found.inside]
    assert outside == []
    assert len(FACTS) == 11
    assert network.attrs["aggregate_error"]["z_dropped_value"] < 0.02
    assert network.attrs["aggregate_error"]["z_kept"] < 1e-12
    cleaned = clean(read_economy(table))
    for told, made in (
        (cleaned.output, network.output),
        (cleaned.final_demand, network.final_demand),
        (cleaned.output - cleaned.cells.inputs(cleaned.n), network.value_added),
    ):
        given = np.bincount(network.industry, made, cleaned.n) * DAYS_PER_YEAR
        assert np.abs(given - told).sum() < 1e-6 * told.sum()
