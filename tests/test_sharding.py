"""A network in shards gives the results and gradients of the whole, with two collectives a step."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from rollouts import DAYS, EVERY_SWITCH, Inputs, assert_close, both_ways, inputs_of, loss_of, record_of, rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.partition import cut_of, partition, partition_by_region
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Consumption, Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout

pytestmark = pytest.mark.usefixtures("quickly")

CASES = [("float64", *mesh) for mesh in [(1, 1), (3, 1), (4, 2), (8, 1), (2, 4)]] + [("float32", 4, 2)]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture(scope="module")
def whole(random_network: Callable[..., FirmNetwork]) -> Callable[[np.dtype], tuple[FirmNetwork, Any]]:
    """A network, and its records and gradients on one device, by precision."""

    @cache
    def run(precision: np.dtype) -> tuple[FirmNetwork, Any]:
        network = random_network(firms=150, links=900, sectors=6, seed=1)
        inputs, record, layout = inputs_of(network, precision), record_of(network), lay_out(network, precision)
        return network, both_ways(lambda *of: rollout(layout, Switches(), *of, days=DAYS, record=record), inputs)

    return run


@pytest.mark.parametrize(("precision", "firm", "member"), CASES, indirect=["precision"])
def test_results_and_gradients_equal_the_whole(precision, whole, firm, member):
    assert_equal_to_the_whole(precision, whole, firm, member)


def test_days_that_run_again_in_shards_equal_the_whole(float64, whole, little_memory):
    assert_equal_to_the_whole(np.dtype("f8"), whole, 3, 2)


def assert_equal_to_the_whole(precision: np.dtype, whole: Callable[..., Any], firm: int, member: int) -> None:
    network, (records, gradients) = whole(precision)
    in_shards, mesh = shard(network, partition(network, firm), precision), mesh_of(firm, member)
    record = record_of(network)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh, Switches(), *inputs, days=DAYS, record=record)

    tolerance = TOLERANCE[precision.name]
    found = both_ways(parts, inputs_of(network, precision))
    assert_close(found[0], records, tolerance)
    assert_close(found[1], gradients, tolerance=10 * tolerance)


@pytest.mark.parametrize("switches", EVERY_SWITCH, ids=str)
def test_every_switch_is_sharded_alike(float64, random_network, switches):
    network = random_network(firms=60, links=300, seed=2, own=True)
    assert (network.supplier == network.buyer).any()
    inputs, record = inputs_of(network, np.dtype("f8")), record_of(network)
    critical = np.random.default_rng(1).choice([0, 0.5, 1], (len(network.sectors), len(network.sectors)))
    in_shards, layout = shard(network, partition(network, 4), np.float64, critical), lay_out(network, "f8", critical)

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh_of(4, 1), switches, *inputs, days=DAYS, record=record)

    def whole(*inputs: Any) -> dict[str, jax.Array]:
        return rollout(layout, switches, *inputs, days=DAYS, record=record)

    (in_parts, slopes), (at_once, expected) = (both_ways(run, inputs) for run in (parts, whole))
    assert_close(in_parts, at_once, 1e-12)
    assert_close(slopes, expected, 1e-11)


@pytest.mark.parametrize("name", ["hallegatte2014", "pichler2022"])
def test_presets_have_one_derivative_on_any_number_of_devices(float64, random_network, name):
    """Demand, capacity, stocks and their targets tie before the shock: round-off, which shards change, is no judge."""
    network, preset, one = random_network(firms=40, links=200, seed=2), PRESETS[name], np.ones((1, 1))
    critical = np.random.default_rng(1).choice([0, 0.5, 1], (len(network.sectors), len(network.sectors)))
    in_shards, layout = shard(network, partition(network, 3), "f8", critical), lay_out(network, "f8", critical)
    record = {"output": record_of(network)["output"]}
    hit = np.where(np.arange(40) % 5 == 0, 0.5, 0.0)[:, None]
    inputs = (
        Parameters.of({of: jnp.asarray(value * one) for of, value in preset.defaults.items()}),
        Scenario((Recovery(*map(jnp.asarray, (hit, 2 * one, 5 * one, 0.1 * one))),)),
    )

    def parts(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh_of(3, 1), preset.switches, *inputs, days=DAYS, record=record)

    def whole(*inputs: Any) -> dict[str, jax.Array]:
        return rollout(layout, preset.switches, *inputs, days=DAYS, record=record)

    (_, in_parts), (_, at_once) = (both_ways(run, inputs) for run in (parts, whole))
    assert_close(in_parts, at_once, 1e-9)


def _compiled(run: Callable[..., Any], inputs: Inputs) -> str:
    leaves, structure = jax.tree.flatten(inputs)
    return str(jax.jit(lambda leaves: run(*jax.tree.unflatten(structure, leaves))).lower(leaves).compile().as_text())


KINDS = ("all-to-all", "all-reduce", "all-gather", "collective-permute", "reduce-scatter")


def _collectives(program: str) -> dict[str, int]:
    return {kind: len(re.findall(rf" {kind}(?:-start)?\(", program)) for kind in KINDS}


def _swaps_of_loops(program: str) -> list[int]:
    """All-to-alls in each loop of a program that has any."""
    counts = [_collectives(body)["all-to-all"] for body in program.split("\n\n")]
    return [count for count in counts if count]


@pytest.mark.parametrize("runs_again", [True, False])
def test_a_step_has_two_collectives_and_every_run_and_transpose_of_it_two_more(random_network, request, runs_again):
    """In one loop, or where memory is little in two: early blocks, which run again backwards, and the last block."""
    if runs_again:
        request.getfixturevalue("little_memory")
    network = random_network(firms=60, links=300)
    (model, scenario), mesh = inputs_of(network, np.dtype("f4")), mesh_of(4, 1)
    inputs = model, replace(scenario, cuts=(), damages=())
    in_shards = shard(network, partition(network, 4))
    record = {"output": record_of(network)["output"]}

    def run(*inputs: Any) -> dict[str, jax.Array]:
        return sharded_rollout(in_shards, mesh, Switches(), *inputs, days=16, record=record)

    forward = _compiled(run, inputs)
    loops = 2 if runs_again else 1
    assert _swaps_of_loops(forward) == [2] * loops
    assert _collectives(forward) == {
        "all-to-all": 2 * loops, "all-reduce": 1, "all-gather": 0, "collective-permute": 0, "reduce-scatter": 0
    }  # fmt: skip  # the one sum at the end is of the recorded aggregates
    backward = _compiled(jax.grad(lambda *inputs: loss_of(run)(inputs)), inputs)
    assert _swaps_of_loops(backward) == [2] * (5 if runs_again else 2)  # each loop, its transpose, the early days again
    assert _collectives(backward)["all-gather"] == _collectives(backward)["collective-permute"] == 0


def test_spending_out_of_labour_income_takes_one_sum_a_day_more(random_network, little_memory):
    """In each loop over days: forwards, run again, transposed."""
    network = random_network(firms=60, links=300)
    (model, scenario), mesh = inputs_of(network, np.dtype("f4")), mesh_of(4, 1)
    inputs = model, replace(scenario, cuts=(), damages=())
    in_shards, record = shard(network, partition(network, 4)), {"output": record_of(network)["output"]}

    def sums(consumption: Consumption, backwards: bool) -> int:
        switches = Switches(capacity_rule="hiring", consumption=consumption)

        def run(*inputs: Any) -> dict[str, jax.Array]:
            return sharded_rollout(in_shards, mesh, switches, *inputs, days=16, record=record)

        program = _compiled(jax.grad(lambda *inputs: loss_of(run)(inputs)) if backwards else run, inputs)
        loops = [_collectives(body) for body in program.split("\n\n")]
        assert [of["all-to-all"] for of in loops if of["all-to-all"]] == [2] * (5 if backwards else 2)
        return sum(of["all-reduce"] for of in loops if of["all-to-all"])

    assert (sums("exogenous", False), sums("labour_income", False)) == (0, 2)
    assert sums("labour_income", True) == sums("exogenous", True) + 5


def test_partitions_are_balanced_and_measured(random_network):
    network = random_network(firms=400, links=2000, seed=1)
    cut = cut_of(network, partition(network, 8))
    assert sum(cut.links) == network.n_links
    assert cut.imbalance < 1.25
    remote = {(s, d) for s, d in _remote(network, partition(network, 8))}
    assert sum(cut.ghosts) == len(remote)


def _with_a_hub(firms: int, suppliers: int, others: int) -> FirmNetwork:
    """Firm 0 buys from many; as many links as asked for, at most, join the others."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(1, firms, (others, 2)), axis=0)
    hub = np.stack([rng.permutation(np.arange(1, firms))[:suppliers], np.zeros(suppliers, int)], axis=1)
    supplier, buyer = np.concatenate([pairs[pairs[:, 0] != pairs[:, 1]], hub]).T
    return firm_network(supplier, buyer, np.ones(len(buyer)), np.full(firms, 2.0 * firms))


