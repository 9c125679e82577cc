"""The OECD's inter-country tables: their editions, and files that programs saved again."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from shockmesh.io.tables.importing import import_table, kind_of
from shockmesh.io.tables.store import TableError, open_table


def icio(file: Path, parts: bool = True, damage: float = 1.0) -> np.ndarray:
    """A file of the edition of 2016 and its cells: China beside its parts or only they, discrepancies of no region."""
    labels = ["AAA_C1", "AAA_C2", *(["CHN_C1", "CHN_C2"] if parts else []), "CN1_C1", "CN1_C2", "CN2_C1", "CN2_C2"]
    n = len(labels)
    cells = np.round(np.random.default_rng(1).uniform(1, 9, (n, n + 3)), 3)
    cells[:, -1] /= 1000
    frame = pd.DataFrame(cells, labels, [*labels, "HFCE_AAA", "HFCE_CHN", "DISC"])
    output = cells.sum(1)
    frame.loc["VA+TAXSUB"] = [*(output - cells[:, :n].sum(0)), 0, 0, 0]
    frame.loc["OUT"] = [*output, 0, 0, 0]
    frame.iloc[0, 0] *= damage
    frame.to_csv(file)
    return cells


@pytest.mark.parametrize("parts", [True, False])
def test_icio_of_2016_adds_up_china_and_says_what_is_nobodys(tmp_path, parts):
    cells = icio(tmp_path / "ICIO2016_2003.csv", parts)
    told = import_table("icio", tmp_path / "ICIO2016_2003.csv", tmp_path / "t.zarr")
    n = len(cells)
    into = np.array([np.eye(2)[k % 2] for k in range(n - 2)])  # every part of China, sector by sector
    merge = np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((n - 2, 2)), into]])
    with open_table(tmp_path / "t.zarr") as table:
        assert (table.region.values.tolist(), table.category.values.tolist()) == (["AAA", "CHN"], ["HFCE"])
        np.testing.assert_allclose(table.Z.values.reshape(4, 4), merge.T @ cells[:, :n] @ merge, rtol=1e-12)
        np.testing.assert_allclose(table.Y.values.reshape(4, 2), merge.T @ cells[:, n : n + 2], rtol=1e-12)
    said = f"column DISC is no region's final demand and is left out: {cells[:, -1].sum():.6g} in all"
    assert said in [finding.message for finding in told]


def test_icio_that_lost_its_decimal_points_is_refused(tmp_path):
    icio(tmp_path / "ICIO2016_2003.csv", damage=1000)
    with pytest.raises(TableError, match=r"2003: sales add up to .* for . industries.*AAA C1 .* it is damaged, or of"):
        import_table("icio", tmp_path / "ICIO2016_2003.csv", tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["ICIO2016_2003.csv"]


def test_icio_saved_again_by_a_program(tmp_path):
    """Labels of totals thrice; columns sorted; a zip of years."""
    lines = ["V1,AA_S1,AA_HFCE,BB_S1,OUT_OUT_OUT,BB_HFCE", "AA_S1,1,2,3,10,4", "BB_S1,5,6,7,26,8"]
    lines += ["VA_VA_VA,3,0,15,0,0", "TLS_TLS_TLS,1,0,1,0,0", "OUT_OUT_OUT,10,0,26,0,0"]
    with ZipFile(tmp_path / "2016-2017_SML.zip", "w") as archive:
        for year in (2016, 2017):
            archive.writestr(
                f"{year}_SML.csv", "\n".join(line.replace("AA_", "AAA_").replace("BB_", "BBB_") for line in lines)
            )
    assert kind_of(tmp_path / "2016-2017_SML.zip") == "icio"
    import_table("icio", tmp_path / "2016-2017_SML.zip", tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        assert table.year.values.tolist() == [2016, 2017]
        np.testing.assert_array_equal(table.Z.values.reshape(2, 2, 2), [[[1, 3], [5, 7]]] * 2)
        np.testing.assert_array_equal(table.Y.values.reshape(2, 2, 2), [[[2, 4], [6, 8]]] * 2)
