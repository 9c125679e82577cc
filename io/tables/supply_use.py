"""Supply and use of products become flows between industries, by the fixed product sales structure.

Each product is sold by its makers in the shares in which they make it, whoever buys (model D of Eurostat, 2008, Manual
of Supply, Use and Input-Output Tables, ch. 11; the industry-by-industry table of most offices):

    T = V diag(q)⁻¹     shares of the makers in each product: V [industry, product] is made, q = Σ_i V is supply
    Z = T U             U [product, industry] is used
    Y = T F             F [product, category] is final demand

No cell below zero arises where none was. Rows sum to what industries make, as far as supply and use of a product agree.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

MODEL = "industry by industry from supply and use, by the fixed product sales structure (model D)"


def industry_by_industry(
    made: Float[np.ndarray, "industry product"],
    used: Float[np.ndarray, "product industry"],
    demand: Float[np.ndarray, "product category"],
    products: Sequence[str],
) -> tuple[Float[np.ndarray, "industry industry"], Float[np.ndarray, "industry category"], str]:
    """Z and Y, and a remark on products that are used and not made, which are left out; "" if there are none."""
    supply = made.sum(0)
    shares = shares_of(made, supply)
    lost = np.flatnonzero((supply == 0) & ((used != 0).any(1) | (demand != 0).any(1)))
    told = ""
    if len(lost):
        amount = used[lost].sum() + demand[lost].sum()
        named = ", ".join(str(products[at]) for at in lost[:5])
        told = f"{len(lost)} products are used and made by nobody, and are left out, {amount:.6g}: {named}"
    return shares @ used, shares @ demand, told


def shares_of(parts: Float[np.ndarray, "..."], whole: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """What parts are of their whole, 0 where it is 0."""
    return np.divide(parts, whole, out=np.zeros_like(parts), where=whole != 0)
