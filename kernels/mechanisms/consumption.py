"""What consumers ask for: final demand as it is given, or its households' part following labour income.

With final demand C and its share s of households, labour l of a firm relative to its baseline, value added w:

    exogenous       C
    labour_income   C (1 − s + s y),  log y ← ρ log y + (1 − ρ) / 2 · log L,  L = Σ w [b + (1 − b) l] / Σ w
                    Pichler et al. (2022), eqs. 5 and 6: spending y relative to its baseline has a persistence ρ and
                    follows income now and income expected for good, of equal weight; benefits replace b of what is lost

Notes and departures:
  1. the text of the paper was not at hand: its equations as MacroStat, an implementation, states them. With propensity
     m to consume and income l̃, m l̃⁰ is the baseline spending, so neither is needed in relative terms;
  2. income expected for good is the baseline's (their ξ = 1); theirs falls in a lockdown and comes back slowly;
  3. a shock on final demand multiplies C, and y does not remember it; it is on households and others alike;
  4. pay is in proportion to value added; ρ, b and s may differ by firm, and y then does;
  5. the sum is over all firms: where shards share a network, one all-reduce of a number a member and day.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import lesser, total
from shockmesh.kernels.model import Parameters, Switches


def initial_spending(layout: Layout, switches: Switches, members: int) -> Float[Array, "firm member"] | None:
    """y before the first day; None where final demand is given."""
    if switches.consumption == "exogenous":
        return None
    return jnp.broadcast_to(jnp.ones_like(layout.output), (layout.n_firms, members))


def spending_today(
    layout: Layout,
    switches: Switches,
    parameters: Parameters,
    productivity: Float[Array, "..."],
    level: Float[Array, "firm member"] | None,
    spending: Float[Array, "firm member"] | None,
) -> Float[Array, "firm member"] | None:
    """y of today, from yesterday's and today's labour."""
    if switches.consumption == "exogenous":
        return None
    assert level is not None
    assert spending is not None
    assert parameters.benefit_share is not None
    assert parameters.consumption_persistence is not None
    labour = lesser(level, productivity * parameters.capacity)
    pay = jnp.maximum(layout.value_added_share, 0) * layout.output
    paid = pay * (parameters.benefit_share + (1 - parameters.benefit_share) * labour)
    income = total(paid, layout.supplier) / total(pay, layout.supplier)
    adapted = (1 - parameters.consumption_persistence) / 2
    floor = jnp.finfo(income.dtype).tiny
    return spending**parameters.consumption_persistence * jnp.maximum(income, floor) ** adapted


def final_demand_today(
    parameters: Parameters, final_demand: Float[Array, "firm #member"], spending: Float[Array, "firm member"] | None
) -> Float[Array, "firm #member"]:
    """C, or C (1 − s + s y)."""
    if spending is None:
        return final_demand
    assert parameters.household_share is not None
    return final_demand * (1 - parameters.household_share + parameters.household_share * spending)
