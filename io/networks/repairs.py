"""What was changed in data before it became a network: each kind of change with its number, amount and worst cases."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

NAMED = 3


@dataclass(frozen=True)
class Repair:
    """One kind of change."""

    repair: str  # what was done
    count: int  # cells, industries, rows or firms
    amount: float  # sum of the absolute changes, in the unit of the source
    largest: tuple[str, ...]  # those most affected


def as_records(repairs: Sequence[Repair]) -> list[dict[str, Any]]:
    """Repairs as attributes of a store."""
    return [{**asdict(repair), "largest": list(repair.largest)} for repair in repairs]


def largest(amounts: Float[np.ndarray, " item"]) -> list[int]:
    """Positions of the few largest amounts, the first of equal ones first."""
    top = np.argsort(-np.abs(amounts), kind="stable")[:NAMED]
    return top[amounts[top] != 0].tolist()


def told(repair: dict[str, Any]) -> str:
    """A repair of a store in words."""
    named = ", ".join(map(str, repair["largest"]))
    return (
        f"{repair['repair']}: {repair['count']:,}, {repair['amount']:.4g} in all{f', largest {named}' if named else ''}"
    )
