"""Cash, exits and banks: exact on books that can be counted by hand."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import DONE
from shockmesh.io.finance import Books, FinanceError, bank_losses, exit_days, finance_of, read_books
from shockmesh.io.networks.store import write_network
from toy import toy_network

FIRMS = np.array(["a", "b", "c"])


def run_of(value_added: np.ndarray, **coords: object) -> xr.Dataset:
    """A run of three firms that add 10 a day undisturbed."""
    made = {"value_added": (("member", "time", "firm"), value_added, {"units": "EUR / day"})}
    made |= {"value_added_baseline": ("firm", np.full(3, 10.0))}
    sizes = {"member": np.arange(len(value_added)), "time": np.arange(value_added.shape[1], dtype=float), "firm": FIRMS}
    return xr.Dataset(made, sizes | coords)


@given(st.floats(0.1, 1), st.floats(0, 200), st.floats(0, 0.9))
def test_cash_lasts_as_long_as_it_covers_what_is_lost(loss: float, room: float, saved: float):
    """A firm that loses a share for good exits on the first day t with (1 − h) loss v (t + 1) > cash and credit."""
    made = np.full((50, 1), 10 * (1 - loss))
    (day,) = exit_days(made, np.array([10.0]), np.array([room]), saved)
    daily = (1 - saved) * (10.0 - made[0, 0])
    sums = np.cumsum(np.full(50, 10.0 - made[0, 0])) * (1 - saved)
    first = next((t for t, of in enumerate(sums) if of > room), np.inf)
    assert day == first
    assert abs(day - min(np.floor(room / daily), np.inf if room / daily >= 50 else 50)) <= 1 or np.isinf(day)


def test_cash_of_all_firms_changes_by_the_value_added_that_is_lost():
    rng = np.random.default_rng(0)
    made, room = rng.uniform(0, 10, (20, 3)), np.array([1.0, 50.0, 1e9])
    days = exit_days(made, np.full(3, 10.0), room)
    for firm, day in enumerate(days):
        lost = np.cumsum(10 - made[:, firm])
        assert np.isinf(day) == (lost[-1] <= room[firm])
        if np.isfinite(day):
            assert lost[int(day)] > room[firm] >= (lost[int(day) - 1] if day else 0)


def test_a_surplus_and_an_undisturbed_run_change_nothing():
    assert np.isinf(exit_days(np.full((9, 3), 10.0), np.full(3, 10.0), np.zeros(3))).all()
    assert np.isinf(exit_days(np.full((9, 3), 12.0), np.full(3, 10.0), np.zeros(3))).all()


def test_expected_loss_without_contagion_is_that_of_the_textbook():
    """All 2^3 outcomes of three firms that fail by themselves, each alike: EL = Σ PD · LGD · EAD, PD = ½."""
    fails = np.array(list(product((0, 1), repeat=3)), bool)
    made = np.where(fails[:, None], 0.0, 10.0).repeat(4, axis=1)
    loans = np.array([[100.0, 0], [50, 50], [0, 300]])
    books = Books(np.full(3, 15.0), ("one", "two"), loans, np.array([140.0, 400]))
    told = finance_of(run_of(made), books, recovered=0.4, levels=(0.5, 0.9))
    assert told.risk["mean"].value == pytest.approx(0.5 * 0.6 * loans.sum())
    np.testing.assert_allclose(told.banks["expected_loss"], 0.5 * 0.6 * loans.sum(axis=0))
    np.testing.assert_allclose(told.firms["exits"], 0.5)
    np.testing.assert_allclose(told.firms["mean_day"], 1)  # 10 on day 0, 20 > 15 on day 1
    total = np.sort(0.6 * fails @ loans.sum(axis=1))[::-1]
    assert told.risk["var"][0.5].value == total[3]
    assert told.risk["es"][0.5].value == pytest.approx(total[:4].mean())
    assert told.risk["es"][0.9].value == pytest.approx(total[0])
    np.testing.assert_allclose(told.banks["fails"], [0, 0])  # they lose 90 of 140 and 210 of 400 at most
    np.testing.assert_allclose(told.members["fsri"], 0.6 * fails @ loans.sum(axis=1) / 540)
    assert stats.binom.pmf(told.members["exits"].to_numpy(), 3, 0.5).sum() == pytest.approx(
        (np.array([1, 3, 3, 1]) ** 2).sum() / 8
    )


def test_events_have_a_year_s_expected_loss():
    made = np.full((2, 3, 3), 10.0)
    made[0, :, 0] = made[1, :, :2] = 0
    often = {"shocks.quake.frequency": ("member", [0.1, 0.02])}
    books = Books(np.zeros(3), ("one",), np.array([[100.0], [40], [7]]))
    told = finance_of(run_of(made, **often), books)
    assert told.risk["mean"].value == pytest.approx(0.1 * 100 + 0.02 * 140)
    assert told.risk["frequency"] == pytest.approx(0.12)


def test_fsri_is_what_banks_lose_where_a_firm_fails_first():
    """b needs a, and has cash for one day; c has endless cash. So a costs the loans of both, the others their own."""
    made = np.full((3, 4, 3), 10.0)
    made[0, :, :2], made[1, :, 1], made[2, :, 2] = 5, 9.99, 10.0
    first = {"shocks.fail.where.firm": ("member", np.array(["a", "b", "c"], object))}
    books = Books(
        np.array([1e9, 9.0, np.inf]), ("one", "two"), np.array([[10.0, 0], [0, 20], [5, 5]]), np.array([50.0, 50])
    )
    told = finance_of(run_of(made, **first), books)
    np.testing.assert_allclose(told.members["fsri"], [0.3, 0.2, 0.1])
    assert told.members["failed_first"].tolist() == ["a", "b", "c"]


def test_banks_lose_what_is_not_recovered():
    lost = bank_losses(np.array([True, False, True]), np.array([[1.0, 2], [4, 8], [16, 32]]), 0.25)
    np.testing.assert_array_equal(lost, [12.75, 25.5])


def test_what_was_not_recorded_by_firm_is_asked_for():
    with pytest.raises(FinanceError, match=r"record: value_added of every firm is needed"):
        finance_of(xr.Dataset(), Books(np.zeros(3), ("one",), np.ones((3, 1))))


FILES = {
    "firms": "firm,cash,credit\na,5,1\nc,2,0\n",
    "loans": "firm,bank,loan\na,one,10\nb,two,20\n",
    "banks": "bank,equity\ntwo,9\none,8\n",
}


def books_of(folder: Path, **texts: str) -> Books:
    for name, text in (FILES | texts).items():
        (folder / f"{name}.csv").write_text(text)
    return read_books(FIRMS, *(str(folder / f"{name}.csv") for name in FILES))


def test_books_are_read(tmp_path: Path):
    books = books_of(tmp_path)
    np.testing.assert_array_equal(books.room, [6, np.inf, 2])
    assert books.banks == ("two", "one")
    np.testing.assert_array_equal(books.loans, [[0, 10], [20, 0], [0, 0]])
    np.testing.assert_array_equal(books.equity, [9, 8])


BAD = {
    "no such firm": ({"firms": "firm,cash\nz,1\n"}, "firms.csv: firm: row 2: z: must be a firm that is known"),
    "no such bank": ({"banks": "bank,equity\none,8\n"}, "loans.csv: bank: row 3: two: must be a bank that is known"),
    "a firm twice": ({"firms": "firm,cash\na,1\na,1\n"}, "firms.csv: firm: row 3: a: must be in one row for each firm"),
    "less than nothing": ({"loans": "firm,bank,loan\na,one,-1\n"}, "loans.csv: loan: row 2: -1: must be a number ≥ 0"),
    "other columns": ({"firms": "firm,money\na,1\n"}, "firms.csv:1: columns: firm, money: must be firm, cash, and may"),
}


@pytest.mark.parametrize(("texts", "says"), BAD.values(), ids=BAD)
def test_bad_books_name_row_value_and_rule(tmp_path: Path, texts: dict[str, str], says: str):
    with pytest.raises(FinanceError) as caught:
        books_of(tmp_path, **texts)
    assert says in str(caught.value)


def test_the_verb_tells_exits_and_what_banks_lose(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_network(toy_network(), tmp_path / "toy.zarr")
    fail = {"name": "fail", "kind": "recovery", "loss": 1.0, "onset": 2}
    spec = {"economy": "toy.zarr", "horizon": {"days": 6}, "record": {"value_added": ["firm"]}, "shocks": [fail]}
    spec |= {"sweep": {"grid": {"shocks.fail.where.firm": ["f0", "f1", "f2"]}}}
    (tmp_path / "fail.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "firms.csv").write_text("firm,cash\n" + "".join(f"f{i},1000\n" for i in range(24)))
    (tmp_path / "loans.csv").write_text("firm,bank,loan\nf0,one,30\nf1,one,20\nf3,one,1\n")
    (tmp_path / "banks.csv").write_text("bank,equity\none,100\n")
    run, out = str(tmp_path / "run"), str(tmp_path / "fsri.csv")
    assert main(["run", str(tmp_path / "fail.yaml"), "--out", run, "--address", "local", "--quiet"]) == DONE
    books = [word for name in FILES for word in (f"--{name}", str(tmp_path / f"{name}.csv"))]
    assert main(["finance", run, *books, "--recovered", "0.5", "--json", "-o", out]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["mean"]["value"] == pytest.approx((15 + 10 + 0) / 3)
    np.testing.assert_allclose(pd.read_csv(out)["fsri"], [0.15, 0.1, 0])
    assert main(["finance", run, *books]) == DONE
    assert "firms that exit" in capsys.readouterr().out
