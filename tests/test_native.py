"""The native day beside XLA's: the same numbers and derivatives for all switches that it takes, and only for these."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from rollouts import DAYS, EVERY_SWITCH, assert_close, inputs_of, mean_square, record_of
from shockmesh.cluster.planning.plan import PlanError
from shockmesh.cluster.running import provenance
from shockmesh.cluster.running.run import with_kernel
from shockmesh.kernels.devices.layout import Delayed, Layout, lay_out, linked
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.mechanisms.courses import Failures, Recovery
from shockmesh.kernels.mechanisms.rebuilding import HouseholdDamage
from shockmesh.kernels.mechanisms.shocks import Scenario, standing, today
from shockmesh.kernels.model import PRESETS, Parameters, Switches
from shockmesh.kernels.native import library
from shockmesh.kernels.native.build import BuildError, build, main, sources_hash
from shockmesh.kernels.native.day import day
from shockmesh.kernels.native.evening import (
    FLOWS,
    PARTS_OF_LAYOUT,
    SHOCKS,
    TAKEN,
    Kind,
    chosen,
    evening,
    numbers_of,
    starts_of,
    unsupported,
)  # fmt: skip
from shockmesh.kernels.rollout import rollout
from shockmesh.kernels.shard import shard
from shockmesh.kernels.step import initial_state
from sourced import with_some
from toy import toy_network

SUPPORTED = {
    **{name: PRESETS[name].switches for name in PRESETS if name != "hallegatte2014"},
    "demand, final demand last": Switches("demand", "demand", "final_demand_last"),
    "strongly critical, literal": Switches("output", production="strongly_critical", capacity_rule="literal"),
    "weakly critical, potential": Switches(
        "potential", rationing="final_demand_last", production="weakly_critical", capacity_rule="hiring"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def built(pytestconfig: pytest.Config) -> Iterator[None]:
    """The library: as it is, or else built for these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        if library.missing():
            own = pytestconfig.cache.mkdir("native") / f"libday-{sources_hash()}.so"
            try:
                if not own.exists():
                    build(own)
            except BuildError as error:
                pytest.skip(f"native kernels are optional, and here is none: {error}")
            patch.setattr(library, "LIBRARY", own)
            library.missing.cache_clear()
        assert library.missing() is None
        yield
    library.missing.cache_clear()


def layout_of(precision: str = "float64") -> Layout:
    rng = np.random.default_rng(1)
    return lay_out(toy_network(), np.dtype(precision), criticality=rng.choice([0, 0.5, 1], (4, 4)))


def members_of(inputs: Any, members: int) -> Any:
    """The same inputs for another number of members, all different."""

    def one(leaf: jax.Array) -> jax.Array:
        times = jnp.linspace(0.9, 1, members, dtype=leaf.dtype)
        return leaf if leaf.shape[-1] == 1 else leaf[..., np.arange(members) % leaf.shape[-1]] * times

    return jax.tree.map(one, inputs)


def inputs_for(precision: str, members: int) -> tuple[Parameters, Scenario]:
    model, scenario = inputs_of(toy_network(), np.dtype(precision))
    model, scenario = members_of((model, scenario), members)
    model = replace(model, inventory_days=jnp.maximum(model.inventory_days, 1))
    rng = np.random.default_rng(3)
    clock, n = rng.exponential(1, (2, 24, 1)).cumsum(axis=0), jnp.full((1, 1), 3.0, precision)
    failures = Failures(jnp.asarray(clock, precision), n / 6, 0 * n, 2 * n, n / 2)
    return model, Scenario((*scenario.productivity, failures), scenario.final_demand)


def found_by(kernel: Any, layout: Layout, switches: Switches, inputs: Any, **how: Any) -> tuple[Any, Any]:
    record = {**record_of(toy_network()), **dict.fromkeys(("demand", "capacity", "value_added", "final_demand"))}

    def loss(inputs: tuple[Parameters, Scenario]) -> tuple[jax.Array, Any]:
        found = rollout(layout, switches, *inputs, days=DAYS, record=record, kernel=kernel, **how)
        return mean_square(found), found

    (_, found), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(inputs)
    return found, gradient


