"""A plan is integers, and it refuses what does not fit before anything starts."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shockmesh.cluster.planning.amounts import human_bytes
from shockmesh.cluster.planning.forecast import forecasts, told_of
from shockmesh.cluster.planning.loads import by_link, kept_numbers
from shockmesh.cluster.planning.plan import (
    START_SECONDS,
    Plan,
    PlanError,
    Sizes,
    block_seconds,
    device_bytes,
    driver_bytes,
    evaluation_seconds,
    make_plan,
    readable,
    rounds,
    shards_of,
    sizes_of,
    worker_bytes,
)
from shockmesh.cluster.spec.models import Model, Prices, Spec, Suppliers
from shockmesh.cluster.spec.unknowns import Infer
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import Cut
from shockmesh.kernels.devices.roofline import CORE, DEVICES
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import firm_network
from shockmesh.kernels.rollout import LITTLE, affordable_states, few_states, kept_states, rollout

SIZES = Sizes(firms=20_000, links=200_000, pools=190_000, regions=44, sectors=56)
GB = 10**9


def spec(
    members: int = 64,
    record: dict[str, Any] | None = None,
    precision: str = "float32",
    shocks: tuple[dict[str, Any], ...] = (),
    **resources: Any,
) -> Spec:
    return Spec.model_validate(
        {
            "economy": "world.zarr",
            "shocks": shocks,
            "horizon": {"days": 180},
            "sweep": {"members": members},
            "record": record or {"output": ["region", "sector"], "value_added": ["region"], "final_consumption": []},
            "resources": resources,
            "precision": precision,
        }
    )


@given(members=st.integers(1, 70), data=st.data())
def test_the_members_of_some_blocks_are_counted(members, data):
    plan = make_plan(spec(members, members_per_block=8, gangs=1), SIZES, cpus=2, memory=16 * GB)
    some = data.draw(st.sets(st.integers(0, plan.blocks - 1)))
    assert plan.count(some) == sum(len(plan.block(block)) for block in some)


def test_the_integers_of_a_sweep():
    plan = make_plan(spec(), SIZES, cpus=2, memory=16 * GB)
    assert (plan.firms, plan.links, plan.days, plan.members) == (20_000, 200_000, 180, 64)
    assert (plan.workers, plan.members_per_block, plan.blocks) == (2, 16, 4)
    assert plan.output_bytes == 64 * 180 * 4 * (44 * 56 + 44 + 1)
    assert plan.link_steps == 200_000 * 180 * 64
    assert plan.memory_bytes == 6_400_000_000


DETOUR, QUAKE = {"kind": "cut", "detour_days": 3.0}, {"kind": "damage", "loss": 0.5, "builders": {"F": 1.0}}


@pytest.mark.parametrize(("days", "states"), [(10, 12), (180, 32), (60, 500)])
@pytest.mark.parametrize("shocks", [(), (DETOUR, DETOUR), (DETOUR, QUAKE)], ids=["", "two detours", "a quake"])
def test_a_calibration_has_room_for_the_states_of_its_backward_pass(
    days: int, states: int, shocks: tuple[dict[str, Any], ...], random_network: Callable
):
    network, members = random_network(firms=400, links=6000), 4
    layout, one = lay_out(network), jnp.ones((1, 1))
    shock = Recovery(jnp.full((network.n_firms, 1), 0.3), 5 * one, 20 * one, 0.05 * one)
    total = {"output": segments(np.zeros(network.n_firms, int), 1)}
    by_firm = jnp.full((network.n_firms, 1), 0.5)
    detours = shocks.count(DETOUR) * (RouteCut(by_firm, by_firm, Recovery(one, one, one, one), 3 * one),)
    damages = shocks.count(QUAKE) * (Damage(*[by_firm] * 7),)

    def loss(stocks):
        model = Parameters(stocks, 6 * one, 1.25 * one)
        scenario = Scenario((shock,), (), detours, damages)
        return rollout(layout, Switches(), model, scenario, days=days, record=total, states=states)["output"].sum()

    stocks = jnp.full((network.n_firms, members), 9.0)
    compiled = jax.jit(jax.value_and_grad(loss)).lower(stocks).compile().memory_analysis()
    assert compiled is not None
    sweep = spec(shocks=tuple({"name": f"s{i}", **of} for i, of in enumerate(shocks)))
    state = kept_numbers(sweep) * network.n_links * members * 4
    needed = compiled.temp_size_in_bytes / state
    assert 0.7 * kept_states(days, states) < needed < kept_states(days, states)
    sizes = replace(SIZES, firms=network.n_firms, links=network.n_links)
    fit = sweep.model_copy(update={"infer": Infer(parameters={})})
    assert worker_bytes(fit, sizes, 4) - worker_bytes(sweep, sizes, 4) == pytest.approx(
        kept_states(180, affordable_states(180, math.ceil(state), LITTLE)) * state, abs=kept_states(180, 500)
    )


@pytest.mark.parametrize(("days", "few"), [(10, 12), (60, 20), (180, 32), (365, 44)])
def test_a_backward_pass_keeps_all_days_of_a_small_network_and_few_of_a_large_one(days: int, few: int) -> None:
    small, large = 10_000, 10**9
    assert few_states(days) == affordable_states(days, large, LITTLE) == few
    assert kept_states(days, few) <= few
    assert kept_states(days, affordable_states(days, small, LITTLE)) == math.ceil(0.8 * days + 6)


def test_the_driver_of_a_calibration_has_room_for_its_draws():
    unknown = {"model.inventory_days": {"spread": {"firm": 0.3}}, "model.capacity": {"spread": {"firm": 0.3}}}
    fit = spec().model_copy(update={"infer": Infer.model_validate({"parameters": unknown, "draws": 100})})
    world = replace(SIZES, firms=500_000, links=4_822_557, pools=4_000_000)
    need = driver_bytes(fit, world)
    assert need == 600_000_000 + 48 * world.links + 96 * world.firms + 4 * (
        32 * (6 * world.links + 12 * world.firms) + 4 * 100 * 2 * world.firms
    )
    assert make_plan(fit, world, cpus=1, memory=16 * GB).driver_bytes == need
    assert make_plan(spec(), world, cpus=1, memory=16 * GB).driver_bytes == 0
    with pytest.raises(
        PlanError, match=r"evaluating draws needs 6\.95 GB and the machine has 3\.2 GB; use fewer draws"
    ):
        make_plan(fit, world, cpus=1, memory=4 * GB)


def test_what_is_rebuilt_and_what_is_cut_takes_memory():
    quake = {"name": "quake", "kind": "damage", "loss": 0.5, "builders": {"F": 1.0}}
    more = worker_bytes(spec(shocks=(quake, {"name": "strait", "kind": "cut"})), SIZES, 8) - worker_bytes(
        spec(), SIZES, 8
    )
    assert more == 8 * 4 * (2 + 1) * 200_000
    detours = spec(shocks=tuple({"name": name, "kind": "cut", "detour_days": 9.0} for name in ("strait", "canal")))
    assert worker_bytes(detours, SIZES, 8) - worker_bytes(spec(), SIZES, 8) == 8 * 4 * 2 * 3 * 200_000
    swept = spec(shocks=({"name": "strait", "kind": "cut"},))
    sweep = swept.sweep.model_copy(update={"grid": {"shocks.strait.detour_days": (2.0, 9.0)}})
    assert by_link(swept.model_copy(update={"sweep": sweep})) == (0, 1, 0)


def test_prices_take_memory():
    duty = {"name": "duty", "kind": "tariff", "rate": 0.25}
    moving = {"model": Model(prices=Prices())}
    priced, taxed = (spec(shocks=of).model_copy(update=moving) for of in ((), (duty,)))
    assert worker_bytes(priced, SIZES, 8) - worker_bytes(spec(), SIZES, 8) == 8 * 4 * 4 * 200_000
    assert worker_bytes(taxed, SIZES, 8) - worker_bytes(priced, SIZES, 8) == 8 * 4 * 200_000
    assert (kept_numbers(spec()), kept_numbers(priced)) == (2, 3.4)


def test_suppliers_take_memory():
    turning = spec().model_copy(update={"model": Model(suppliers=Suppliers())})
    assert worker_bytes(turning, SIZES, 8) - worker_bytes(spec(), SIZES, 8) == 8 * 4 * 5 * 200_000
    assert kept_numbers(turning) == 5.6


def test_the_memory_formula():
    assert worker_bytes(spec(), SIZES, 8) == (
        600_000_000
        + 48 * 200_000 + 96 * 20_000
        + 8 * 4 * (6 * 200_000 + 12 * 20_000)
        + 3 * 8 * 180 * 4 * (44 * 56 + 44 + 1)
    )  # fmt: skip


def test_float64_takes_twice_the_state_and_output():
    single, double = (make_plan(spec(precision=p), SIZES, cpus=2, memory=16 * GB) for p in ("float32", "float64"))
    assert double.output_bytes == 2 * single.output_bytes


@given(members=st.integers(1, 5000), cpus=st.integers(1, 64))
def test_blocks_cover_every_member_once(members: int, cpus: int):
    plan = make_plan(spec(members), SIZES, cpus=cpus, memory=1000 * GB)
    assert [i for block in range(plan.blocks) for i in plan.block(block)] == list(range(members))
    assert 1 <= plan.members_per_block <= 32
    assert plan.workers <= min(cpus, plan.blocks)
    if members >= 4 * cpus:
        assert plan.blocks >= 2 * plan.workers


def test_little_memory_makes_smaller_blocks():
    need = worker_bytes(spec(1000), SIZES, 5)
    plan = make_plan(spec(1000, memory=f"{need} B"), SIZES, cpus=2)
    assert plan.members_per_block == 5
    assert plan.worker_bytes == need


def test_little_memory_makes_fewer_workers():
    assert make_plan(spec(), SIZES, cpus=16, memory=4 * GB).workers == 5


REFUSED = {
    "one member does not fit": (
        {"memory": "500 MB"},
        "memory: a worker with 1 members at once needs 623 MB and has 500 MB; use fewer workers (resources.gangs), "
        "record less, or a machine with more memory",
    ),
    "the block asked for does not fit": (
        {"memory": "700 MB", "members_per_block": 64},
        "memory: a worker with 64 members at once needs 1.33 GB and has 700 MB; use fewer workers (resources.gangs), "
        "record less, or a machine with more memory",
    ),
}


@pytest.mark.parametrize(("resources", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_with_both_numbers(resources: dict[str, Any], message: str):
    with pytest.raises(PlanError) as caught:
        make_plan(spec(**resources), SIZES, cpus=2)
    assert str(caught.value) == message


def test_what_is_asked_for_is_kept():
    plan = make_plan(spec(members_per_block=7, gangs=3, memory="2 GB"), SIZES, cpus=64)
    assert (plan.workers, plan.members_per_block, plan.blocks, plan.memory_bytes) == (3, 7, 10, 2 * GB)


CUT = Cut(firms=5_500, links=(50_000, 55_000, 45_000, 50_000), ghosts=(9, 8, 7, 6), exchanged=1_200, gathered=66_000)


def test_the_devices_of_a_gang_share_the_state():
    plan = make_plan(spec(devices_per_gang=4), replace(SIZES, cut=CUT), cpus=8, memory=16 * GB)
    assert (plan.workers, plan.devices, plan.members_per_block, plan.blocks) == (2, 4, 16, 4)
    assert (plan.ghosts, plan.collective_bytes) == (30, 1_200 * 16 * 4)
    assert plan.memory_bytes == 1_600_000_000
    whole = worker_bytes(spec(), SIZES, 16)
    assert whole - plan.worker_bytes == 16 * 4 * (6 * (200_000 - 55_000) + 12 * (20_000 - 5_500))
    told = readable(plan)
    assert told["gangs"] == "2 of 4 devices, each device with a shard of the network"
    assert told["ghosts"] == "30 firms that a device sees on another (0.0015 per firm)"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Model(), "2 a day, 76.8 kB each"),
        (Model(preset="hallegatte2014"), "3 a day, 76.8 kB each"),
        (Model(suppliers=Suppliers()), "2 a day, 76.8 kB each"),
        (Model(prices=Prices()), "3 a day, 76.8 kB each, and 2 sums of a few numbers"),
        (
            Model(preset="pichler2022", consumption="labour_income"),
            "2 a day, 76.8 kB each, and 1 sum of a few numbers",
        ),
    ],
    ids=["", "capacity", "suppliers", "prices", "income"],
)  # fmt: skip
def test_a_plan_counts_what_the_devices_of_a_gang_exchange(model: Model, told: str):
    gang = spec(devices_per_gang=4).model_copy(update={"model": model})
    plan = make_plan(gang, replace(SIZES, cut=CUT), cpus=8, memory=16 * GB)
    assert readable(plan)["collectives"] == told
    alone = make_plan(spec().model_copy(update={"model": model}), SIZES, cpus=8, memory=16 * GB)
    assert (alone.collectives, alone.sums) == (0, 0)


def test_a_network_is_cut_where_a_gang_has_several_devices(random_network):
    network = random_network(firms=60, links=300)
    assert shards_of(spec(), network) is None
    shard_of = shards_of(spec(devices_per_gang=3), network)
    assert shard_of is not None
    sizes = sizes_of(spec(), network, shard_of)
    assert sizes.of_device == (np.bincount(shard_of).max(), np.bincount(shard_of[network.buyer]).max())
    with pytest.raises(PlanError, match=r"resources.devices_per_gang: 61: the economy has only 60 firms"):
        shards_of(spec(devices_per_gang=61), network)


def test_this_machine_is_asked_where_nothing_is_given():
    plan = make_plan(spec(), SIZES)
    assert plan.workers >= 1
    assert plan.memory_bytes >= plan.worker_bytes


def test_a_plan_reads_as_text_and_as_integers():
    plan = make_plan(spec(), SIZES, cpus=2, memory=16 * GB)
    assert readable(plan)["members"] == "64 in 4 blocks of 16"
    assert Plan(**plan.as_dict()) == plan
    assert all(type(value) is int for value in plan.as_dict().values())


def test_a_table_is_planned_as_one():
    n = 40
    supplier, buyer = np.nonzero(~np.eye(n, dtype=bool))
    industries = firm_network(
        supplier, buyer, np.ones(len(supplier)), np.full(n, 30.0), sector=np.arange(n) % 4, sectors=list("abcd")
    )
    pooled = spec().model_copy(update={"model": Model(preset="hallegatte2014")})
    assert sizes_of(spec(), industries).cells == 0
    sizes = sizes_of(pooled, industries)
    assert (sizes.cells, sizes.pools) == (4 * 10 * n, 4 * n)
    links = replace(sizes, cells=0)
    assert device_bytes(pooled, links, 1) - device_bytes(pooled, sizes, 1) == 56 * sizes.links - 4 * sizes.cells


def fitted(method: Literal["svi", "rml"], steps: int = 50) -> Spec:
    return spec().model_copy(update={"infer": Infer(parameters={}, method=method, steps=steps, particles=4, draws=8)})


def test_a_calibration_is_planned_with_all_its_steps():
    guide, ensemble = (make_plan(of, SIZES, cpus=2, memory=16 * GB) for of in (fitted("svi"), fitted("rml")))
    assert (guide.blocks, ensemble.blocks) == (4, 4)
    assert ensemble.block_seconds == math.ceil(50 * block_seconds(fitted("svi"), SIZES, 2, CORE))
    step = rounds(fitted("svi", 1), guide.blocks, guide.workers) * block_seconds(fitted("svi"), SIZES, 1, CORE)
    draws = evaluation_seconds(fitted("svi"), SIZES, CORE)
    assert guide.seconds == START_SECONDS + math.ceil(50 * step + draws)
    assert draws == pytest.approx(1.5 * evaluation_seconds(fitted("rml"), SIZES, CORE))  # a guide's weights too
    assert evaluation_seconds(spec(), SIZES, CORE) == 0


def test_forecasts_for_devices_that_are_not_here():
    plan = make_plan(spec(), SIZES, cpus=2, memory=16 * GB)
    found = {one.device: one for one in forecasts(spec(), SIZES, plan)}
    assert list(found) == ["H100", "H200", "A100", "RTX 5090"]
    for device in DEVICES:
        one = found[device.name]
        assert one.members == plan.members_per_block
        assert one.block_seconds == block_seconds(spec(), SIZES, 16, device)
        assert one.seconds == pytest.approx(plan.blocks * one.block_seconds)
        fits = [device_bytes(spec(), SIZES, members) < 0.75 * device.memory for members in (one.most_members, 10**5)]
        assert fits == [True, False]
    assert len({one.seconds for one in found.values()}) == 1  # kernels of 200,000 links are short: launches bound all
    larger = replace(SIZES, links=20 * SIZES.links, pools=20 * SIZES.pools)
    h100, h200, a100, rtx5090 = (block_seconds(spec(), larger, 16, device) for device in DEVICES)
    assert h200 < h100 < a100 < rtx5090


def test_a_forecast_says_what_fits():
    world = replace(SIZES, firms=10_000_000, links=100_000_000, pools=95_000_000)
    plan = make_plan(spec(), world, cpus=1, memory=1000 * GB)
    found = forecasts(spec(), world, plan)
    assert (found[0].device, found[0].members, plan.members_per_block) == ("H100", 18, 32)
    assert found[0].seconds == pytest.approx(4 * found[0].block_seconds)
    told = told_of(found, plan)
    assert told["on one H100"] == f"at least {found[0].seconds:.2g} s, 7.1 s for 18 members; 18 fit at once"
    huge = replace(world, firms=100_000_000, links=1_000_000_000, pools=950_000_000)
    told = told_of(forecasts(spec(), huge, plan), plan)
    assert told["on one RTX 5090"] == "does not fit: one member needs 89.6 GB on a device"


def test_a_gang_shares_the_time_and_pays_for_its_exchanges():
    gang = spec(devices_per_gang=4)
    apart, together = (make_plan(of, replace(SIZES, cut=cut), cpus=4, memory=16 * GB) for of, cut in
                       ((spec(), None), (gang, CUT)))  # fmt: skip
    whole, shard = (forecasts(of, replace(SIZES, cut=cut), plan)[0] for of, cut, plan in
                    ((spec(), None, apart), (gang, CUT, together)))  # fmt: skip
    assert (whole.members, shard.members) == (8, 32)
    assert told_of([shard], together).keys() == {"on 4 × H100"}
    exchange = 180 * 2 * (DEVICES[0].latency + 300 * 32 * 4 / DEVICES[0].exchange)
    alone = block_seconds(gang, replace(SIZES, cut=replace(CUT, exchanged=0)), 32, DEVICES[0])
    assert shard.block_seconds == pytest.approx(alone + exchange)


@pytest.mark.parametrize(("number", "text"), {0: "0 B", 999: "999 B", 1000: "1 kB", 2_345_000: "2.35 MB"}.items())
def test_bytes_read_in_three_digits(number: int, text: str):
    assert human_bytes(number) == text
