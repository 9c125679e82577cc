"""Dates, spans of time and per cent in specs, files, stores and reports: the same numbers as by hand, or a refusal."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from recorded import MANIFEST, run
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.load import load_spec, parse_spec
from shockmesh.io.inputs.calendar import DAYS_IN, day_of, days_of_periods, number_in, period_in
from shockmesh.io.inputs.scenarios import ScenarioError, read_factors, read_numbers
from shockmesh.io.inputs.series import SeriesError, read_series
from shockmesh.io.reports.headline import headline, headline_text
from shockmesh.io.reports.sections import render
from shockmesh.io.stores.template import fill
from shockmesh.kernels.network import FirmNetwork
from specs import GOOD, Write, problems

START = date(2020, 3, 1)
DATED = GOOD.replace("horizon: {days: 365}", "horizon: {start: 2020-03-01, days: 365}")
SPANS = {
    "12 hours": 0.5, "1 day": 1, "36 days": 36, "3 weeks": 21, "1.5 weeks": 10.5, "1 month": 30, "2 months": 61,
    "6 months": 183, "12 months": 365, "1 year": 365, "1.5 years": 548, " 3weeks ": 21,
}  # fmt: skip


@pytest.mark.parametrize("text", SPANS)
def test_a_span_of_time_is_days(text: str):
    found = number_in(text, "days", None)
    assert found == SPANS[text] == number_in(text, "date", None)
    assert isinstance(found, int) == (SPANS[text] == int(SPANS[text]))


@given(st.decimals(0, 100, places=3))
def test_per_cent_are_the_number_itself(percent: Any):
    assert number_in(f"{percent} %", "share", None) == float(percent / 100)


@given(st.dates(date(1700, 1, 1), date(2260, 1, 1)), st.integers(0, 10_000))
def test_a_date_is_as_many_days_after_the_start(start: date, days: int):
    then = date.fromordinal(start.toordinal() + days)
    assert day_of(then.isoformat(), start) == days
    for kind, text in (("day", f"{then}"), ("week", f"{then:%G-W%V}"), ("month", f"{then:%Y-%m}")):
        first, last = days_of_periods(kind, np.array([text]), start)
        assert first[0] <= days <= last[0]
    first, last = period_in("month", f"{then:%Y-%m}") or (then, then)
    assert (first.day, (last.month, last.day)) == (1, (then.month, pd.Period(str(then), "M").days_in_month))


NONE = {
    "date": ("soon", "2020-02-30", "2020-02-28", "20200301", "3 fortnights", "-3 weeks", "30 %", "1e3", ""),
    "days": ("2020-03-23", "3", "weeks", "3 weeks 2 days", "inf weeks"),
    "share": ("30", "3 weeks", "% 30", "30 % %", "thirty %"),
    "number": ("3 weeks", "30 %", "7"),
}


@pytest.mark.parametrize("written", NONE)
def test_what_means_no_number_is_refused(written: Any):
    for text in NONE[written]:
        with pytest.raises(ValueError, match=r"must|needs"):
            number_in(text, written, START)


# what to replace in DATED → by what, → the path of what is written, and its number
WORDS: dict[str, tuple[str, str, str, Any]] = {
    "a date": ("onset: 10", "onset: 2020-03-23", "shocks.0.onset", 22),
    "time since the start": ("onset: 10", "onset: 3 weeks", "shocks.0.onset", 21),
    "a span": ("recovery_days: 40", "recovery_days: 6 months", "shocks.0.recovery_days", 183),
    "per cent": ("loss: 0.6", "loss: 60 %", "shocks.0.loss", 0.6),
    "per cent by sector": (
        "loss: 0.6", "loss: {default: 12.5%, by_sector: {I: 30 %}}", "shocks.0.loss.by_sector.I", 0.3,
    ),
    "a share of firms": ("sector: [I, G47]", "share: 10 %", "shocks.0.where.share", 0.1),
    "the horizon": ("days: 365", "days: 1 year", "horizon.days", 365),
    "inventories": ("default: 10, ", "default: 2 weeks, ", "model.inventory_days.default", 14),
    "drawn dates": (
        "model.inventory_days: {lognormal: {median: 10, sigma: 0.3}}",
        "shocks.lockdown.onset: {uniform: [2020-03-11, 2020-04-01]}",
        "sweep.vary.shocks.lockdown.onset", {"uniform": {"low": 10, "high": 31}},
    ),
    "drawn per cent": (
        "{uniform: [0.2, 0.8]}", "{uniform: {low: 20 %, high: 80 %}}",
        "sweep.vary.shocks.lockdown.loss", {"uniform": {"low": 0.2, "high": 0.8}},
    ),
}  # fmt: skip


def at(data: Any, path: str) -> Any:
    """What stands at a path whose keys may have dots in them."""
    keys = path.split(".")
    while keys:
        if isinstance(data, list):
            data, keys = data[int(keys[0])], keys[1:]
        else:
            used = next(n for n in range(len(keys), 0, -1) if ".".join(keys[:n]) in data)
            data, keys = data[".".join(keys[:used])], keys[used:]
    return data


@pytest.mark.parametrize("case", WORDS)
def test_words_in_a_spec_are_numbers_once_it_is_read(write: Write, case: str):
    old, new, path, number = WORDS[case]
    assert old in DATED
    resolved = load_spec(write(DATED.replace(old, new))).model_dump(mode="json")
    assert at(resolved, path) == number
    assert resolved["horizon"]["start"] == "2020-03-01"
    assert parse_spec(resolved).model_dump(mode="json") == resolved


def test_words_stand_in_grids_lists_overrides_and_windows(write: Write):
    grid = {"economy": "a", "horizon": {"days": "2 weeks", "start": START}, "shocks": [
        {"name": "a", "kind": "recovery", "loss": "5 %", "onset": START}]}  # fmt: skip
    levels = ["2020-03-01", "2020-03-08", "1 week"]
    spec = parse_spec(grid | {"sweep": {"grid": {"shocks.a.onset": levels}}})
    assert spec.sweep.grid["shocks.a.onset"] == (0, 7, 7)
    entries = [{"shocks.a.loss": "1 %"}, {"shocks.a.loss": 0.5}]
    assert parse_spec(grid | {"sweep": {"list": entries}}).sweep.entries[0]["shocks.a.loss"] == 0.01
    said = load_spec(write(DATED), ["shocks.lockdown.onset=2020-04-01", "shocks.lockdown.loss=45 %"]).shocks[0]
    assert said.model_dump()["onset"], said.model_dump()["loss"] == (31, 0.45)
    seen = {"file": "x.csv", "window": ["2020-03-02", "2020-03-09"], "held_out": ["2020-03-09", "2 weeks"]}
    fit = grid | {"observe": [seen], "infer": {"parameters": {"shocks.a.loss": {"spread": {"all": 1}}}}}
    assert (parse_spec(fit).observe[0].window, parse_spec(fit).observe[0].held_out) == ((1, 8), (8, 14))


BAD = {
    "a date without a start": (
        GOOD, "onset: 10", "onset: 2020-03-23",
        "5: shocks.lockdown.onset: 2020-03-23: is a date, and needs horizon.start, the date of day 0",
    ),
    "a date before the start": (
        DATED, "onset: 10", "onset: 2020-02-29",
        "5: shocks.lockdown.onset: 2020-02-29: must not be before 2020-03-01, the run's start",
    ),
    "a date that is none": (
        DATED, "onset: 10", "onset: 2020-02-30", "5: shocks.lockdown.onset: 2020-02-30: must be a date: day is out of",
    ),
    "a date for days": (
        DATED, "recovery_days: 40", "recovery_days: 2020-05-01",
        "5: shocks.lockdown.recovery_days: 2020-05-01: must be a number, or a time such as 3 weeks or 6 months",
    ),
    "a start that is none": (
        DATED, "start: 2020-03-01", "start: 1.3.2020",
        "3: horizon.start: 1.3.2020: must be a date, written as 2020-03-23",
    ),
    "a start that xarray cannot hold": (
        DATED, "start: 2020-03-01", "start: 1600-03-01",
        "3: horizon.start: 1600-03-01: a run with dates must lie within 1700-01-01 … 2261-12-31",
    ),
    "more than all": (DATED, "loss: 0.6", "loss: 130 %", "5: shocks.lockdown.loss: 1.3: must be ≥ 0 and ≤ 1"),
    "half a day": (DATED, "days: 365", "days: 36 hours", "3: horizon.days: 1.5: must be a"),
    "a word in a sweep": (
        DATED, "{uniform: [0.2, 0.8]}", "{choice: [most, all]}",
        "10: sweep.vary.shocks.lockdown.loss: most: must be a number, or per cent such as 30 %",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_words_that_cannot_be_are_refused_at_their_place(write: Write, case: str):
    spec, old, new, expected = BAD[case]
    assert old in spec
    assert any(
        line.removeprefix("sweep.yaml:").startswith(expected) for line in problems(write(spec.replace(old, new)))
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


FACTORS = {
    "dates": "firm,day,factor\nA,2020-03-03,0.5\nA,2020-03-05,1\n",
    "days and per cent": "firm,day,factor\nA,2,50 %\nA,4,100 %\n",
    "dates, wide": "day,A\n2020-03-03,0.5\n2020-03-05,1\n",
    "dates, across": "firm,2020-03-03,2020-03-05\nA,0.5,1\n",
}


@pytest.mark.parametrize("case", FACTORS)
def test_factors_by_date_are_those_by_day(here: Path, toy: FirmNetwork, case: str):
    name = str(toy.firm[0])
    Path("f.csv").write_text(FACTORS[case].replace("A", name))
    expected = np.ones((5, toy.n_firms))
    expected[2:4, 0] = 0.5
    np.testing.assert_array_equal(read_factors("f.csv", toy, 9, start=START), expected)


@pytest.mark.parametrize(("kind", "texts"), [("week", ("2020-W09", "2020-W11")), ("month", ("2020-03", "2020-04"))])
def test_weeks_and_months_of_factors_begin_on_their_first_day(here: Path, toy: FirmNetwork, kind: str, texts: Any):
    region = toy.regions[0]
    Path("f.csv").write_text(f"region,{kind},factor\n{region},{texts[0]},0.5\n{region},{texts[1]},0.25\n")
    found = read_factors("f.csv", toy, 40, start=START)
    second = {"week": 8, "month": 31}[kind]
    of = toy.region == 0
    assert (found[:second, of] == 0.5).all()
    assert (found[second:, of] == 0.25).all()
    assert (found[:, ~of] == 1).all()
    with pytest.raises(ScenarioError, match=rf"f\.csv:1: {kind}: needs horizon\.start"):
        read_factors("f.csv", toy, 40)
    Path("f.csv").write_text(f"region,{kind},factor\n{region},2019-{'W52' if kind == 'week' else '12'},0.5\n")
    with pytest.raises(ScenarioError, match=rf"{kind}: row 2: 2019.*not before 2020-03-01"):
        read_factors("f.csv", toy, 40, start=START)


def test_factors_in_zarr_may_have_dates(here: Path, toy: FirmNetwork):
    times = pd.date_range("2020-03-01", periods=3)
    factor = xr.DataArray(np.full((3, 1), 0.5), {"time": times, "firm": [str(toy.firm[0])]}, ("time", "firm"))
    factor.to_dataset(name="factor").to_zarr("f.zarr", zarr_format=3, consolidated=False)
    assert (read_factors("f.zarr", toy, 9, start=START)[:, 0] == 0.5).all()


def test_numbers_by_firm_may_be_words(here: Path, toy: FirmNetwork):
    Path("n.csv").write_text(f"firm,value\n{toy.firm[0]},30 %\n{toy.firm[1]},0.5\n")
    assert read_numbers("n.csv", toy, "share")[1].tolist() == [0.3, 0.5]
    with pytest.raises(ScenarioError, match="row 2: 30 %: must be a finite number"):
        read_numbers("n.csv", toy)


SERIES = {
    "dates": "day,C\n2020-03-01,0.9\n2020-03-02,\n2020-03-05,0.8\n",
    "first and last dates": "first_day,last_day,C\n2020-03-01,2020-03-14,90 %\n2020-03-15,2020-03-31,0.8\n",
    "months": "month,C\n2020-03,0.9\n2020-04,0.8\n",
    "weeks": "week,C\n2020-W10,0.9\n2020-W11,0.8\n",
    "a quarter": "quarter,C\n2020-Q2,0.9\n",
}
PERIODS = {
    "dates": ([0, 1, 4], [0, 1, 4]), "first and last dates": ([0, 14], [13, 30]), "months": ([0, 31], [30, 60]),
    "weeks": ([1, 8], [7, 14]), "a quarter": ([31], [121]),
}  # fmt: skip


@pytest.mark.parametrize("case", SERIES)
def test_series_say_their_periods_by_date(here: Path, case: str):
    Path("s.csv").write_text(SERIES[case])
    found = read_series("s.csv", 200, START)
    assert (found.first_day.tolist(), found.last_day.tolist()) == PERIODS[case]
    assert found.values[0, 0] == 0.9
    with pytest.raises(SeriesError, match=r"whole number of days|needs horizon\.start"):
        read_series("s.csv", 200)


def test_a_month_that_the_run_has_in_part_is_refused(here: Path):
    Path("s.csv").write_text("month,C\n2020-02,0.9\n")
    with pytest.raises(SeriesError, match=r"s\.csv:2: days -29 … -1: must lie within 0 … 199"):
        read_series("s.csv", 200, START)


def test_a_store_of_a_run_with_a_start_opens_with_its_dates(here: Path, toy: FirmNetwork):
    spec = parse_spec({"economy": "a", "horizon": {"days": 3, "start": "2020-02-28"}, "record": {"output": []}})
    fill("run.zarr", {}, Simulator(spec, toy).template(1))
    opened = xr.open_zarr("run.zarr", consolidated=False)
    assert np.datetime_as_string(opened.time.values, "D").tolist() == ["2020-02-28", "2020-02-29", "2020-03-01"]
    assert opened.time.encoding["calendar"] == "proleptic_gregorian"


def test_a_report_has_dates_where_its_run_has():
    ds = run()
    dated = ds.assign_coords(time=pd.date_range("2020-03-01", periods=ds.sizes["time"]))
    manifest = MANIFEST | {"spec": MANIFEST["spec"] | {"horizon": {"days": 20, "start": "2020-03-01"}}}
    numbers = headline(dated, manifest["spec"])
    assert (numbers["deepest"]["day"], numbers["deepest"]["date"]) == (2, "2020-03-03")
    assert any("2020-03-03, day 2" in line for line in headline_text(numbers))
    page = render(dated, manifest, "dated")
    assert "20 days, 2020-03-01 to 2020-03-20" in page
    assert '"x0":"2020-03-03"' in page, "the mark of the shock's onset"
    assert headline(ds)["deepest"]["date"] is None


def test_every_unit_of_time_is_told_by_its_rule():
    assert DAYS_IN == {"hour": 1 / 24, "day": 1, "week": 7, "month": 365 / 12, "year": 365}