@pytest.mark.parametrize(
    ("name", "members"),
    [
        pytest.param(name, members, marks=() if members == 5 or name == "hamid2025" else pytest.mark.slow)
        for name in SUPPORTED
        for members in (1, 5)
    ],
)
def test_values_and_gradients_are_those_of_the_step(float64, name, members):
    layout, inputs = layout_of(), inputs_for("float64", members)
    assert chosen("auto", layout, SUPPORTED[name], inputs[1])
    found, expected = (found_by(kernel, layout, SUPPORTED[name], inputs) for kernel in ("native", "xla"))
    assert_close(found[0], expected[0], 1e-12)
    assert_close(found[1], expected[1], 1e-9)


@pytest.mark.parametrize("members", [1, 27])
def test_values_in_single_precision(members):
    """Derivatives are not compared: round-off decides which of two close limits has them."""
    layout, inputs = layout_of("float32"), inputs_for("float32", members)
    found, expected = (
        jax.jit(partial(rollout, layout, SUPPORTED["pichler2022"], days=DAYS, record={"output": None}, kernel=kernel))(
            *inputs
        )
        for kernel in ("native", "xla")
    )
    assert_close(found, expected, 2e-5)


@pytest.mark.parametrize(("name", "members"), [("hamid2025", 1), ("pichler2022", 4)])
def test_ties_have_the_derivatives_of_the_step(float64, name, members):
    """Nothing is disturbed: every pool ties with the others of its buyer, and demand with what is made."""
    layout = layout_of()
    model, _ = inputs_for("float64", members)
    one = jnp.ones((1, 1))
    model = replace(model, inventory_days=one * jnp.full((1, members), 1.0), capacity=one)
    scenario = Scenario((Recovery(jnp.zeros((24, members)), 0 * one, 5 * one, one),))
    found, expected = (found_by(kernel, layout, SUPPORTED[name], (model, scenario)) for kernel in ("native", "xla"))
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12 * largest)  # many are 0 but for round-off


def test_the_gradient_is_that_of_few_states(float64):
    layout, inputs = layout_of(), inputs_for("float64", 4)
    few, all_kept = (found_by("native", layout, Switches(), inputs, states=states) for states in (1, 1000))
    assert_close(few, all_kept, 1e-12)


@pytest.mark.slow
def test_mapped_forward_and_second_derivatives(float64):
    layout, (model, scenario) = layout_of(), inputs_for("float64", 1)
    switches = SUPPORTED["pichler2022"]

    def loss(kernel: Any, days: jax.Array, output: jax.Array) -> jax.Array:
        own = replace(model, inventory_days=days)
        found = rollout(
            replace(layout, output=output), switches, own, scenario, days=3, record={"output": None}, kernel=kernel
        )
        return mean_square(found)

    at = jnp.linspace(1.5, 4, 3 * 24).reshape(3, 24, 1)
    ways: dict[str, Any] = {
        "mapped gradient": lambda of: jax.vmap(jax.grad(of), (0, None))(at, layout.output),
        "mapped network": lambda of: jax.vmap(of, (None, 0))(at[0], jnp.stack([layout.output, 1.1 * layout.output])),
        "mapped forward": lambda of: jax.vmap(
            lambda way: jax.jvp(lambda days: of(days, layout.output), (at[0],), (way,))[1]
        )(at),
        "by baseline output": lambda of: jax.grad(of, 1)(at[0], layout.output),
        "second": lambda of: jax.jvp(jax.grad(lambda days: of(days, layout.output)), (at[0],), (at[1],))[1],
    }
    for way in ways.values():
        found, expected = (jax.jit(partial(way, partial(loss, kernel)))() for kernel in ("native", "xla"))
        assert_close(found, expected, 1e-9)


