"""Users' own links and the Inoue–Todo text files: what is read, and every refusal with the text a user sees."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shockmesh.io.inputs.files import SourceError
from shockmesh.io.inputs.rows.sheets import SheetError, ids
from shockmesh.io.networks.facts import describe_network
from shockmesh.io.networks.import_inoue_todo import import_inoue_todo
from shockmesh.io.networks.import_links import import_links
from shockmesh.io.networks.store import NetworkStoreError, content_hash, read_network
from shockmesh.io.sources import Said

LINKS = "supplier,buyer,amount\nmine,mill,36.5\nmill,shop,73\nmine,shop,3.65\n"
FIRMS = "firm,region,sector,final_demand\nmine,NA,B,0\nmill,NA,C,10.95\nshop,ESP,G47,182.5\n"


def write(folder: Path, links: str = LINKS, firms: str = FIRMS) -> tuple[Path, Path]:
    (folder / "links.csv").write_text(links, "utf-8")
    (folder / "firms.csv").write_text(firms, "utf-8")
    return folder / "links.csv", folder / "firms.csv"


def test_reads_a_network(tmp_path: Path) -> None:
    links, firms = write(tmp_path)
    network = read_network(import_links(links, tmp_path / "n.zarr", firms))
    assert network.firm.tolist() == ["mine", "mill", "shop"]
    assert (network.regions, network.sectors) == (("ESP", "NA"), ("B", "C", "G47"))
    assert network.unit == "million USD / day"
    pairs = {(str(network.firm[s]), str(network.firm[b])): a
             for s, b, a in zip(network.supplier, network.buyer, network.amount, strict=True)}  # fmt: skip
    assert pairs == pytest.approx({("mine", "mill"): 0.1, ("mill", "shop"): 0.2, ("mine", "shop"): 0.01})
    np.testing.assert_allclose(network.output, [0.11, 0.23, 0.5])
    assert network.product.tolist() == [0, 0, 1]
    assert set(network.attrs["inputs"]) == {"links.csv", "firms.csv"}


def test_a_folder_holds_both_files(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_network(import_links(tmp_path, tmp_path / "n.zarr")).n_links == 3


def test_daily_amounts_and_another_currency(tmp_path: Path) -> None:
    links, firms = write(tmp_path)
    store = import_links(
        links, tmp_path / "n.zarr", firms, Said("thousand HUF", origin="the tax office"), unit_per="day"
    )
    network = read_network(store)
    assert (network.unit, network.attrs["source"]) == ("thousand HUF / day", "the tax office")
    assert network.amount.sum() == pytest.approx(36.5 + 73 + 3.65)


def test_parquet_and_csv_agree(tmp_path: Path) -> None:
    links, firms = write(tmp_path)
    import_links(links, tmp_path / "one.zarr", firms)
    for path in (links, firms):
        pd.read_csv(path, keep_default_na=False).to_parquet(path.with_suffix(".parquet"))
        path.unlink()
    one, other = read_network(tmp_path / "one.zarr"), read_network(import_links(tmp_path, tmp_path / "two.zarr"))
    for name in ("supplier", "buyer", "amount", "product", "final_demand", "region", "sector", "firm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_integer_ids_match_across_file_kinds(tmp_path: Path) -> None:
    frame = pd.DataFrame({"supplier": [30, 7], "buyer": [7, 100], "amount": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "links.parquet")
    (tmp_path / "firms.csv").write_text("firm, region, sector, final_demand\n7, r, s, 1\n\n30, r, s, 0\n100, r, s, 4\n")
    network = read_network(import_links(tmp_path / "links.parquet", tmp_path / "n.zarr", tmp_path / "firms.csv"))
    assert network.firm.tolist() == [7, 30, 100]
    assert network.supplier.tolist() == [1, 0]


def test_products_are_kept_apart(tmp_path: Path) -> None:
    links, firms = write(tmp_path, "supplier,buyer,amount,product\nmine,mill,36.5,ore\nmine,mill,36.5,coal\n")
    network = read_network(import_links(links, tmp_path / "n.zarr", firms))
    assert (network.product.tolist(), network.attrs["products"]) == ([0, 1], ["coal", "ore"])


@pytest.mark.parametrize(
    ("known", "kind"),
    [(["1", "20"], "i"), (["1", "a"], "U"), (["007", "8"], "U"), (["1.0", "2"], "U"), (["9" * 20], "U"), (["-3"], "i")],
)
def test_ids_are_integers_only_if_written_so(known: list[str], kind: str) -> None:
    assert ids(known).dtype.kind == kind
    assert [str(name) for name in ids(known)] == known


@pytest.mark.parametrize(("given", "accepted"), [(0.11 * 365, True), (0.12 * 365, False)])
def test_a_given_output_must_balance(given: float, accepted: bool, tmp_path: Path) -> None:
    rows = f"mine,NA,B,0,{given}\nmill,NA,C,10.95,83.95\nshop,ESP,G47,182.5,182.5\n"
    links, firms = write(tmp_path, firms="firm,region,sector,final_demand,output\n" + rows)
    if accepted:
        assert read_network(import_links(links, tmp_path / "n.zarr", firms)).n_firms == 3
        return
    with pytest.raises(SheetError, match=r"^firms\.csv: output must be sales to firms \+ final_demand, to 1e-6: "
                                         r"line 2 \(output '43\.8'\)$"):  # fmt: skip
        import_links(links, tmp_path / "n.zarr", firms)


BAD_LINKS = {
    "duplicates": ("mine,mill,1\nmine,shop,1\nmine,mill,2\n",
                   "links.csv: the same supplier, buyer was given before: line 4 (supplier 'mine')"),
    "self-link": ("mine,mill,1\nmill,mill,1\n", "links.csv: supplier and buyer must differ: line 3 (supplier 'mill')"),
    "unknown supplier": ("pit,mill,1\n",
                         "links.csv: supplier is not a firm of firms.csv, whose first is 'mine': line 2 (supplier"),
    "unknown buyer": ("mine,bar,1\n",
                      "links.csv: buyer is not a firm of firms.csv, whose first is 'mine': line 2 (buyer 'bar')"),
    "empty supplier": (",mill,1\n", "links.csv: supplier is empty: line 2"),
    "empty buyer": ("mine,,1\n", "links.csv: buyer is empty: line 2"),
    "negative": ("mine,mill,-1\n", "links.csv: amount must be finite and > 0: line 2 (amount '-1')"),
    "zero": ("mine,mill,0\n", "links.csv: amount must be finite and > 0: line 2 (amount '0')"),
    "not a number": ("mine,mill,NaN\nmine,shop,x\n",
                     "links.csv: amount must be finite and > 0: line 2 (amount 'NaN'), 3 (amount 'x')"),
    "infinite": ("mine,mill,inf\n", "links.csv: amount must be finite and > 0: line 2 (amount 'inf')"),
    "too large to add up": ("mine,mill,1e308\nmill,mine,1e308\n",
                            "links.csv: amount must be below 1e+100: line 2 (amount '1e308'), 3 (amount '1e308')"),
    "no amount": ("mine,mill,\n", "links.csv: amount must be finite and > 0: line 2 (amount '')"),
    "another way to write an id": ("1.0,mill,1\n",
                                   "links.csv: supplier is not a firm of firms.csv, whose first is 'mine': line 2 "
                                   "(supplier '1.0')"),
    "many": ("mine,mill,0\n" + "\n" + "mill,mine,-1\n" * 9,
        "links.csv: amount must be finite and > 0: line 2 (amount '0'), 4 (amount '-1'), 5 (amount '-1'), 6 (amount "
        "'-1'), 7 (amount '-1') and 5 more"),
}  # fmt: skip

BAD_FIRMS = {
    "firm twice": ("mine,r,s,1\nmill,r,s,1\nshop,r,s,1\nmine,r,s,2\n",
                   "firms.csv: firm was given before: line 5 (firm 'mine')"),
    "an id with a blank": ("mine,r,s,1\nmill ,r,s,1\nmill,r,s,1\nshop,r,s,1\n",
                           "firms.csv: firm was given before: line 4 (firm 'mill')"),
    "a line break": ('mine,"r\nq",s,1\nmill,r,s,1\nshop,r,s,1\n',
                     "firms.csv: region has a line break inside: line 2 (region 'r\\nq')"),
    "nothing is consumed": ("mine,r,s,0\nmill,r,s,0\nshop,r,s,0\n",
                            "firms.csv: final_demand is 0 for every firm; final demand (what each firm sells to "),
    "no id": ("mine,r,s,1\n,r,s,1\nmill,r,s,1\nshop,r,s,1\n", "firms.csv: firm is empty: line 3"),
    "no region": ("mine,,s,1\nmill,r,s,1\nshop,r,s,1\n", "firms.csv: region is empty: line 2 (firm 'mine')"),
    "no sector": ("mine,r,,1\nmill,r,s,1\nshop,r,s,1\n", "firms.csv: sector is empty: line 2 (firm 'mine')"),
    "negative final demand": ("mine,r,s,-1\nmill,r,s,1\nshop,r,s,1\n",
                              "firms.csv: final_demand must be finite and ≥ 0: line 2 (final_demand '-1')"),
    "too large to add up": ("mine,r,s,1e200\nmill,r,s,1\nshop,r,s,1\n",
                            "firms.csv: final_demand must be below 1e+100: line 2 (final_demand '1e200')"),
    "no final demand": ("mine,r,s,\nmill,r,s,1\nshop,r,s,1\n",
                        "firms.csv: final_demand is empty; final demand (what each firm sells to others than firms"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LINKS)
def test_bad_links_are_named_by_line(name: str, tmp_path: Path) -> None:
    rows, message = BAD_LINKS[name]
    links, firms = write(tmp_path, "supplier,buyer,amount\n" + rows)
    refused(lambda: import_links(links, tmp_path / "n.zarr", firms), message, tmp_path)


@pytest.mark.parametrize("name", BAD_FIRMS)
def test_bad_firms_are_named_by_line(name: str, tmp_path: Path) -> None:
    rows, message = BAD_FIRMS[name]
    links, firms = write(tmp_path, firms="firm,region,sector,final_demand\n" + rows)
    refused(lambda: import_links(links, tmp_path / "n.zarr", firms), message, tmp_path)


def refused(call: Callable[[], Any], message: str, folder: Path) -> None:
    with pytest.raises(SheetError) as caught:
        call()
    assert any(line.startswith(message) for line in str(caught.value).splitlines()), str(caught.value)
    assert not (folder / "n.zarr").exists()


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    links, firms = write(tmp_path, "supplier,buyer,amount\nmine,mine,0\n", FIRMS.replace("10.95", "?"))
    with pytest.raises(SheetError) as caught:
        import_links(links, tmp_path / "n.zarr", firms)
    assert str(caught.value).splitlines() == [
        "firms.csv: final_demand must be finite and ≥ 0: line 3 (final_demand '?')",
        "links.csv: supplier and buyer must differ: line 2 (supplier 'mine')",
        "links.csv: amount must be finite and > 0: line 2 (amount '0')",
        "what may be changed can be asked for: --mend self-links,amounts",
    ]


def test_parquet_problems_count_rows(tmp_path: Path) -> None:
    _, firms = write(tmp_path)
    frame = pd.DataFrame({"supplier": ["mine", None], "buyer": ["mill", "shop"], "amount": [np.nan, 1.0]})
    frame.to_parquet(tmp_path / "links.parquet")
    with pytest.raises(SheetError) as caught:
        import_links(tmp_path / "links.parquet", tmp_path / "n.zarr", firms)
    assert str(caught.value).splitlines() == [
        "links.parquet: supplier is empty: row 2",
        "links.parquet: amount must be finite and > 0: row 1 (amount '')",
        "what may be changed can be asked for: --mend unknown,amounts",
    ]


COLUMNS = {
    "links": ("who,buyer,amount\na,b,1\n", FIRMS,
              "links.csv: no column supplier; it has who, buyer, amount (--columns supplier=…)"),
    "firms": (LINKS, "firm,final_demand\nmine,1\n",
              "firms.csv: no column sector; it has firm, final_demand (--columns sector=…)"),
    "final demand": (LINKS, "firm,region,sector\nmine,r,s\n",
                     "firms.csv: no column final_demand or output beside firm, sector, region; final demand (what "),
    "two that fit": ("seller,vendor,buyer,amount\na,a,b,1\n", FIRMS,
                     "links.csv: supplier: seller, vendor may both be it; say which (--columns supplier=seller)"),
    "one that is there twice": ("supplier,buyer,amount,amount\na,b,1,2\n", FIRMS,
                                "links.csv: amount: amount, amount may both be it; say which (--columns amount=3)"),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_missing_columns_are_named(name: str, tmp_path: Path) -> None:
    links, firms, message = COLUMNS[name]
    paths = write(tmp_path, links, firms)
    refused(lambda: import_links(paths[0], tmp_path / "n.zarr", paths[1]), message, tmp_path)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    links, firms = write(tmp_path)
    store = tmp_path / "n.zarr"
    lacking = "links.csv: a file of firms (firm, sector, final_demand or output) is needed too, or the columns"
    lacking += " supplier_sector and buyer_sector: final demand (what"
    refused(lambda: import_links(links, store), lacking, tmp_path)
    with pytest.raises(SourceError, match=r"no\.csv: no such file or folder$"):
        import_links(tmp_path / "no.csv", store, firms)
    (tmp_path / "bad.parquet").write_text("no")
    refused(lambda: import_links(tmp_path / "bad.parquet", store, firms),
            f"{tmp_path / 'bad.parquet'}: cannot be read as Parquet: ", tmp_path)  # fmt: skip
    (tmp_path / "none.parquet").write_bytes(pd.read_csv(links)[:0].to_parquet())
    refused(lambda: import_links(tmp_path / "none.parquet", store, firms),
            "none.parquet: rows: 0: must be at least one", tmp_path)  # fmt: skip
    (tmp_path / "firms.csv").rename(tmp_path / "companies.csv")
    refused(lambda: import_links(tmp_path, store),
            "links.csv: a file of firms (firm, sector, final_demand or output) is needed too", tmp_path)  # fmt: skip


def test_an_unknown_period_and_an_existing_store(tmp_path: Path) -> None:
    links, firms = write(tmp_path)
    period: Any = "month"
    with pytest.raises(SheetError, match="unit_per: 'month', must be one of year, day"):
        import_links(links, tmp_path / "n.zarr", firms, unit_per=period)
    import_links(links, tmp_path / "n.zarr", firms)
    with pytest.raises(NetworkStoreError, match="exists already"):
        import_links(links, tmp_path / "n.zarr", firms)


INOUE = {
    "links.txt": "1 2 3.0\n2  3 1.5\n",
    "final_demand.txt": "2 0.5\n3 4\n",
    "output.txt": "1 3\n2 2\n3 4.001\n",
    "sector.txt": "1 10\n2 2\n3 2\n",
}


def inoue(folder: Path, **changes: str) -> Path:
    for name, text in INOUE.items():
        (folder / name).write_text(changes.get(name.removesuffix(".txt"), text))
    return folder


def test_inoue_todo_files_are_read_and_negative_value_added_is_found(tmp_path: Path) -> None:
    store = import_inoue_todo(inoue(tmp_path), tmp_path / "n.zarr")
    network = read_network(store)
    assert network.firm.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(network.amount, [3.0, 1.5])
    np.testing.assert_array_equal(network.output, [3.0, 2.0, 4.0])
    np.testing.assert_array_equal(network.final_demand, [0.0, 0.5, 4.0])
    assert [network.sectors[k] for k in network.sector] == ["10", "2", "2"]
    assert describe_network(store)["findings"] == ["value added is below zero for 1 of 3 firms, lowest first: 2"]


def test_inoue_todo_files_go_by_the_names_of_its_own_program(tmp_path: Path) -> None:
    theirs = {
        "links": "toyATableLine",
        "final_demand": "toyCVector",
        "output": "toyPiniVector",
        "sector": "toyFirmAffi",
    }
    inoue(tmp_path)
    one = read_network(import_inoue_todo(tmp_path, tmp_path / "one.zarr"))
    (tmp_path / "own").mkdir()
    for name, other in theirs.items():
        (tmp_path / f"{name}.txt").rename(tmp_path / "own" / f"{other}.txt")
    other = read_network(import_inoue_todo(tmp_path / "own", tmp_path / "other.zarr"))
    assert content_hash(one) == content_hash(other)


BAD_INOUE = {
    "unknown firm": ({"final_demand": "2 0.5\n3 4\n9 1\n"},
                     "final_demand.txt: firm is not in sector.txt: line 3 (firm '9')"),
    "no output": ({"output": "1 3\n2 2\n"}, "sector.txt: firm is not in output.txt: line 3 (firm '3')"),
    "other output": ({"output": "1 3\n2 2\n3 5\n"},
                     "sector.txt: output.txt must give sales + final demand, to 0.1 %: line 3 (firm '3')"),
    "not a number": ({"output": "1 3\n2 x\n3 4\n"}, "output.txt: output must be a finite number: line 2 (output 'x')"),
    "twice": ({"final_demand": "2 0.5\n2 1\n3 4\n"}, "final_demand.txt: firm was given before: line 2 (firm '2')"),
    "short row": ({"links": "1 2 3.0\n2 3\n"}, "links.txt: 3 columns needed: supplier buyer amount: line 2"),
    "wide rows": ({"sector": "1 1 1\n"}, "sector.txt: 2 columns needed: firm sector; it has 3"),
    "self-link": ({"links": "1 1 3.0\n"}, "links.txt: supplier and buyer must differ: line 1 (supplier '1')"),
    "amount": ({"links": "1 2 0\n"}, "links.txt: amount must be finite and > 0: line 1 (amount '0')"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INOUE)
def test_bad_inoue_todo_files_are_named_by_line(name: str, tmp_path: Path) -> None:
    changes, message = BAD_INOUE[name]
    refused(lambda: import_inoue_todo(inoue(tmp_path, **changes), tmp_path / "n.zarr"), message, tmp_path)


def test_absent_inoue_todo_files_are_named(tmp_path: Path) -> None:
    inoue(tmp_path)
    (tmp_path / "output.txt").unlink()
    message = f"{tmp_path}: no output.txt; needed are links.txt, final_demand.txt, output.txt, sector.txt"
    refused(lambda: import_inoue_todo(tmp_path, tmp_path / "n.zarr"), message, tmp_path)
