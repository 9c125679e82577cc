"""Supply and use become flows between industries: the model, BEA's workbooks, MARIO's exports."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from eurostat import Cells, write_tsv
from hypothesis import given
from hypothesis import strategies as st
from national import Lines, padded
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table, kind_of
from shockmesh.io.tables.store import TableError, open_table
from shockmesh.io.tables.supply_use import industry_by_industry

REGIONS, SECTORS, FINAL = ["R1", "R2"], ["Farms", "Mines"], ["Homes"]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_industries_sell_what_they_make_and_buy_what_they_use(industries, products, seed):
    """Rows sum to what is made, columns to what is used, nothing falls below zero; squared away, uses are flows."""
    rng = np.random.default_rng(seed)
    made, used = rng.uniform(0.1, 9, (industries, products)), rng.uniform(0, 9, (products, industries))
    demand = rng.uniform(0, 1, (products, 2))
    demand[:, 0] += made.sum(0) - used.sum(1) - demand.sum(1)  # supply and use agree
    flows, final, told = industry_by_industry(made, used, demand, "abcd")
    np.testing.assert_allclose(flows.sum(1) + final.sum(1), made.sum(1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(flows.sum(0), used.sum(0), rtol=1e-9)
    assert (flows.min() >= 0, told) == (True, "")
    square = np.diag(used.sum(1) + 1)
    np.testing.assert_allclose(industry_by_industry(square, used, demand, "abcd")[0], used, rtol=1e-12)


def test_products_that_nobody_makes_are_left_out_and_told():
    flows, _, told = industry_by_industry(
        np.array([[2.0, 0]]), np.array([[1.0], [3]]), np.array([[1.0], [1]]), ["a", "b"]
    )
    assert (flows.tolist(), told) == ([[1.0]], "1 products are used and made by nobody, and are left out, 4: b")


INDUSTRIES, PRODUCTS = ["111CA", "211"], ["111CA", "211", "Used"]
MADE = np.array([[90.0, 10, 2], [0, 80, 1]])
USED = np.array([[20.0, 5], [30, 40], [1, 2]])
HOMES, EXPORTS, IMPORTS = np.array([90.0, 30, 0]), np.array([5.0, 10, 0]), np.array([30.0, 20, 0])


def bea(folder: Path, imports: np.ndarray = IMPORTS, years: tuple[str, str] = ("2010", "2010")) -> Path:
    """Title, unit, source, year, an empty line, codes, names; sums have names and no code; ... is none."""
    homes = MADE.sum(0) - USED.sum(1) - EXPORTS + imports
    top: Lines = [["The Make …"], ["(Millions of dollars)"], ["Bureau of Economic Analysis"], ["2010"], []]
    names: dict[str, Any] = {code: f"name of {code}" for code in PRODUCTS}
    make = [["", "Industries/Commodities", *PRODUCTS, ""], ["IOCode", "Name", *names.values(), "Total Industry Output"]]
    make += [[code, names[code], *row, row.sum()] for code, row in zip(INDUSTRIES, MADE, strict=True)]
    make += [["", "Total Commodity Output", *MADE.sum(0), MADE.sum()], ["1. A note"]]
    demand = np.column_stack([homes, EXPORTS, -imports])
    finals = ["F010", "F040", "F050"]
    use = [["", "Commodities/Industries", *INDUSTRIES, "", *finals, ""]]
    use += [["IOCode", "Name", "Farms", "Mining", "Total Intermediate", "Homes", "Exports", "Imports", "Total"]]
    use += [
        [code, names[code], *row, row.sum(), *(of or "..." for of in more), row.sum() + more.sum()]
        for code, row, more in zip(PRODUCTS, USED, demand, strict=True)
    ]
    use += [["", "Total Intermediate", *USED.sum(0)], ["V001", "Compensation", *(MADE.sum(1) - USED.sum(0))]]
    with ZipFile(folder / "AllTablesIO.zip", "w") as archive:
        for name, lines, year in (("IOMake", make, years[0]), ("IOUse", use, years[1])):
            file = folder / f"{name}_Before_Redefinitions_PRO_2010_Summary.xlsx"
            pd.DataFrame(padded([*top, *lines])).to_excel(file, sheet_name=year, header=False, index=False)
            archive.write(file, file.name)
            file.unlink()
    return folder / "AllTablesIO.zip"


def test_make_and_use_of_the_bea_become_industries_of_domestic_flows(tmp_path):
    imports = IMPORTS - [0, 0, 0.5]  # duties of half a million are booked among imports
    file = bea(tmp_path, imports)
    assert kind_of(file) == "bea"
    import_table("bea", file, tmp_path / "t.zarr")
    home = np.maximum(imports, 0) / (MADE.sum(0) + np.maximum(imports, 0) - EXPORTS)
    shares = MADE / MADE.sum(0)
    with open_table(tmp_path / "t.zarr") as table:
        assert table.sector.values.tolist() == INDUSTRIES
        assert table.category.values.tolist() == ["F010", "F040", "F05A"]
        np.testing.assert_allclose(table.Z.values[0, :, 0], shares @ ((1 - home)[:, None] * USED), rtol=1e-9)
        np.testing.assert_allclose(table.output.values[0], MADE.sum(1), rtol=1e-9)
        np.testing.assert_allclose(table.Y.values[0, :, 0, 2], shares[:, 2] * 0.5, rtol=1e-9)
        assert (table.attrs["year"], table.attrs["sector_names"]["211"]) == (2010, "name of 211")


def test_make_and_use_of_other_years_are_refused(tmp_path):
    with pytest.raises(TableError, match="no year of which there are make and use"):
        import_table("bea", bea(tmp_path, years=("2010", "2011")), tmp_path / "t.zarr")


@pytest.fixture
def flows() -> np.ndarray:
    """Z and Y of two regions of two sectors, as [industry, industry + category of every region]."""
    return np.round(np.random.default_rng(0).uniform(1, 9, (4, 6)), 3)


def labels(level: str, items: list[str]) -> list[tuple[str, str, str]]:
    return [(region, level, item) for region in REGIONS for item in items]


def sheet(rows: list[tuple[str, str, str]], columns: list[tuple[str, str, str]], cells: np.ndarray) -> Lines:
    top: Lines = [["", "", "", *(label[part] for label in columns)] for part in range(3)]
    return [*top, *([*label, *line] for label, line in zip(rows, cells.tolist(), strict=True))]


def workbook(file: Path, lines: Lines, units: list[list[str]]) -> Path:
    with pd.ExcelWriter(file) as book:
        pd.DataFrame(lines).to_excel(book, sheet_name="flows", header=False, index=False)
        pd.DataFrame([["", "", "unit"], *units]).to_excel(book, sheet_name="units", header=False, index=False)
    return file


def mario(folder: Path, form: str, flows: np.ndarray) -> Path:
    """What MARIO exports of a table, in each of its forms."""
    industries, finals = labels("Sector", SECTORS), labels("Consumption category", FINAL)
    units = [["Sector", sector, "M EUR"] for sector in SECTORS] + [["Satellite account", "CO2", "kg"]]
    if form == "xlsx":
        added = np.append(flows.sum(1) - flows[:, :4].sum(0), [0, 0])[None]
        rows = [*industries, ("-", "Factor of production", "Wages"), ("-", "Satellite account", "CO2")]
        return workbook(
            folder / "m_2014.xlsx", sheet(rows, industries + finals, np.vstack([flows, added, added])), units
        )
    inside = folder / "m_2014" / "flows"
    inside.mkdir(parents=True)
    if form == "csv":
        for name, columns, cells in (("Z", industries, flows[:, :4]), ("Y", finals, flows[:, 4:])):
            lines = sheet(industries, columns, cells)
            lines.insert(3, ["Region", "Level", "Item", *[""] * len(columns)])
            pd.DataFrame(lines).to_csv(inside / f"{name}.csv", header=False, index=False)
        pd.DataFrame(units, columns=["Level", "Item", "Unit"]).to_csv(inside / "units.csv", index=False)
        return folder / "m_2014"
    cells = [
        (
            "baseline",
            "Z" if j < 4 else "Y",
            of[0],
            of[2],
            "",
            to[0],
            to[2] if j < 4 else "",
            "" if j < 4 else to[2],
            flows[i, j],
        )
        for i, of in enumerate(industries)
        for j, to in enumerate(industries + finals)
    ]
    names = ["Scenario", "Matrix", "Region_from", "Sector_from", "Factor of production_from"]
    names += ["Region_to", "Sector_to", "Consumption category_to", "Value"]
    pd.DataFrame(cells, columns=names).to_parquet(inside / "data.parquet")
    pd.DataFrame(units, columns=["Level", "Item", "Unit"]).to_parquet(inside / "units.parquet")
    return folder / "m_2014"


@pytest.mark.parametrize("form", ["xlsx", "csv", "parquet"])
def test_exports_of_mario(tmp_path, flows, form):
    source = mario(tmp_path, form, flows)
    assert kind_of(source) == "mario"
    import_table("mario", source, tmp_path / "t.zarr", Said(years=(2014,)))
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.region.values.tolist(), table.sector.values.tolist()) == (REGIONS, SECTORS)
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows[:, :4], rtol=1e-12)
        np.testing.assert_allclose(table.Y.values.reshape(4, 2), flows[:, 4:], rtol=1e-12)
        assert (table.attrs["units"], table.attrs["license"]) == ("million EUR / year", "not stated")


def test_supply_and_use_of_mario_become_industries(tmp_path):
    """Two activities and two products in each of two regions; products are labelled before activities."""
    rng = np.random.default_rng(0)
    made, used = rng.uniform(5, 9, (4, 4)), rng.uniform(0, 1, (4, 4))
    demand = np.column_stack([made.sum(0) - used.sum(1) - 0.5, np.full(4, 0.5)])
    products, activities = labels("Commodity", ["Goods", "Services"]), labels("Activity", SECTORS)
    none = np.zeros((4, 4))
    cells = np.block([[none, used, demand], [made, none, none[:, :2]]])
    lines = sheet(products + activities, products + activities + labels("Consumption category", FINAL), cells)
    file = workbook(tmp_path / "sut_2014.xlsx", lines, [["Activity", sector, "M EUR"] for sector in SECTORS])
    import_table("mario", file, tmp_path / "t.zarr")
    flows, final, _ = industry_by_industry(made, used, demand, "abcd")
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), flows, rtol=1e-12)
        np.testing.assert_allclose(table.Y.values.reshape(4, 2), final, rtol=1e-12)
        assert "model D" in table.attrs["remarks"][0]


def test_exports_of_mario_that_are_not_whole_are_refused(tmp_path, flows):
    folder = mario(tmp_path, "csv", flows)
    (folder / "flows" / "Y.csv").unlink()
    with pytest.raises(TableError, match=r"Z\.csv: Y\.csv: not beside it"):
        import_table("mario", folder, tmp_path / "t.zarr", Said(years=(2014,)))
    units = [["Sector", "Farms", "M EUR"], ["Sector", "Mines", "kg"]]
    lines = sheet(labels("Sector", SECTORS), labels("Sector", SECTORS) + labels("Consumption category", FINAL), flows)
    with pytest.raises(TableError, match="unit: M EUR, kg: all of level Sector must have one"):
        import_table("mario", workbook(tmp_path / "m_2014.xlsx", lines, units), tmp_path / "t.zarr")


CPA, NACE = ["A01", "C10-C12", "L68"], ["A01", "C10-C12"]
SUPPLY, USES = (
    ["freq", "unit", "stk_flow", "ind_impv", "prd_amo", "geo"],
    ["freq", "unit", "stk_flow", "ind_use", "prd_ava", "geo"],
)


def eurostat(folder: Path, flow: str, margins: float = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A country's supply and use, with Eurostat's sums; what is made, domestic inputs and final uses, imports."""
    rng = np.random.default_rng(0)
    made, homes = rng.uniform(1, 9, (3, 2)), rng.uniform(1, 9, (3, 2))
    final = np.column_stack([rng.uniform(20, 30, 3), rng.uniform(1, 5, 3)])  # households, exports
    made *= ((homes.sum(1) + final.sum(1)) / made.sum(1))[:, None]
    imports = np.array([4.0, 2, 0])
    kept = 1 - imports / (made.sum(1) + imports - final[:, 1])  # so that proportionality gives domestic uses back
    used, bought = homes / kept[:, None], final / np.column_stack([kept, np.ones(3)])
    uses = np.column_stack([used, bought] if flow == "TOTAL" else [homes, final])
    uses[:, 2] += margins
    cells: dict[str, Cells] = {"cp15": {}, "cp16": {}}
    for i, product in enumerate([*(f"CPA_{code}" for code in CPA), "TOTAL"]):
        supplied = dict(zip([*NACE, "P7", "TS_BP"], [*made[i], imports[i], 0], strict=True)) if i < 3 else {"A01": 1.0}
        for code, value in supplied.items():
            cells["cp15"]["A", "MIO_EUR", "TOTAL", code, product, "AT"] = [float(value)]
        for code, value in zip([*NACE, "P3_S14", "P6", "TOTAL"], [*uses[min(i, 2)], 0], strict=True):
            cells["cp16"]["A", "MIO_EUR", flow, code, product, "AT"] = [float(value)]
    write_tsv(folder / "estat_naio_10_cp15.tsv.gz", SUPPLY, cells["cp15"], [2019])
    write_tsv(folder / "estat_naio_10_cp1610.tsv.gz", USES, cells["cp16"], [2019])
    return made, homes, final, imports


