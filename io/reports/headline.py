"""The numbers that come first, and how numbers are written: `headline` for programs, `headline_text` for people."""

from typing import Any, Literal

import numpy as np
import xarray as xr
from jaxtyping import Float
from shockmesh.io.reports.losses import (
    HIGH,
    LOW,
    SILENCE,
    Losses,
    days_to_recover,
    measure,
    outside,
    recorded,
    spread,
)

SCALES = {"trillion": 1e12, "billion": 1e9, "million": 1e6, "thousand": 1e3}
MOST = 5  # regions and sectors that a headline names


def headline(ds: xr.Dataset, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """The headline numbers of an open run, ready for JSON.

    Keys: measure, members, days, interval; loss (share of baseline over the horizon) and money, each a spread over
    members {median, low, high, worst}; deepest (worst day: loss, day); days_to_recover; regions and sectors hit most;
    outside (part of the loss in regions without a shock; needs the spec). What cannot be told is None or empty.

    Raises:
        ReportError: no member is there, or none is sound.
    """
    losses = measure(ds, recorded(ds)[0])
    return headline_of(losses, spec or {})


def headline_of(losses: Losses, spec: dict[str, Any]) -> dict[str, Any]:
    """The same from losses already read."""
    money, away = losses.money(), outside(losses, spec)
    return {
        "measure": losses.name,
        "members": len(losses.member),
        "days": len(losses.time),
        "interval": [LOW, HIGH],
        "loss": spread(losses.share().values),
        "money": None if money is None else {**spread(money.values), "unit": losses.currency},
        "deepest": _deepest(losses),
        "days_to_recover": _recovery(losses),
        "regions": hit_most(losses, "region", MOST),
        "sectors": hit_most(losses, "sector", MOST),
        "outside": None if away is None else spread(away),
    }


def hit_most(losses: Losses, dim: str, most: int, by: Literal["loss", "money"] = "loss") -> list[dict[str, Any]]:
    """The labels of a dim that are hit most, each with the spread of its loss and money; empty if it was not recorded.

    `by` says which median ranks them, the greatest first, ties as stored.
    """
    if dim not in losses.dims:
        return []
    share, money = losses.share(dim), losses.money(dim)
    ranked = share if by == "loss" or money is None else money
    return [
        {
            dim: str(share[dim].values[i]),
            "loss": spread(share.isel({dim: i}).values),
            "money": None if money is None else {**spread(money.isel({dim: i}).values), "unit": losses.currency},
        }
        for i in _order(ranked.transpose("member", dim).values)[:most]
    ]


def names_hit_most(losses: Losses, dim: str) -> list[str]:
    """Every label of a dim that has a baseline, the greatest median loss first."""
    share = losses.share(dim)
    labels = share[dim].values
    return [str(labels[i]) for i in _order(share.transpose("member", dim).values)]


def _order(values: Float[np.ndarray, "member label"]) -> list[int]:
    """Positions by falling median; labels without a baseline are left out."""
    middle = np.median(values, axis=0).round(9)
    return [int(i) for i in np.argsort(-middle, kind="stable") if np.isfinite(middle[i])]


def _deepest(losses: Losses) -> dict[str, Any]:
    loss = 1 - losses.total
    return {"loss": spread(loss.max(1)), "day": int(np.median(deepest_day(loss)))}


def deepest_day(loss: Float[np.ndarray, "*member time"]) -> np.ndarray:
    """The first day on which the loss is at its deepest; round-off does not count."""
    top = loss.max(-1, keepdims=True)
    return (loss >= top - SILENCE * np.abs(top)).argmax(-1)


def _recovery(losses: Losses) -> dict[str, Any]:
    """Days until recovered; None where the quantile lies among members that do not recover within the horizon."""
    days = days_to_recover(losses.total)
    low, median, high = np.quantile(days, [LOW, 0.5, HIGH], method="higher")
    numbers = {"median": median, "low": low, "high": high}
    told = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
    return {**told, "recovered": int(np.isfinite(days).sum())}


def headline_text(numbers: dict[str, Any]) -> list[str]:
    """A headline as a few lines to print."""
    days, members, deepest = numbers["days"], numbers["members"], numbers["deepest"]
    over = f"{days} days" if members == 1 else f"{days} days, {members} members"
    lines = [f"{numbers['measure'].replace('_', ' ')} lost over {over}: {ranged(numbers['loss'])}"]
    if numbers["money"]:
        lines.append(f"in money: {ranged_money(numbers['money'])}")
    for dim in ("region", "sector"):
        said = [f"{row[dim]} {percent(row['loss']['median'])}" for row in numbers[f"{dim}s"]]
        lines += [f"{dim}s hit most: {', '.join(said)}"] if len(said) > 1 else []
    lines.append(f"deepest day: {percent(deepest['loss']['median'])} below baseline, day {deepest['day']}")
    return [*lines, _recovery_text(numbers["days_to_recover"], members)]


def _recovery_text(recovery: dict[str, Any], members: int) -> str:
    days = recovery["median"]
    if days is None:
        return f"recovered within the horizon: {recovery['recovered']} of {members} members"
    return f"days to recover: {days:.0f}; within the horizon {recovery['recovered']} of {members} members do"


def percent(share: float) -> str:
    """A share in per cent, to about three digits: 0.0321 → 3.21 %."""
    value = 100 * share
    digits = 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}" if abs(value) >= 0.05 or value == 0 else f"{value:.1g}"
    return text.replace("-", "−") + " %"


def money_text(value: float, unit: str) -> str:
    """An amount in the scale that suits it: (2_346_000, million USD) → 2.35 trillion USD."""
    word, _, currency = unit.partition(" ")
    base, currency = (SCALES[word], currency) if word in SCALES and currency else (1.0, unit)
    amount = float(f"{value * base:.3g}")
    scale = next((name for name, size in SCALES.items() if abs(amount) >= size), "")
    return f"{amount / SCALES.get(scale, 1.0):.3g} {scale} {currency}".replace("  ", " ").replace("-", "−")


def ranged(values: dict[str, float]) -> str:
    """Median with its interval, in per cent; the median alone where members do not differ."""
    if values["low"] == values["high"]:
        return percent(values["median"])
    return f"{percent(values['median'])} (90 % of members: {between(values)})"


def between(values: dict[str, float]) -> str:
    """The interval in per cent, as in 1.2 to 3.4 %."""
    return f"{percent(values['low']).removesuffix(' %')} to {percent(values['high'])}"


def ranged_money(values: dict[str, Any]) -> str:
    """Median and interval of an amount."""
    if values["low"] == values["high"]:
        return money_text(values["median"], values["unit"])
    low, high = (money_text(values[end], values["unit"]) for end in ("low", "high"))
    return f"{money_text(values['median'], values['unit'])} ({low} to {high})"
