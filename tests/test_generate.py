"""Generated networks: laws over random tables and numbers of firms, what repairs do, what is refused, heavy tails."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from shockmesh.io.networks.cells import Cells, GenerateError, rebalance
from shockmesh.io.networks.facts import statistics
from shockmesh.io.networks.firms import allot
from shockmesh.io.networks.generate import DAYS_PER_YEAR, STRUCTURES, generate_network
from shockmesh.io.networks.links import overlay
from shockmesh.io.networks.store import content_hash
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import open_table
from shockmesh.kernels.network import FirmNetwork
from tables import dataset, random_table

TABLES: dict[str, Callable[[], xr.Dataset]] = {
    "three regions": lambda: random_table(3, 4, seed=1),
    "one region": lambda: random_table(1, 5, seed=2),
    "sparse": lambda: random_table(4, 5, seed=3, density=0.15),
    "unequal": lambda: random_table(3, 3, seed=4, shape=4),
    "no industry supplies itself": lambda: _without_diagonal(random_table(2, 4, seed=5)),
    "every industry supplies mostly itself": lambda: _mostly_diagonal(),
}
FIRMS = (60, 400, 3000)


def _without_diagonal(table: xr.Dataset) -> xr.Dataset:
    flows = table["Z"].values.copy()
    final = table["output"].values - flows.sum((2, 3))
    for r, s in np.ndindex(flows.shape[:2]):
        flows[r, s, r, s] = 0
    return dataset(flows, final)


def _mostly_diagonal() -> xr.Dataset:
    flows = np.full((2, 3, 2, 3), 0.5)
    for r, s in np.ndindex(2, 3):
        flows[r, s, r, s] = 100 * (1 + r + s)
    return dataset(flows, 10.0 + np.arange(6).reshape(2, 3))


CASES = [(name, firms, structure) for name in TABLES for firms in FIRMS for structure in STRUCTURES]


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[xr.Dataset, FirmNetwork]:
    name, firms, structure = request.param
    table = TABLES[name]()
    return table, generate_network(table, firms, seed=11, structure=structure)


def by_industry(network: FirmNetwork, per_firm: np.ndarray) -> np.ndarray:
    shape = len(network.regions), len(network.sectors)
    return np.bincount(network.industry, per_firm, shape[0] * shape[1]).reshape(shape) * DAYS_PER_YEAR


def aggregated(network: FirmNetwork) -> np.ndarray:
    n = len(network.regions) * len(network.sectors)
    key = network.industry[network.supplier] * n + network.industry[network.buyer]
    return np.bincount(key, network.amount, n * n).reshape(n, n) * DAYS_PER_YEAR


def test_as_many_firms_as_asked_and_every_industry_has_one(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    table, network = case
    assert set(network.industry) == set(range(table["output"].size))
    assert network.n_firms in FIRMS


def test_flows_add_up_to_the_table(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    table, network = case
    n = table["output"].size
    flows, told = aggregated(network), table["Z"].values.reshape(n, n)
    assert ((flows > 0) <= (told > 0)).all()
    error = network.attrs["aggregate_error"]
    assert error["z_kept"] < 1e-12
    if error["z_dropped_cells"] == 0:
        np.testing.assert_allclose(flows, told, rtol=1e-10)
    np.testing.assert_allclose(error["z"], np.abs(flows - told).sum() / told.sum(), rtol=1e-6, atol=1e-12)


def test_output_and_final_demand_are_the_tables(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    table, network = case
    np.testing.assert_allclose(by_industry(network, network.output), table["output"], rtol=1e-9)
    if network.attrs["aggregate_error"]["z_dropped_cells"] == 0:
        final = table["Y"].sum(("region_to", "category"))
        np.testing.assert_allclose(by_industry(network, network.final_demand), final, rtol=1e-8, atol=1e-6)
        value_added = by_industry(network, network.value_added)
        np.testing.assert_allclose(value_added, table["value_added"], rtol=1e-8, atol=1e-6)


def test_regions_buy_for_final_use_what_the_table_says(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    table, network = case
    assert network.final_shares is not None
    bought = np.maximum(table["Y"].sum("category").transpose("region_from", "sector_from", "region_to").values, 0)
    bought = bought.reshape(-1, bought.shape[2])
    total = bought.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.final_shares * total, bought, rtol=1e-12)


def test_every_firm_balances_and_adds_value(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    network = case[1]
    np.testing.assert_allclose(network.output, network.sales + network.final_demand, rtol=1e-14)
    assert (network.final_demand >= 0).all()
    assert (network.output > 0).all()
    assert (network.inputs < 0.981 * network.output).all()


def test_firms_buy_and_sell_as_their_industry_does(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    """In a walnut, those that do both: the others do without, and the rest takes more."""
    network = case[1]
    flows = aggregated(network)
    if network.attrs["generator"]["structure"] == "walnut":
        return _check_those_that_trade(network, flows)
    for total, traded in ((flows.sum(0), network.inputs), (flows.sum(1), network.sales)):
        share = total / by_industry(network, network.output).ravel()
        np.testing.assert_allclose(traded, share[network.industry] * network.output, rtol=2e-4)


def _check_those_that_trade(network: FirmNetwork, flows: np.ndarray) -> None:
    for total, traded in ((flows.sum(0), network.inputs), (flows.sum(1), network.sales)):
        output = by_industry(network, np.where(traded > 0, network.output, 0)).ravel()
        share = np.divide(total, output, out=np.zeros_like(total), where=output > 0)[network.industry]
        np.testing.assert_allclose(traded[traded > 0], (share * network.output)[traded > 0], rtol=2e-4)


def test_one_link_per_pair_whose_product_is_the_suppliers_sector(case: tuple[xr.Dataset, FirmNetwork]) -> None:
    network = case[1]
    assert (network.supplier != network.buyer).all()
    assert len(np.unique(network.supplier.astype(np.int64) * network.n_firms + network.buyer)) == network.n_links
    np.testing.assert_array_equal(network.product, network.sector[network.supplier])


def test_mean_degree_is_near_what_was_asked() -> None:
    table = random_table(3, 4, seed=1)
    for asked in (6.0, 10.0, 15.0):
        network = generate_network(table, 3000, seed=1, mean_degree=asked)
        assert 0.75 * asked < network.n_links / 3000 < 1.05 * asked


def test_the_seed_decides() -> None:
    table = random_table()
    one, again, other = (generate_network(table, 200, seed=seed) for seed in (3, 3, 4))
    assert content_hash(one) == content_hash(again)
    assert content_hash(one) != content_hash(other)


def test_tails_are_heavy_and_firms_of_an_industry_start_with_the_largest() -> None:
    network = generate_network(random_table(2, 2, seed=1, shape=0.3), 20_000, seed=2)
    by_name = {statistic.quantity: statistic for statistic in statistics(network)}
    for name in ("output tail exponent", "in-degree tail exponent", "out-degree tail exponent"):
        assert 0.9 < by_name[name].value < 1.6, name
    assert by_name["output tail exponent"].inside
    assert by_name["degree correlation over links"].inside
    assert by_name["sales vs degree exponent"].value > 0.8
    assert by_name["share of firms in the largest component"].value > 0.99
    same = np.diff(network.industry) == 0
    assert (np.diff(network.output)[same] <= 1e-9).all()


def test_fewer_links_than_cells_keep_the_largest_and_the_margins() -> None:
    table = random_table(6, 6, seed=7, shape=2.5)
    network = generate_network(table, 80, seed=1, mean_degree=8)
    error = network.attrs["aggregate_error"]
    assert error["z_dropped_cells"] > 0.5
    assert error["z_dropped_value"] < 0.2
    assert error["output"] < 1e-9
    assert 0 < error["z"] < 2.5 * error["z_dropped_value"]
    assert max(error["final_demand"], error["value_added"]) < 0.02
    n = 36
    largest = table["Z"].values.reshape(n, n).argmax(0)
    assert (aggregated(network)[largest, np.arange(n)] > 0).mean() > 0.9


def _negative_cell(table: xr.Dataset) -> None:
    table["Z"].values[0, 1, 1, 0] = -3.0


def _no_output(table: xr.Dataset) -> None:
    table["output"].values[1, 2] = 0


def _inventories_drawn_down(table: xr.Dataset) -> None:
    table["Y"].values[0, 0] = 0
    table["Y"].values[0, 0, 0, 1] = -5.0


def _inputs_above_output(table: xr.Dataset) -> None:
    total = table["output"].values[2, 3]
    table["Z"].values[:, :, 2, 3] *= 1.5 * total / table["Z"].values[:, :, 2, 3].sum()


def _rounding_noise(table: xr.Dataset) -> None:
    table["Z"].values[0, 1, 1, 0] = 1e-14


REPAIRS: dict[str, tuple[Callable[[xr.Dataset], None], str, int, str]] = {
    "negative cell": (_negative_cell, "negative cells set to zero", 1, "R0 S1"),
    "no output": (_no_output, "industries without output or sales dropped with their cells", 1, "R1 S2"),
    "inventories": (_inventories_drawn_down, "final demand below zero raised to zero", 1, "R0 S0"),
    "inputs above output": (_inputs_above_output, "inputs above 0.98 of output scaled down", 1, "R2 S3"),
    "noise": (_rounding_noise, "cells below 1e-12 of both outputs dropped", 1, "R0 S1"),
}


def test_industries_dropped_are_named_and_not_their_largest_partners() -> None:
    """R1 S2 has no output; those that trade with it lose more than any of the industries that are dropped."""
    table = random_table(seed=9)
    _no_output(table)
    table["Z"].values[0, 1, 1, 2] = table["Z"].values.sum()
    network = generate_network(table, 300, seed=1)
    dropped = next(repair for repair in network.attrs["repairs"] if repair["repair"].startswith("industries"))
    assert dropped["largest"] == ["R1 S2"]


@pytest.mark.parametrize("name", REPAIRS)
def test_repairs_are_told_and_the_network_is_sound(name: str) -> None:
    spoil, text, count, industry = REPAIRS[name]
    table = random_table(seed=9)
    spoil(table)
    network = generate_network(table, 300, seed=1)
    told = {repair["repair"]: repair for repair in network.attrs["repairs"]}[text]
    assert told["count"] == count
    assert told["amount"] > 0
    assert industry in told["largest"]
    assert (network.inputs < 0.981 * network.output).all()
    assert network.attrs["aggregate_error"]["z_kept"] < 1e-12


def test_a_sound_table_needs_no_repair() -> None:
    assert generate_network(random_table(), 100, seed=1).attrs["repairs"] == []


def test_provenance_is_kept() -> None:
    attrs = generate_network(random_table(), 100, seed=5).attrs
    assert attrs["license"] == "CC0 1.0"
    assert attrs["generator"] == {
        "firms": 100, "seed": 5, "mean_degree": 10.0, "structure": "proportional",
        "table": {"title": "a random table", "source": "made up", "license": "CC0 1.0"},
    }  # fmt: skip


def _with(table: xr.Dataset, name: str, where: tuple[int, ...], value: float) -> xr.Dataset:
    table[name].values[where] = value
    return table


REFUSED: dict[str, tuple[Callable[[], xr.Dataset], int, str]] = {
    "no Z": (lambda: random_table().drop_vars("Z"), 100, "units of Z: ''"),
    "no Y": (lambda: random_table().drop_vars("Y"), 100, "table: no variable 'Y'; a table has Z, Y and output"),
    "several years": (lambda: random_table().expand_dims(year=[1, 2]), 100, r"Z has dimensions .*choose one year"),
    "NaN in Z": (lambda: _with(random_table(), "Z", (1, 2, 0, 0), np.nan), 100,
                 "table: Z: 1 values are not finite, the first in the row of R1 S2"),
    "infinite output": (lambda: _with(random_table(), "output", (2, 0), np.inf), 100, "output: 1 values .* of R2 S0"),
    "labels differ": (lambda: random_table().assign_coords(sector_to=["a", "b", "c", "d"]), 100,
                      "the labels of sector_to are not those of sector"),
    "daily": (lambda: random_table().assign(Z=lambda t: t["Z"].assign_attrs(units="USD / day")), 100,
              "units of Z: 'USD / day', expected money per year"),
    "too few firms": (random_table, 11, r"firms: 11 asked for, this table needs at least \d\d:"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_generated_is_refused(name: str) -> None:
    make, firms, message = REFUSED[name]
    with pytest.raises(GenerateError, match=message):
        generate_network(make(), firms, seed=1)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(GenerateError, match=r"seed: -1, must be 0 or more"):
        generate_network(random_table(), 100, seed=-1)


def test_too_few_links_per_firm_are_refused() -> None:
    with pytest.raises(GenerateError, match=r"mean_degree: 3: at least 4 links per firm are needed"):
        generate_network(random_table(), 100, seed=1, mean_degree=3)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(1e-6, 1e6)), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 3), st.floats(1e-6, 1e6)), min_size=1, max_size=30),
)
@settings(deadline=None)
def test_an_overlay_fills_both_sides(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> None:
    shared = {group for group, _ in one} & {group for group, _ in other}
    sides = [sorted(item for item in side if item[0] in shared) for side in (one, other)]
    if not shared:
        return
    group_a, weight_a, group_b, weight_b = (np.array(x) for side in sides for x in zip(*side, strict=True))
    a, b, share = overlay(group_a, weight_a, group_b, weight_b)
    np.testing.assert_array_equal(group_a[a], group_b[b])
    for item, group, weight in ((a, group_a, weight_a), (b, group_b, weight_b)):
        wanted = weight / np.bincount(group, weight)[group]
        np.testing.assert_allclose(
            np.bincount(item, share, len(group)), wanted, rtol=1e-4, atol=1e-13
        )  # units of 2**-50
        assert set(item) == set(range(len(group)))
    assert len(share) <= len(group_a) + len(group_b) - len(shared)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20), st.integers(0, 500), st.integers(0, 3))
@settings(deadline=None)
def test_allotted_numbers_add_up(weights: list[float], more: int, least: int) -> None:
    weight, floor = np.array(weights), np.full(len(weights), least)
    numbers = allot(weight, int(floor.sum()) + more, floor)
    assert numbers.sum() == floor.sum() + more
    assert (numbers >= floor).all()
    above = numbers > floor
    if above.sum() > 1:
        level = numbers[above] / weight[above]
        assert level.max() - level.min() <= (1 / weight[above]).max() * 2


def test_rebalancing_meets_both_margins_and_keeps_odds() -> None:
    cells = Cells(np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3), np.arange(1.0, 10))
    sales, inputs = np.array([5.0, 10, 15]), np.array([12.0, 8, 10])
    fitted = rebalance(cells, sales, inputs)
    np.testing.assert_allclose(fitted.sales(3), sales, rtol=1e-8)
    np.testing.assert_allclose(fitted.inputs(3), inputs, rtol=1e-8)
    before, after = cells.value.reshape(3, 3), fitted.value.reshape(3, 3)
    odds = [m[0, 0] * m[1, 1] / (m[0, 1] * m[1, 0]) for m in (before, after)]
    assert odds[0] == pytest.approx(odds[1])


def test_margins_that_the_support_cannot_meet_are_not_exceeded() -> None:
    cells = Cells(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 1.0]))
    fitted = rebalance(cells, np.array([5.0, 1.0]), np.array([3.0]).repeat(2) * [1, 0])
    assert (fitted.sales(2) <= np.array([5.0, 1.0]) + 1e-12).all()
    assert fitted.inputs(2)[0] <= 3.0 + 1e-12


def test_the_packaged_world_table_makes_a_network_within_stated_errors(tmp_path: Path) -> None:
    import_table("wiod2016", "example", tmp_path / "t.zarr")
    network = generate_network(open_table(tmp_path / "t.zarr"), 20_000, seed=1)
    error = network.attrs["aggregate_error"]
    assert error["z_kept"] < 1e-12
    assert error["z_dropped_value"] < 0.06
    assert error["z"] < 0.13
    assert error["output"] < 2e-4
    assert max(error["value_added"], error["final_demand"]) < 7e-4
    assert (network.inputs < 0.981 * network.output).all()
    by_name = {statistic.quantity: statistic for statistic in statistics(network)}
    assert by_name["links per firm"].inside
    assert by_name["degree correlation over links"].inside
    assert by_name["share of firms in the largest component"].value > 0.99
