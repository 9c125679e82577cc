"""Suppliers that may change and need not: every bit is that of fixed ones, as users compile them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from priced import single
from rollouts import rollout
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.mechanisms.courses import Table
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Switches
from shockmesh.kernels.network import with_candidate_links
from sourced import sourced, sourcing_numbers

MEMBERS = 8
MODELS = {  # where water fills, XLA rounds in another order: see test_suppliers for those
    "hamid2025": PRESETS["hamid2025"].switches,
    "hallegatte2014": PRESETS["hallegatte2014"].switches,
    "prices": Switches(prices="cost"),
}


@pytest.mark.parametrize("model", MODELS)
def test_suppliers_that_need_not_change_leave_every_bit(precision, model):
    """Where nobody is short, whatever demand does, and where nobody minds, χ = ν = 0, whatever is lost."""
    network, switches = sourced(), MODELS[model]
    layout, rng = lay_out(with_candidate_links(network), precision), np.random.default_rng(2)
    numbers = sourcing_numbers(network, members=MEMBERS, turnover=0, base_capacity=1.5, capacity=1.5)
    shape = 4, network.n_firms, MEMBERS
    fewer, loss = (jnp.asarray(rng.uniform(0, of, shape)) for of in (0.1, 0.9))
    careless = replace(numbers, **{name: 0 * getattr(numbers, name) for name in ("sensitivity", "pull")})
    for of, lost in ((numbers, 0 * loss), (careless, loss)):
        inputs = single(precision, (of, Scenario((Table(1 - lost),), (Table(1 - fewer),))))
        record = {"output": None, "inventory": None, "switched": None}
        fixed, turning = (
            rollout(layout, chosen, *inputs, days=25, record=record)
            for chosen in (switches, replace(switches, suppliers="satisfaction"))
        )
        for name in record:
            np.testing.assert_array_equal(turning[name], fixed[name], err_msg=name)
        assert (fixed["output"] != fixed["output"][:1]).any()


def test_candidates_change_nothing_where_suppliers_are_fixed(precision):
    """A network has the layout that it has without them."""
    network = sourced()
    alone = replace(network, candidates=type(network.candidates)(*(of[:0] for of in (network.supplier,) * 3)))
    for one, other in zip(*(jax.tree.leaves(lay_out(of, precision)) for of in (network, alone)), strict=True):
        np.testing.assert_array_equal(one, other)