@pytest.mark.parametrize("shards", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(60, 50, 40), (30, 25, 20), (9, 8, 0)], ids=str)
def test_one_buyer_of_most_leaves_no_shard_empty(size, shards):
    assert np.bincount(partition(_with_a_hub(*size), shards), minlength=shards).min() > 0


@pytest.mark.parametrize("shards", [2, 3, 4, 8])
def test_shards_beside_that_of_a_hub_are_balanced(shards):
    network = _with_a_hub(2000, 1500, 2000)
    work, shard_of = np.bincount(network.buyer, minlength=network.n_firms) + 1, partition(network, shards)
    least = max(work.max(), work.sum() / shards)  # that the largest shard has, however the network is cut
    assert np.bincount(shard_of, minlength=shards).min() > 0
    assert np.bincount(shard_of, work).max() < 1.2 * least


def test_a_network_with_a_hub_gives_the_numbers_of_the_whole(float64):
    network = _with_a_hub(30, 25, 20)
    in_shards, layout, record = shard(network, partition(network, 8), "f8"), lay_out(network, "f8"), record_of(network)
    inputs = inputs_of(network, np.dtype("f8"))
    parts = sharded_rollout(in_shards, mesh_of(8, 1), Switches(), *inputs, days=DAYS, record=record)
    assert_close(parts, rollout(layout, Switches(), *inputs, days=DAYS, record=record), 1e-12)


