"""Routes hold what consumers buy, too: cuts, delays and routes with a capacity, from kernels to specs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import column
from rollouts import rollout
from shockmesh.cluster.planning.loads import drawn
from shockmesh.cluster.planning.plan import sizes_of, worker_bytes
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.cautions import cautions
from shockmesh.cluster.spec.load import parse_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.source import SpecError
from shockmesh.io.inputs.scenarios import ScenarioError
from shockmesh.kernels.devices.layout import Delayed, Routed, lay_out
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.queues import Closure
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import DEFAULTS, Parameters, Route, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from toy import toy_network

pytestmark = pytest.mark.usefixtures("quickly")

ONE = firm_network([], [], [], [2.0, 3.0])
FLOWS = {"output": None, "demand": None, "final_demand": None, "final_consumption": None}


def ended(until: float, detour: float | None = None) -> RouteCut:
    """Of the final goods of the first firm 0.4 go by a route that is cut by half from day 2 until a day."""
    course = Recovery(column(0.5), column(2), column(until), column(1e9))
    return RouteCut(column(0), column(0), course, None if detour is None else column(detour), column([0.4, 0]))


def run(cut: RouteCut, days: int) -> dict[str, np.ndarray]:
    model = Parameters(column(9.0), column(6.0), column(1.25))
    found = rollout(lay_out(ONE, "f8"), Switches(), model, Scenario(cuts=(cut,)), days=days, record=FLOWS)
    return {name: np.asarray(values)[:, :, 0] for name, values in found.items()}


def test_what_consumers_do_not_get_is_not_made(float64):
    found, held = run(ended(5), 8), 2 * 0.4 * 0.5
    held_each_day = np.where((np.arange(8) >= 2) & (np.arange(8) <= 5), held, 0)
    for name in ("output", "demand", "final_consumption"):
        np.testing.assert_allclose(found[name], [[2 - of, 3] for of in held_each_day], rtol=1e-14)
    np.testing.assert_array_equal(found["final_demand"], np.tile([2.0, 3.0], (8, 1)))


@pytest.mark.parametrize("days", [1.0, 4.5])
def test_what_consumers_get_by_a_detour_comes_later_and_all_of_it(float64, days: float):
    """While it lasts, days · flow is on the way; it is all made, and consumed in the end."""
    lasting, found = run(ended(1e9, days), 400), run(ended(50, days), 400)
    np.testing.assert_allclose((lasting["output"] - lasting["final_consumption"]).sum(0), [0.4 * days, 0], atol=1e-9)
    np.testing.assert_allclose(found["output"], np.tile([2.0, 3.0], (400, 1)))
    np.testing.assert_allclose(found["final_consumption"].sum(0), [800, 1200], rtol=1e-12)
    assert found["final_consumption"][2, 0] < 2


def with_buyers(network: FirmNetwork) -> FirmNetwork:
    """Consumers of each region buy a share of each industry, a twentieth has unknown buyers."""
    rng, regions = np.random.default_rng(2), len(network.regions)
    shares = rng.uniform(0, 1, (regions * len(network.sectors), regions))
    return replace(network, final_shares=0.95 * shares / shares.sum(axis=1, keepdims=True))


WORLD = with_buyers(toy_network())
SEA = {"name": "sea", "from": {"region": "GBR"}, "to": {"region": ["ESP", "FRA"]}, "days": 3}
ROAD = {"name": "road", "from": {"sector": "C10"}, "to": {"sector": "I"}, "days": {"default": 2.5}, "stages": 2}


def spec_of(model: dict[str, Any], **top: Any) -> Spec:
    strike = {"name": "strike", "kind": "recovery", "loss": 0.5, "where": {"region": "GBR"}, "recovery_start": 4}
    whole = {"economy": ".", "horizon": {"days": 12}, "precision": "float64", "shocks": [strike]}
    whole |= {"model": {"inventory_days": 2} | model}
    return parse_spec(whole | {"record": {"output": ["firm"], "final_consumption": ["firm"]}} | top)


def by_hand(delays: list[Delayed], means: Any, cuts: tuple[RouteCut, ...] = (), loss: float = 0.5) -> dict[str, Any]:
    with jax.enable_x64(True):
        model = Parameters(column(2.0), column(6.0), column(1.25), delay_days=means and jnp.asarray(means))
        hit = column(loss * (WORLD.region == 2))
        strike = Recovery(hit, *(column(of) for of in (0.0, 4.0, 0.0)))
        scenario = Scenario((strike,), cuts=cuts)
        layout = lay_out(WORLD, "f8", delays=delays)
        return rollout(
            layout, Switches(), model, scenario, days=12, record=dict.fromkeys(["output", "final_consumption"])
        )


def goods_of(sells: np.ndarray, buys: np.ndarray, regions: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Links between some firms, and the share of each firm's final goods that they sell to some regions."""
    assert WORLD.final_shares is not None
    links = np.flatnonzero(sells[WORLD.supplier] & buys[WORLD.buyer])
    return links, sells * WORLD.final_shares[WORLD.industry][:, regions].sum(axis=1)


