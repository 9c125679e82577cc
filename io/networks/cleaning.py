"""Links as users have them, made fit for a network: what breaks a rule is refused, or mended where that is asked for.

    duplicates   rows of the same supplier, buyer and product are added up
    self-links   rows whose supplier is their buyer are left out
    unknown      partners that no file of firms lists are outside: sales to them are final demand, purchases from them
                 are left out (they count as value added)
    amounts      rows without an amount, and links whose amounts do not add up to more than 0, are left out
    output       a firm that sells more than its output has its output raised to its sales

Every change is a `Repair` with its rows, amount and worst cases. Amounts are in the unit of the file.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from shockmesh.io.inputs.rows.sheets import Sheet, positions
from shockmesh.io.networks.companies import MOST, Companies
from shockmesh.io.networks.repairs import Repair, largest
from shockmesh.kernels.network import BALANCE_TOLERANCE

MENDS = ("duplicates", "self-links", "unknown", "amounts", "output")


@dataclass(frozen=True)
class Deals:
    """Rows of links that are left so far, as numbers."""

    supplier: Int[np.ndarray, " row"]  # position of the firm; -1 outside
    buyer: Int[np.ndarray, " row"]
    product: Int[np.ndarray, " row"]
    amount: Float[np.ndarray, " row"]
    row: Int[np.ndarray, " row"]  # in the file, of the first that was added up

    def take(self, keep: Bool[np.ndarray, " row"] | Int[np.ndarray, " some"]) -> "Deals":
        return Deals(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Cleaned:
    """Links that keep the rules of a network, sorted by buyer, product and supplier."""

    deals: Deals
    products: list[str]  # empty: a link's product is its supplier's sector
    outside: Float[np.ndarray, " firm"]  # sales to partners outside
    repairs: list[Repair]
    problems: list[str]
    could: list[str]  # what of MENDS would make an end of problems


def clean(links: Sheet, firms: Companies, mend: Collection[str]) -> Cleaned:
    """Check links against their firms, and mend what is asked for."""
    known = pd.Index(firms.ids)
    ends = {end: positions(known, *links.codes(end)) for end in ("supplier", "buyer")}
    product, products = links.codes("product") if "product" in links else (None, list[str]())
    if product is None:
        product = np.append(firms.sector, -1).astype(np.int32)[ends["supplier"]]
    deals = Deals(ends["supplier"], ends["buyer"], product, links.numbers("amount"), np.arange(len(links)))
    cleaning = _Cleaning(links, firms, mend)
    cleaning.check_ends(ends)
    if products:
        cleaning.problems += links.complain(links.missing("product"), "product is empty")
    own = (deals.supplier == deals.buyer) & (deals.supplier >= 0)
    deals = cleaning.left_out(deals, own, "self-links", "supplier and buyer must differ", "self-links left out")
    deals = cleaning.without_bad_amounts(deals)
    deals, outside = cleaning.without_strangers(deals)
    deals = cleaning.added_up(deals, len(known))
    if "amounts" in mend:
        low = deals.amount <= 0
        deals = cleaning.left_out(
            deals, low, "amounts", "", "links whose amounts do not add up to more than 0 left out"
        )
    return Cleaned(deals, products, outside, cleaning.repairs, cleaning.problems, [*dict.fromkeys(cleaning.could)])


@dataclass
class _Cleaning:
    """What is gathered on the way."""

    links: Sheet
    firms: Companies
    mend: Collection[str]
    repairs: list[Repair] = field(default_factory=list[Repair])
    problems: list[str] = field(default_factory=list[str])
    could: list[str] = field(default_factory=list[str])

    def check_ends(self, ends: dict[str, Int[np.ndarray, " row"]]) -> None:
        """Ends that are not tidy; and, unless they are taken for outside, that are empty or not listed."""
        for end, firm in ends.items():
            self.problems += self.links.complain(self.links.untidy(end), f"{end} has a line break inside", end)
            if "unknown" not in self.mend and (firm < 0).any():
                missing = self.links.missing(end)
                rule = f"{end} is not a firm of {self.firms.name}, whose first is {self.firms.ids[0]!r}"
                self.problems += self.links.complain(missing, f"{end} is empty")
                self.problems += self.links.complain((firm < 0) & ~missing, rule, end)
                self.could.append("unknown")

    def left_out(self, deals: Deals, bad: Bool[np.ndarray, " row"], mend: str, rule: str, told: str) -> Deals:
        """Without the bad rows, if that is asked for; else they are a problem, and stay to be checked for others."""
        if not bad.any():
            return deals
        if mend not in self.mend:
            self.complain(deals, bad, rule, "supplier")
            self.could.append(mend)
            return deals
        self.repaired(deals.take(bad), told)
        return deals.take(~bad)

    def repaired(self, deals: Deals, told: str) -> None:
        amount = np.nan_to_num(deals.amount)
        self.repairs.append(Repair(told, len(amount), float(np.abs(amount).sum()), self.named(deals, largest(amount))))

    def complain(self, deals: Deals, bad: Bool[np.ndarray, " row"], rule: str, show: str) -> None:
        whole = np.zeros(len(self.links), bool)
        whole[deals.row[bad]] = True
        self.problems += self.links.complain(whole, rule, show)

    def named(self, deals: Deals, at: list[int]) -> tuple[str, ...]:
        """Some rows by their ends, as the file has them, and their amounts."""
        ends = [[self.links.columns[end][int(deals.row[i])].as_py() for i in at] for end in ("supplier", "buyer")]
        return tuple(f"{one} → {other} {deals.amount[i]:.4g}" for i, one, other in zip(at, *ends, strict=True))

    def without_bad_amounts(self, deals: Deals) -> Deals:
        """Amounts that are no number are refused; so are 0 and less, and none, unless they are to be mended."""
        number = np.isfinite(deals.amount)
        large = number & (np.abs(deals.amount) >= MOST)
        self.complain(deals, large, f"amount must be below {MOST:.0e}", "amount")
        deals, number = deals.take(~large), number[~large]
        if "amounts" not in self.mend:
            good = number & (deals.amount > 0)
            self.complain(deals, ~good, "amount must be finite and > 0", "amount")
            self.could += [] if good.all() else ["amounts"]
            return deals
        empty = self.links.missing("amount")[deals.row]
        self.complain(deals, ~number & ~empty, "amount must be a finite number", "amount")
        return self.left_out(deals, empty, "amounts", "", "rows without an amount left out")

    def without_strangers(self, deals: Deals) -> tuple[Deals, Float[np.ndarray, " firm"]]:
        """Without the rows of partners outside, and what each firm sells to them."""
        bought, sold = deals.supplier < 0, (deals.supplier >= 0) & (deals.buyer < 0)
        outside = np.zeros(len(self.firms.ids))
        if "unknown" in self.mend:
            if bought.any():
                self.repaired(deals.take(bought), "purchases from outside left out")
            if sold.any():
                self.repaired(deals.take(sold), "sales to outside taken for final demand")
                outside = np.bincount(deals.supplier[sold], deals.amount[sold], len(outside))
        return deals.take(~bought & ~sold) if bought.any() or sold.any() else deals, outside

    def added_up(self, deals: Deals, firms: int) -> Deals:
        """Sorted by buyer, product and supplier, and one row for each."""
        most = int(deals.product.max(initial=0)) + 1
        key = (deals.buyer.astype(np.int64) * most + deals.product) * firms + deals.supplier
        order = np.argsort(key, kind="stable")
        deals, key = deals.take(order), key[order]
        first = np.ones(len(key), bool)
        first[1:] = key[1:] != key[:-1]
        if first.all():
            return deals
        if "duplicates" not in self.mend:
            keys = "supplier, buyer, product" if "product" in self.links else "supplier, buyer"
            self.complain(deals, ~first, f"the same {keys} was given before", "supplier")
            self.could.append("duplicates")
            return deals
        self.repaired(deals.take(~first), "rows of the same supplier, buyer and product added to the first")
        start = np.flatnonzero(first)
        summed = np.add.reduceat(deals.amount, start)
        kept = deals.take(start)
        return Deals(kept.supplier, kept.buyer, kept.product, summed, kept.row)


def close_balance(
    firms: Companies, cleaned: Cleaned, mend: Collection[str]
) -> tuple[Float[np.ndarray, " firm"], list[Repair], list[str]]:
    """Each firm's final demand, what was changed for it, and what is wrong.

    Where output alone is known, final demand is output less sales to firms. Sales to partners outside belong to it. Who
    buys and is not told to sell anything sells what it buys to final demand.
    """
    deals, n = cleaned.deals, len(firms.ids)
    sales = np.bincount(deals.supplier, deals.amount, n)
    inputs = np.bincount(deals.buyer, deals.amount, n)
    final, repairs, problems = _final_demand(firms, sales, cleaned.outside, mend)
    idle = (sales + final == 0) & (inputs > 0)
    if idle.any():
        told = "firms that buy and are told to sell nothing sell what they buy to final demand"
        repairs.append(_of_firms(told, firms, np.where(idle, inputs, 0)))
    return np.where(idle, inputs, final), repairs, problems


def _final_demand(
    firms: Companies, sales: Float[np.ndarray, " firm"], outside: Float[np.ndarray, " firm"], mend: Collection[str]
) -> tuple[Float[np.ndarray, " firm"], list[Repair], list[str]]:
    if firms.final_demand is not None:
        final = firms.final_demand + outside
        return final, [], [] if firms.output is None else _unbalanced(firms, sales + final)
    if firms.output is None:
        return outside, [], []
    rest = firms.output - sales
    over, final = rest < -BALANCE_TOLERANCE * firms.output, np.maximum(rest, 0)
    if not over.any():
        return final, [], []
    if "output" in mend:
        return final, [_of_firms("output raised to what is sold to firms", firms, np.where(over, -rest, 0))], []
    assert firms.sheet is not None
    rule = "output is less than what it sells to firms (--mend output raises it)"
    return final, [], firms.sheet.complain(over, rule, "output")


def _unbalanced(firms: Companies, made: Float[np.ndarray, " firm"]) -> list[str]:
    assert firms.sheet is not None
    assert firms.output is not None
    off = ~(np.abs(firms.output - made) <= BALANCE_TOLERANCE * made)
    return firms.sheet.complain(off, "output must be sales to firms + final_demand, to 1e-6", "output")


def _of_firms(told: str, firms: Companies, amounts: Float[np.ndarray, " firm"]) -> Repair:
    named = tuple(f"{firms.ids[i]} {amounts[i]:.4g}" for i in largest(amounts))
    return Repair(told, int((amounts != 0).sum()), float(amounts.sum()), named)