def _remote(network: FirmNetwork, of: np.ndarray) -> list[tuple[int, int]]:
    ends = zip(network.supplier, network.buyer, strict=True)
    return [(int(s), int(of[b])) for s, b in ends if of[s] != of[b]]


def test_whole_regions_stay_together():
    rng = np.random.default_rng(0)
    region = np.repeat(np.arange(6), 10)
    pairs = np.unique(rng.integers(0, 60, (200, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    network = firm_network(
        pairs[:, 0], pairs[:, 1], np.ones(len(pairs)), np.ones(60), region=region, regions=list("abcdef")
    )
    of = partition_by_region(network, 3)
    assert all(len(set(of[region == r])) == 1 for r in range(6))
    assert set(of) == {0, 1, 2}


def test_regions_are_kept_whole_where_that_is_less_work():
    """Four regions whose firms trade at home but for four links."""
    rng, region = np.random.default_rng(3), np.repeat(np.arange(4), 20)
    home = [(20 * r + a, 20 * r + b) for r in range(4) for a, b in rng.integers(0, 20, (80, 2)) if a != b]
    pairs = np.unique([*home, (0, 25), (25, 45), (45, 65), (65, 0)], axis=0)
    network = firm_network(
        pairs[:, 0], pairs[:, 1], np.ones(len(pairs)), np.full(80, 30.0), region=region, regions=list("abcd")
    )
    chosen, by_region = (cut_of(network, of) for of in (partition(network, 4), partition_by_region(network, 4)))
    assert chosen.work <= by_region.work
    assert chosen.exchanged <= by_region.exchanged


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda network: partition(network, 0), r"shards = 0: must be 1 … 30"),
        (lambda network: shard(network, np.array([0, 2] * 15)), r"no shard without firms"),
        (lambda network: _run(network, mesh_of(3, 1)), r"needs the axes firm and member, with 2 devices along firm"),
        (lambda network: _run(network, mesh_of(2, 3)), r"3 devices along member do not divide \[4\] members"),
    ],
)
def test_what_does_not_fit_is_refused(random_network, call, says):
    with pytest.raises(ValueError, match=says):
        call(random_network())