@pytest.mark.parametrize("flow", ["DOM", "TOTAL"])
def test_supply_and_use_of_eurostat_become_industries(tmp_path, flow):
    made, homes, final, _ = eurostat(tmp_path, flow)
    assert kind_of(tmp_path) == "naio"
    import_table("naio", tmp_path, tmp_path / "t.zarr", Said(region="AT"))
    shares = made.T / made.sum(1)
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.sector.values.tolist(), table.category.values.tolist()) == (NACE, ["P3_S14", "P6"])
        np.testing.assert_allclose(table.Z.values.reshape(2, 2), shares @ homes, rtol=1e-9)
        np.testing.assert_allclose(table.Y.values.reshape(2, 2), shares @ final, rtol=1e-9)
        np.testing.assert_allclose(table.output.values.ravel(), made.sum(0), rtol=1e-9)


def test_a_use_table_alone_or_at_other_prices_is_refused(tmp_path):
    eurostat(tmp_path, "DOM", margins=5)
    with pytest.raises(
        TableError, match=r"A01: supply 42\S+ at basic prices, uses 47\S+: a use table at basic prices is needed"
    ):
        import_table("naio", tmp_path, tmp_path / "t.zarr")
    with pytest.raises(TableError, match="are needed; there are 0 with ind_impv, prd_amo, 1 with ind_use, prd_ava"):
        import_table("naio", tmp_path / "estat_naio_10_cp1610.tsv.gz", tmp_path / "t.zarr")
