"""Every preset, whole and sharded, forwards and backwards, lowers for CUDA, stays on the device and scatters nothing:
no GPU is needed to see that."""

from dataclasses import fields, replace
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from shockmesh.kernels.devices.layout import Delayed, lay_out, linked
from shockmesh.kernels.devices.partition import partition
from shockmesh.kernels.devices.roofline import Work
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.rebuilding import Damage, HouseholdDamage
from shockmesh.kernels.mechanisms.routes import RouteCut
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters, Switches
from shockmesh.kernels.rollout import rollout
from shockmesh.kernels.shard import mesh_of, shard, sharded_rollout
from sourced import with_some

LEAVES_THE_DEVICE = ("custom_call", "infeed", "outfeed", "stablehlo.send", "stablehlo.recv")  # a callback is a call


def inputs_of(members: int) -> tuple[Parameters, Scenario]:
    one = jnp.ones((1, 1))
    numbers = {field.name: 1.5 * one for field in fields(Parameters) if field.name != "routes"}
    model = Parameters.of(
        numbers
        | {
            "delay_days": 1.5 * one[None],
            "inventory_days": jnp.full((1, members), 9.0),
            "elasticity": 0.5 * one,
            "benefit_share": 0.5 * one,
        }
    )
    loss = Recovery(0.5 * one, one, 5 * one, 0.1 * one)
    damage, homes = Damage(*[0.5 * one] * 7), HouseholdDamage(one, one, one)
    cuts = (RouteCut(one, one, loss), RouteCut(one, one, loss, 3 * one))
    return model, Scenario((loss,), (), cuts, (damage,), (homes,))


def lowered_for_cuda(run: Any, inputs: Any) -> str:
    leaves, structure = jax.tree.flatten(inputs)
    of_leaves = jax.jit(lambda leaves: run(*jax.tree.unflatten(structure, leaves)))
    return jax.export.export(of_leaves, platforms=["cuda"])(leaves).mlir_module()


MODELS = {name: preset.switches for name, preset in PRESETS.items()} | {
    "water": Switches(rationing="water_filling"),
    "income": replace(PRESETS["pichler2022"].switches, consumption="labour_income"),
    "prices": Switches(prices="cost"),
    "suppliers": Switches(suppliers="satisfaction"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shards", [0, 4], ids=["whole", "sharded"])
@pytest.mark.parametrize("backwards", [False, True], ids=["value", "gradient"])
def test_lowers_for_cuda(random_network, as_on_a_gpu, little_memory, model, shards, backwards):
    network, switches = with_some(random_network()), MODELS[model]
    network = linked(network, switches)
    critical = np.full((len(network.sectors), len(network.sectors)), 0.5)
    all_links, half = np.arange(network.n_links), np.full(network.n_firms, 0.5)
    delays = Delayed(all_links, half, 3, is_fixed=True), Delayed(all_links[::2], half, 1, is_fixed=False)
    layout, inputs = lay_out(network, criticality=critical, delays=delays), inputs_of(members=4)
    record = {"output": segments(network.sector, len(network.sectors))}

    parts = shard(network, partition(network, max(1, shards)), criticality=critical, delays=delays)

    def run(*inputs: Any) -> jax.Array:
        if not shards:
            return rollout(layout, switches, *inputs, days=9, record=record)["output"].sum()
        return sharded_rollout(parts, mesh_of(shards), switches, *inputs, days=9, record=record)["output"].sum()

    module = lowered_for_cuda(jax.grad(run, argnums=(0, 1)) if backwards else run, inputs)
    assert "stablehlo.while" in module
    assert ("all_to_all" in module) == bool(shards)
    assert not [operation for operation in LEAVES_THE_DEVICE if operation in module]
    assert "stablehlo.gather" in module
    assert "scatter" not in module
    if switches.rationing != "water_filling":  # its Newton steps are a loop, written once
        work = Work(switches, 9, 4, 4, network.n_firms, network.n_links, network.n_links, damages=1, rows=shards)
        loops = 5 if backwards else 2  # early days and the last block forwards; early days again, both transposed
        assert module.count('"stablehlo.all_to_all"') == work.collectives * loops
