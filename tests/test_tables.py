"""Input–output tables: stores, checks, and every reader on a small file of its layout, cell by cell."""

import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pymrio
import pytest
from shockmesh.io.sources import TABLES, Said
from shockmesh.io.tables.checks import check_table
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import Header, Rows, TableError, one_year, open_table, write_table

REGIONS, SECTORS = ["BB", "AA"], ["s2", "s1", "s3"]
FINAL = ["P3_S14", "P51G", "P5M"]
HEADER = Header(REGIONS, SECTORS, FINAL, "million EUR / year", "a table", "made up", "CC0", "none", (2019,))


@pytest.fixture
def flows() -> np.ndarray:
    """Z and Y of two regions of three sectors, as [industry, industry + category of every region]."""
    rng = np.random.default_rng(0)
    return np.round(rng.uniform(1, 9, (6, 6 + 6)), 3)


def rows_of(flows: np.ndarray) -> Iterator[Rows]:
    for r, region in enumerate(REGIONS):
        block = flows[3 * r : 3 * r + 3]
        yield Rows(region, block[:, :6].reshape(3, 2, 3), block[:, 6:].reshape(3, 2, 3))


def assert_is(store: Path, flows: np.ndarray, sectors: list[str] = SECTORS, final: list[str] = FINAL) -> None:
    """The store holds exactly these numbers, under these labels."""
    with open_table(store) as table:
        industry = [(r, s) for r in REGIONS for s in sectors]
        for i, (r, s) in enumerate(industry):
            row = table.sel(region_from=r, sector_from=s)
            for j, (to, other) in enumerate(industry):
                np.testing.assert_allclose(row.Z.sel(region_to=to, sector_to=other), flows[i, j], rtol=1e-12)
            for j, (to, category) in enumerate((r, c) for r in REGIONS for c in final):
                np.testing.assert_allclose(row.Y.sel(region_to=to, category=category), flows[i, 6 + j], rtol=1e-12)
            output = table.output.sel(region=r, sector=s)
            np.testing.assert_allclose(output, flows[i].sum(), rtol=1e-12)
            added = table.value_added.sel(region=r, sector=s)
            np.testing.assert_allclose(added, flows[i].sum() - flows[:, i].sum(), rtol=1e-9, atol=1e-9)


def test_a_table_is_stored_sorted_lazy_and_labelled(tmp_path, flows):
    write_table(tmp_path / "t.zarr", HEADER, lambda year: rows_of(flows))
    assert_is(tmp_path / "t.zarr", flows)
    with open_table(tmp_path / "t.zarr") as table:
        assert table.region.values.tolist() == ["AA", "BB"]
        assert table.sector.values.tolist() == ["s1", "s2", "s3"]
        assert (table.attrs["units"], table.attrs["year"], table.attrs["license"]) == (
            "million EUR / year",
            2019,
            "CC0",
        )
        assert not table.Z.variable._in_memory
    assert [path.name for path in tmp_path.iterdir()] == ["t.zarr"]


