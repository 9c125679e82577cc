"""What a calibrated model must beat: a shock alone, and what it is through the inverse of Leontief.

Shares lost are by sector; flows are `Z` (supplier, buyer) and final demand of one table.
"""

import numpy as np
from jaxtyping import Float


def first_order(
    supply_lost: Float[np.ndarray, " sector"], demand_lost: Float[np.ndarray, " sector"], final_share: np.ndarray
) -> Float[np.ndarray, " sector"]:
    """Output relative to before if nobody reacts: the smaller of what can be made and what is asked for.

    Pichler, Pangallo, del Rio-Chanona, Lafond, Farmer (2022), section 2. `final_share` of output goes to final demand.
    """
    return np.minimum(1 - supply_lost, 1 - final_share * demand_lost)


def through_leontief(
    flows: Float[np.ndarray, "sector sector"], final: Float[np.ndarray, " sector"], demand_lost: np.ndarray
) -> Float[np.ndarray, " sector"]:
    """Output relative to before once every order is passed on: (I − A)⁻¹ C′ / x. Supply never binds."""
    output = flows.sum(axis=1) + final
    some = output > 0
    technology = np.divide(flows, output, out=np.zeros_like(flows), where=some)
    needed = np.linalg.solve(np.eye(len(output)) - technology, final * (1 - demand_lost))
    return np.divide(needed, output, out=np.ones_like(output), where=some)


def weighted_error(
    predicted: Float[np.ndarray, "period series"], seen: Float[np.ndarray, "period series"], weight: np.ndarray
) -> float:
    """Root mean square error over periods and series, series by weight [% points]."""
    square = np.average((predicted - seen) ** 2, axis=0)
    return float(100 * np.sqrt(np.average(square, weights=weight)))