def test_delays_of_a_spec_reach_the_kernels():
    spec = spec_of({"delays": [SEA, ROAD]}, sweep={"grid": {"model.delays.road.days": [2.0, 4.5]}})
    found = Simulator(spec, WORLD).simulate(range(2))
    links, final = goods_of(WORLD.region == 2, WORLD.region != 2, [0, 1])
    road, _ = goods_of(WORLD.sector == 1, WORLD.sector == 3, [])
    delays = [Delayed(links, final, 3, True), Delayed(road, np.zeros(24), 2, False)]
    expected = by_hand(delays, [[[2.0, 4.5]]])
    assert np.abs(expected["output"][..., 0] - expected["output"][..., 1]).max() > 1e-6
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.moveaxis(np.asarray(values), -1, 0), rtol=1e-12, err_msg=name)


PAIRS = "supplier_region,buyer_region,days\nGBR,ESP,3\nGBR,FRA,1\nESP,FRA,3\nESP,GBR,0\n"


def test_a_file_of_pairs_is_a_delay_of_each_number_of_days(tmp_path: Path):
    """Between regions, of consumers too; and between firms."""
    (tmp_path / "far.csv").write_text(PAIRS)
    by_region = bind(spec_of({"delays": [{"name": "far", "pairs": str(tmp_path / "far.csv")}]}), WORLD).delays
    assert [(of.goods.slots, of.goods.is_fixed) for of in by_region] == [(1, True), (3, True)]
    near, (one, final), (other, other_final) = (
        goods_of(WORLD.region == seller, WORLD.region == buyer, [buyer]) for seller, buyer in ((2, 1), (2, 0), (0, 1))
    )
    np.testing.assert_array_equal(by_region[0].goods.links, near[0])
    np.testing.assert_allclose(by_region[0].goods.final, near[1], rtol=1e-14)
    np.testing.assert_array_equal(by_region[1].goods.links, np.sort(np.append(one, other)))
    np.testing.assert_allclose(by_region[1].goods.final, final + other_final, rtol=1e-14)
    some = [(WORLD.supplier[link], WORLD.buyer[link], 2 + link % 2) for link in (5, 8, 20)]
    rows = "".join(f"{WORLD.firm[seller]},{WORLD.firm[buyer]},{days}\n" for seller, buyer, days in some)
    (tmp_path / "firms.csv").write_text(f"supplier,buyer,days\n{rows}")
    by_firm = bind(spec_of({"delays": [{"name": "far", "pairs": str(tmp_path / "firms.csv")}]}), WORLD).delays
    assert [of.goods.slots for of in by_firm] == [2, 3]
    for bound in by_firm:
        ends = {(WORLD.supplier[link], WORLD.buyer[link], bound.goods.slots) for link in bound.goods.links}
        assert ends == {of for of in some if of[2] == bound.goods.slots}
        assert not bound.goods.final.any()


PAIRS_REFUSED = {  # what the file says → what is said of it
    "no days": ("supplier,buyer\nf0,f1\n", "far.csv:1: columns: supplier, buyer: must be days and supplier, buyer, or"),
    "one end": ("supplier_region,days\nGBR,3\n", "far.csv:1: columns: supplier_region, days: must be .* of both ends"),
    "days that are not whole": (PAIRS + "FRA,ESP,2.5\n", "days: row 6: 2.5: must be whole, 0 … 1,000"),
    "a pair twice": (PAIRS + "GBR,ESP,4\n", "supplier_region: row 6: GBR: must be of one row for each supplier_region"),
    "no such region": (PAIRS + "XYZ,ESP,4\n", "supplier_region: row 6: XYZ: must be a region of the economy"),
    "firms that do not trade": (
        "supplier,buyer,days\nf0,f0,3\n", "supplier, buyer: row 2: f0 → f0: must be firms of which the first sells"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), PAIRS_REFUSED.values(), ids=PAIRS_REFUSED)
def test_a_file_of_pairs_that_breaks_a_rule_is_refused(text: str, says: str, tmp_path: Path):
    (tmp_path / "far.csv").write_text(text)
    with pytest.raises(ScenarioError, match=says):
        bind(spec_of({"delays": [{"name": "far", "pairs": str(tmp_path / "far.csv")}]}), WORLD)


