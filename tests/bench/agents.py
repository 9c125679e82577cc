"""A peer of the kernels as agent-based codes of this field are written: an object for each firm, which keeps its stocks
and orders in small NumPy arrays, and a book of who ordered how much; every day each firm acts in turn.
"""

import numpy as np
from shockmesh.kernels.network import FirmNetwork


class Firm:
    """A firm with what it holds, what it has ordered of each supplier, and the orders that it received."""

    def __init__(self, output: float, final_demand: float, loss: float) -> None:
        self.output, self.final_demand, self.loss = output, final_demand, loss
        self.suppliers: list[Firm] = []
        self.book: dict[tuple[Firm, int], float] = {}  # buyer and his place for this supplier → what he ordered

    def meet(self, suppliers: list["Firm"], amount: np.ndarray, product: np.ndarray) -> None:
        self.suppliers, self.amount = suppliers, amount
        self.pools = [np.flatnonzero(product == name) for name in np.unique(product)]

    def start(self, days: float) -> None:
        """The first orders are the usual ones, stocks last for `days`."""
        self.stock, self.delivered = days * self.amount, np.zeros(len(self.amount))
        self.order(self.amount)

    def order(self, amounts: np.ndarray) -> None:
        for place, (supplier, amount) in enumerate(zip(self.suppliers, amounts, strict=True)):
            supplier.book[self, place] = amount

    def produce(self, capacity: float, remaining: float) -> float:
        """Make what is asked, as far as capacity and stocks allow, and send everyone his share of it."""
        self.demand = sum(self.book.values()) + self.final_demand
        cover = [self.stock[pool].sum() / self.amount[pool].sum() for pool in self.pools]
        limit = min([capacity * (1 - self.loss * remaining), *cover]) * self.output
        made = min(self.demand, limit)
        share = made / self.demand if self.demand > 0 else 0.0
        for (buyer, place), amount in self.book.items():
            buyer.delivered[place] = share * amount
        self.activity = made / self.output
        return made

    def restock(self, days: float, tau: float) -> None:
        """Use inputs, take in what came, and order anew."""
        for pool in self.pools:
            held = self.stock[pool].sum()
            kept = 1 - self.amount[pool].sum() * self.activity / held if held > 0 else 1.0
            self.stock[pool] = np.maximum(self.stock[pool] * kept, 0) + self.delivered[pool]
        expected = self.amount * self.demand / self.output
        self.order(np.maximum(expected + (days * self.amount - self.stock) / tau, 0))


def firms_of(network: FirmNetwork, loss: np.ndarray) -> list[Firm]:
    firms = [
        Firm(*of) for of in zip(network.output.tolist(), network.final_demand.tolist(), loss.tolist(), strict=True)
    ]
    bounds = np.searchsorted(network.buyer, np.arange(network.n_firms + 1))
    for i, firm in enumerate(firms):
        bought = slice(bounds[i], bounds[i + 1])
        firm.meet([firms[j] for j in network.supplier[bought]], network.amount[bought], network.product[bought])
    return firms


def run(
    firms: list[Firm],
    days: int,
    inventory_days: float,
    tau: float,
    capacity: float,
    onset: float,
    recovery_start: float,
    rate: float,
) -> np.ndarray:
    """Total output of each day."""
    for firm in firms:
        firm.start(inventory_days)
    total = np.zeros(days)
    for day in range(days):
        remaining = np.exp(-rate * max(day - recovery_start, 0)) if day >= onset else 0.0
        total[day] = sum(firm.produce(capacity, remaining) for firm in firms)
        for firm in firms:
            firm.restock(inventory_days, tau)
    return total