def _run(network: FirmNetwork, mesh: Mesh) -> None:
    in_shards = shard(network, partition(network, 2))
    sharded_rollout(in_shards, mesh, Switches(), *inputs_of(network, np.dtype("f4")), days=2, record={"output": None})


def test_two_processes_equal_one(tmp_path):
    """The same program over two processes that talk by gloo; each holds half of the shards."""
    script = tmp_path / "rank.py"
    script.write_text(
        textwrap.dedent("""
            import sys
            import jax, jax.numpy as jnp, numpy as np
            from jax.experimental import multihost_utils
            jax.config.update("jax_num_cpu_devices", 2)
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
            rank, port = int(sys.argv[1]), sys.argv[2]
            jax.distributed.initialize(f"127.0.0.1:{port}", 2, rank, cluster_detection_method="deactivate")
            from shockmesh.kernels.devices.layout import lay_out
            from shockmesh.kernels.model import Consumption, Parameters, Switches
            from shockmesh.kernels.network import firm_network
            from shockmesh.kernels.devices.partition import partition
            from shockmesh.kernels.rollout import rollout
            from shockmesh.kernels.devices.segments import segments
            from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
            from shockmesh.kernels.mechanisms.courses import Recovery
            from shockmesh.kernels.mechanisms.shocks import Scenario
            rng = np.random.default_rng(0)
            pairs = np.unique(rng.integers(0, 80, (400, 2)), axis=0)
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            network = firm_network(pairs[:, 0], pairs[:, 1], rng.uniform(.1, 1, len(pairs)), rng.uniform(.5, 2, 80))
            number = lambda value: np.full((1, 1), value, np.float32)
            model = Parameters(number(5), number(6), number(1.1))
            loss = rng.uniform(0, 1, (80, 1)).astype(np.float32)
            scenario = Scenario((Recovery(loss, number(1), number(5), number(.1)),))
            record = {"output": segments(np.zeros(80, int), 1)}
            mesh = jax.make_mesh((4, 1), ("firm", "member"), (jax.sharding.AxisType.Auto,) * 2)
            parts = shard(network, partition(network, 4))
            run = jax.jit(lambda *inputs: sharded_rollout(parts, mesh, Switches(), *inputs, days=12, record=record))
            found = multihost_utils.process_allgather(run(model, scenario)["output"], tiled=True)
            alone = jax.tree.map(jnp.asarray, (model, scenario))
            whole = rollout(lay_out(network), Switches(), *alone, days=12, record=record)["output"]
            np.testing.assert_allclose(found, np.asarray(whole), rtol=1e-5)
            print("equal", jax.process_count(), flush=True)
            jax.distributed.shutdown()
        """)
    )
    port = _free_port()
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(rank), port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    for rank in ranks:
        out, error = rank.communicate(timeout=120)
        assert rank.returncode == 0, error[-2000:]
        assert "equal 2" in out


def _free_port() -> str:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
