"""The numbers that each parameter admits: for values as written, as drawn, and as read from a file alike."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True)
class Domain:
    """An interval of finite numbers, closed unless `open_low` or `open_high`."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    @property
    def rule(self) -> str:
        low = f"> {self.low:g}" if self.open_low else f"≥ {self.low:g}"
        high = f"< {self.high:g}" if self.open_high else f"≤ {self.high:g}"
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


DOMAINS = {
    "inventory_days": Domain(1.0),  # n < 1 has no steady state
    "adjustment_days": Domain(1.0),
    "capacity": Domain(1.0),
    "elasticity": Domain(0.0, 1.0, open_low=True, open_high=True),
    "inventory_threshold": Domain(0.0, 1.0, open_low=True),
    "base_capacity": Domain(1.0),
    "overproduction_days": Domain(1.0),
    "hiring_days": Domain(1.0),
    "firing_days": Domain(1.0),
    "household_share": Domain(0.0, 1.0),
    "consumption_persistence": Domain(0.0, 1.0),
    "benefit_share": Domain(0.0, 1.0),
    "loss": Domain(0.0, 1.0),
    "onset": Domain(0.0),
    "recovery_start": Domain(0.0),
    "recovery_days": Domain(0.0, open_low=True),
    "s_shaped_days": Domain(2.0, open_low=True),  # recovery_days with course: s_shaped
    "capital_days": Domain(0.0, open_low=True),
    "cost": Domain(0.0, open_low=True),
    "rebuild_start": Domain(0.0),
    "worth": Domain(0.0),
    "rebuild_days": Domain(1.0),
    "days_between_failures": Domain(1.0),
    "repair_days": Domain(0.0, open_low=True),
    "detour_days": Domain(1.0),
    "share": Domain(0.0, 1.0, open_low=True),
    "production": Domain(0.0, 1.0),  # factor of a table on production
    "final_demand": Domain(0.0),  # factor of a table on final demand, which may rise
}
