"""Eurostat's database, as TSV and as SDMX-CSV: FIGARO, and national tables."""

import numpy as np
import pytest
from eurostat import Cells, write_again, write_sdmx, write_tsv
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table, kind_of
from shockmesh.io.tables.readers.naio import _finest  # pyright: ignore[reportPrivateUsage]
from shockmesh.io.tables.store import TableError, open_table

REGIONS, SECTORS, FINAL = ["AT", "DE"], ["A01", "C10-C12"], ["P3_S14", "P5M"]
DATABASE = ["freq", "ind_use", "ind_ava", "c_dest", "unit", "c_orig"]
NATIONAL = ["freq", "unit", "stk_flow", "ind_use", "ind_ava", "geo"]


@pytest.fixture
def world() -> np.ndarray:
    """Z and Y of two regions of two sectors in two years, [year, industry, industry + category of every region]."""
    return np.round(np.random.default_rng(0).uniform(1, 9, (2, 4, 8)), 3)


def figaro(world: np.ndarray) -> Cells:
    rows = [(r, s) for r in REGIONS for s in SECTORS]
    columns = rows + [(r, c) for r in REGIONS for c in FINAL]
    cells: Cells = {}
    for j, (to, use) in enumerate(columns):  # by buyer: any order will do
        for i, (of, available) in enumerate(rows):
            cells["A", use, available, to, "MIO_EUR", of] = world[:, i, j].tolist()
        added = world.sum(2)[:, j] - world[:, :, j].sum(1) if j < 4 else np.zeros(2)
        cells["A", use, "B2A3G", to, "MIO_EUR", "DOM"] = added.tolist()
        cells["A", use, "D1", to, "MIO_EUR", "DOM"] = [None, None]
    return cells


@pytest.mark.parametrize(("write", "name"), [(write_tsv, "estat_naio_10_fcp_ii3.tsv.gz"), (write_sdmx, "figaro.csv")])
def test_figaro_of_the_database(tmp_path, world, write, name):
    file = write(tmp_path / name, DATABASE, figaro(world), [2020, 2021])
    assert kind_of(file) == "figaro"
    import_table("figaro", file, tmp_path / "t.zarr")
    import_table("figaro", file, tmp_path / "one.zarr", Said(years=(2021,)))
    with open_table(tmp_path / "t.zarr") as table, open_table(tmp_path / "one.zarr") as one:
        assert table.year.values.tolist() == [2020, 2021]
        assert (one.attrs["year"], one.attrs["units"]) == (2021, "million EUR / year")
        np.testing.assert_allclose(table.Z.values.reshape(2, 4, 4), world[:, :, :4], rtol=1e-12)
        np.testing.assert_allclose(one.Y.values.reshape(4, 4), world[1, :, 4:], rtol=1e-12)


def national(
    flow: str, flows: np.ndarray, final: np.ndarray, output: np.ndarray, imports: np.ndarray, geo: str
) -> Cells:
    """A country's table with what Eurostat adds: sums of sections, parts of L68, totals, taxes, output, imports."""
    sectors = ["CPA_A01", "CPA_A02", "CPA_L68"]
    block = np.column_stack([flows, final, final[:, :2].sum(1), flows.sum(1) + final.sum(1)])
    rows = {sector: block[i] for i, sector in enumerate(sectors)}
    rows |= {"CPA_A": block[:2].sum(0), "CPA_L68A": block[2] / 3, "TOTAL": block.sum(0), "D21X31": 0 * block[0] + 1}
    rows |= {name: np.append(of, [0] * 5) for name, of in (("P1", output), ("P7", imports))}
    uses = [*sectors, "P3_S14", "P3_S13", "P6", "P3", "TU", "CPA_A"]
    cells: Cells = {}
    for row, values in rows.items():
        for use, value in zip(uses, [*values, values[:2].sum()], strict=True):
            cells["A", "MIO_NAC", flow, use, row, geo] = [float(value)]
    return cells


