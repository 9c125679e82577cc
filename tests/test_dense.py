"""Links as a table, for dense networks: the same model as links one by one, in values and in gradients."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rollouts import rollout
from shockmesh.kernels.devices.layout import Layout, lay_out, suits_table
from shockmesh.kernels.devices.segments import Separable, look_up, segment_sum
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.rebuilding import Damage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.rollout import RECORDABLE

pytestmark = pytest.mark.usefixtures("quickly")

HALLEGATTE = PRESETS["hallegatte2014"].switches
MODELS = {
    "hallegatte2014": HALLEGATTE,
    "BoARIO's noalt": replace(HALLEGATTE, order_split="baseline"),
    "consumers last": replace(HALLEGATTE, rationing="final_demand_last"),
    "one product does not limit": Switches("demand", "demand", order_split="baseline", production="half_critical"),
    "substitutes": Switches("fixed", "output", order_split="capacity", production="ces", capacity_rule="hiring"),
}
CRITICALITY = np.random.default_rng(2).choice([0, 0.5, 1], (4, 4))


def dense_network(seed: int = 0) -> FirmNetwork:
    """Two in three pairs are links; one firm buys nothing, one sells only to consumers, products have 2 to 9 firms."""
    rng = np.random.default_rng(seed)
    sector = np.repeat(np.arange(4), [2, 5, 9, 4])[rng.permutation(20)]
    linked = rng.random((20, 20)) < 0.67
    np.fill_diagonal(linked, False)
    linked[:, 3] = linked[5] = False
    linked[np.ix_(sector == 0, sector == 1)] = False  # a product that some firms do not buy at all
    flows = np.where(linked, rng.uniform(0.1, 1, (20, 20)), 0)
    final_demand = np.maximum(flows.sum(0) * rng.uniform(1.2, 2, 20) - flows.sum(1), 0.1)
    supplier, buyer = np.nonzero(flows)
    return firm_network(supplier, buyer, flows[supplier, buyer], final_demand, sector=sector, sectors=list("abcd"))


@pytest.fixture
def layouts(float64) -> tuple[Layout, Layout]:
    one_by_one, table = (lay_out(dense_network(), np.float64, CRITICALITY, as_table=of) for of in (False, True))
    return one_by_one, table


def inputs(n: int, members: int = 3) -> tuple[Parameters, Scenario]:
    """Numbers that differ by firm and member, and a loss from the first day: the steady state is a kink everywhere."""
    rng = np.random.default_rng(1)
    ranges = {
        "inventory_days": (2, 12), "adjustment_days": (2, 9), "capacity": (1, 1.5), "elasticity": (0.1, 0.9),
        "inventory_threshold": (0.2, 1), "base_capacity": (1, 1.1), "overproduction_days": (3, 30),
        "hiring_days": (5, 30), "firing_days": (3, 15),
    }  # fmt: skip
    model = Parameters.of({name: jnp.asarray(rng.uniform(*of, (n, members))) for name, of in ranges.items()})
    lost = jnp.asarray(rng.uniform(0.2, 0.9, (n, members)))
    one = jnp.ones((1, 1))
    fewer_sales = Recovery(lost[:, :1] / 3, 4.5 * one, 7.5 * one, 0.1 * one, course="linear")
    return model, Scenario((Recovery(lost, -one, 9.5 * one, 0.1 * one),), (fewer_sales,))


@pytest.mark.parametrize("model", MODELS)
def test_a_table_is_the_same_model(layouts, model):
    given = inputs(layouts[0].n_firms)
    record = dict.fromkeys(RECORDABLE)
    found = [rollout(layout, MODELS[model], *given, days=30, record=record) for layout in layouts]
    assert found[0]["output"].min() < 0.8 * layouts[0].output.min()
    for name in RECORDABLE:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("model", ["hallegatte2014", "BoARIO's noalt", "substitutes"])
def test_a_table_has_the_same_gradients(layouts, model):
    given, weight = inputs(layouts[0].n_firms), jnp.asarray(np.random.default_rng(3).uniform(size=(20, 20, 3)))

    def total(given: tuple[Parameters, Scenario], layout: Layout) -> jax.Array:
        return (weight * rollout(layout, MODELS[model], *given, days=20, record={"output": None})["output"]).sum()

    one_by_one, table = (jax.grad(total)(given, layout) for layout in layouts)
    for expected, found in zip(jax.tree.leaves(one_by_one), jax.tree.leaves(table), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * float(jnp.abs(expected).max()))
    assert all(jnp.abs(of).max() > 0 for of in (table[0].inventory_days, table[1].productivity[0].loss))


def test_sums_of_a_table_are_those_of_links(layouts):
    one_by_one, table = layouts
    rng = np.random.default_rng(0)
    by_firm, by_pool = (jnp.asarray(rng.uniform(size=(n, 2))) for n in (20, len(table.pool_amount)))
    for layout_sums in ("supplier", "pool"):
        sums = [
            segment_sum(
                layout.amount * look_up(by_firm, layout.supplier) * look_up(by_pool, layout.pool),
                getattr(layout, layout_sums),
            )
            for layout in layouts
        ]
        np.testing.assert_allclose(sums[1], sums[0], rtol=1e-13)
    for name in ("pool_amount", "criticality", "output", "value_added_share"):
        np.testing.assert_allclose(getattr(table, name), getattr(one_by_one, name), rtol=1e-13)


def test_the_two_products_of_a_table_are_adjoint(layouts):
    sellers = layouts[1].supplier
    by_firm, by_pool = jnp.full((20, 1), 0.5), jnp.arange(1.0, len(layouts[1].pool_amount) + 1)[:, None]
    (transposed,) = jax.linear_transpose(sellers.table.to_suppliers, by_pool)(by_firm)
    np.testing.assert_allclose(transposed, sellers.table.to_pools(by_firm), rtol=1e-13)


def test_steady_state_of_a_table_rests(layouts):
    _, table = layouts
    model = Parameters.of(
        {name: jnp.full((1, 1), number) for name, number in PRESETS["hallegatte2014"].defaults.items()}
    )
    output = rollout(table, HALLEGATTE, model, Scenario(), days=40, record={"output": None})["output"][..., 0]
    np.testing.assert_allclose(output, np.broadcast_to(table.output[:, 0], output.shape), rtol=1e-12)


def test_a_number_that_all_links_share():
    share = 0.5 * jnp.ones((1, 2)) * Separable(2 * jnp.ones((3, 1)), jnp.ones((4, 1)))
    np.testing.assert_array_equal(share.of_supplier[0] * share.of_pool[0], [1.0, 1.0])


def several_products(network: FirmNetwork) -> FirmNetwork:
    """The first link's supplier sells another product by it."""
    product = network.product.copy()
    product[0] = (product[0] + 1) % 4
    return firm_network(network.supplier, network.buyer, network.amount, network.final_demand, product=product,
                        sector=network.sector, sectors=network.sectors)  # fmt: skip


