"""The model in plain NumPy with dense matrices: a second implementation, for tests."""

from dataclasses import dataclass

import numpy as np
from shockmesh.kernels.model import Switches
from shockmesh.kernels.network import FirmNetwork


@dataclass
class DenseDelay:
    """Goods on the way, as amounts: those of a fixed delay by day of departure, else those in each stage."""

    links: np.ndarray  # which links are delayed [seller, buyer], 0 or 1
    final: np.ndarray  # share of each seller's final goods
    days: np.ndarray  # d of each firm that buys; of final goods, of the firm that sells
    stages: int = 0  # 0: fixed

    def start(self, base: np.ndarray, final_demand: np.ndarray) -> None:
        usual, n = self._of(base, final_demand), self.stages or int(self.days[0])
        self.on_the_way = [usual * self._days() / n for _ in range(n)]

    def pass_on(self, delivered: np.ndarray, consumed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What arrives where these goods are sent; the last column is of consumers."""
        sent = self._of(delivered, consumed)
        if self.stages:
            left = [of * self.stages / self._days() for of in self.on_the_way]
            entered = [sent, *left[:-1]]
            self.on_the_way = [of - o + i for of, o, i in zip(self.on_the_way, left, entered, strict=True)]
            arrived = left[-1]
        else:
            arrived, self.on_the_way = self.on_the_way[0], [*self.on_the_way[1:], sent]
        return delivered + (arrived - sent)[:, :-1], consumed + (arrived - sent)[:, -1]

    def total(self) -> np.ndarray:
        """By link."""
        return sum(self.on_the_way[1:], self.on_the_way[0])[:, :-1]

    def _days(self) -> np.ndarray:
        """By seller and buyer, the last of which are consumers."""
        return np.column_stack([np.tile(self.days, (len(self.days), 1)), self.days])

    def _of(self, links: np.ndarray, final: np.ndarray) -> np.ndarray:
        return np.column_stack([self.links * links, self.final * final])


@dataclass(frozen=True)
class DenseModel:
    """The model of one member in plain NumPy with N × N matrices: rows sell, columns buy. Float64 throughout."""

    network: FirmNetwork
    switches: Switches
    numbers: dict[str, np.ndarray]  # parameters by name, each one per firm
    criticality: np.ndarray | None = None  # product × sector of the buyer
    product_days: np.ndarray | None = None  # by product; 0: the buyer's own, inf: never short
    delays: tuple[DenseDelay, ...] = ()

    @property
    def days(self) -> np.ndarray:
        """Target stock in days of use [seller, buyer]; 0 where the product is never short."""
        own = np.tile(self.numbers["inventory_days"], (self.network.n_firms, 1))
        if self.product_days is None:
            return own
        of_seller = self.product_days[self.network.sector][:, None]
        return np.where(of_seller > 0, np.where(np.isinf(of_seller), 0, of_seller), own)

    def run(
        self,
        productivity: np.ndarray,
        final_demand: np.ndarray,
        passing: np.ndarray | None = None,
        damage: dict[str, np.ndarray] | None = None,
        detour: tuple[np.ndarray, float] | None = None,
        homes: dict[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Output and final consumption [time, firm] under paths of productivity and final demand [time, firm].

        Passing is the share of orders that gets through [time, seller, buyer], damage the fields of a `Damage`,
        homes those of a `HouseholdDamage`, detour the share of deliveries that makes one [time, seller, buyer] and the
        days that it adds.
        """
        net, n, rule = self.network, self.network.n_firms, self.switches.capacity_rule
        base = np.zeros((n, n))
        base[net.supplier, net.buyer] = net.amount
        stock, orders = base * self.days, base.copy()
        level = self.numbers["base_capacity"].copy() if rule == "overproduction" else np.ones(n)
        output, capacity = net.output, self.numbers["capacity"]
        outputs, consumptions = [], []
        building, left, price = self._rebuilding(base, damage)
        broken = np.zeros(n) if homes is None else homes["worth"]
        transit, spending = np.zeros_like(base), np.ones(n)
        for delay in self.delays:
            delay.start(base, net.final_demand)
        for day, (z, demand_of_day) in enumerate(zip(productivity, final_demand, strict=True)):
            if passing is not None:
                orders = orders * passing[day]
            asked = np.zeros_like(base)
            if damage is not None and day >= damage["onset"]:
                asked = left * (day >= damage["rebuild_start"]) / damage["rebuild_days"]
                never = damage["loss"] * (building.sum(0) == 0)
                z = z * np.maximum(1 - never - np.divide(left.sum(0), price, out=np.zeros(n), where=price > 0), 0)
            if self.switches.consumption == "labour_income":
                spending = self._spending(base, spending, np.minimum(level, z * capacity))
                demand_of_day = demand_of_day * (1 + self.numbers["household_share"] * (spending - 1))
            repairs = np.zeros(n)
            if homes is not None:
                repairs = broken * (day >= homes["rebuild_start"]) / homes["rebuild_days"]
            demand = (orders + asked).sum(1) + demand_of_day + repairs
            limit = self._attainable(base, stock)
            if rule == "overproduction":
                scarcity = (demand - output) / demand
                pull = (capacity - level) * scarcity + (self.numbers["base_capacity"] - level) * (scarcity == 0)
                level = np.maximum(level + pull / self.numbers["overproduction_days"], 1)
            most = {
                "constant": z * capacity,
                "literal": np.array([z[i] * (limit[i] if limit[i] < np.inf else capacity[i]) for i in range(n)]),
                "overproduction": z * level,
                "hiring": np.minimum(level, z * capacity),
            }[rule]
            output = np.minimum(demand, np.minimum(most, limit) * net.output)
            delivered, met = self._ration(base, orders + asked, demand_of_day + repairs, output)
            met = np.divide(met, demand_of_day + repairs, out=np.zeros(n), where=demand_of_day + repairs > 0)
            consumption, repaired = met * demand_of_day, met * repairs
            broken = broken - repaired
            share = np.divide(delivered, orders + asked, out=np.zeros_like(base), where=orders + asked > 0)
            delivered, built = share * orders, share * asked
            left = left - built
            for delay in self.delays:
                delivered, consumption = delay.pass_on(delivered, consumption)
            if detour is not None:
                arrived, leaving = transit / detour[1], detour[0][day] * delivered
                transit, delivered = transit - arrived + leaving, delivered - leaving + arrived
            stock = self._stocks(base, stock, delivered, output / net.output)
            potential = np.minimum((demand - built.sum(1) - repaired) / net.output, most)
            held = sum((delay.total() for delay in self.delays), stock + transit)
            orders = self._orders(base, held, output / net.output, demand / net.output, most, potential)
            if rule == "hiring":
                gap = np.minimum(demand / net.output, limit) - most
                level = most + gap / np.where(gap > 0, self.numbers["hiring_days"], self.numbers["firing_days"])
            outputs.append(output)
            consumptions.append(consumption)
        return {"output": np.array(outputs), "final_consumption": np.array(consumptions)}

    def _spending(self, base: np.ndarray, spending: np.ndarray, labour: np.ndarray) -> np.ndarray:
        """Households' spending relative to its baseline."""
        pay = np.maximum(self.network.output - base.sum(0), 0)
        benefits, persistence = self.numbers["benefit_share"], self.numbers["consumption_persistence"]
        income = (pay * (benefits + (1 - benefits) * labour)).sum() / pay.sum()
        return np.exp(persistence * np.log(spending) + (1 - persistence) / 2 * np.log(income))

    def _rebuilding(
        self, base: np.ndarray, damage: dict[str, np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shares of links in their buyer's rebuilding, what is to be rebuilt by link, and the price of all capital."""
        shares = np.zeros_like(base)
        if damage is None:
            return shares, shares, np.ones(len(base))
        for rows in self._products():
            total = base[rows].sum(0)
            within = np.divide(base[rows], total, out=np.zeros_like(base[rows]), where=total > 0)
            shares[rows] = within * damage["builder"][rows, None]
        total = shares.sum(0)
        shares = np.divide(shares, total, out=np.zeros_like(base), where=total > 0)
        price = damage["cost"] * damage["capital_days"] * np.maximum(self.network.output - base.sum(0), 0)
        return shares, shares * damage["loss"] * price, price

    def _products(self) -> list[np.ndarray]:
        """The firms that sell each product."""
        return [np.flatnonzero(self.network.sector == product) for product in np.unique(self.network.sector)]

    def _attainable(self, base: np.ndarray, stock: np.ndarray) -> np.ndarray:
        """Output that stocks allow, as a multiple of baseline output."""
        kind, limits, products = self.switches.production, [], self._products()
        use, held = (np.array([of[rows].sum(0) for rows in products]) for of in (base, stock))
        first = np.array([rows[0] for rows in products])
        for i in range(self.network.n_firms):
            some = use[:, i] > 0
            days, cover = self.days[first[some], i], held[some, i] / use[some, i]
            cover = np.where(days > 0, cover, np.inf)
            weight = use[some, i] / base[:, i].sum()
            if "critical" in kind:
                assert self.criticality is not None
                chi = self.criticality[self.network.sector[first[some]], self.network.sector[i]]
            else:
                chi = np.ones(len(cover))
            match kind:
                case "linear":
                    found = [(weight * cover).sum()] if some.any() else []
                case "ces":
                    power = 1 - 1 / self.numbers["elasticity"][i]
                    found = [(weight * cover**power).sum() ** (1 / power)] if some.any() and cover.min() > 0 else cover
                case "threshold":
                    found = cover / self.numbers["inventory_threshold"][i] / np.maximum(days, 1)
                case "half_critical":
                    found = [1 + x * (c - 1) for c, x in zip(cover, chi, strict=True) if x > 0]
                case _:
                    least = {"leontief": 0, "strongly_critical": 0.5, "weakly_critical": 1}[kind]
                    found = cover[chi >= least]
            limits.append(min(found, default=np.inf))
        return np.array(limits)

    def _ration(
        self, base: np.ndarray, orders: np.ndarray, final_demand: np.ndarray, output: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        received = orders.sum(1)
        if self.switches.rationing == "proportional":
            fill = output / (received + final_demand)
            return fill[:, None] * orders, fill * final_demand
        if self.switches.rationing == "final_demand_last":
            fill = np.minimum(np.divide(output, received, out=np.ones(len(output)), where=received > 0), 1)
            return fill[:, None] * orders, np.clip(output - received, 0, final_demand)
        claims = np.column_stack([orders, final_demand])
        usual = np.column_stack([base, self.network.final_demand])
        met = np.array([water_filled(*of_firm) for of_firm in zip(claims, usual, output, strict=True)])
        return met[:, :-1], met[:, -1]

    def _stocks(self, base: np.ndarray, stock: np.ndarray, delivered: np.ndarray, activity: np.ndarray) -> np.ndarray:
        after = np.zeros_like(base)
        for rows in self._products():
            use = base[rows].sum(0) * activity
            drawn = stock[rows] if self.switches.production == "leontief" else stock[rows] + delivered[rows]
            held = drawn.sum(0)
            kept = np.maximum(1 - np.divide(use, held, out=np.ones_like(use), where=held > 0), 0)
            after[rows] = drawn * kept
        after = after + delivered if self.switches.production == "leontief" else after
        return np.where(self.days > 0, after, 0)

    def _orders(
        self,
        base: np.ndarray,
        stock: np.ndarray,
        activity: np.ndarray,
        pressure: np.ndarray,
        most: np.ndarray,
        potential: np.ndarray,
    ) -> np.ndarray:
        level = {"fixed": np.ones(len(activity)), "demand": pressure, "output": activity, "potential": potential}
        days = sum((delay.links * delay.days for delay in self.delays), self.days)
        target = base * days * level[self.switches.order_target]
        expected = base * level[self.switches.order_basis]
        if self.switches.order_split == "link":
            return np.maximum(expected + (target - stock) / self.numbers["adjustment_days"], 0)
        orders = np.zeros_like(base)
        weight = base if self.switches.order_split == "baseline" else base * most[:, None]
        for rows in self._products():
            gap = np.maximum(target[rows].sum(0) - stock[rows].sum(0), 0)
            pool = expected[rows].sum(0) + gap / self.numbers["adjustment_days"]
            total = weight[rows].sum(0)
            orders[rows] = weight[rows] * np.divide(pool, total, out=np.zeros_like(pool), where=total > 0)
        return orders


def water_filled(claims: np.ndarray, usual: np.ndarray, output: float) -> np.ndarray:
    """What each claimant gets, by sorting claims relative to the usual: the smallest are met in full."""
    met, left = claims.copy(), output
    some = np.flatnonzero(usual > 0)
    order = some[np.argsort(claims[some] / usual[some])]
    for k, claimant in enumerate(order):
        level = left / usual[order[k:]].sum()
        if claims[claimant] > level * usual[claimant]:
            met[order[k:]] = level * usual[order[k:]]
            break
        left -= claims[claimant]
    return met
