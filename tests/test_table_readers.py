"""Sources of tables as users have them: workbooks of several years, archives, and files that only have the name."""

import json
import pickle
import tracemalloc
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pymrio
import pytest
from shockmesh.io.inputs.files import open_source
from shockmesh.io.sources import TABLES, Said
from shockmesh.io.tables.checks import check_table
from shockmesh.io.tables.importing import EXAMPLES, import_table, kind_of
from shockmesh.io.tables.store import Header, Rows, TableError, open_table, write_table

REGIONS, CODES, FINAL = ["ROU", "USA"], {"AtB": "c1", "C": "c35"}, ["c37", "c42"]
INDUSTRY = pd.MultiIndex.from_product([["r1", "r2"], ["s1", "s2"]], names=["region", "sector"])


def workbook_2013(file: Path, flows: np.ndarray, regions: list[str] = REGIONS) -> None:
    """A WIOD 2013 workbook: four lines of column labels, industries, then totals and value added."""
    columns: list[tuple[Any, ...]] = [(code, "a sector", r, CODES[code]) for r in regions for code in CODES]
    columns += [(None, "a category", r, c) for r in regions for c in FINAL]
    empty = [None] * (4 + len(columns))
    top: list[list[Any]] = [["World Input-Output Table", *empty], [None, *empty]]
    head = [[None] * 4 + [column[line] for column in columns] + ["TOT"] for line in range(4)]
    head[0][0], head[1][0] = "(industry-by-industry)", "(Millions of US$)"
    rows = [[*columns[i], *flows[i], flows[i].sum()] for i in range(len(flows))]
    made = flows.sum(1).tolist() + [0.0] * (len(columns) - len(flows) + 1)
    added = np.subtract(made, [*flows[:, : len(flows)].sum(0), *made[len(flows) :]])
    foot = [[None, "VA", "TOT", "r64", *added], [None, "GO", "TOT", "r69", *made]]
    pd.DataFrame(top + head + rows + foot).to_excel(file, header=False, index=False)


@pytest.fixture
def flows() -> np.ndarray:
    """Z and Y of two regions of two sectors, as [industry, industry + category of every region]."""
    return np.round(np.random.default_rng(0).uniform(1, 9, (4, 8)), 3)


def system(flows: np.ndarray, unit: list[str], final: bool = True) -> Any:
    columns = pd.MultiIndex.from_product([["r1", "r2"], ["c", "g"]], names=["region", "category"])
    return pymrio.IOSystem(
        Z=pd.DataFrame(flows[:, :4], INDUSTRY, INDUSTRY),
        Y=pd.DataFrame(flows[:, 4:], INDUSTRY, columns) if final else None,
        unit=pd.DataFrame({"unit": unit}, INDUSTRY),
    )


def save(made: Any, folder: Path, form: str = "txt") -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_all(str(folder), table_format=form)
    return folder


def only_final_demand(flows: np.ndarray) -> Any:
    made = system(flows, ["USD"] * 4)
    made.Z = None
    return made


def test_workbooks_of_wiod_2013_make_years(tmp_path, flows):
    """One workbook or several; Romania is ROM in some of them."""
    workbook_2013(tmp_path / "wiot98_row_apr12.xlsx", flows, ["ROM", "USA"])
    workbook_2013(tmp_path / "wiot09_row_apr12.xlsx", 2 * flows)
    import_table("wiod2013", tmp_path, tmp_path / "t.zarr")
    import_table("wiod2013", tmp_path / "wiot98_row_apr12.xlsx", tmp_path / "one.zarr")
    with open_table(tmp_path / "t.zarr") as table, open_table(tmp_path / "one.zarr") as one:
        assert table.year.values.tolist() == [1998, 2009]
        assert (one.attrs["year"], one.attrs["units"]) == (1998, "million USD / year")
        assert table.region.values.tolist() == REGIONS
        for found, scale in ((table.isel(year=0), 1), (table.isel(year=1), 2), (one, 1)):
            np.testing.assert_allclose(found.Z.values.reshape(4, 4), scale * flows[:, :4], rtol=1e-12)
            np.testing.assert_allclose(found.Y.values.reshape(4, 4), scale * flows[:, 4:], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "regions", "says"),
    [
        ("wiot98_row_sep12.xlsx", REGIONS, r"wiot98_row_sep12.xlsx: year: 1998, as of wiot98_row_apr12.xlsx"),
        ("wiot99_row_apr12.xlsx", ["GBR", "USA"], r"wiot99_row_apr12.xlsx: regions: not those of wiot98"),
    ],
)
def test_workbooks_that_do_not_belong_together_are_refused(tmp_path, flows, name, regions, says):
    workbook_2013(tmp_path / "wiot98_row_apr12.xlsx", flows)
    workbook_2013(tmp_path / name, flows, regions)
    with pytest.raises(TableError, match=says):
        import_table("wiod2013", tmp_path, tmp_path / "t.zarr")
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".xlsx"]


