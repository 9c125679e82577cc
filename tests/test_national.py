"""Any national table: recognised by its labels and sums, told in full, corrected, refused where it is not sure."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import national
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from national import Economy, Lines, economy, write
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.imports import domestic
from shockmesh.io.tables.store import Header, Rows, TableError, open_table

GIVEN = Said("million EUR", (2018,), "an office", "CC BY 4.0", region="XXX")
CODES = ["01", "02", "03", "04", "05"]


def shares(of: Economy) -> np.ndarray:
    """Of each product's uses at home, what is imported, written out once more."""
    return of.imports / (of.output + of.imports - of.demand[:, 2])


LAYOUTS: dict[str, tuple[Callable[[Economy], Lines], str, list[str], list[str], bool]] = {
    "oecd": (national.oecd, ".csv", [f"D{code}" for code in CODES], ["HFCE", "INVNT", "EXPO"], True),
    "china": (national.china, ".xlsx", CODES, ["TC", "FU202", "EX"], False),
    "sweden": (national.sweden, ".xlsx", CODES, ["Hushåll", "Lager", "Export"], False),
    "chile": (national.chile, ".xlsx", list("12345"), ["Consumo", "Existencias", "Exportaciones"], False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_tables_of_offices_are_recognised(tmp_path, layout):
    """Cell by cell: domestic flows as they stand, or by import proportionality where imports are taken off."""
    of = economy()
    make, suffix, sectors, final, converted = LAYOUTS[layout]
    import_table("table", write(tmp_path / f"t{suffix}", make(of)), tmp_path / "t.zarr", GIVEN)
    flows, demand = of.flows, of.demand
    if converted:
        kept = 1 - shares(of)[:, None]
        demand = np.column_stack([kept * (of.demand + of.imported_demand)[:, :2], of.demand[:, 2]])
        flows = kept * (of.flows + of.imported)
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.region.values.tolist(), table.sector.values.tolist()) == (["XXX"], sectors)
        assert table.category.values.tolist() == final
        np.testing.assert_allclose(table.Z.values[0, :, 0], flows, rtol=1e-9)
        np.testing.assert_allclose(table.Y.values[0, :, 0], demand, rtol=1e-9)
        np.testing.assert_allclose(table.output.values[0], of.output, rtol=1e-9)
        assert (table.attrs["year"], table.attrs["units"], table.attrs["license"]) == (
            2018,
            "million EUR / year",
            "CC BY 4.0",
        )
        assert table.attrs["source"] == f"an office, t{suffix}"


def test_a_long_table_of_several_regions_is_read_for_the_one_that_is_said(tmp_path):
    one, other = economy(), economy(seed=1)
    lines = national.long(national.oecd(one), region="N")
    lines += national.long(national.oecd(other), region="S")[1:]
    of_value_added = next(at for at, line in enumerate(lines) if str(line[1]).startswith("VALU"))
    lines[of_value_added][-1] = ""  # no value
    file = write(tmp_path / "t.csv", lines)
    for region, of in (("N", one), ("S", other)):
        import_table("table", file, tmp_path / region, replace(GIVEN, region=region))
        with open_table(tmp_path / region) as table:
            np.testing.assert_allclose(table.output.values[0], of.output, rtol=1e-9)
            np.testing.assert_allclose(table.Z.values[0, :, 0], (1 - shares(of))[:, None] * (of.flows + of.imported))
    for text, says in (
        (lines, "column region: there are N, S; one table is needed"),
        (lines[:60] + lines[1:2], r"TTL_01 → D01: there twice, the second time in line 61"),
    ):
        with pytest.raises(TableError, match=says):
            import_table("table", write(tmp_path / "o.csv", text), tmp_path / "o.zarr", GIVEN)


def test_rows_that_sum_to_supply_hold_imports_which_are_taken_off(tmp_path):
    of = economy()
    told = import_table("table", write(tmp_path / "t.xlsx", national.supply(of)), tmp_path / "t.zarr", GIVEN)
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.output.values[0], of.output, rtol=1e-9)
        kept = 1 - of.imports / (of.output + of.imports)  # these categories do not say which is exports
        np.testing.assert_allclose(table.Z.values[0, :, 0], kept[:, None] * (of.flows + of.imported), rtol=1e-9)
    assert any(
        "rows of imports, which with output make the supply that rows sum to: 9" in found.message for found in told
    )


def test_a_sheet_is_chosen_where_only_one_is_sure(tmp_path):
    """The others: notes, and imports alone, which look like a table but have no output."""
    of = economy()
    alone = replace(of, flows=of.imported, demand=of.imported_demand)
    imports = national.oecd(alone)[:6]
    file = write(tmp_path / "t.xlsx", national.sweden(of), Notes=[["a", "b"], ["c", "d"]], Imports=imports)
    import_table("table", file, tmp_path / "t.zarr", GIVEN)
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values[0, :, 0], of.flows, rtol=1e-9)
    for sheet, says in (
        (
            "Imports",
            r"(?s)not sure that this is the table: no row below .* 5 sectors, D01 … D05, whose flows .*--correc",
        ),
        ("Notes", "no 3 labels that one of 40 lines and one of 8 columns have in the same order"),
        ("Nothing", "sheet: Nothing: no such sheet; there are Table, Notes, Imports"),
    ):
        with pytest.raises(TableError, match=says):
            import_table("table", file, tmp_path / "o.zarr", replace(GIVEN, sheet=sheet))
    twice = write(tmp_path / "two.xlsx", national.sweden(of), Other=national.china(of))
    with pytest.raises(TableError, match=r"of 2, Table, Other look like tables; say which \(--sheet\)"):
        import_table("table", twice, tmp_path / "o.zarr", GIVEN)


