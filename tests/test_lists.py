"""Lists of firms and links as users have them: whatever the file, the same network, and what was recognised is told."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import openpyxl
import pandas as pd
import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.inputs.rows.columns import ColumnsError, said_columns
from shockmesh.io.inputs.rows.lists import AS_FOUND, Written
from shockmesh.io.inputs.rows.sheets import SheetError
from shockmesh.io.networks.import_links import import_links
from shockmesh.io.networks.store import read_network
from shockmesh.kernels.network import FirmNetwork

LINKS = [("007", "Müller", 1234.5), ("007", "08", 12.0), ("Müller", "08", 3000.0)]
FIRMS = [("007", "B", 1500.25), ("Müller", "C", 3500.0), ("08", "G", 4000.0)]  # with their output

type Given = tuple[Any, Any]
type Make = Callable[[Path], Given]


def text(links: str, firms: str, encoding: str = "utf-8", suffix: str = "csv") -> Make:
    def make(folder: Path) -> Given:
        (folder / f"l.{suffix}").write_bytes(links.encode(encoding))
        (folder / f"f.{suffix}").write_bytes(firms.encode(encoding))
        return folder / f"l.{suffix}", folder / f"f.{suffix}"

    return make


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        pd.DataFrame(LINKS, columns=["supplier", "buyer", "amount"]),
        pd.DataFrame(FIRMS, columns=["firm", "sector", "output"]),
    )


def typed() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Categories, and numbers that may be missing."""
    links, firms = frames()
    links = links.astype({"supplier": "category", "buyer": "string", "amount": "Float64"})
    return links, firms.astype({"sector": "category"})


def parquet(folder: Path) -> Given:
    for name, frame in zip(("links", "firms"), typed(), strict=True):
        frame.to_parquet(folder / f"{name}.parquet")
    return folder, None


def stata(folder: Path) -> Given:
    for name, frame in zip(("links", "firms"), frames(), strict=True):
        frame.to_stata(folder / f"{name}.dta", write_index=False, version=118)
    return folder, None


def workbook(folder: Path) -> Given:
    """Two sheets, with a title above, and a column that is not asked for."""
    book = openpyxl.Workbook()
    for title, head, rows in (
        ("Links", ["note", "Seller", "Customer", "Value"], [("x", *row) for row in LINKS]),
        ("Firms", ["note", "Company", "NACE", "Turnover"], [(None, *row) for row in FIRMS]),
    ):
        sheet = book.create_sheet(title)
        for row in (["Export of 2023"], [], head, *rows):
            sheet.append(row)
    book.save(folder / "both.xlsx")
    return folder / "both.xlsx", folder / "both.xlsx"


def zipped(folder: Path) -> Given:
    links, firms = frames()
    with zipfile.ZipFile(folder / "both.zip", "w") as archive:
        archive.writestr("data/links.csv", links.to_csv(index=False))
        archive.writestr("data/firms.tsv", firms.to_csv(index=False, sep="\t"))
        archive.writestr("readme.txt", "mine")
    return folder / "both.zip", None


def compressed(folder: Path) -> Given:
    links, firms = frames()
    (folder / "l.csv.gz").write_bytes(gzip.compress(links.to_csv(index=False).encode()))
    return folder / "l.csv.gz", firms


def graph(suffix: str) -> Make:
    def make(folder: Path) -> Given:
        net = nx.DiGraph()
        for firm, sector, output in FIRMS:
            net.add_node(firm, sector=sector, output=output)
        net.add_weighted_edges_from(LINKS)
        {"graphml": nx.write_graphml, "gexf": nx.write_gexf}[suffix](net, folder / f"g.{suffix}")
        return folder / f"g.{suffix}", None

    return make


