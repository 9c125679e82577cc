"""What a run does to firms' cash, and through their exits to banks: from the value added of every firm, after the run.

    cash      L_i(t) = L_i(0) − (1 − h) Σ_{s ≤ t} (v⁰_i − v_i(s))   h: share of lost value added that costs the firm
                                                                   nothing, as labour is let go and taxes fall
    exit      on the first day with L_i < −credit_i
    a bank    loses loan · (1 − recovered) of each firm that exits
    FSRI_i    share of all banks' equity that is lost where i fails first, and others for want of cash (Tabachová et al.
              2024, arXiv 2305.04865): members in which one firm fails are the failures
Departures: on undisturbed days cash stays, for surplus is paid out; goods are paid for as they are used, not as they
arrive; a gain adds to cash; nobody stops because another has exited, for the run is over. EL, VaR and ES are those of
`risk`: without contagion EL = Σ PD · LGD · EAD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float
from shockmesh.io.inputs.csv_text import read_csv_text
from shockmesh.io.inputs.scenarios import require
from shockmesh.io.reports.losses import split_rate, status_of
from shockmesh.io.results import FAILED, drawn_by_member, recordings
from shockmesh.io.risk import LEVELS, events_risk, frequency_of, members_risk, tail, year_tail
from shockmesh.kernels.rollout import quantity


class FinanceError(ValueError):
    """Books that do not fit a run. The message names file, row, value and rule."""


@dataclass(frozen=True)
class Books:
    """What firms hold and owe, in the currency of the run's unit."""

    room: Float[np.ndarray, " firm"]  # cash and credit: what a firm may lose before it exits
    banks: tuple[str, ...]
    loans: Float[np.ndarray, "firm bank"]
    equity: Float[np.ndarray, " bank"] | None = None


@dataclass(frozen=True)
class Finance:
    """Exits, and what they cost banks."""

    unit: str
    left_out: int  # members that failed
    risk: dict[str, Any]  # of all banks' loss: see `risk`, `events_risk` and `members_risk`
    banks: pd.DataFrame  # bank, exposure, expected loss, VaR and ES at the highest level; equity, how often it is lost
    firms: pd.DataFrame  # firm, share of members in which it exits, mean day on which it does
    members: pd.DataFrame  # member, exits, loss; fsri where banks have equity, and the firm that failed first

    def exiting(self) -> list[dict[str, Any]]:
        """The firms that exit in some member, those that do most often first."""
        rows = [row for row in self.firms.to_dict("records") if row["exits"] > 0]
        return sorted(rows, key=lambda row: -row["exits"])


def exit_days(
    value_added: Float[np.ndarray, "time firm"],
    baseline: Float[np.ndarray, " firm"],
    room: Float[np.ndarray, " firm"],
    saved: float = 0.0,
) -> Float[np.ndarray, " firm"]:
    """The day on which each firm's cash and credit are used up; infinite where they last.

    Args:
        value_added: by day; `baseline` of an undisturbed day [currency / day].
        room: cash and credit at the start [currency].
        saved: h, share of lost value added that costs the firm nothing.
    """
    short = (1 - saved) * np.cumsum(baseline - value_added, axis=0) > room
    return np.where(short.any(axis=0), short.argmax(axis=0), np.inf)


def bank_losses(
    exited: Bool[np.ndarray, " firm"], loans: Float[np.ndarray, "firm bank"], recovered: float = 0.0
) -> Float[np.ndarray, " bank"]:
    """What each bank loses."""
    return (1 - recovered) * (exited @ loans)


def finance_of(
    ds: xr.Dataset,
    books: Books,
    *,
    saved: float = 0.0,
    recovered: float = 0.0,
    levels: Sequence[float] = LEVELS,
) -> Finance:
    """Exits and bank losses of an open run that recorded value added by firm.

    Raises:
        FinanceError: it did not, its unit is no rate, or no member is sound.
    """
    name = by_firm(ds)
    unit, per_day = _rate(ds, name)
    baseline = ds[f"{name}_baseline"].values.astype(float)
    first = _failed_first(ds)
    days, lost = np.zeros((2, len(baseline))), list[np.ndarray]()
    exits, sound = list[int](), np.flatnonzero(status_of(ds) != FAILED)
    for member in sound:
        made = ds[name].isel(member=member).transpose("time", "firm").values.astype(float)
        day = exit_days(made / per_day, baseline / per_day, books.room, saved)
        if first is not None:
            day[ds["firm"].values.astype(str) == first[member]] = 0
        gone = np.isfinite(day)
        days += np.stack([gone, np.where(gone, day, 0)])
        exits.append(int(gone.sum()))
        lost.append(bank_losses(gone, books.loans, recovered))
    if not lost:
        raise FinanceError(f"{name}: no member is sound")
    return _told(ds, books, np.stack(lost), np.array(exits), days, sound, levels, unit)


def by_firm(ds: xr.Dataset) -> str:
    """The name under which value added of every firm was recorded.

    Raises:
        FinanceError: it was not.
    """
    names = (name for name in recordings(ds) if quantity(name) == "value_added" and "firm" in ds[name].dims)
    found = next(names, None)
    if found is None:
        raise FinanceError("record: value_added of every firm is needed: `record: {value_added: [firm]}`")
    return found


