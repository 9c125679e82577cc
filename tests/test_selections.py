"""The largest firms of a place, by several measures, and keys and names that are none, with what there is instead."""

from typing import Any

import numpy as np
import pytest
from shockmesh.cluster.spec.binding import BoundShock, bind
from shockmesh.cluster.spec.load import SpecError, parse_spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.io.networks.store import write_network
from shockmesh.kernels.esri import esri
from shockmesh.kernels.network import FirmNetwork
from toy import MakeSpec

MEASURES = {
    "output": lambda network: network.output,
    "value_added": lambda network: network.value_added,
    "final_demand": lambda network: network.final_demand,
    "customers": lambda network: np.array([(network.supplier == firm).sum() for firm in range(network.n_firms)]),
    "esri": lambda network: np.asarray(esri(network, "all", batch=8)),
}


@pytest.mark.parametrize("by", MEASURES)
def test_the_largest_firms_of_a_place_are_hit(make: MakeSpec, toy: FirmNetwork, by: str):
    spec = make({"where": {"region": "ESP", "largest": 3, "top_by": by}})
    (shock,) = bind(spec, toy).shocks
    assert isinstance(shock, BoundShock)
    hit = shock.places["where"].matching()
    size, there = MEASURES[by](toy), toy.region == toy.regions.index("ESP")
    assert hit.sum() == 3
    assert (there[hit]).all()
    assert size[hit].min() >= size[there & ~hit].max()


def test_a_share_is_drawn_of_the_largest(make: MakeSpec, toy: FirmNetwork):
    spec = make({"where": {"largest": 4, "share": 0.5}}, sweep={"members": 20, "grid": {}})
    (shock,) = bind(spec, toy).shocks
    assert isinstance(shock, BoundShock)
    drawn = shock.places["where"].at({}, np.arange(20))
    largest = np.argsort(-toy.output)[:4]
    assert (drawn.sum(axis=0) == 2).all()
    assert set(np.flatnonzero(drawn.any(axis=1))) == set(largest.tolist())


def test_a_sweep_moves_the_largest_of_each_region(make: MakeSpec, toy: FirmNetwork):
    spec = make({"where": {"largest": 2}}, sweep={"grid": {"shocks.strike.where.region": ["ESP", "GBR"]}})
    bound = bind(spec, toy)
    (shock,) = bound.shocks
    assert isinstance(shock, BoundShock)
    drawn = shock.places["where"].at(bound.members.values, np.arange(2))
    assert [set(toy.region[drawn[:, i]].tolist()) for i in (0, 1)] == [{0}, {2}]
    assert drawn.sum() == 4


def test_who_is_the_largest_is_told_and_fixed_by_esri(tmp_path: Any, make: MakeSpec, toy: FirmNetwork):
    write_network(toy, tmp_path / "toy.zarr")
    for by in ("output", "esri"):
        shock = {"where": {"largest": 2, "top_by": by, "share": 0.5}}
        economy = on_economy(make(shock, economy="toy.zarr"))
        first = [str(toy.firm[i]) for i in np.argsort(-MEASURES[by](toy), kind="stable")[:2]]
        told = f"shocks.strike.where: the 2 largest by {by}: "
        (remark,) = economy.remarks
        assert remark.startswith(told)
        assert set(remark.removeprefix(told).split(", ")) == set(first)
        (resolved,) = economy.spec.model_dump(mode="json")["shocks"]
        assert resolved["where"]["share"] == 0.5
        where = resolved["where"]
        assert (where["largest"], set(where["firm"])) == {"output": (2, set()), "esri": (None, set(first))}[by]


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "more than there are": (
        {"where": {"region": "ESP", "largest": 30}}, {},
        "shocks.strike.where.largest: 30: only 8 firms are in this place",
    ),
    "nothing to rank": (
        {"where": {"top_by": "customers"}}, {}, "shocks.strike.where.top_by: customers: is not read without largest",
    ),
    "ESRI in a place that moves": (
        {"where": {"largest": 3, "top_by": "esri"}}, {"sweep": {"grid": {"shocks.strike.where.region": ["ESP"]}}},
        "shocks.strike.where.top_by: esri: a sweep may not move a place whose firms are ranked by it: "
        "shocks.strike.where.region",
    ),
    "no such measure": (
        {"where": {"largest": 3, "top_by": "ESRI"}}, {},
        "must be 'output', 'value_added', 'final_demand', 'customers' or 'esri'",
    ),
    "a key alike": (
        {"where": {"larges": 3}}, {},
        "shocks.strike.where.larges: 3: unknown key, did you mean «largest»?; there are region, sector, firm, largest, "
        "top_by, share, redraw",
    ),
    "a key of another kind": (
        {"repair_days": 3}, {},
        "shocks.strike.repair_days: 3: unknown key, did you mean «recovery_days»?; elsewhere there is "
        "shocks.failures.repair_days; there are name, kind, on, where, course, loss, onset, ",
    ),
    "a key of another place": (
        {}, {"capacity": 2},
        "capacity: 2: unknown key; elsewhere there is model.capacity, model.routes.capacity, record.capacity; "
        "there are economy",
    ),
    "a key of a number by firm": (
        {"loss": {"default": 0.1, "by_sectr": {}}}, {},
        "unknown key, did you mean «by_sector»?; there are default, by_region, by_sector, file",
    ),
    "a key within a list": (
        {}, {"model": {"delays": [{"name": "sea", "days": 3, "stage": 2}]}},
        "unknown key, did you mean «stages»?; there are name, from, to, days, stages",
    ),
    "a kind alike": ({"kind": "recovry"}, {}, "no such kind, did you mean «recovery»?; there are recovery, failures"),
    "a word alike": ({"course": "exponental"}, {}, "did you mean «exponential»?"),
    "a plain name alike": (
        {"where": {"region": "Untied Kingdom"}}, {}, "no such region in the economy, did you mean «United Kingdom»",
    ),
    "a group alike": ({"where": {"region": "OEDC"}}, {}, "did you mean «OECD»"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_none_is_told_with_what_there_is(make: MakeSpec, toy: FirmNetwork, case: str):
    strike, top, expected = WRONG[case]
    with pytest.raises(SpecError) as caught:
        bind(make(strike, **top), toy)
    assert expected in str(caught.value)


def test_a_resolved_selection_reads_back_the_same(make: MakeSpec):
    resolved = make({"where": {"largest": 3, "top_by": "customers"}}).model_dump(mode="json")
    assert parse_spec(resolved).model_dump(mode="json") == resolved
