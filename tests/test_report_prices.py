"""What a report says of prices, against closed forms."""

import json
import re

import numpy as np
import pytest
import xarray as xr
from recorded import MANIFEST, prices_alone, run, with_prices
from shockmesh.io.reports import headline as words
from shockmesh.io.reports.losses import ReportError
from shockmesh.io.reports.prices import most_moved, revenue_in_all, rises_of
from shockmesh.io.reports.sections import render

LOSS = np.linspace(0.2, 0.6, 5)  # that the members drew; prices rise by parts of it


def test_rises_are_those_of_the_closed_form():
    rises = rises_of(with_prices())
    assert rises is not None
    assert rises.consumer is not None
    np.testing.assert_allclose(rises.consumer.sel(region="GBR").isel(time=[1, 2]), [[0, 0.1 * of] for of in LOSS])
    assert revenue_in_all(rises) == pytest.approx(3 * 18 * LOSS)
    moved = most_moved(rises.last, 3)
    assert [row["name"] for row in moved] == ["GBR A01", "GBR I", "ITA A01"]  # not ITA I, which has no firms
    np.testing.assert_allclose([row["rise"]["median"] for row in moved], [0.08, -0.02, 0.004])


def test_revenue_of_a_yearly_unit_counts_each_day_as_a_365th():
    ds = with_prices()
    ds["tariff_revenue"].attrs["units"] = "EUR / year"
    rises = rises_of(ds)
    assert rises is not None
    assert revenue_in_all(rises) == pytest.approx(3 * 18 * LOSS / 365)
    assert rises.currency == "EUR"


@pytest.mark.parametrize("alone", [False, True])
def test_the_headline_has_prices_beside_losses_or_alone(alone: bool):
    head = words.headline(prices_alone() if alone else with_prices(), MANIFEST["spec"])
    assert json.loads(json.dumps(head)) == head
    assert (head["measure"], head["loss"] is None) == ((None, True) if alone else ("output", False))
    assert (head["members"], head["days"]) == (5, 20)
    assert words.headline_text(head)[-3:] == [
        "consumer prices, last day: GBR +4.00 %, ITA +0.40 %",
        "prices that moved most, last day: GBR A01 +8.00 %, GBR I −2.00 %, ITA A01 +0.40 %",
        "tariff revenue over 20 days: 21.6 million USD (11.9 million USD to 31.3 million USD)",
    ]
    assert len(words.headline_text(head)) == (3 if alone else 9)


def test_a_run_without_prices_says_nothing_of_them():
    assert rises_of(run()) is None
    assert words.headline(run())["prices"] is None
    assert "Consumer prices" not in render(run(), MANIFEST, "run")


PANELS = {
    "consumer_price_index": {"consumer-prices", "consumer-prices-by-region"},
    "price": {"prices-moved-most"},
    "tariff_revenue": {"tariff-revenue"},
}


@pytest.mark.parametrize("left_out", ["", *PANELS])
def test_the_page_shows_what_was_recorded_of_prices(left_out: str):
    ds = with_prices().drop_vars([left_out, f"{left_out}_baseline"] if left_out else [])
    shown = set(re.findall(r'data-figures="([\w-]+)"', render(ds, MANIFEST, "run")))
    assert shown & set.union(*PANELS.values()) == set.union(*PANELS.values()) - PANELS.get(left_out, set())


def test_money_stands_beside_quantities():
    html = render(with_prices(1), MANIFEST, "run")
    (table,) = re.findall(r"<caption>Output: change over the horizon.*?</table>", html)
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', table.replace("&nbsp;", " "))
    # one member, which draws 0.2: GBR makes 0.8 on days 2 to 11, at prices of 1.02 from day 2 on
    real, nominal = 10 / 20 * 0.2, 1 - (2 + 10 * 0.8 * 1.02 + 8 * 1.02) / 20
    assert {name: of for name, *of in rows}["GBR"] == [words.rise(-real), words.rise(-nominal)]


def test_prices_of_no_place_and_by_sector_have_a_page():
    ds = prices_alone().drop_vars(["tariff_revenue", "tariff_revenue_baseline"])
    ds = ds.isel(region=0, drop=True)
    assert words.headline_text(words.headline(ds)) == [
        "consumer prices, last day: all +4.00 %",
        "prices that moved most, last day: A01 +8.00 %, I −2.00 %",
    ]
    assert 'data-figures="consumer-prices"' in render(ds, MANIFEST, "run")


def test_unit_costs_are_told_where_prices_are_not():
    ds = prices_alone().rename(price="unit_cost", price_baseline="unit_cost_baseline")
    rises = rises_of(ds)
    assert rises is not None
    assert (rises.label, most_moved(rises.last, 1)[0]["name"]) == ("Unit costs", "GBR A01")


def hole(ds: xr.Dataset, member: int) -> xr.Dataset:
    return ds.assign(price=ds["price"].where(ds["member"] != member).assign_attrs(ds["price"].attrs))


def test_members_that_are_not_sound_are_left_out_and_named():
    rises = rises_of(hole(prices_alone(), 3))
    assert rises is not None
    assert (rises.member.tolist(), rises.broken) == ([0, 1, 2, 4], (3,))
    assert "hold values that are not finite: members 3." in render(hole(prices_alone(), 3), MANIFEST, "run")
    with pytest.raises(ReportError, match="prices: no member is sound"):
        rises_of(hole(prices_alone(1), 0))