def _nan(flows: np.ndarray) -> np.ndarray:
    return np.where(np.arange(72).reshape(6, 12) == 13, np.nan, flows)


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        (replace(HEADER, sectors=["s1", "s1", "s3"]), rows_of, "sectors: s1: labels must be there, each once"),
        (replace(HEADER, regions=[]), rows_of, "regions: none: labels must be there, each once"),
        (HEADER, lambda flows: rows_of(_nan(flows)), "a table, 2019: Z of supplier BB s1: nan: must be finite"),
        (HEADER, lambda flows: list(rows_of(flows))[:1], "a table, 2019: no rows for AA"),
        (HEADER, lambda flows: [*rows_of(flows), *rows_of(flows)], "region BB: unknown, or there twice"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_and_leaves_nothing(tmp_path, flows, header, rows, says):
    with pytest.raises(TableError, match=says):
        write_table(tmp_path / "t.zarr", header, lambda year: rows(flows))
    assert not list(tmp_path.iterdir())


def test_stores_that_are_there_or_are_not(tmp_path, flows):
    write_table(tmp_path / "t.zarr", HEADER, lambda year: rows_of(flows))
    with pytest.raises(TableError, match="exists already; a table is written once"):
        write_table(tmp_path / "t.zarr", HEADER, lambda year: rows_of(flows))
    with pytest.raises(TableError, match="no table there"):
        open_table(tmp_path / "none.zarr")
    with pytest.raises(TableError, match="year: 1999: the table has 2019"):
        open_table(tmp_path / "t.zarr", year=1999)


def test_checks_name_the_offenders(tmp_path):
    flows = np.full((6, 12), 2.0)
    flows[0, 3], flows[1, 6], flows[2, 8] = -5.0, -3.0, -1.0  # a flow, consumption, an inventory change
    flows[4], flows[:, 4] = 0, 0
    flows[3, 5] = 100  # AA s3 buys more than it makes
    output = [flows[:3].sum(1) + np.array([0, 0, 7]), flows[3:].sum(1)]
    rows = [replace(of, output=output[i]) for i, of in enumerate(rows_of(flows))]
    write_table(tmp_path / "t.zarr", HEADER, lambda year: rows)
    with open_table(tmp_path / "t.zarr") as table:
        found = {finding.check: finding for finding in check_table(table)}
    assert found["row balance"].offenders == ("BB s3 by -7",)
    assert found["negative flows"].offenders == ("BB s2 → AA s2: -5",)
    assert found["negative final demand"].offenders == ("BB s1 → BB P3_S14: -3",)
    assert "1 cells of inventory changes are below zero" in found["inventory changes"].message
    assert found["zero output"].offenders == ("AA s1",)
    assert [name.partition(":")[0] for name in found["value added"].offenders] == ["AA s3"]


@pytest.mark.parametrize(
    ("kind", "output", "final", "named"),
    [
        ("wiod2016", 161.0e6, 75.45e6, "2 industries buy more than they make [million USD]: LUX H50: -42.02, MLT B"),
        ("icio", 157.0e6, None, "22 industries sell more or less than their output"),
    ],
)
def test_packaged_tables(tmp_path, kind, output, final, named):
    findings = import_table(kind, "example", tmp_path / "t.zarr")
    assert any(named in finding.message for finding in findings)
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.output.sum(), output, rtol=1e-3)
        sold = table.Z.sum(("region_to", "sector_to")) + table.Y.sum(("region_to", "category"))
        assert np.abs(sold.values - table.output.values).max() < (0.11 if kind == "wiod2016" else 0.58)
        if final:
            np.testing.assert_allclose(table.Y.sum(), final, rtol=1e-3)
            assert int((table.output == 0).sum()) == 136
            assert "reassembled" in table.attrs["title"]


def test_years_are_a_dimension(tmp_path):
    import_table("wiod2013", "example", tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert table.year.values.tolist() == [2010, 2011]
        assert table.Z.dims[0] == "year"
        with pytest.raises(TableError, match="year: none given; the table has 2010 … 2011"):
            one_year(table)
    with open_table(tmp_path / "t.zarr", year=2011) as table:
        assert one_year(table).attrs["year"] == 2011
        np.testing.assert_allclose(table.Y.sum(), 69.3e6, rtol=2e-3)


def test_one_year_of_several_is_imported_if_it_is_there(tmp_path):
    import_table("wiod2013", "example", tmp_path / "t.zarr", Said(years=(2011,), licence="ours"))
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.attrs["year"], table.attrs["license"], "year" in table.dims) == (2011, "ours", False)
        np.testing.assert_allclose(table.Y.sum(), 69.3e6, rtol=2e-3)
    with pytest.raises(TableError, match="year: 2012: there are 2010, 2011"):
        import_table("wiod2013", "example", tmp_path / "other.zarr", Said(years=(2012,)))


def _matrix_csv(path: Path, flows: np.ndarray) -> None:
    columns = [f"{r}_{s}" for r in REGIONS for s in SECTORS] + [f"{r}_{c}" for r in REGIONS for c in FINAL]
    frame = pd.DataFrame(flows, [f"{r}_{s}" for r in REGIONS for s in SECTORS], columns)
    frame.loc["W2_D1"], frame.loc["W2_B2A3G"] = 1.0, flows.sum(1).tolist() + [0.0] * 6 - flows.sum(0) - 1
    frame.to_csv(path, index_label="rowLabels")


def _flat_csv(path: Path, matrix: Path, letter: str = "I") -> None:
    cells = pd.read_csv(matrix, index_col=0).stack().reset_index()
    cells.columns = ["from", "to", "obsValue"]
    flat = pd.DataFrame(
        {
            "refArea": cells["from"].str.partition("_")[0], f"row{letter}i": cells["from"].str.partition("_")[2],
            "counterpartArea": cells["to"].str.partition("_")[0], f"col{letter}i": cells["to"].str.partition("_")[2],
            "obsValue": cells["obsValue"],
        }
    )  # fmt: skip
    flat.to_csv(path, index=False)