def test_cuts_of_a_spec_hold_what_consumers_buy():
    cut = {"name": "cut", "kind": "cut", "origin": {"region": "GBR"}, "destination": {"region": "ESP"}, "loss": 0.8}
    strike = {"name": "strike", "kind": "recovery", "loss": 0.5, "where": {"region": "GBR"}, "recovery_start": 4}
    others = [{"name": "firms", "kind": "cut", "destination": {"sector": "I"}, "loss": 0.1}]
    found = Simulator(spec_of({}, shocks=[strike, cut, *others]), WORLD).simulate(range(1))
    with jax.enable_x64(True):
        course = [Recovery(column(of), column(0), column(0), column(0)) for of in (0.8, 0.1)]
        _, final = goods_of(WORLD.region == 2, WORLD.region == 0, [0])
        ends = column(WORLD.region == 2), column(WORLD.region == 0)
        cuts = (
            RouteCut(*ends, course[0], final=column(final)),
            RouteCut(column(np.ones(24)), column(WORLD.sector == 3), course[1]),
        )
        expected = by_hand([], None, cuts)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.moveaxis(np.asarray(values), -1, 0), rtol=1e-12, err_msg=name)


def test_a_share_of_a_region_is_a_share_of_its_consumers():
    place = {"region": ["ESP", "FRA"], "share": 0.25, "redraw": False}
    spec = spec_of({}, shocks=[{"name": "cut", "kind": "cut", "origin": {"region": "GBR"}, "destination": place}])
    _, scenario = Simulator(spec, WORLD).inputs(range(1))
    assert scenario.cuts[0].final is not None
    _, final = goods_of(WORLD.region == 2, WORLD.region == 0, [0, 1])
    np.testing.assert_allclose(scenario.cuts[0].final[:, 0], 0.25 * final, rtol=1e-12)


def test_where_buyers_are_unknown_that_is_said():
    cut = {"name": "cut", "kind": "cut", "origin": {"region": "GBR"}, "destination": {"region": "ESP"}}
    spec, network = spec_of({"delays": [SEA], "routes": [STRAIT]}, shocks=[cut]), toy_network()
    told = list(cautions(spec, bind(spec, network), network))
    here = network.region == 2
    share = 100 * network.final_demand[here].sum() / network.output[here].sum()
    assert [one.partition(": ")[0] for one in told] == ["shocks.cut", "model.delays.sea", "model.routes.strait"]
    assert f"who buys for final use, {share:.0f} % of what these firms sell" in told[0]
    assert not list(cautions(spec, bind(spec, WORLD), WORLD))


STRAIT = {
    "name": "strait", "from": {"region": "GBR"}, "to": {"region": ["ESP", "FRA"]}, "capacity": 1.1,
    "first": {"sector": "I"},
}  # fmt: skip
CAPE = {"name": "cape", "from": {"region": "FRA"}, "capacity": 1.0, "detour_days": 3.0, "detour_cost": 0.2}
CLOSED = {"name": "closed", "kind": "closure", "route": "strait", "loss": 0.7, "onset": 2, "recovery_start": 5}


def test_routes_and_closures_of_a_spec_reach_the_kernels():
    swept = {"grid": {"model.routes.strait.capacity": [1.1, 1.4], "shocks.closed.loss": [0.7, 0.9]}}
    record = {"output": ["firm"], "final_consumption": ["firm"], "waiting": ["firm"], "price": ["firm"]}
    model = {"routes": [STRAIT, CAPE], "prices": {}}
    found = Simulator(spec_of(model, shocks=[CLOSED], record=record, sweep=swept), WORLD).simulate(range(4))
    (links, final), (others, others_final) = (
        goods_of(WORLD.region == 2, WORLD.region != 2, [0, 1]),
        goods_of(WORLD.region == 1, WORLD.region == WORLD.region, [0, 1, 2]),
    )
    with jax.enable_x64(True):
        goods = Routed(links, final), Routed(others, others_final)
        loss = Recovery(jnp.asarray([[0.7, 0.9] * 2]), column(2), column(5), column(0))
        given = {name: column(value) for name, value in DEFAULTS.items()}
        routes = (
            Route(jnp.asarray([[1.1, 1.1, 1.4, 1.4]]), column(WORLD.sector == 3)),
            Route(column(1.0), detour_days=column(3.0), detour_cost=column(0.2)),
        )
        numbers = Parameters(column(2.0), column(6.0), column(1.25), **given, routes=routes)
        expected = rollout(
            lay_out(WORLD, "f8", routes=goods), Switches(prices="cost"), numbers,
            Scenario(closures=(Closure(loss, 0),)), days=12, record=dict.fromkeys(record),
        )  # fmt: skip
    assert found["waiting"][:, -1].sum() > 1
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], np.moveaxis(np.asarray(values), -1, 0), rtol=1e-11, atol=1e-12)


