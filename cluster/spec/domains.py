"""The numbers that each parameter admits: for values as written, as drawn, and as read from a file alike."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from jaxtyping import Bool
from shockmesh.io.inputs.calendar import Written, day_of, number_in, rule_of


@dataclass(frozen=True)
class Domain:
    """An interval of finite numbers, closed unless `open_low` or `open_high`; and the words that may stand for one."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    written: Written = "number"

    @property
    def rule(self) -> str:
        low = f"> {self.low:,.10g}" if self.open_low else f"≥ {self.low:,.10g}"
        high = f"< {self.high:,.10g}" if self.open_high else f"≤ {self.high:,.10g}"
        return f"must be {low}" if self.high == math.inf else f"must be {low} and {high}"

    def admits(self, values: float | int | np.ndarray) -> Bool[np.ndarray, "..."]:
        numbers = np.asarray(values, np.float64)
        above = numbers > self.low if self.open_low else numbers >= self.low
        below = numbers < self.high if self.open_high else numbers <= self.high
        return np.asarray(np.isfinite(numbers) & above & below)

    def check(self, value: float) -> float:
        """The value itself. Raises ValueError, with the rule, if it lies outside."""
        if not self.admits(value):
            raise ValueError(self.rule)
        return value

    def read(self, value: Any, info: Any) -> Any:
        """The number that a text or a date means; whatever else it is stays. `info.context` has the run's start.

        Raises:
            ValueError: the text means none here, with the rule.
        """
        start: date | None = (info.context or {}).get("start")
        if isinstance(value, date) and self.written == "date":
            return day_of(value, start)
        return number_in(value, self.written, start) if isinstance(value, str) else value

    @property
    def no_number(self) -> str:
        """The rule that a text breaks which means no number."""
        return f"must be a number{rule_of(self.written)}"


LONGEST, SHORTEST = 1e6, 1e-3  # days: 2,700 years, and a minute and a half
MOST = 1e6  # far above what is usual
LEAST = 1e-3  # of numbers that are divided by
DAYS = Domain(1.0, LONGEST, written="days")
WITHIN_DAYS = Domain(SHORTEST, LONGEST, written="days")
DATE = Domain(0.0, LONGEST, written="date")
SHARE = Domain(0.0, 1.0, written="share")

# Every number lies within what single precision holds, and so do its inverse and its product with any other.
DOMAINS = {
    "inventory_days": DAYS,  # n < 1 has no steady state
    "adjustment_days": DAYS,
    "capacity": Domain(1.0, MOST),
    "elasticity": Domain(LEAST, 1.0, open_high=True),
    "inventory_threshold": Domain(LEAST, 1.0, written="share"),
    "base_capacity": Domain(1.0, MOST),
    "overproduction_days": DAYS,
    "hiring_days": DAYS,
    "firing_days": DAYS,
    "household_share": SHARE,
    "consumption_persistence": SHARE,
    "benefit_share": SHARE,
    "pass_through": SHARE,
    "scarcity": Domain(0.0, 100.0, written="share"),
    "elasticity_within": Domain(0.0, 20.0),  # to this power single precision holds the ratio of two prices, up to 80
    "elasticity_between": Domain(0.0, 20.0),
    "elasticity_final": Domain(0.0, 20.0),
    "satisfaction_days": DAYS,
    "sensitivity": Domain(0.0, 1000.0),  # from there on the best supplier gets all
    "pull": Domain(0.0, 1000.0),
    "search_days": Domain(0.0, LONGEST, written="days"),
    "switching_days": DAYS,
    "turnover": SHARE,
    "rise": Domain(-0.99, 100.0, written="share"),  # rate of a tariff or a cost, share of a price
    "loss": SHARE,
    "onset": DATE,
    "recovery_start": DATE,
    "duration": WITHIN_DAYS,
    "recovery_days": WITHIN_DAYS,
    "s_shaped_days": Domain(2.0, LONGEST, open_low=True, written="days"),  # recovery_days with course: s_shaped
    "capital_days": WITHIN_DAYS,
    "cost": Domain(LEAST, MOST),
    "rebuild_start": DATE,
    "worth": Domain(0.0, 1e30),
    "rebuild_days": DAYS,
    "days_between_failures": DAYS,
    "repair_days": WITHIN_DAYS,
    "detour_days": DAYS,
    "detour_cost": Domain(0.0, 100.0, written="share"),  # share of a price
    "delay_days": DAYS,
    "share": Domain(0.0, 1.0, open_low=True, written="share"),
    "production": SHARE,  # factor of a table on production
    "final_demand": Domain(0.0, MOST, written="share"),  # factor of a table on final demand, which may rise
    "noise": Domain(1e-6, 100.0, written="share"),  # standard deviation, share of the undisturbed day
    "spread": Domain(1e-6, 10.0),  # of a logarithm: a factor of 22,000 for one standard deviation
    "doubt": Domain(0.0, 3.0),  # of the logarithm of a spread
    "rate": Domain(1e-6, 10.0),  # of a guide's steps
    "temperature": Domain(1e-6, MOST),
    "correlation": Domain(-0.999, 0.999),
}


def base_of(path: str) -> str:
    """The value that a path sets a part of: `model.capacity` for `model.capacity.by_sector.C10`."""
    for part in (".by_sector.", ".by_region."):
        path = path.partition(part)[0]
    return path.removesuffix(".default")


def domain_at(path: str) -> Domain | None:
    """What a path of a sweep admits as far as its name alone tells it; None of a path that is no number.

    >>> domain_at("shocks.duty.rate").written, domain_at("shocks.flood.where.region")
    ('share', None)
    """
    name = base_of(path).rpartition(".")[2]
    return DOMAINS.get({"rate": "rise", "days": "delay_days"}.get(name, name))
