"""What is mended in a user's links, and only when asked for: each change with its rows, amount and worst cases."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shockmesh.io.inputs.rows.columns import FIRMS, LINKS
from shockmesh.io.inputs.rows.lists import Written, read_sheet
from shockmesh.io.inputs.rows.sheets import SheetError
from shockmesh.io.networks.cleaning import MENDS
from shockmesh.io.networks.companies import companies_of
from shockmesh.io.networks.import_links import assemble, import_links
from shockmesh.io.networks.store import read_network
from shockmesh.io.rankings import RankingError, essential_of
from shockmesh.kernels.network import FirmNetwork

type Row = tuple[str | None, str | None, float | str | None]

FOUR = [("a", "s", 100.0), ("b", "s", 100.0), ("c", "t", 100.0), ("d", "t", 100.0)]  # firm, sector, output
ADDED = "rows of the same supplier, buyer and product added to the first"
LOW = "links whose amounts do not add up to more than 0 left out"
TAKEN = "sales to outside taken for final demand"
BUYERS = "firms that buy and are told to sell nothing sell what they buy to final demand"

# rows, what is asked for, the links that are left, and what is told
CASES: dict[str, tuple[list[Row], list[str], dict[str, float], list[tuple[Any, ...]]]] = {
    "nothing to do": ([("a", "b", 1.0), ("b", "c", 2.0)], ["all"], {"ab": 1, "bc": 2}, []),
    "duplicates": ([("a", "b", 1.0), ("a", "c", 5.0), ("a", "b", 2.0), ("a", "b", 4.0)], ["duplicates"],
                   {"ab": 7, "ac": 5}, [(ADDED, 2, 6.0, ("a → b 4", "a → b 2"))]),
    "self-links": ([("a", "a", 3.0), ("a", "b", 1.0)], ["self-links"], {"ab": 1},
                   [("self-links left out", 1, 3.0, ("a → a 3",))]),
    "partners outside": ([("x", "a", 7.0), ("a", "y", 2.0), ("a", None, 3.0), ("x", "y", 1.0), ("a", "b", 1.0)],
                         ["unknown"], {"ab": 1},
                         [("purchases from outside left out", 2, 8.0, ("x → a 7", "x → y 1")),
                          (TAKEN, 2, 5.0, ("a → None 3", "a → y 2"))]),
    "no amounts": ([("a", "b", None), ("a", "c", 1.0)], ["amounts"], {"ac": 1},
                   [("rows without an amount left out", 1, 0.0, ())]),
    "credit notes": ([("a", "b", 5.0), ("a", "b", -2.0), ("b", "c", 1.0), ("b", "c", -4.0)], ["duplicates", "amounts"],
                     {"ab": 3}, [(ADDED, 2, 6.0, ("b → c -4", "a → b -2")), (LOW, 1, 3.0, ("b → c -3",))]),
    "sales above turnover": ([("a", "b", 130.0), ("b", "c", 1.0)], ["output"], {"ab": 130, "bc": 1},
                             [("output raised to what is sold to firms", 1, 30.0, ("a 30",))]),
}  # fmt: skip


def network_of(rows: list[Row], mend: list[str], firms: pd.DataFrame | None = None) -> FirmNetwork:
    links = read_sheet(pd.DataFrame(rows, columns=["supplier", "buyer", "amount"]), LINKS, name="links")
    known = pd.DataFrame(FOUR, columns=["firm", "sector", "output"]) if firms is None else firms
    mend = [*MENDS] if mend == ["all"] else mend
    return assemble(links, companies_of(read_sheet(known, FIRMS, name="firms")), 1, "EUR / day", {}, mend)


def links_of(network: FirmNetwork) -> dict[str, float]:
    ends = zip(network.firm[network.supplier], network.firm[network.buyer], network.amount, strict=True)
    return {f"{one}{other}": float(amount) for one, other, amount in ends}


@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_for_is_mended_and_told(name: str) -> None:
    rows, mend, expected, told = CASES[name]
    network = network_of(rows, mend)
    assert links_of(network) == expected
    found = [(of["repair"], of["count"], of["amount"], tuple(of["largest"])) for of in network.attrs["repairs"]]
    assert found == told
    assert network.attrs["cleaning"]["rows"] == len(rows)
    assert network.attrs["cleaning"]["amount_kept"] == sum(expected.values())


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][3]])
def test_what_is_not_asked_for_is_refused_with_what_to_ask_for(name: str) -> None:
    rows, mend, _, _ = CASES[name]
    for left_out in mend:
        with pytest.raises(SheetError, match=rf"--mend \S*{left_out}"):
            network_of(rows, [one for one in MENDS if one != left_out])


def test_what_is_no_number_is_refused_whatever_is_asked_for() -> None:
    with pytest.raises(SheetError, match=r"links: amount must be a finite number: row 2 \(amount 'much'\)"):
        network_of([("a", "b", "1"), ("a", "c", "much")], ["all"])


def test_final_demand_is_output_less_sales_and_buyers_sell_what_they_buy() -> None:
    firms = pd.DataFrame([*FOUR, ("e", "t", 0.0)], columns=["firm", "sector", "output"])
    network = network_of([("a", "b", 30.0), ("a", "e", 20.0)], [], firms)
    np.testing.assert_array_equal(network.final_demand, [50, 100, 100, 100, 20])
    assert [(of["repair"], of["largest"]) for of in network.attrs["repairs"]] == [(BUYERS, ["e 20"])]


def test_sales_to_outside_add_to_a_final_demand_that_is_given() -> None:
    firms = pd.DataFrame({"firm": ["a", "b"], "sector": "s", "final_demand": [1.0, 9.0]})
    network = network_of([("a", "b", 2.0), ("a", "x", 4.0)], ["unknown"], firms)
    np.testing.assert_array_equal(network.final_demand, [5, 9])


ends = st.sampled_from(["a", "b", "c", "d", "x", None])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ends, ends, st.integers(-20, 100)), min_size=1, max_size=30))
def test_nothing_gets_lost(rows: list[tuple[str | None, str | None, int]]) -> None:
    """Links are the sums by pair that pandas gives; what is not in them is told, to the last unit."""
    given_rows: list[Row] = [(one, other, float(amount)) for one, other, amount in rows]
    frame = pd.DataFrame(rows, columns=["supplier", "buyer", "amount"])
    known: Any = frame[frame["supplier"].isin([*"abcd"]) & frame["buyer"].isin([*"abcd"])]
    sums = known[known["supplier"] != known["buyer"]].groupby(["supplier", "buyer"])["amount"].sum()
    network = network_of(given_rows, ["all"])
    assert links_of(network) == {f"{one}{other}": amount for (one, other), amount in sums[sums > 0].items()}
    sold = frame[frame["supplier"].isin([*"abcd"]) & ~frame["buyer"].isin([*"abcd"])]
    told = {of["repair"]: of["count"] for of in network.attrs["repairs"]}
    assert told.get(TAKEN, 0) == len(sold)
    assert network.attrs["cleaning"]["amount_read"] == frame["amount"].sum()


DIEM = (
    "supplier,customer,supplierNACE,customerNACE,weight,type\n"
    "P,Q,10,46,2,2\nR,Q,25,46,1,1\nP,S,10,46,1,2\nQ,T,46,47,3,0\n"
)


def test_the_links_of_diem_et_al_bring_firms_sectors_and_essential_inputs(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(DIEM)
    network = read_network(import_links(tmp_path / "list.csv", tmp_path / "n.zarr"))
    assert [network.sectors[code] for code in network.sector] == ["10", "46", "25", "46", "47"]
    np.testing.assert_allclose(365 * network.final_demand, [0, 0, 0, 1, 3])
    assert sorted(network.attrs["essential"]) == [["10", "46", 2], ["25", "46", 1], ["46", "47", 0]]


WITHIN: list[tuple[str | None, str | None, str | None]] = [("a", "b", "2"), ("b", "c", "1"), ("c", "d", "0")]
OUTSIDE: dict[str, tuple[str | None, str | None, str | None]] = {
    "a supplier": ("x", "d", "2"), "a buyer": ("c", "x", "1"), "no name": ("c", None, "2"), "both": ("x", "y", "1"),
    "without a level": ("x", "a", None),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_partners_outside_say_nothing_of_essential_inputs(name: str) -> None:
    """They have no sector: neither that of the last firm nor the last one."""
    columns = ["supplier", "buyer", "essential"]
    firms = companies_of(read_sheet(pd.DataFrame(FOUR, columns=["firm", "sector", "output"]), FIRMS, name="firms"))
    said = Written({"essential": "essential"})
    for rows in (WITHIN, [OUTSIDE[name], *WITHIN]):
        links = read_sheet(pd.DataFrame(rows, columns=columns).assign(amount=1.0), LINKS, said, "links")
        network = assemble(links, firms, 1, "EUR / day", {}, ["unknown"])
        assert sorted(network.attrs["essential"]) == [["s", "s", 2], ["s", "t", 1], ["t", "t", 0]]


def test_levels_of_sectors_are_not_taken_for_those_of_products() -> None:
    frame = pd.DataFrame(WITHIN, columns=["supplier", "buyer", "essential"]).assign(amount=1.0, product=["q", "p", "p"])
    firms = companies_of(read_sheet(pd.DataFrame(FOUR, columns=["firm", "sector", "output"]), FIRMS, name="firms"))
    links = read_sheet(frame, LINKS, Written({"essential": "essential"}), "links")
    with pytest.raises(RankingError, match="this network's products are not its sectors"):
        essential_of(assemble(links, firms, 1, "EUR / day", {}))


BAD_LISTS = {
    "two sectors": (DIEM.replace("P,S,10", "P,S,11"), "firm 'P' has the sectors '10' and '11': must be one"),
    "no sector": (DIEM.replace("46,47", "46,"), "sector of firm 'T' is nowhere given"),
    "two levels": (DIEM.replace("P,S,10,46,1,2", "P,S,10,46,1,0"), "essential: '10' → '46' has several levels"),
    "another level": (DIEM.replace("3,0\n", "3,7\n"), "essential must be 2 .*: line 5 (essential '7')"),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_lists_that_contradict_themselves_are_refused(name: str, tmp_path: Path) -> None:
    lines, says = BAD_LISTS[name]
    (tmp_path / "list.csv").write_text(lines)
    with pytest.raises(SheetError, match=says.replace("(", r"\(").replace(")", r"\)")):
        import_links(tmp_path / "list.csv", tmp_path / "n.zarr")
