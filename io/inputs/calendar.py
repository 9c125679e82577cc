"""Dates, spans of time and per cent as users write them, and the numbers that they mean.

    days_in("3 weeks") → 21        share_in("30 %") → 0.3        day_of("2020-03-23", date(2020, 3, 1)) → 22

A week has 7 days, a year 365, a month a twelfth of these. Months and years are whole days, halves rounded up: 1 month
is 30 days, 3 months are 91, 6 months 183, a year and a half 548.
"""

import math
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

type Written = Literal["number", "date", "days", "share"]  # a date may also be a span since the start

FIRST, LAST = date(1700, 1, 1), date(2261, 12, 31)  # of a run: what 64 bits hold in nanoseconds, as xarray has dates
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
SPAN = r"([0-9]+(?:\.[0-9]+)?)\s*(hour|day|week|month|year)s?"
SHARE = r"([-+]?[0-9]+(?:\.[0-9]+)?)\s*%"
DAYS_IN = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 365 / 12, "year": 365.0}
PATTERNS: dict[Written, str] = {"date": f"{DATE}|{SPAN}", "days": SPAN, "share": SHARE}
SUCH: dict[Written, str] = {
    "date": "a date such as 2020-03-23, or a time since the start such as 3 weeks",
    "days": "a time such as 3 weeks or 6 months",
    "share": "per cent such as 30 %",
}


def number_in(text: str, written: Written, start: date | None) -> float:
    """The number that a text means where one is written so; days count from `start`.

    >>> number_in("2 weeks", "days", None), number_in("12.5 %", "share", None)
    (14, 0.125)

    Raises:
        ValueError: it means none; the message is the rule.
    """
    match written:
        case "date" if re.fullmatch(DATE, text.strip()):
            return day_of(text.strip(), start)
        case "date" | "days":
            found = days_in(text)
        case "share":
            found = share_in(text)
        case "number":
            found = None
    if found is None:
        raise ValueError(f"must be a number{rule_of(written)}")
    return found


def rule_of(written: Written) -> str:
    """What else than a number may stand where one is written so: `, or per cent such as 30 %`."""
    return f", or {SUCH[written]}" if written in SUCH else ""


def days_in(text: str) -> float | None:
    """The days of a span of time; None if the text says none."""
    found = re.fullmatch(SPAN, text.strip())
    if found is None:
        return None
    days = float(found[1]) * DAYS_IN[found[2]]
    if found[2] in ("month", "year"):
        days = math.floor(days + 0.5)
    return int(days) if days == int(days) else days


def share_in(text: str) -> float | None:
    """The share that per cent are; None if the text says none."""
    found = re.fullmatch(SHARE, text.strip())
    return None if found is None else float(Decimal(found[1]).scaleb(-2))


def date_in(text: object) -> date:
    """A date as ISO 8601 writes it.

    Raises:
        ValueError: it is none.
    """
    if isinstance(text, date):
        return text
    if not isinstance(text, str) or not re.fullmatch(DATE, text):
        raise ValueError("must be a date, written as 2020-03-23")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"must be a date: {error}") from error


def day_of(text: str | date, start: date | None) -> int:
    """The day of the run on which a date is; the start is day 0.

    Raises:
        ValueError: it is no date, or before the start, or the run has no dates.
    """
    found = date_in(text)
    if start is None:
        raise ValueError("is a date, and needs horizon.start, the date of day 0")
    if found < start:
        raise ValueError(f"must not be before {start}, the run's start")
    return (found - start).days


def numbers_in(texts: np.ndarray, written: Written = "number", start: date | None = None) -> Float[np.ndarray, " text"]:
    """The number that each text means, NaN where it means none."""
    numbers = np.asarray(pd.to_numeric(pd.Index(texts), errors="coerce"), np.float64)
    others = np.flatnonzero(np.isnan(numbers)) if written in SUCH else []
    meant = {text: _number_or_nan(text, written, start) for text in {str(texts[i]) for i in others}}
    return _replaced(numbers, {int(i): meant[str(texts[i])] for i in others})


def _replaced(numbers: np.ndarray, others: Mapping[int, float]) -> np.ndarray:
    """A copy of some numbers, with others at some places."""
    numbers = numbers.copy()
    numbers[[*others]] = [*others.values()]
    return numbers


def _number_or_nan(text: str, written: Written, start: date | None) -> float:
    try:
        return number_in(text, written, start)
    except ValueError:
        return math.nan


PERIODS = {  # column of a file → how its texts are written
    "day": "a whole number, or a date such as 2020-03-23",
    "week": "a week such as 2020-W12",
    "month": "a month such as 2020-03",
    "quarter": "a quarter such as 2020-Q1",
}


def days_of_periods(
    column: str, texts: np.ndarray, start: date | None
) -> tuple[Float[np.ndarray, " text"], Float[np.ndarray, " text"]]:
    """First and last day of the run of the periods that a column of `PERIODS` says; NaN of those that it does not.

    Days before the start are below 0. Without a start there are no weeks, months and dates.
    """
    numbers = numbers_in(texts) if column == "day" else np.full(len(texts), np.nan)
    others = np.flatnonzero(np.isnan(numbers)) if start is not None else []
    found = {text: period_in(column, text) for text in {str(texts[i]) for i in others}}
    ends = {int(i): found[str(texts[i])] for i in others}
    days = {i: tuple((day - start).days for day in of) for i, of in ends.items() if of and start is not None}
    first, last = ({i: of[end] for i, of in days.items()} for end in (0, 1))
    return _replaced(numbers, first), _replaced(numbers, last)


def period_in(kind: str, text: str) -> tuple[date, date] | None:
    """The first and the last date of a day, ISO week, month or quarter; None if the text is none.

    >>> [str(day) for day in period_in("week", "2020-W12")]
    ['2020-03-16', '2020-03-22']
    """
    patterns = {"day": DATE, "week": r"([0-9]{4})-?W([0-9]{2})", "month": r"([0-9]{4})-([0-9]{2})"}
    found = re.fullmatch(patterns.get(kind, r"([0-9]{4})-?Q([1-4])"), text.strip())
    if found is None:
        return None
    try:
        if kind == "day":
            day = date.fromisoformat(text.strip())
            return day, day
        year, number = int(found[1]), int(found[2])
        if kind == "week":
            first = date.fromisocalendar(year, number, 1)
            return first, first + timedelta(days=6)
        months = 1 if kind == "month" else 3
        first, after = ((number - 1) * months + k for k in (0, months))
        return date(year, first + 1, 1), date(year + after // 12, after % 12 + 1, 1) - timedelta(days=1)
    except ValueError:
        return None
