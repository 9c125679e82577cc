"""GTAP data bases in GEMPACK's files: arrays as they were written, and a table whose rows sum to what was made."""

import json
import re
from collections.abc import Callable

import har
import numpy as np
import pytest
from shockmesh.io.inputs.files import SourceError, open_source
from shockmesh.io.inputs.header_arrays import names_in, read_arrays
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table, kind_of
from shockmesh.io.tables.store import TableError, open_table

AT = {name: k for k, name in enumerate(har.PRODUCTS)}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (9,), (2, 3), (3, 3, 2), (1, 2, 1, 2, 1, 2, 2)])
def test_arrays_are_read_as_they_were_written(tmp_path, shape, sparse):
    values = np.zeros(shape, np.float32)
    values[...] = np.random.default_rng(0).normal(size=shape)
    values[values > 1] = 0
    sets = [(f"S{size}{k % 2}", [f"é{at}" for at in range(size)]) for k, size in enumerate(shape)]
    (tmp_path / "x.HAR").write_bytes(har.text("DREL", ["a", "two lines"]) + har.real("AB", values, sets, sparse=sparse))
    (file,) = open_source(tmp_path / "x.HAR").files
    assert names_in(file) == ["DREL", "AB"]
    found = read_arrays(file, ["AB", "DREL", "none"])
    np.testing.assert_array_equal(found["AB"].values, values)
    assert [list(of) for of in found["AB"].labels] == [names for _, names in sets]
    assert found["DREL"].labels == (("a", "two lines"),)


def flows_of(arrays) -> tuple[np.ndarray, np.ndarray]:
    """Z and Y of products by users [product, from, to, user], cell by cell."""
    of = {name: values for name, (values, _) in arrays.items()}
    home, abroad = (np.concatenate([of[f"V{s}FB"], *(of[f"V{s}{w}B"][:, None] for w in "PGI")], 1) for s in "DM")
    users, regions = home.shape[1], range(len(har.REGIONS))
    flows = np.zeros((len(har.PRODUCTS), len(regions), len(regions), users))
    for p in range(len(har.PRODUCTS)):
        for to in regions:
            for u in range(users):
                part = abroad[p, u, to] / abroad[p, :, to].sum()  # of all that the region imports of it
                flows[p, to, to, u] += home[p, u, to]
                flows[p, :, to, u] += part * of["VXSB"][p, :, to]
                for m, margin in enumerate(har.MARGINS):
                    carried = part * of["VTWR"][m, p, :, to].sum()
                    flows[AT[margin], :, to, u] += carried * of["VST"][m] / of["VST"][m].sum()
    return flows[..., :-3], flows[..., -3:]


@pytest.mark.parametrize("industries", [har.PRODUCTS, ("farm", "pump", "haul")])
def test_a_data_base_becomes_a_table_whose_rows_sum_to_what_is_made(tmp_path, industries):
    arrays = har.gtap(industries)
    har.write(tmp_path / "basedata.har", arrays, sparse=("VTWR", "MAKB"))
    assert kind_of(tmp_path) == "gtap"
    import_table("gtap", tmp_path, tmp_path / "t.zarr", Said(years=(2017,)))
    made = arrays["MAKB"][0]
    shares = made / made.sum(1, keepdims=True)
    with open_table(tmp_path / "t.zarr") as table:
        order = [list(har.REGIONS).index(name) for name in table.region_from.values]
        sort = [list(industries).index(name) for name in table.sector_from.values]
        for block, mine, last in zip(flows_of(arrays), (table.Z, table.Y), (sort, [0, 1, 2]), strict=True):
            sold = np.einsum("pir,prtu->ritu", shares, block)[np.ix_(order, sort, order, last)]
            np.testing.assert_allclose(mine.values.reshape(sold.shape), sold, rtol=1e-5)
        np.testing.assert_allclose(
            table.output.values.reshape(len(order), -1), made.sum(0).T[np.ix_(order, sort)], rtol=1e-5
        )
        assert table.attrs["units"] == "million USD / year"
        assert table.attrs["source"].endswith("basedata.har, R11.0_2017")
        assert "left to value added" in str(table.attrs)


def test_early_versions_have_investment_among_industries(tmp_path):
    arrays = har.gtap(har.PRODUCTS)
    for name, of in {"late": arrays, "early": har.early(arrays)}.items():
        har.write(tmp_path / f"{name}.har", of)
        import_table("gtap", tmp_path / f"{name}.har", tmp_path / name, Said(years=(2001,)))
    with open_table(tmp_path / "late") as late, open_table(tmp_path / "early") as before:
        np.testing.assert_allclose(before.Z.values, late.Z.values, rtol=1e-6)
        assert before.category.values.tolist() == ["CGDS", "households", "government"]
        np.testing.assert_allclose(before.Y.values, late.Y.values[..., [2, 0, 1]], rtol=1e-6)


def without(name: str) -> Callable:
    return lambda arrays: {key: of for key, of in arrays.items() if key != name}


def relabelled(arrays):
    values, ((name, labels), reg) = arrays["VMPB"]
    return arrays | {"VMPB": (values, ((name, labels[::-1]), reg))}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("VST"), r"arrays: missing VST; a GTAP data base has VDFB, VMFB, VDPB"),
        (without("VDFB"), r"no \.har file with VDFB or VDFM, what industries buy at home; b\.har has XXCR, DREL, VXSB"),
        (without("MAKB"), r"arrays: missing MAKB: what the 3 industries make of the products"),
        (relabelled, r"VMPB: its labels are not those of the other arrays"),
    ],
)
def test_what_is_no_data_base_is_refused(tmp_path, change, says):
    har.write(tmp_path / "b.har", change(har.gtap()))
    with pytest.raises(TableError, match=says):
        import_table("gtap", tmp_path / "b.har", tmp_path / "t.zarr", Said(years=(2017,)))
    assert not (tmp_path / "t.zarr").exists()


def test_damaged_files_and_those_of_another_kind_are_named(tmp_path):
    whole = har.write(tmp_path / "b.har", har.gtap()).read_bytes()
    wrong = "a record is cut or changed"
    integers = har.record(b"VDFB") + har.record(b"    2IFULL", har.letters("", 70), 2, 1, 1)
    for content, says in (
        (whole[:-30], wrong),
        (whole[:400] + b"????" + whole[404:], ""),
        (integers, "type is 2I FULL"),
    ):
        (tmp_path / "b.har").write_bytes(content)
        (file,) = open_source(tmp_path / "b.har").files
        with pytest.raises(SourceError, match=f"b.har: .*{re.escape(says)}"):
            read_arrays(file, {*har.gtap()})
    (tmp_path / "b.har").write_text(json.dumps({"log": {"version": "1.2", "entries": []}}))  # a browser's archive
    assert names_in(open_source(tmp_path / "b.har").files[0]) == []