def economy(firms: int = 3000) -> Any:
    from shockmesh.kernels.network import firm_network

    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, firms, (10 * firms, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    amount, demand = rng.uniform(0.1, 1, len(pairs)), rng.uniform(1, 9, firms)
    return firm_network(
        pairs[:, 0], pairs[:, 1], amount, demand, sector=rng.integers(0, 9, firms), sectors=list("abcdefghi")
    )


def days_by(variant: int, precision: str, members: int, parts: int) -> list[np.ndarray]:
    """Some days and a gradient, on an instruction set."""
    layout = lay_out(economy(), np.dtype(precision))
    rng = np.random.default_rng(0)
    array = lambda low, high, *shape: jnp.asarray(rng.uniform(low, high, shape), precision)  # noqa: E731
    one = jnp.ones((1, 1), precision)
    loss = Recovery(array(0, 1, 3000, members), 0 * one, 2 * one, 0.1 * one)
    model, scenario = Parameters(array(1, 9, 3000, members), 4 * one, 1.1 * one), Scenario((loss,))
    kind, starts = Kind(Switches("output"), FLOWS, parts, variant), starts_of(layout)

    def total(model: Parameters) -> tuple[jax.Array, Any]:
        state = initial_state(layout, kind.switches, model, scenario, members)
        before, told, fixed = evening(layout, kind.switches, model, state), {}, standing(layout, scenario)
        for date in range(4):
            numbers = numbers_of(kind.switches, model, today(layout, scenario, fixed, jnp.asarray(date, precision)))
            before, told = day(layout, starts, kind, numbers, before)
        return told["output"].sum(), (before, told)

    (_, found), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(model)
    return jax.device_get(jax.tree.leaves((found, gradient)))


@pytest.mark.parametrize(
    ("precision", "members"), [("float32", 1), ("float32", 27), ("float64", 1), ("float64", 5)], indirect=["precision"]
)
def test_every_instruction_set_gives_the_same_bits(precision, members):
    widest, *others = (days_by(variant, str(precision), members, parts=2) for variant in (0, 1, 2))
    for other in others:
        for one, same in zip(widest, other, strict=True):
            np.testing.assert_array_equal(one, same)


def test_threads_change_no_bit(tmp_path):
    """Another process with one thread, and this one, twice."""
    code = (
        "import os, sys; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from shockmesh.kernels.native import library; library.LIBRARY = Path(sys.argv[2])\n"
        "assert library.missing() is None; import numpy as np, test_native\n"
        "np.savez(sys.argv[3], *test_native.days_by(0, 'float32', 3, 2))"
    )
    file = tmp_path / "found.npz"
    arguments = [str(Path(__file__).parent), str(library.LIBRARY), str(file)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    with np.load(file) as alone:
        for again in range(2):
            for one, same in zip(days_by(0, "float32", 3, 2), alone.values(), strict=True):
                np.testing.assert_array_equal(one, same, err_msg=str(again))


def calls_of(layout: Layout, switches: Switches, inputs: Any) -> str:
    run = partial(rollout, layout, switches, days=3, record={"output": None}, kernel="native")
    return str(jax.make_jaxpr(run)(*inputs))


def test_what_is_not_supported_is_computed_by_xla(float64):
    network, (model, scenario) = toy_network(), inputs_of(toy_network(), np.dtype("f8"))
    model = replace(model, **dict.fromkeys(("pass_through", "scarcity", "elasticity_within", "elasticity_between",
        "elasticity_final", "satisfaction_days", "sensitivity", "pull", "search_days", "switching_days", "turnover"),
        jnp.full((1, 1), 0.5)))  # fmt: skip
    plain = replace(scenario, cuts=(), damages=())
    home, layout = HouseholdDamage(*[jnp.ones((1, 1))] * 3), layout_of()
    delay = Delayed(np.arange(3), np.zeros(24), 2, is_fixed=True)
    of_days = lay_out(network, np.dtype("f8"), product_days=np.full(4, 3.0))
    cases = {
        "cuts": (layout, Switches(), replace(scenario, damages=())),
        "damages": (layout, Switches(), replace(scenario, cuts=())),
        "homes": (layout, Switches(), replace(plain, homes=(home,))),
        "delays": (lay_out(network, np.dtype("f8"), delays=[delay]), Switches(), plain),
        "days of stock": (of_days, Switches(), plain),
        "prices": (layout, Switches(prices="cost"), plain),
        "suppliers": (layout, Switches(suppliers="satisfaction"), plain),
        **{str(of): (layout, of, plain) for of in EVERY_SWITCH if of.order_split != "link"},
        "hallegatte2014": (layout, PRESETS["hallegatte2014"].switches, plain),
        "a table": (lay_out(network, np.dtype("f8"), as_table=True), Switches(order_split="baseline"), plain),
        "water": (layout, Switches(rationing="water_filling"), plain),
        "linear": (layout, Switches(production="linear"), plain),
        "ces": (layout, Switches(production="ces"), plain),
        "overproduction": (layout, Switches(capacity_rule="overproduction"), plain),
    }
    for name, (of, switches, shocks) in cases.items():
        assert unsupported(of, switches, shocks), name
        assert not chosen("native", of, switches, shocks), name
        assert "shockmesh_day" not in calls_of(of, switches, (model, shocks)), name
    for name, switches in SUPPORTED.items():
        assert unsupported(layout, switches, plain) is None, name
        assert "shockmesh_day" in calls_of(layout, switches, (model, plain)), name
    candidates = linked(with_some(network), Switches(suppliers="satisfaction"))
    assert unsupported(lay_out(candidates, np.dtype("f8")), Switches(), plain) == "candidacy"
    table = lay_out(network, np.dtype("f8"), as_table=True)
    assert unsupported(table, Switches(), plain) == "a layout as a table"
    parts = shard(network, partition(network, 2), dtype=np.dtype("f8"))
    assert unsupported(parts.layout, Switches(), plain) == "shards"
    none = lay_out(replace_links(network), np.dtype("f8"))
    assert unsupported(none, Switches(), plain)


@pytest.mark.parametrize(
    ("of", "taken"),
    [(Scenario, SHOCKS), (Layout, PARTS_OF_LAYOUT), (Switches, TAKEN)],
    ids=["shocks", "layout", "switches"],
)
def test_what_is_new_is_left_to_xla(float64, of, taken):
    """Whatever may be added to the model is not taken before there is a kernel for it."""
    for field in fields(of):
        if field.name not in taken:
            parts: dict[type, Any] = {Scenario: Scenario(), Layout: layout_of(), Switches: Switches()}
            object.__setattr__(parts[of], field.name, ("new",))
            assert str(unsupported(parts[Layout], parts[Switches], parts[Scenario])).startswith(field.name)


def replace_links(network: Any) -> Any:
    from shockmesh.kernels.network import firm_network

    return firm_network([], [], [], network.final_demand)


def test_layouts_of_a_gpu_are_left_to_xla(float64, as_on_a_gpu):
    assert unsupported(layout_of(), Switches(), Scenario()) == "a layout of a GPU"


def test_another_platform_gets_the_step(float64):
    layout, inputs = layout_of(), inputs_for("float64", 2)
    leaves, structure = jax.tree.flatten(inputs)

    def run(leaves: list[jax.Array]) -> Any:
        found = jax.tree.unflatten(structure, leaves)
        return rollout(layout, Switches(), *found, days=3, record={"output": None}, kernel="native")

    module = jax.export.export(jax.jit(run), platforms=["cuda"])(leaves).mlir_module()
    assert "custom_call" not in module


def test_where_there_is_no_library(float64, monkeypatch, tmp_path, capsys):
    layout, (_, scenario) = layout_of(), inputs_for("float64", 1)
    broken = tmp_path / "libday.so"
    for there, told in ((False, "not built"), (True, "cannot be loaded")):
        if there:
            broken.write_bytes(b"no library")
        monkeypatch.setattr(library, "LIBRARY", broken)
        library.missing.cache_clear()
        assert told in str(library.missing())
        assert not chosen("auto", layout, Switches(), scenario)
        with pytest.raises(ValueError, match=f"kernel = native: .*{told}"):
            chosen("native", layout, Switches(), scenario)
    monkeypatch.undo()
    monkeypatch.setattr(library, "sources_hash", lambda: "other")
    library.missing.cache_clear()
    assert "built from other sources" in str(library.missing())
    monkeypatch.undo()
    library.missing.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main() == 0
    assert capsys.readouterr().out.startswith("native kernels: not built: no C++ compiler: looked for no-such-compiler")


def test_a_run_says_who_computes_its_days(make, monkeypatch):
    native, xla = (with_kernel(make(resources={"kernel": of})) for of in ("auto", "xla"))
    assert (native.resources.kernel, xla.resources.kernel) == ("native", "xla")
    assert provenance.native(native) == {"native kernels": sources_hash()}
    assert provenance.native(xla) == {}
    monkeypatch.setattr(library, "missing", lambda: "not built")
    assert with_kernel(make()).resources.kernel == "xla"
    assert provenance.native(native) == {"native kernels": "not built"}  # so it is not resumed here
    with pytest.raises(PlanError, match=r"resources.kernel: native: not built"):
        with_kernel(make(resources={"kernel": "native"}))
