"""Whether a device computes right numbers: an economy whose value and derivatives are known in closed form.

Chains 1 → 2 → 3 → consumer, a = 1, C = 1, whose firm 1 loses the share δ of its capacity κ for good. It then delivers
q = (1 − δ) κ a day, and the stocks of firms 2 and 3 fall from n to the q that they hand on, so that consumers get

    T q + Σ_{i = 2, 3} (n_i − q),    ∂/∂n_i = 1,    ∂/∂δ = −κ (T − 2).

No stock runs out and no two limits tie, so the derivatives are those of either side.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout, lay_out
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.rollout import rollout

CHAINS, DAYS = 10_923, 40  # 32,769 firms: compilers have been wrong in the last row of many
STOCKS, CAPACITY, LOSS = (9.0, 2.7, 3.4), 1.25, 0.52
TOLERANCE = 1e-4  # of single precision


class Compared(NamedTuple):
    """A number that a device found, the farthest of all chains from what it must be, and what it must be."""

    what: str
    found: float
    expected: float

    @property
    def right(self) -> bool:
        return bool(np.isclose(self.found, self.expected, rtol=TOLERANCE, atol=TOLERANCE))


def compare(device: Any) -> list[Compared]:
    """What consumers get of each chain, and its derivatives, as one of `jax.devices()` computes them."""
    with jax.default_device(device):
        days, loss = (jnp.tile(jnp.asarray(of, jnp.float32), CHAINS)[:, None] for of in (STOCKS, (LOSS, 0, 0)))
        derive = jax.jit(jax.value_and_grad(_consumed, (0, 1), has_aux=True))
        (_, consumed), (by_days, by_loss) = derive(days, loss, lay_out(_chains()))
    q = (1 - LOSS) * CAPACITY
    return [
        _farthest("value", consumed[2::3], DAYS * q + STOCKS[1] + STOCKS[2] - 2 * q),
        _farthest("∂/∂ stock", by_days[1::3], 1.0),
        _farthest("∂/∂ loss", by_loss[0::3], -CAPACITY * (DAYS - 2)),
    ]


def _chains() -> FirmNetwork:
    firms = np.arange(3 * CHAINS)
    sells = firms[firms % 3 < 2]
    return firm_network(sells, sells + 1, np.ones(len(sells)), (firms % 3 == 2).astype(float))


def _consumed(
    days: Float[Array, "firm 1"], loss: Float[Array, "firm 1"], layout: Layout
) -> tuple[Float[Array, ""], Float[Array, "firm 1"]]:
    """Of all chains, and of each firm."""
    number = jnp.ones((1, 1), jnp.float32)
    strike = Recovery(loss, 0 * number, DAYS * number, 0 * number)
    model = Parameters(days, 6 * number, CAPACITY * number)
    record = {"final_consumption": None}
    found = rollout(layout, Switches(), model, Scenario((strike,)), days=DAYS, record=record)["final_consumption"]
    return found.sum(), found.sum(axis=0)


def _farthest(what: str, found: Array, expected: float) -> Compared:
    values = np.ravel(np.asarray(found, np.float64))
    return Compared(what, float(values[np.argmax(np.nan_to_num(abs(values - expected), nan=np.inf))]), expected)