def test_sheets_named_by_years_are_years(tmp_path):
    first, second = economy(), economy(seed=1)
    file = tmp_path / "t.xlsx"
    sheets = {"2015": national.sweden(first), "2016": national.sweden(second)}
    write(file, [["notes"]], **sheets)
    import_table("table", file, tmp_path / "t.zarr", replace(GIVEN, years=()))
    with open_table(tmp_path / "t.zarr") as table:
        assert table.year.values.tolist() == [2015, 2016]
        np.testing.assert_allclose(table.Z.values[1, 0, :, 0], second.flows, rtol=1e-9)


def test_corrections_say_what_is_what(tmp_path):
    """Without output below, the sums are taken when the user says so; a column that looks like a sum is kept."""
    of = economy()
    of.demand[:, 1] = of.flows.sum(1) + of.demand[:, 0]
    file = write(tmp_path / "t.csv", [line[:-1] for line in national.oecd(replace(of, imported=0 * of.imported))[:6]])
    corrections = tmp_path / "c.yaml"
    corrections.write_text("output: sums\nfinal: [INVNT]\nleft_out: [EXPO]\nfirst: D02\nlast: D04\n")
    import_table("table", file, tmp_path / "t.zarr", replace(GIVEN, corrections=corrections))
    with open_table(tmp_path / "t.zarr") as table:
        assert table.sector.values.tolist() == ["D02", "D03", "D04"]
        assert table.category.values.tolist() == ["D05", "HFCE", "INVNT"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("outputs: x", "c.yaml: outputs: Extra inputs are not permitted"),
        ("label_row: 0", "c.yaml: label_row: Input should be greater than or equal to 1"),
        ("label_row: 99", "label_row, label_column: the sheet has 9 lines and 10 columns"),
        ("{", "c.yaml: cannot be read as YAML"),
        (None, "c.yaml: No such file"),
    ],
)
def test_corrections_that_mean_nothing_are_refused(tmp_path, text, says):
    corrections = tmp_path / "c.yaml"
    if text is not None:
        corrections.write_text(text)
    file = write(tmp_path / "t.csv", national.oecd(economy()))
    with pytest.raises(TableError, match=says):
        import_table("table", file, tmp_path / "t.zarr", replace(GIVEN, corrections=corrections))


def test_a_table_without_a_region_or_whose_imports_cannot_be_told_is_refused(tmp_path):
    of = economy()
    file = write(tmp_path / "t.csv", national.oecd(of))
    with pytest.raises(TableError, match=r"region: nothing says whose table it is; say it \(--region DEU\)"):
        import_table("table", file, tmp_path / "t.zarr", replace(GIVEN, region=None))
    named = [
        [str(cell).replace("IMPO", "REST") for cell in line] if "IMPO" in line else line for line in national.oecd(of)
    ]
    with pytest.raises(
        TableError, match=r"category REST: below zero in every sector, .* if these are imports, name them so"
    ):
        import_table("table", write(tmp_path / "o.csv", named), tmp_path / "t.zarr", GIVEN)


def test_decimal_commas_and_other_separators_and_encodings_are_read(tmp_path):
    of = economy()
    text = "\n".join(
        ";".join(str(cell).replace(".", ",") if isinstance(cell, float) else str(cell) for cell in line)
        for line in national.china(of)
    )
    for code, name in zip(CODES, "甲乙丙丁戊", strict=True):
        text = text.replace(f"{code};a name;Domestic", f"{code};{name * 3};Domestic")
    (tmp_path / "t.csv").write_text(text, "big5")
    import_table("table", tmp_path / "t.csv", tmp_path / "t.zarr", GIVEN)
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values[0, :, 0], of.flows, rtol=1e-9)
        assert table.attrs["sector_names"] == {code: name * 3 for code, name in zip(CODES, "甲乙丙丁戊", strict=True)}


SIZES = st.floats(0, 100)


@given(st.lists(st.tuples(SIZES, SIZES, SIZES, SIZES), min_size=1, max_size=5))
def test_domestic_flows_are_part_of_all_flows_and_rows_sum_to_output(amounts):
    """Whatever a product's output, imports and exports are, exports above output among them."""
    output, imports, exports, inputs = np.array(amounts).T + 1e-3
    n = len(output)
    flows = np.outer(np.minimum(inputs, output + imports), np.full(n, 1 / n))
    home = output + imports - exports - flows.sum(1)
    final = np.stack([home, exports, -imports], 1)
    header = Header(
        ["X"], [f"s{k}" for k in range(n)], ["home", "exports", "imports"], "USD", "t", "s", "", "", (2018,)
    )
    read = lambda year: [Rows("X", flows[:, None], final[:, None])]  # noqa: E731
    left, convert = domestic(header, read)
    found = next(of for of in convert(2018) if isinstance(of, Rows))
    assert left.categories == ["home", "exports"]
    np.testing.assert_allclose(found.flows.sum((1, 2)) + found.final.sum((1, 2)), output, rtol=1e-9, atol=1e-9)
    assert (found.flows >= -1e-12).all()
    assert (found.flows <= flows[:, None] + 1e-12).all()


def test_imports_above_all_uses_and_in_tables_of_several_regions_are_refused(tmp_path: Path):
    header = Header(["X"], ["s"], ["home", "imports"], "USD", "t", "a file", "", "", (2018,))
    rows = [Rows("X", np.zeros((1, 1, 1)), np.array([[[-2.0, -9.0]]]))]
    with pytest.raises(TableError, match="a file, 2018: s: imports 9 must be from 0 to its uses, -2"):
        list(domestic(header, lambda year: rows)[1](2018))
    with pytest.raises(TableError, match="a file: category imports: imports, in a table of 2 regions"):
        domestic(replace(header, regions=["X", "Y"]), lambda year: rows)