ROUTES_REFUSED = {  # model, shocks → what is said
    "a route that is not there": (
        {"routes": [STRAIT]}, [CLOSED | {"route": "strat"}], "route: strat: no such route in model.routes.*strait"
    ),
    "no capacity to be undisturbed": ({"routes": [STRAIT | {"capacity": 0.5}]}, [], "capacity: 0.5: must be ≥ 1"),
    "two of one name": ({"routes": [STRAIT, STRAIT]}, [], "each route needs a name of its own"),
    "a cost of no detour": ({"routes": [STRAIT | {"detour_cost": 0.1}]}, [], "is of a detour: it needs detour_days"),
    "a cost without prices": ({"routes": [CAPE]}, [], "needs prices that move: model.prices"),
    "nobody is first": (
        {"routes": [STRAIT | {"first": {"region": "GBR", "firm": "f0"}}]}, [], "strait.first: .*no firm matches"
    ),
    "no goods": (
        {"routes": [STRAIT | {"from": {"firm": "f0"}, "to": {"firm": "f0"}}]}, [], "strait: nothing is sold from these"
    ),
    "no such region": ({"routes": [STRAIT | {"from": {"region": "XYZ"}}]}, [], "from.region.*: XYZ: no such region"),
    "firms that are drawn": ({"routes": [STRAIT | {"to": {"share": 0.5}}]}, [], "a route is of the same firms"),
}  # fmt: skip


@pytest.mark.parametrize(("model", "shocks", "says"), ROUTES_REFUSED.values(), ids=ROUTES_REFUSED)
def test_a_route_that_cannot_be_is_refused(model: dict[str, Any], shocks: list[dict[str, Any]], says: str):
    with pytest.raises(SpecError, match=says):
        bind(spec_of(model, shocks=shocks), WORLD)


def test_what_waits_is_recorded_of_routes_alone():
    with pytest.raises(SpecError, match=r"record.waiting: .*needs routes with a capacity: model.routes"):
        spec_of({}, record={"waiting": []})


REFUSED = {  # delay → what is said of model.delays.
    "days that are not whole": (SEA | {"days": 2.5}, "sea.days: 2.5: must be whole where there are no stages"),
    "days by region of a fixed delay": (
        SEA | {"days": {"default": 2, "by_region": {"ESP": 3}}}, "sea.days: .*: must be one number where there are no"
    ),
    "days and pairs": (SEA | {"pairs": "."}, "sea.days: 3.0: give days, or pairs in their place"),
    "stages of pairs": ({"name": "sea", "pairs": ".", "stages": 2}, "sea.stages: 2: the days of pairs are whole"),
    "no days": (SEA | {"days": 0}, "sea.days: 0: must be ≥ 1"),
    "less than a day for a stage": (SEA | {"days": 2, "stages": 3}, "sea.days: 2.0: must be ≥ 3 .* stages: 3"),
    "firms that are drawn": (SEA | {"to": {"share": 0.5}}, "sea.to.share: 0.5: a delay is of the same firms"),
    "no such region": (SEA | {"from": {"region": "XYZ"}}, "sea.from.region.*: XYZ: no such region"),
    "no goods": (SEA | {"from": {"firm": "f0"}, "to": {"firm": "f0"}}, "sea: sea: nothing is sold from these firms"),
    "firms without days": (ROAD | {"days": {"by_region": {"ESP": 3}}}, "road.days: .* firms without a value .*: give"),
}  # fmt: skip


@pytest.mark.parametrize(("delay", "says"), REFUSED.values(), ids=REFUSED)
def test_a_delay_that_cannot_be_is_refused(delay: dict[str, Any], says: str):
    with pytest.raises(SpecError, match=f"model.delays.{says}"):
        bind(spec_of({"delays": [delay]}), WORLD)


def test_the_days_of_a_fixed_delay_are_not_swept():
    with pytest.raises(SpecError, match=r"model.delays.sea.days: .* is fixed within a sweep"):
        spec_of({"delays": [SEA]}, sweep={"grid": {"model.delays.sea.days": [2, 3]}})


def test_what_is_on_the_way_takes_memory():
    plain, spec = spec_of({}), spec_of({"delays": [SEA, ROAD]})
    links = [len(of.goods.links) for of in bind(spec, WORLD).delays]
    rows = [links[0] + (WORLD.region == 2).sum(), links[1]]
    found = drawn(spec, WORLD)
    assert (found.rows, found.on_the_way) == (sum(rows), 3 * rows[0] + 2 * rows[1])
    more = worker_bytes(spec, sizes_of(spec, WORLD), 4) - worker_bytes(plain, sizes_of(plain, WORLD), 4)
    assert more == 4 * 8 * 2 * (found.rows + found.on_the_way)