@pytest.mark.parametrize("inside", ["IOT_2011_pxp", ""])
def test_exiobase3_as_downloaded_is_an_archive(tmp_path, flows, inside):
    folder = save(system(flows, ["M.EUR"] * 4), tmp_path / "IOT_2011_pxp")
    with ZipFile(tmp_path / "IOT_2011_pxp.zip", "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, Path(inside) / file.relative_to(folder))
    import_table("exiobase3", tmp_path / "IOT_2011_pxp.zip", tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.attrs["year"], table.attrs["units"]) == (2011, "million EUR / year")
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows[:, :4], rtol=1e-12)


def named(regions: list[str], sectors: list[str], flows: np.ndarray) -> Any:
    industry = pd.MultiIndex.from_product([regions, sectors], names=["region", "sector"])
    final = pd.MultiIndex.from_product([regions, ["c", "g"]], names=["region", "category"])
    return pymrio.IOSystem(
        Z=pd.DataFrame(flows[:, :4], industry, industry), Y=pd.DataFrame(flows[:, 4:], industry, final),
        unit=pd.DataFrame({"unit": ["USD"] * 4}, industry),
    )  # fmt: skip


@pytest.mark.parametrize("form", ["txt", "parquet"])
@pytest.mark.parametrize(
    ("regions", "sectors"), [(["R1", "R2"], ["01", "02"]), (["NA", "ZA"], ["A", "B"]), (["1", "10"], ["1.0", "null"])]
)
def test_labels_of_a_saved_system_are_texts(tmp_path, flows, regions, sectors, form):
    """Divisions of NACE and ISIC are 01, 02; NA is Namibia."""
    save(named(regions, sectors, flows), tmp_path / "t_2010", form)
    import_table("pymrio", tmp_path / "t_2010", tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.region.values.tolist(), table.sector.values.tolist()) == (regions, sectors)
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows[:, :4], rtol=1e-11)
        np.testing.assert_allclose(table.Y.values.reshape(4, 4), flows[:, 4:], rtol=1e-11)


@pytest.mark.parametrize("parameters", [None, "[]", "{}", '{"systemtype": "Extension", "files": {}}', "{"])
def test_an_archive_without_a_system_is_refused(tmp_path, parameters):
    with ZipFile(tmp_path / "t_2010.zip", "w") as archive:
        archive.writestr("Z.txt", "")
        if parameters is not None:
            archive.writestr("file_parameters.json", parameters)
    with pytest.raises(TableError, match=r"t_2010\.zip: no file_parameters\.json of a whole system there"):
        import_table("pymrio", tmp_path / "t_2010.zip", tmp_path / "t.zarr")