def test_a_national_table_of_the_database_has_domestic_flows(tmp_path):
    rng = np.random.default_rng(0)
    flows, final, more = rng.uniform(1, 9, (3, 3)), rng.uniform(9, 99, (3, 3)), rng.uniform(0, 1, (3, 3))
    final_more = rng.uniform(0, 1, (3, 3)) * [1, 1, 0]
    output, imports = flows.sum(1) + final.sum(1), more.sum(1) + final_more.sum(1)
    domestic = national("DOM", flows, final, output, imports, "AT")
    cells = domestic | national("TOTAL", flows + more, final + final_more, output, imports, "AT")
    other = national("TOTAL", flows + more, final + final_more, output, imports, "DE")
    for write, name in ((write_tsv, "naio_10_cp1750.tsv.gz"), (write_again, "again.csv"), (write_sdmx, "naio.csv")):
        file = write(tmp_path / name, NATIONAL, cells | other, [2018])
        assert kind_of(file) == "naio"
        with pytest.raises(TableError, match=r"geo; say which \(--region\): there are AT, DE"):
            import_table("naio", file, tmp_path / "o.zarr")
        import_table("naio", file, tmp_path / f"{name}.zarr", Said(region="AT"))
        with open_table(tmp_path / f"{name}.zarr") as table:
            assert table.sector.values.tolist() == ["A01", "A02", "L68"]
            assert table.category.values.tolist() == ["P3_S14", "P3_S13", "P6"]
            np.testing.assert_allclose(table.Z.values[0, :, 0], flows, rtol=1e-12)
            np.testing.assert_allclose(table.Y.values[0, :, 0], final, rtol=1e-12)
            assert (table.attrs["units"], table.attrs["year"]) == ("million national currency / year", 2018)
    import_table("naio", tmp_path / "naio.csv", tmp_path / "de.zarr", Said(region="DE"))
    with open_table(tmp_path / "de.zarr") as table:
        np.testing.assert_allclose(table.output.values[0], output, rtol=1e-12)
        kept = 1 - imports / (output + imports - final[:, 2])
        np.testing.assert_allclose(table.Z.values[0, :, 0], kept[:, None] * (flows + more), rtol=1e-12)


def test_values_that_are_none_or_no_numbers_are_told(tmp_path, world):
    cells = figaro(world)
    key = ("A", "A01", "A01", "AT", "MIO_EUR", "AT")
    file = write_sdmx(tmp_path / "f.csv", DATABASE, cells | {key: ["x", 1]}, [2020, 2021])
    with pytest.raises(TableError, match=r"f\.csv:2: x: must be a number, or : for none"):
        import_table("figaro", file, tmp_path / "t.zarr")
    small = national("DOM", np.ones((3, 3)), np.ones((3, 3)) * 99, np.full(3, 300.0), np.zeros(3), "AT")
    small["A", "MIO_NAC", "DOM", "CPA_A01", "CPA_A02", "AT"] = [None]
    told = import_table(
        "naio",
        write_tsv(tmp_path / "n.tsv", NATIONAL, small, [2018]).rename(tmp_path / "n.tsv.gz"),
        tmp_path / "n.zarr",
    )
    assert any(found.message == "2018: 1 cells have no value, or a secret one, and are 0" for found in told)
    with pytest.raises(TableError, match="geo: FR: not there"):
        import_table("naio", tmp_path / "n.tsv.gz", tmp_path / "o.zarr", Said(region="FR"))


@pytest.mark.parametrize(
    ("codes", "finest"),
    [
        ("A A01 A02 B TOTAL", "A01 A02 B TOTAL"),
        ("C10 C11 C12 C10-12 C31_32 C31", "C10 C11 C12 C31_32"),
        ("C10-C12 C10 C11 M69_70 M69 M70 M71", "C10-C12 M69 M70 M71"),
        ("L68 L68A L68B", "L68"),
        ("B B05 B06 L68A L68B", "B05 B06 L68A L68B"),
    ],
)
def test_of_codes_of_several_levels_the_finest_that_are_whole_are_taken(codes, finest):
    assert _finest(set(codes.split())) == finest.split()