def test_figaro_matrix_and_flat(tmp_path, flows):
    _matrix_csv(tmp_path / "matrix_2019.csv", flows)
    _flat_csv(tmp_path / "flat_2019.csv", tmp_path / "matrix_2019.csv")
    for layout in ("matrix", "flat"):
        import_table("figaro", tmp_path / f"{layout}_2019.csv", tmp_path / f"{layout}.zarr")
        assert_is(tmp_path / f"{layout}.zarr", flows)
        with open_table(tmp_path / f"{layout}.zarr") as table:
            assert table.attrs["title"].endswith(", industry by industry")


def test_figaro_of_products_is_titled_so(tmp_path, flows):
    """A matrix says it by its codes, a flat file by the names of its columns."""
    _matrix_csv(tmp_path / "m_2019.csv", flows)
    _flat_csv(tmp_path / "flat_2019.csv", tmp_path / "m_2019.csv", letter="P")
    matrix = (tmp_path / "m_2019.csv").read_text()
    (tmp_path / "matrix_2019.csv").write_text(matrix.replace("_s", "_CPA_s"))
    for layout in ("matrix", "flat"):
        import_table("figaro", tmp_path / f"{layout}_2019.csv", tmp_path / f"{layout}.zarr")
        with open_table(tmp_path / f"{layout}.zarr") as table:
            assert table.attrs["title"].endswith(", product by product")


FLAT = "refArea,rowIi,counterpartArea,colIi,obsValue\n"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("AA,s1,AA,s1,1\nAA,s1,AA,P5M,-\n", r"f_2019.csv:3: AA, s1, AA, P5M, -: obsValue: must be a number"),
        ("AA,s1,AA,s1,1\nAA,s1,AA,P5M,2\nAA,s1,AA,s1,1\n", r"f_2019.csv:4: .*: a cell that an earlier line gave"),
        ("AA,s1,AA,s1,1,5\nAA,s1,AA,P5M,2,5\n", r"f_2019.csv: cannot be read .*Expected 5 fields in line 2, saw 6"),
        ("AA,s1,AA,s1,1\nBB,s1,AA,P5M,2\nAA,s1,AA,P5M,2\n", r"refArea: AA: the lines of a supplier region must"),
    ],
)
def test_flat_figaro_lines_that_break_a_rule_are_named(tmp_path, monkeypatch, lines, says):
    monkeypatch.setattr("shockmesh.io.tables.readers.figaro.LINES", 1)
    (tmp_path / "f_2019.csv").write_text(FLAT + lines)
    with pytest.raises(TableError, match=says):
        import_table("figaro", tmp_path / "f_2019.csv", tmp_path / "t.zarr")


@pytest.mark.parametrize(("name", "other"), [("refArea", "x"), ("rowIi", "x"), ("colIi", "x"), ("colIi", "refArea")])
def test_flat_figaro_columns_are_checked(tmp_path, name, other):
    (tmp_path / "f_2019.csv").write_text(FLAT.replace(name, other))
    with pytest.raises(TableError, match="columns: a flat FIGARO file has refArea, rowIi, counterpartArea"):
        import_table("figaro", tmp_path / "f_2019.csv", tmp_path / "t.zarr")


def test_gloria(tmp_path, flows):
    t, y = np.zeros((12, 12)), np.zeros((12, 6))
    for r in range(2):
        products = slice(6 * r + 3, 6 * r + 6)
        t[products, 0:3], t[products, 6:9] = flows[3 * r : 3 * r + 3, 0:3], flows[3 * r : 3 * r + 3, 3:6]
        y[products] = flows[3 * r : 3 * r + 3, 6:]
        t[6 * r : 6 * r + 3, products] = np.diag([5.0, 6.0, 7.0])  # supply, not part of an industry table
    for name, values in (("T", t), ("Y", y)):
        np.savetxt(tmp_path / f"x_{name}-Results_2019_059_Markup001(full).csv", values, delimiter=",")
    with pd.ExcelWriter(tmp_path / "GLORIA_ReadMe_059.xlsx") as book:
        pd.DataFrame({"Region_acronyms": REGIONS}).to_excel(book, sheet_name="Regions")
        pd.DataFrame({"Sector_names": SECTORS}).to_excel(book, sheet_name="Sectors")
        pd.DataFrame({"Final_demand_names": FINAL}).to_excel(book, sheet_name="Value added and final demand")
    import_table("gloria", tmp_path, tmp_path / "t.zarr")
    assert_is(tmp_path / "t.zarr", flows)