class Marks:
    """What runs when it is unpickled: it leaves a file, and does no harm."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("kind", ["pymrio", "exiobase3"])
@pytest.mark.parametrize("name", ["Z.pkl", "L.pickle"])
def test_a_pickle_is_refused_before_anything_is_opened(tmp_path, flows, kind, name):
    folder = save(system(flows, ["USD"] * 4), tmp_path / "t_2010")
    (folder / name).write_bytes(pickle.dumps(Marks(tmp_path / "ran")))
    parameters = json.loads((folder / "file_parameters.json").read_text())
    parameters["files"][name[0]] = {"name": name, "nr_index_col": "2", "nr_header": "2"}
    (folder / "file_parameters.json").write_text(json.dumps(parameters))
    with pytest.raises(TableError, match=rf"{name}: a pickle can run code when it is opened"):
        import_table(kind, folder, tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["t_2010"]


def test_the_licence_of_exiobase_is_that_of_its_version(tmp_path, flows):
    import_table("exiobase3", save(system(flows, ["M.EUR"] * 4), tmp_path / "IOT_2011_pxp"), tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert table.attrs["license"].startswith("CC BY-SA 4.0 up to version 3.8.2; from 3.9 on non-commercial")


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_has_a_reader_and_every_example_is_there(kind):
    assert callable(import_module(f"shockmesh.io.tables.readers.{TABLES[kind].reader}").read)
    assert (EXAMPLES / TABLES[kind].example).exists()


def test_flows_are_made_of_coefficients_and_output(tmp_path, flows):
    """Where only A and x were saved, which pymrio does with twelve digits; no inverse is made."""
    made = system(flows, ["USD"] * 4)
    made.x = pd.DataFrame({"indout": flows.sum(1)}, INDUSTRY)
    made.A = pymrio.calc_A(made.Z, made.x)
    made.Z = None
    import_table("pymrio", save(made, tmp_path / "t_2010"), tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows[:, :4], rtol=1e-11)


def test_a_national_workbook_of_wiod_has_domestic_flows_of_its_years(tmp_path):
    """Imports are rows of their own; they stay in value added, and their amount is said."""
    top = ["Year", "Code", "Description", "Origin", "A01", "B", "CONS_h", "EXP", "GO"]
    lines: list[list[Any]] = [top, [None] * 4 + ["Crops", "Mining", "Households", "Exports", "Total output"]]
    for year in (2013, 2014):
        lines += [
            [year, "A01", "Crops", "Domestic", 1, 2, 3, 4, 10], [year, "B", "Mining", "Domestic", 5, 6, 7, 2, 20],
            [year, "A01", "Crops", "Imports", 0.5, 0.25, 9, 0, 0], [year, "B", "Mining", "Imports", 1, 2, 9, 0, 0],
            [year, "II_fob", "Total", "TOT", 7.5, 10.25, 28, 6, 0], [year, "VA", "Added", "TOT", 2.5, 9.75, 0, 0, 0],
            [year, "GO", "Output", "TOT", 10, 20, 0, 0, 0],
        ]  # fmt: skip
    with pd.ExcelWriter(tmp_path / "GBR_NIOT_nov16.xlsx") as book:
        pd.DataFrame(["Values are denoted in millions of US dollars"]).to_excel(book, sheet_name="Notes", index=False)
        pd.DataFrame(lines).to_excel(book, sheet_name="National IO-tables", header=False, index=False)
    assert kind_of(tmp_path / "GBR_NIOT_nov16.xlsx") == "niot"
    told = import_table("niot", tmp_path / "GBR_NIOT_nov16.xlsx", tmp_path / "t.zarr", Said(years=(2014,)))
    assert told[0].message == "imported inputs are no flows of the table and stay in value added: 3.75"
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_array_equal(table.Z.values.reshape(2, 2), [[1, 2], [5, 6]])
        np.testing.assert_array_equal(table.Y.values.reshape(2, 2), [[3, 4], [7, 2]])
        assert (table.attrs["year"], table.attrs["units"], table.attrs["license"]) == (
            2014,
            "million USD / year",
            "CC BY 4.0",
        )


def test_output_is_worked_out_where_only_coefficients_were_saved(tmp_path, flows):
    """EXIOBASE 3.4: x = (I − A)⁻¹ y, against the flows that the coefficients were made of."""
    made = system(flows, ["M.EUR"] * 4)
    made.A = pymrio.calc_A(made.Z, pd.DataFrame({"indout": flows.sum(1)}, INDUSTRY))
    made.Z = None
    folder = save(made, tmp_path / "IOT_2009_ixi")
    assert kind_of(folder) == "exiobase3"
    import_table("exiobase3", folder, tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows[:, :4], rtol=1e-9)
        np.testing.assert_allclose(table.output.values.ravel(), flows.sum(1), rtol=1e-9)


@pytest.mark.parametrize("kind", ["exiobase3", "icio"])
def test_tables_of_text_are_never_held_whole(tmp_path, monkeypatch, kind):
    """At its peak, what is read takes less than Z."""
    monkeypatch.setattr("shockmesh.io.tables.forms.text.CELLS", 4_000)
    regions, n = [f"R{k:02}" for k in range(20)], 400
    rng = np.random.default_rng(0)
    cells, industries = rng.uniform(1, 9, (n, n + 20)), [f"{r}_{s:02}" for r in regions for s in range(20)]
    if kind == "icio":
        table = pd.DataFrame(cells, industries, [*industries, *(f"{r}_HFCE" for r in regions)])
        table.to_csv(tmp_path / "2014_SML.csv", index_label="V1")
        source = tmp_path / "2014_SML.csv"
    else:
        index = pd.MultiIndex.from_tuples([tuple(of.split("_")) for of in industries], names=["region", "sector"])
        final = pd.MultiIndex.from_product([regions, ["c"]], names=["region", "category"])
        made = pymrio.IOSystem(
            Z=pd.DataFrame(cells[:, :n], index, index), Y=pd.DataFrame(cells[:, n:], index, final),
            unit=pd.DataFrame({"unit": ["M.EUR"] * n}, index),
        )  # fmt: skip
        source = save(made, tmp_path / "IOT_2014_ixi")
    about = TABLES[kind]
    read = import_module(f"shockmesh.io.tables.readers.{about.reader}").read
    tracemalloc.start()
    header, rows = read(open_source(source), about, Said())
    sold = sum(of.flows.sum() for of in rows(2014) if isinstance(of, Rows))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(sold, cells[:, :n].sum(), rtol=1e-9)
    assert (len(header.regions), peak < n * n * 8) == (20, True)


def test_a_pickle_is_opened_where_the_user_allows_it(tmp_path, flows):
    folder = save(system(flows, ["USD"] * 4), tmp_path / "t_2010", "pkl")
    import_table("pymrio", folder, tmp_path / "t.zarr", Said(pickles=True))
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows[:, :4], rtol=1e-12)


@pytest.mark.parametrize(
    ("version", "licence"),
    [("v3.81", "CC BY-SA 4.0"), ("3.8.2", "CC BY-SA 4.0"), ("3.9.4", "CC BY-NC-SA"), ("v3.10", "CC BY-NC-SA")],
)
def test_the_licence_of_exiobase_follows_its_version(tmp_path, flows, version, licence):
    folder = save(system(flows, ["M.EUR"] * 4), tmp_path / "IOT_2011_pxp")
    (folder / "metadata.json").write_text(json.dumps({"name": "EXIOBASE", "version": version}))
    import_table("exiobase3", folder, tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert table.attrs["license"].startswith(licence)


def test_a_source_of_no_known_kind_or_of_several_is_told_so(tmp_path):
    (tmp_path / "notes_2014.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="looks like no kind of table that is known here; name its kind: wiod2016"):
        kind_of(tmp_path)
    (tmp_path / "f.csv").write_text("rowLabels,AA_s1\n")
    (tmp_path / "WIOT2014_Nov16_ROW.xlsb").touch()
    with pytest.raises(TableError, match=r"looks like wiod2016 \(WIOT2014_Nov16_ROW.xlsb\); figaro \(f.csv\); name"):
        kind_of(tmp_path)


@pytest.mark.parametrize(
    ("folder", "make", "says"),
    [
        ("t_2010", lambda f: system(f, ["kg", "USD", "kg", "USD"]), "unit: USD, kg: all sectors must have one unit"),
        ("t_2010", lambda f: system(f, ["USD"] * 4, final=False), "Y: no final demand there"),
        ("t_2010", lambda f: only_final_demand(f), "Z: not there, nor A to make it from"),
        ("undated", lambda f: system(f, ["USD"] * 4), "undated: year: none in its name; say it"),
    ],
)
def test_a_system_that_is_no_table_is_refused(
    tmp_path, flows, folder: str, make: Callable[[np.ndarray], Any], says: str
):
    save(make(flows), tmp_path / folder)
    with pytest.raises(TableError, match=says):
        import_table("pymrio", tmp_path / folder, tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == [folder]


def test_regions_with_sectors_of_their_own_are_refused(tmp_path, flows):
    made = system(flows, ["USD"] * 4)
    made.Z.index = made.Z.columns = pd.MultiIndex.from_tuples([("r1", "a"), ("r1", "b"), ("r2", "a"), ("r2", "C")])
    made.Z.index.names = made.Z.columns.names = ["region", "sector"]
    save(made, tmp_path / "t_2010")
    with pytest.raises(TableError, match=r"every region has the same sectors; missing r1 C, r2 b"):
        import_table("pymrio", tmp_path / "t_2010", tmp_path / "t.zarr")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("wiod2016", "WIOT2014_Nov16_ROW.xlsb"),
        ("wiod2013", "wiot09_row_apr12.xlsx"),
        ("eora26", "Eora26_2019_bp.zip"),
        ("eora26", "eora.zip"),
        ("figaro", "figaro_2019.zip"),
        ("icio", "ICIO2021_2014.csv"),
    ],
)
def test_a_file_that_only_has_the_name_is_refused_by_it(tmp_path, kind, name):
    (tmp_path / name).write_text("nonsense\n")
    with pytest.raises(TableError, match=f"{name}: cannot be read"):
        import_table(kind, tmp_path / name, tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def gloria(folder: Path, lines: int, sheet: str = "Sectors") -> None:
    for name in ("T", "Y"):
        np.savetxt(folder / f"x_{name}-Results_2019_059_Markup001(full).csv", np.ones((lines, 4)), delimiter=",")
    with pd.ExcelWriter(folder / "GLORIA_ReadMe_059.xlsx") as book:
        pd.DataFrame({"Region_acronyms": ["AA"]}).to_excel(book, sheet_name="Regions")
        pd.DataFrame({"Sector_names": ["s1", "s2"]}).to_excel(book, sheet_name=sheet)
        pd.DataFrame({"Final_demand_names": list("abcd")}).to_excel(book, sheet_name="Value added and final demand")


@pytest.mark.parametrize(
    ("lines", "sheet", "says"),
    [
        (3, "Sectors", r"T-Results.*: ends before the last rows of AA: 3 of 4"),
        (4, "Other", r"sheet: Sectors: no such sheet; there are Regions, Other, Value added"),
    ],
)
def test_gloria_that_disagrees_with_its_labels_is_refused(tmp_path, lines, sheet, says):
    gloria(tmp_path, lines, sheet)
    with pytest.raises(TableError, match=says):
        import_table("gloria", tmp_path, tmp_path / "t.zarr")


def test_gloria_that_goes_on_after_its_last_region_is_refused(tmp_path):
    gloria(tmp_path, 8)
    with pytest.raises(TableError, match=r"T-Results.*: goes on after the rows of AA"):
        import_table("gloria", tmp_path, tmp_path / "t.zarr")


def test_of_many_negative_cells_the_worst_of_all_regions_are_named(tmp_path):
    """Only a few names are kept while the table is read; they must be the worst, wherever they are."""
    header = Header(["a", "b", "c"], ["s"], ["P3"], "million USD / year", "t", "s", "l", "r", (2019,))
    values = np.array([[-1.0, -9, -2], [-3, -8, -4], [-7, -5, -6]])
    rows = [Rows(r, values[i].reshape(1, 3, 1), np.full((1, 3, 1), 9.0)) for i, r in enumerate(header.regions)]
    write_table(tmp_path / "t.zarr", header, lambda year: rows)
    with open_table(tmp_path / "t.zarr") as table:
        found = next(finding for finding in check_table(table) if finding.check == "negative flows")
    assert found.offenders == ("a s → b s: -9", "b s → b s: -8", "c s → a s: -7", "c s → c s: -6", "c s → b s: -5")
    assert found.message.startswith("9 cells of Z below zero, -45 million USD in all")
