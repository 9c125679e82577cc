"""The numbers that come first, and how numbers are written: `headline` for programs, `headline_text` for people."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import xarray as xr
from jaxtyping import Float
from shockmesh.io.inputs import names
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
from shockmesh.io.reports.prices import Rises, rises_of, told

SCALES = {"trillion": 1e12, "billion": 1e9, "million": 1e6, "thousand": 1e3}
MOST = 5  # regions and sectors that a headline names
NAMED = 1e-5  # share of a baseline from which on a loss or a gain is named


def headline(ds: xr.Dataset, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """The headline numbers of an open run, ready for JSON.

    Keys: measure, members, days, interval; loss (share of baseline over the horizon) and money, each a spread over
    members {median, low, high, worst}; deepest (worst day: loss, day, date where the run has dates); days_to_recover;
    regions and sectors hit most; regions that gain; outside (part of the loss in regions without a shock; needs the
    spec); prices (consumer: rise on the last day by region, price: by recorded label, tariff_revenue over the horizon).
    What cannot be told is None or empty: all of losses, where prices alone were recorded.

    Raises:
        ReportError: no member is there, or none is sound.
    """
    names = recorded(ds)
    return headline_of(measure(ds, names[0]) if names else None, rises_of(ds), spec or {})


def headline_of(losses: Losses | None, rises: Rises | None, spec: dict[str, Any]) -> dict[str, Any]:
    """The same from losses and prices already read, of which one is there."""
    read = losses or rises
    assert read is not None
    numbers = {"measure": None, "members": len(read.member), "days": len(read.time), "interval": [LOW, HIGH]}
    return {**numbers, **_of_losses(losses, spec), "prices": told(rises, MOST)}


def _of_losses(losses: Losses | None, spec: dict[str, Any]) -> dict[str, Any]:
    if losses is None:
        nothing = dict.fromkeys(("loss", "money", "deepest", "days_to_recover", "outside"))
        return {**nothing, "regions": [], "sectors": [], "gaining": []}
    money, away = losses.money(), outside(losses, spec)
    return {
        "measure": losses.name,
        "loss": spread(losses.share().values),
        "money": None if money is None else {**spread(money.values), "unit": losses.currency},
        "deepest": _deepest(losses),
        "days_to_recover": _recovery(losses),
        "regions": hit_most(losses, "region", MOST),
        "sectors": hit_most(losses, "sector", MOST),
        "gaining": gain_most(losses, "region", MOST),
        "outside": None if away is None else spread(away),
    }


def hit_most(losses: Losses, dim: str, most: int, by: Literal["loss", "money"] = "loss") -> list[dict[str, Any]]:
    """The labels of a dim that are hit most, each with the spread of its loss and money; empty if it was not recorded.

    `by` says which median ranks them, the greatest first, ties as stored.
    """
    if dim not in losses.dims:
        return []
    money = losses.money(dim)
    ranked = losses.share(dim) if by == "loss" or money is None else money
    return _labelled(losses, dim, _order(ranked.transpose("member", dim).values)[:most])


def gain_most(losses: Losses, dim: str, most: int) -> list[dict[str, Any]]:
    """The labels of a dim whose median loss is a gain, the greatest share first: as `hit_most`, losses below 0."""
    if dim not in losses.dims:
        return []
    share = losses.share(dim).transpose("member", dim).values
    gaining = [i for i in reversed(_order(share)) if np.median(share[:, i]) < -NAMED]
    return _labelled(losses, dim, gaining[:most])


def _labelled(losses: Losses, dim: str, places: list[int]) -> list[dict[str, Any]]:
    """What labels at some places lose: each (`label`: with its plain name), with the spread of its loss and money."""
    share, money = losses.share(dim), losses.money(dim)
    labels = [str(label) for label in share[dim].values]
    plain = {i: names.label(dim, labels[i], labels) if dim in ("region", "sector") else _firm(share, i) for i in places}
    return [
        {
            dim: labels[i],
            "label": plain[i],
            "loss": spread(share.isel({dim: i}).values),
            "money": None if money is None else {**spread(money.isel({dim: i}).values), "unit": losses.currency},
        }
        for i in places
    ]


def _firm(share: xr.DataArray, at: int) -> str:
    """A firm with its region and sector, where the run says them."""
    told = [str(share[name].values[at]) for name in ("firm_region", "firm_sector") if name in share.coords]
    return f"{share['firm'].values[at]} ({', '.join(told)})" if told else str(share["firm"].values[at])


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
    day = int(np.median(deepest_day(loss)))
    date = losses.days[day] if isinstance(losses.days[day], str) else None
    return {"loss": spread(loss.max(1)), "day": day, "date": date}


def day_text(deepest: dict[str, Any]) -> str:
    """When the deepest day is: the day of the run, or its date."""
    return f"{deepest['date']}, day {deepest['day']}" if deepest["date"] else f"day {deepest['day']}"


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
    return [*(_loss_text(numbers) if numbers["loss"] else []), *_price_text(numbers["prices"] or {}, numbers["days"])]


def _loss_text(numbers: dict[str, Any]) -> Iterator[str]:
    days, members, deepest = numbers["days"], numbers["members"], numbers["deepest"]
    over = f"{days} days" if members == 1 else f"{days} days, {members} members"
    yield f"{numbers['measure'].replace('_', ' ')} lost over {over}: {ranged(numbers['loss'])}"
    if numbers["money"]:
        yield f"in money: {ranged_money(numbers['money'])}"
    for dim in ("region", "sector"):
        rows = numbers[f"{dim}s"]
        said = [f"{row['label']} {percent(row['loss']['median'])}" for row in rows if row["loss"]["median"] > NAMED]
        yield from [f"{dim}s hit most: {', '.join(said)}"] if said and len(rows) > 1 else []
    if numbers["gaining"]:
        said = [f"{row['label']} {rise(-row['loss']['median'])}" for row in numbers["gaining"]]
        yield f"regions that gain most: {', '.join(said)}"
    yield f"deepest day: {percent(deepest['loss']['median'])} below baseline, {day_text(deepest)}"
    yield _recovery_text(numbers["days_to_recover"], members)


def _price_text(prices: dict[str, Any], days: int) -> Iterator[str]:
    for what, words in (("consumer", "consumer prices"), ("price", "prices that moved most")):
        if moved := prices.get(what):
            said = [f"{row['name']} {rise(row['rise']['median'])}" for row in moved]
            yield f"{words}, last day: {', '.join(said)}"
    if revenue := prices.get("tariff_revenue"):
        yield f"tariff revenue over {days} days: {ranged_money(revenue)}"


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


def rise(share: float) -> str:
    """A change in per cent, with its sign: +0.17 %."""
    return f"{'+' * (share > 0)}{percent(share)}"


def money_text(value: float, unit: str) -> str:
    """An amount in the scale that suits it: (2_346_000, million USD) → 2.35 trillion USD."""
    word, _, currency = unit.partition(" ")
    base, currency = (SCALES[word], currency) if word in SCALES and currency else (1.0, unit)
    amount = float(f"{value * base:.3g}")
    scale = next((name for name, size in SCALES.items() if abs(amount) >= size), "")
    return f"{amount / SCALES.get(scale, 1.0):.3g} {scale} {currency}".replace("  ", " ").replace("-", "−")


def ranged(values: dict[str, float], of: str = "members") -> str:
    """Median with its interval, in per cent; the median alone where the `of` do not differ."""
    if values["low"] == values["high"]:
        return percent(values["median"])
    return f"{percent(values['median'])} (90 % of {of}: {between(values)})"


def between(values: dict[str, float]) -> str:
    """The interval in per cent, as in 1.2 to 3.4 %."""
    return f"{percent(values['low']).removesuffix(' %')} to {percent(values['high'])}"


def ranged_money(values: dict[str, Any]) -> str:
    """Median and interval of an amount."""
    if values["low"] == values["high"]:
        return money_text(values["median"], values["unit"])
    low, high = (money_text(values[end], values["unit"]) for end in ("low", "high"))
    return f"{money_text(values['median'], values['unit'])} ({low} to {high})"