def test_a_system_saved_by_pymrio(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        system: Any = pymrio.load_test().calc_all()
        system.save_all(str(tmp_path / "test_2010"))
    findings = import_table("pymrio", tmp_path / "test_2010", tmp_path / "t.zarr")
    assert not [finding for finding in findings if finding.check == "row balance"]
    with open_table(tmp_path / "t.zarr") as table:
        z = table.Z.transpose("region_from", "sector_from", "region_to", "sector_to").stack(
            i=("region_from", "sector_from")
        )
        assert table.attrs["units"] == "million USD / year"
        np.testing.assert_allclose(z.sum(), system.Z.to_numpy().sum(), rtol=1e-12)
        one = table.Z.sel(region_from="reg2", sector_from="mining", region_to="reg1", sector_to="food")
        np.testing.assert_allclose(one, system.Z.loc[("reg2", "mining"), ("reg1", "food")], rtol=1e-12)


def test_exiobase3(tmp_path, flows):
    """EXIOBASE 3 comes as a folder that pymrio wrote: tab-separated matrices beside file_parameters.json."""
    industry = pd.MultiIndex.from_product([REGIONS, SECTORS], names=["region", "sector"])
    final = pd.MultiIndex.from_product([REGIONS, FINAL], names=["region", "category"])
    z, y = pd.DataFrame(flows[:, :6], industry, industry), pd.DataFrame(flows[:, 6:], industry, final)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        system: Any = pymrio.IOSystem(Z=z, Y=y, unit=pd.DataFrame({"unit": ["M.EUR"] * 6}, industry))
        system.save_all(str(tmp_path / "IOT_2019_ixi"))
    import_table("exiobase3", tmp_path / "IOT_2019_ixi", tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.attrs["units"], table.attrs["year"]) == ("million EUR / year", 2019)
    assert_is(tmp_path / "t.zarr", flows)


def test_oecd_icio(tmp_path, flows):
    """The OECD's CSV: rows of taxes, value added and output below, a column of output at the end."""
    final = ["HFCE", "GFCF", "INVNT"]
    names = [f"{r}_{s}" for r in REGIONS for s in SECTORS]
    frame = pd.DataFrame(flows, names, names + [f"{r}_{c}" for r in REGIONS for c in final])
    frame["OUT"] = frame.sum(axis=1)
    added = frame["OUT"].to_numpy() - flows[:, :6].sum(0)
    for total, values in {"TLS": added - 1, "VA": 1 + 0 * added, "OUT": frame["OUT"].to_numpy()}.items():
        frame.loc[total] = [*values, *[0.0] * 7]
    frame.to_csv(tmp_path / "ICIO2023_2019.csv", index_label="V1")
    import_table("icio", tmp_path / "ICIO2023_2019.csv", tmp_path / "t.zarr")
    assert_is(tmp_path / "t.zarr", flows, final=final)


@pytest.fixture
def eora(tmp_path, flows) -> Path:
    """Eora26: tab-separated numbers without labels, and a file of labels for each side; ROW is no region."""
    folder = tmp_path / "eora"
    folder.mkdir()

    def write(name: str, values: Any) -> None:
        pd.DataFrame(values).to_csv(folder / f"{name}.txt", sep="\t", header=False, index=False)

    row = np.pad(flows[:, :6], ((0, 1), (0, 1)))
    row[:6, 6], row[6, :6] = 2.0, 0.5
    write(
        "labels_T",
        [[r, r, "Industries", s] for r in REGIONS for s in SECTORS] + [["ROW", "ROW", "Industries", "TOTAL"]],
    )
    write("labels_FD", [[r, r, "Final demand", c] for r in [*REGIONS, "ROW"] for c in (FINAL if r != "ROW" else ["T"])])
    write("Eora26_2019_bp_T", row)
    write("Eora26_2019_bp_FD", np.pad(flows[:, 6:], ((0, 1), (0, 1)), constant_values=1.0))
    return folder


def test_eora26_says_what_is_left_out_with_row(tmp_path, eora, flows):
    """Industries sell 6 · 2 to its industries and 6 · 1 to its demand; it sells them 6 · 0.5, and demand 6."""
    told = import_table("eora26", eora, tmp_path / "t.zarr")
    assert_is(tmp_path / "t.zarr", flows)
    total = flows.sum() + 18
    left_out = f"industries sell it 18 of {total:.6g} in all, and it sells 9 [thousand USD]"
    with open_table(tmp_path / "t.zarr") as table:
        for findings in (told, check_table(table)):
            assert findings[0].message == f"ROW (statistical discrepancies) is no region and is left out: {left_out}"


def test_eora26_as_downloaded_is_an_archive_with_its_labels_beside(tmp_path, eora, flows):
    with ZipFile(eora / "indices.zip", "w") as labels, ZipFile(eora / "Eora26_2019_bp.zip", "w") as numbers:
        for file in sorted(eora.glob("*.txt")):
            (labels if file.name.startswith("labels") else numbers).write(file, file.name)
            file.unlink()
    for source in (eora, eora / "Eora26_2019_bp.zip"):
        import_table("eora26", source, tmp_path / f"{source.stem}.zarr")
        assert_is(tmp_path / f"{source.stem}.zarr", flows)


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("figaro", "rowLabels,AA_s1,AA_P51G\nAA_s1,1,x\n", r"f_2019.csv:2: could not convert string to float: 'x'"),
        ("figaro", "rowLabels,AA_s1,AA_P51G\nAA_s1,1\n", r"f_2019.csv:2: 2 cells, the first line has 3"),
        ("figaro", "rowLabels,AA_s1,BB_s2,AA_P51G\n", r"every region has the same sectors; missing AA s2"),
        ("figaro", "rowLabels,AAs1\n", r"label 'AAs1': must be REGION_CODE"),
        ("pymrio", "nothing", r"no file_parameters.json of a whole system there"),
        ("exiobase3", "nothing", r"no file_parameters.json of a whole system there"),
        ("nonsense", "nothing", f"no such kind of table; there are {', '.join(TABLES)}"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, kind, content, says):
    (tmp_path / "f_2019.csv").write_text(content)
    with pytest.raises(TableError, match=says):
        import_table(kind, tmp_path / "f_2019.csv", tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["f_2019.csv"]


def test_a_kind_without_a_packaged_example_says_which_have_one(tmp_path):
    with pytest.raises(TableError, match="figaro: no packaged example; there are wiod2016, wiod2013, icio, niot"):
        import_table("figaro", "example", tmp_path / "t.zarr")


@pytest.mark.parametrize("kind", [kind for kind in TABLES if kind != "gloria"])
def test_a_missing_file_is_refused_by_name(tmp_path, kind):
    with pytest.raises(TableError, match=r"none_2019: no such file"):
        import_table(kind, tmp_path / "none_2019", tmp_path / "t.zarr")


@pytest.mark.parametrize("kind", ["wiod2016", "niot", "figaro"])
def test_a_folder_of_other_files_is_told_so(tmp_path, kind):
    for name in ("notes.txt", "other.pdf"):
        (tmp_path / name).touch()
    with pytest.raises(TableError, match=r"no .* among its 2 files"):
        import_table(kind, tmp_path, tmp_path / "t.zarr")


def _synthetic(regions: int, sectors: int) -> tuple[Header, Iterator[Rows]]:
    names = [f"R{r:03}" for r in range(regions)], [f"S{s:03}" for s in range(sectors)]
    header = replace(HEADER, regions=names[0], sectors=names[1], categories=["P3"])

    def rows() -> Iterator[Rows]:
        for r in range(regions):
            rng = np.random.default_rng(r)
            flows = rng.random((sectors, regions, sectors))
            yield Rows(names[0][r], flows, np.full((sectors, regions, 1), flows.sum() / sectors / regions))

    return header, rows()


def test_conversion_holds_a_few_rows_at_a_time(tmp_path):
    header, rows = _synthetic(60, 20)
    tracemalloc.start()
    write_table(tmp_path / "t.zarr", header, lambda year: rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole, of_region = 1200 * 1200 * 8, 20 * 1200 * 8
    assert peak < 12 * of_region < whole / 4


@pytest.mark.slow
def test_a_table_of_20_000_industries_is_converted_in_bounded_memory(tmp_path):
    header, rows = _synthetic(100, 200)
    tracemalloc.start()
    write_table(tmp_path / "t.zarr", header, lambda year: rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5e9  # the table is 3.2e9 bytes