def test_what_suits_a_table(random_network):
    dense = dense_network()
    assert suits_table(dense, HALLEGATTE)
    assert suits_table(dense, replace(HALLEGATTE, order_split="baseline"))
    assert not suits_table(dense, HALLEGATTE, by_link=True)
    assert not suits_table(dense, replace(HALLEGATTE, rationing="water_filling"))
    assert not suits_table(dense, PRESETS["pichler2022"].switches)
    assert not suits_table(several_products(dense), HALLEGATTE)
    assert not suits_table(random_network(firms=60), HALLEGATTE)
    assert not suits_table(firm_network([], [], [], [1.0]), HALLEGATTE)


ONE = jnp.ones((1, 1))
LOSS = Recovery(ONE / 2, ONE, ONE, ONE)


@pytest.mark.parametrize(
    ("switches", "scenario"),
    [
        (Switches(), Scenario()),
        (replace(HALLEGATTE, rationing="water_filling"), Scenario()),
        (HALLEGATTE, Scenario(cuts=(RouteCut(ONE, ONE, LOSS),))),
        (HALLEGATTE, Scenario(damages=(Damage(*[ONE] * 7),))),
    ],
    ids=["stocks by link", "water filling", "cut", "damage"],
)
def test_a_table_refuses_what_differs_by_link(switches, scenario):
    layout, (model, _) = lay_out(dense_network(), as_table=True), inputs(20)
    with pytest.raises(ValueError, match="layout: links are a table, which holds no numbers of single links"):
        rollout(layout, switches, model, scenario, days=2, record={"output": None})