POSITIONS = Written(said_columns("supplier=2,buyer=3,amount=4,firm=1,sector=2,output=3"))
CASES: dict[str, tuple[Make, Written]] = {
    "our own form": (text("supplier,buyer,amount\n007,Müller,1234.5\n007,08,12\nMüller,08,3e3\n",
                          "firm,sector,output\n007,B,1500.25\nMüller,C,3500\n08,G,4000\n"), AS_FOUND),
    "Excel in Germany": (text("Umsätze 2023;;\n\nLieferant;Kunde;Betrag (EUR)\n007; Müller;1.234,50\n007;08;12,00\n"
                              "Müller;08;3.000,00\n;;\n", "Firma;Branche;Umsatz\n007;B;1.500,25\nMüller;C;3.500,00\n"
                              "08;G;4.000,00\n", "cp1252"), AS_FOUND),
    "Excel in France": (text("Fournisseur;Client;Montant HT\n007;Müller;1\u202f234,5\n007;08;12,0\nMüller;08;3 000,0\n",
                             "Entreprise;Secteur;Chiffre d'affaires\n007;B;1\u00a0500,25\nMüller;C;3500\n08;G;4000\n"),
                        Written({"amount": "Montant HT"})),
    "Unicode text of Excel": (text("Seller\tBuyer\tAmount\n007\tMüller\t1,234.50\n007\t08\t12\nMüller\t08\t3,000\n",
                                   "Company\tIndustry\tRevenue\n007\tB\t1,500.25\nMüller\tC\t3,500\n08\tG\t4,000\n",
                                   "utf-16"), AS_FOUND),
    "thousands, decimal mark said": (text("supplier|buyer|amount\n007|Müller|1'234.5\n007|08|12\nMüller|08|3'000\n",
                                          "firm;sector;output\n007;B;1500.250\nMüller;C;3500\n08;G;4000\n"),
                                     Written(decimal=".")),
    "CSV UTF-8 of Excel": (text('supplier;buyer;amount\r\n007;"Müller";"1234,5"\r\n\r\n007;08;12\r\nMüller;08;3000\r\n',
                                "firm;sector;output\r\n007;B;1500,25\r\nMüller;C;3500\r\n08;G;4000\r\n", "utf-8-sig"),
                           AS_FOUND),
    "no header": (text("1 007 Müller 1234.5\n2 007 08 12\n3 Müller 08 3000\n",
                       "007,B,1500.25\nMüller,C,3500\n08,G,4000\n"), POSITIONS),
    "Parquet of other types": (parquet, AS_FOUND),
    "Stata": (stata, AS_FOUND),
    "a workbook": (workbook, AS_FOUND),
    "an archive": (zipped, AS_FOUND),
    "compressed": (compressed, AS_FOUND),
    "data frames": (lambda folder: frames(), AS_FOUND),
    "data frames of other types": (lambda folder: typed(), AS_FOUND),
    "GraphML": (graph("graphml"), AS_FOUND),
    "GEXF": (graph("gexf"), AS_FOUND),
}  # fmt: skip


def read(folder: Path, given: Given, written: Written = AS_FOUND, **options: Any) -> FirmNetwork:
    return read_network(import_links(given[0], folder / "n.zarr", given[1], written=written, **options))


@pytest.mark.parametrize("name", CASES)
def test_whatever_the_file_the_network_is_the_same(name: str, tmp_path: Path) -> None:
    make, written = CASES[name]
    network = read(tmp_path, make(tmp_path), written, unit_per="day")
    amounts = {(str(network.firm[s]), str(network.firm[b])): a
               for s, b, a in zip(network.supplier, network.buyer, network.amount, strict=True)}  # fmt: skip
    assert amounts == {(s, b): a for s, b, a in LINKS}
    firms = zip(network.firm.tolist(), network.sector.tolist(), network.output.tolist(), strict=True)
    assert [(firm, network.sectors[code], pytest.approx(made)) for firm, code, made in firms] == FIRMS
    assert network.regions == ("all",)