def _rate(ds: xr.Dataset, name: str) -> tuple[str, float]:
    rate = split_rate(str(ds[name].attrs.get("units", "")))
    if rate is None:
        raise FinanceError(f"{name}: unit «{ds[name].attrs.get('units', '')}»: must be a currency by day or year")
    return rate


def _failed_first(ds: xr.Dataset) -> np.ndarray | None:
    """The firm that a sweep lets fail in each member; None where it does not name one."""
    found = [of for path, of in drawn_by_member(ds).items() if path.endswith(".where.firm")]
    return found[0].values.astype(str) if found else None


def _told(
    ds: xr.Dataset, books: Books, lost: np.ndarray, exits: np.ndarray, days: np.ndarray, sound: np.ndarray,
    levels: Sequence[float], unit: str,
) -> Finance:  # fmt: skip
    frequency = frequency_of(ds)
    often = None if frequency is None else frequency[sound]
    top, total = max(levels), lost.sum(axis=1)
    risk = members_risk(total, levels) if often is None else events_risk(total, often, levels, ())
    chance, tail_of = (np.full(len(lost), 1 / len(lost)), tail) if often is None else (often, year_tail)
    var, es = np.array([tail_of(of, chance, [top]) for of in lost.T])[..., 0].T
    banks = {
        "bank": books.banks,
        "exposure": books.loans.sum(axis=0),
        "expected_loss": [of.mean() if often is None else often @ of for of in lost.T],
        f"var_{top:g}": var,
        f"es_{top:g}": es,
    }
    members = {"member": ds["member"].values[sound], "exits": exits, "loss": total}
    if books.equity is not None:
        banks |= {"equity": books.equity, "fails": chance @ (lost >= books.equity)}
        members["fsri"] = total / books.equity.sum()
    if (first := _failed_first(ds)) is not None:
        members["failed_first"] = first[sound]
    with np.errstate(invalid="ignore"):
        firms = {"firm": ds["firm"].values, "exits": days[0] / len(lost), "mean_day": days[1] / days[0]}
    left_out = int(ds.sizes["member"] - len(sound))
    return Finance(unit, left_out, risk, pd.DataFrame(banks), pd.DataFrame(firms), pd.DataFrame(members))


def read_books(firm: np.ndarray, firms: str, loans: str, banks: str | None = None) -> Books:
    """Read books: `firms` with firm, cash and perhaps credit; `loans` with firm, bank, loan; `banks` with bank, equity.

    Args:
        firm: the ids of the run's firms. A firm that `firms` does not name has endless cash.

    Raises:
        FinanceError: columns that are missing, a firm or a bank that is not known or named twice, or a bad amount.
    """
    ids, held = [str(one) for one in firm], _read(firms, ("firm", "cash"), ("credit",))
    room = np.full(len(ids), np.inf)
    of = _codes(firms, held, "firm", ids)
    _once(firms, held, ["firm"])
    credit = _amounts(firms, held, "credit") if "credit" in held else 0.0
    room[of] = _amounts(firms, held, "cash") + credit
    owed = _read(loans, ("firm", "bank", "loan"))
    _once(loans, owed, ["firm", "bank"])
    names = list(dict.fromkeys(owed["bank"]))
    equity = None
    if banks is not None:
        own = _read(banks, ("bank", "equity"))
        _once(banks, own, ["bank"])
        amounts = dict(zip(own["bank"], _amounts(banks, own, "equity"), strict=True))
        _codes(loans, owed, "bank", list(amounts))
        names, equity = list(amounts), np.array(list(amounts.values()))
    table = np.zeros((len(ids), len(names)))
    table[_codes(loans, owed, "firm", ids), _codes(loans, owed, "bank", names)] = _amounts(loans, owed, "loan")
    return Books(room, tuple(names), table, equity)


def _read(path: str, needed: tuple[str, ...], more: tuple[str, ...] = ()) -> pd.DataFrame:
    table: pd.DataFrame = read_csv_text(path, FinanceError)
    if not set(needed) <= {*table} <= {*needed, *more}:
        may = f", and may be {', '.join(more)}" if more else ""
        raise FinanceError(f"{path}:1: columns: {', '.join(map(str, table))}: must be {', '.join(needed)}{may}")
    return table


def _codes(path: str, table: pd.DataFrame, key: str, known: Sequence[str]) -> np.ndarray:
    codes = pd.Index(known).get_indexer(pd.Index(table[key]))
    _require(path, table, key, codes >= 0, f"a {key} that is known")
    return codes


def _amounts(path: str, table: pd.DataFrame, name: str) -> Float[np.ndarray, " row"]:
    values = np.asarray(pd.to_numeric(table[name], errors="coerce"), float)
    _require(path, table, name, (values >= 0) & (values < np.inf), "a number ≥ 0")
    return values


def _once(path: str, table: pd.DataFrame, keys: list[str]) -> None:
    _require(path, table, keys[-1], ~np.asarray(table.duplicated(keys)), f"in one row for each {' and '.join(keys)}")


def _require(path: str, table: pd.DataFrame, name: str, ok: np.ndarray, rule: str) -> None:
    require(path, name, table.index.to_numpy(), table[name].to_numpy(), ok, rule, FinanceError)
