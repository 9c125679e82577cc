"""Target stocks: how many days of use a buyer wants to hold of each product.

    n_ip = n_p, the product's own, for all who buy it (BoARIO's inventory_dict), or else n_i, the buyer's

A product with n_p = ∞ is never short: it limits no output, its pools hold nothing, and who buys it orders what he uses,
O_p = a_p B. So the mass balance of such a pool is open: where less is delivered than used, the rest is there.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import look_up
from shockmesh.kernels.model import Parameters


def pool_days(layout: Layout, parameters: Parameters, never_short: float) -> Float[Array, "#pool #member"]:
    """n of each pool [days of use], and the number `never_short` where it is ∞."""
    own = look_up(parameters.inventory_days, layout.pool_buyer)
    if layout.product_days is None:
        return own
    finite = jnp.where(is_held(layout.product_days) > 0, layout.product_days, never_short)
    return jnp.where(layout.product_days > 0, finite, own)


def pool_target(
    layout: Layout, parameters: Parameters, factor: Float[Array, "firm member"] | None = None
) -> Float[Array, "#pool #member"]:
    """S* / Z⁰ of each pool: n times the buyer's factor, 1 if none; 0 for what is never short."""
    if layout.product_days is None:
        days = parameters.inventory_days
        return look_up(days if factor is None else days * factor, layout.pool_buyer)
    days = pool_days(layout, parameters, 0.0)
    return days if factor is None else days * look_up(factor, layout.pool_buyer)


def is_held(product_days: Float[Array, "pool 1"]) -> Float[Array, "pool 1"]:
    """1 for a product whose stock counts, 0 for one that is never short."""
    return jnp.isfinite(product_days).astype(product_days.dtype)