READ = {
    "Excel in Germany": ("l.csv", {"split by": "semicolons", "header line": 3, "decimal mark": ",",
                                   "thousands mark": ".", "blanks trimmed": {"buyer": 1}, "rows": 3}),
    "Unicode text of Excel": ("l.csv", {"encoding": "utf-16", "split by": "tabs", "thousands mark": ","}),
    "a workbook": ("both.xlsx", {"header row": 3}),
    "no header": ("l.csv", {"header line": 0, "split by": "blanks"}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_was_recognised_is_kept(name: str, tmp_path: Path) -> None:
    make, written = CASES[name]
    file, expected = READ[name]
    told = read(tmp_path, make(tmp_path), written).attrs["cleaning"]["read"][file]
    assert expected.items() <= told.items()
    assert {"supplier", "buyer", "amount"} <= told["columns"].keys() or {"firm", "sector"} <= told["columns"].keys()


def test_rows_are_named_by_the_line_on_which_they_begin(tmp_path: Path) -> None:
    lines = 'supplier;buyer;amount\r\n\r\n007;08;1\r\n007;"x\r\ny";1\r\n007;z;1\r\n'
    (tmp_path / "l.csv").write_bytes(lines.encode("utf-8-sig"))
    with pytest.raises(SheetError) as caught:
        read(tmp_path, (tmp_path / "l.csv", frames()[1]))
    assert "buyer has a line break inside: line 4" in str(caught.value)
    assert "(buyer 'x\\r\\ny'), 6 (buyer 'z')" in str(caught.value)


AMBIGUOUS = {
    "a comma": ('supplier,buyer,amount\n007,08,"1,234"\nMüller,08,5\n', "'1,234' may be 1234 or 1.234"),
    "a point between semicolons": (
        "supplier;buyer;amount\n007;08;1.234\nMüller;08;5\n",
        "'1.234' may be 1.234 or 1234",
    ),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_numbers_that_can_be_read_in_two_ways_are_refused(name: str, tmp_path: Path) -> None:
    lines, says = AMBIGUOUS[name]
    (tmp_path / "l.csv").write_text(lines, "utf-8")
    with pytest.raises(SheetError, match=rf"^l\.csv: amount: {says}: say the decimal mark \(--decimal"):
        read(tmp_path, (tmp_path / "l.csv", frames()[1]))
    network = read(tmp_path, (tmp_path / "l.csv", frames()[1]), Written(decimal=","), unit_per="day")
    assert network.amount[0] == pytest.approx(1.234 if name == "a comma" else 1234)


def test_ids_that_a_program_took_for_numbers_are_whole_again(tmp_path: Path) -> None:
    links = pd.DataFrame({"supplier": [1.0, 2.0], "buyer": [2.0, 3.0], "amount": [5, 6]})
    firms = pd.DataFrame({"firm": pd.array([1, 2, 3], "Int64"), "sector": ["a", "b", "b"], "output": [9.0, 9, 9]})
    assert read(tmp_path, (links, firms)).firm.tolist() == [1, 2, 3]


@pytest.mark.parametrize("said", ["lieferant=x", "supplier", "supplier=", ""])
def test_columns_that_are_not_said_as_they_must_be(said: str) -> None:
    with pytest.raises(ColumnsError, match="must be NAME=COLUMN, NAME one of amount, buyer"):
        said_columns(said)


def test_a_column_that_is_said_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"^links: --columns: Betrag: is there 0 times; there are supplier"):
        read(tmp_path, frames(), Written({"amount": "Betrag"}))


BAD_GRAPHS: dict[str, tuple[nx.Graph, str]] = {
    "no direction": (nx.path_graph(3), "its edges have no direction"),
    "no edges": (nx.empty_graph(3, nx.DiGraph), "edges: 0: must be at least one"),
    "no amounts": (nx.path_graph(3, nx.DiGraph), "no column amount; it has supplier, buyer"),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_graphs_that_are_no_network_are_refused(name: str, tmp_path: Path) -> None:
    net, says = BAD_GRAPHS[name]
    nx.write_graphml(net, tmp_path / "g.graphml")
    with pytest.raises(SheetError, match=says):
        read(tmp_path, (tmp_path / "g.graphml", None))


def test_the_verb_takes_columns_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "von;nach;Summe, brutto\n007;08;1,5\n007;08;2\n"
    links, firms = text(lines, "f;n;o\n007;B;4,5\n08;G;9,0\n")(tmp_path)
    words = ["import", "links", str(links), str(tmp_path / "n.zarr"), "--firms", str(firms), "--columns",
             "supplier=von,buyer=nach,amount=Summe, brutto,firm=f,sector=n,output=o"]  # fmt: skip
    assert main(words) == BAD_INPUT
    assert "--mend duplicates" in capsys.readouterr().err
    assert main([*words, "--mend", "duplicates"]) == DONE
    told = capsys.readouterr().out
    assert "rows read: 2; links carry 100 % of their amounts" in told
    assert "decimal mark ,; supplier = von, buyer = nach, amount = Summe, brutto" in told
    assert main(["describe", str(tmp_path / "n.zarr")]) == DONE
    shown = " ".join(capsys.readouterr().out.split())
    assert "repaired: rows of the same supplier, buyer and product added to the first: 1, 2 in all" in shown
    assert "split by semicolons" in shown


def test_a_wrong_mend_and_a_wrong_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="--mend spaces: there are duplicates, self-links, unknown"):
        read(tmp_path, frames(), mend=["spaces"])
    make, _ = CASES["Excel in Germany"]
    with pytest.raises(ValueError, match=r"l\.csv: is not written in utf-8"):
        read(tmp_path, make(tmp_path), Written(encoding="utf-8"))


def test_every_word_for_a_column_means_one_of_ours(tmp_path: Path) -> None:
    from shockmesh.io.inputs.rows.columns import ALL, WORDS

    words = pd.read_csv(WORDS)
    assert set(words["column"]) <= ALL
    assert not words.duplicated().any()
    assert np.all(words["word"].str.strip() == words["word"])
