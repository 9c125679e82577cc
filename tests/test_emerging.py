"""EMERGING in files as MATLAB 7.3 writes them: arrays transposed, texts as references; its own sums say which way."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table, kind_of
from shockmesh.io.tables.store import TableError, open_table

REGIONS, SECTORS, CATEGORIES = ["AFG", "ALB", "USA"], ["1 Rice", "2 Trade"], ["household", "government", "capital"]
INDUSTRIES = len(REGIONS) * len(SECTORS)


def matlab(file: Path, seed: int = 0, group: str = "/", turned: bool = False, **changes) -> dict[str, np.ndarray]:
    """A table that balances, as MATLAB keeps it; `turned` has its z the wrong way round."""
    rng = np.random.default_rng(seed)
    z, f = rng.lognormal(size=(INDUSTRIES,) * 2), rng.lognormal(1, size=(INDUSTRIES, len(REGIONS) * len(CATEGORIES)))
    output = z.sum(1) + f.sum(1)
    arrays = {"z": z, "f": f, "va": (output - z.sum(0))[:, None], "X": output[:, None]}
    with h5py.File(file, "w", userblock_size=512) as made:
        at = made.require_group(group)
        for name, values in arrays.items():
            at[name] = values if turned and name == "z" else values.T
        for name, texts in {"country_list": REGIONS, "sector_list": SECTORS, "final_list": CATEGORIES}.items():
            refs = []
            for k, text in enumerate(texts):
                made[f"#refs#/{name}{k}"] = np.array([[ord(letter)] for letter in text], np.uint16)
                refs.append(made[f"#refs#/{name}{k}"].ref)
            at.create_dataset(name, data=np.array([refs], dtype=h5py.ref_dtype))
        for name, values in changes.items():
            del at[name]
            if values is not None:
                at[name] = values
    return arrays


@pytest.mark.parametrize(("name", "group"), [("global_mrio_2015.mat", "/"), ("EMERGING_V2_2017_m.mat", "/mrio")])
def test_a_file_of_a_year_becomes_a_table(tmp_path, name, group):
    arrays = matlab(tmp_path / name, group=group)
    assert kind_of(tmp_path / name) == "emerging"
    import_table("emerging", tmp_path / name, tmp_path / "t.zarr")
    with open_table(tmp_path / "t.zarr") as table:
        np.testing.assert_allclose(table.Z.values.reshape(arrays["z"].shape), arrays["z"])
        np.testing.assert_allclose(table.Y.values.reshape(arrays["f"].shape), arrays["f"])
        np.testing.assert_allclose(table.value_added.values.ravel(), arrays["va"].ravel())
        assert (table.region.values.tolist(), table.sector.values.tolist()) == (REGIONS, SECTORS)
        assert (str(table.attrs["year"]) in name, table.attrs["units"]) == (True, "million USD / year")


def test_years_of_a_folder_are_read_one_at_a_time(tmp_path):
    arrays = [matlab(tmp_path / f"global_mrio_{year}.mat", year) for year in (2015, 2016)]
    import_table("emerging", tmp_path, tmp_path / "t.zarr", Said(years=(2015, 2016)))
    with open_table(tmp_path / "t.zarr") as table:
        for k, of in enumerate(arrays):
            np.testing.assert_allclose(table.Z.values[k].reshape(of["z"].shape), of["z"])


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"turned": True}, "more than 1 %: it is damaged, or of another form"),
        ({"z": np.ones((6, 5))}, r"z: \(6, 5\) as HDF5 has it, its 3 regions, 2 sectors and 3 categories say \(6, 6\)"),
        ({"f": None}, "global_mrio_2015.mat: missing f; there are "),
        (None, "global_mrio_2015.mat: cannot be read as a file of MATLAB 7.3"),
    ],
)
def test_what_is_not_emerging_is_refused(tmp_path, options, says):
    matlab(tmp_path / "global_mrio_2015.mat", **(options or {}))
    if options is None:
        cut(tmp_path / "global_mrio_2015.mat")
    with pytest.raises(TableError, match=says):
        import_table("emerging", tmp_path / "global_mrio_2015.mat", tmp_path / "t.zarr")
    assert not (tmp_path / "t.zarr").exists()
