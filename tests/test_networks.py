"""The network store: round trips, two foreign readers, what it refuses, and that it is absent or whole."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
import scipy.sparse
import xarray as xr
import zarr
from shockmesh.io.networks import store as networks
from shockmesh.io.networks.store import NetworkStoreError, content_hash, open_network, read_network, write_network
from shockmesh.io.stores import places
from shockmesh.io.stores.damage import DamagedStoreError
from shockmesh.kernels.network import FirmNetwork, firm_network

ARRAYS = ("supplier", "buyer", "amount", "product", "final_demand", "output", "region", "sector", "firm")


def _labelled() -> FirmNetwork:
    return firm_network(
        [0, 0, 1, 2], [1, 1, 2, 0], [1.0, 0.5, 1 / 3, 2.0], [0, 5.0, 1e-9], product=[4, 2, 1, 0],
        region=[0, 1, 1], sector=[0, 0, 1], firm=["Übung", "a b", "007"], regions=["DEU", "NA"], sectors=["A", "B é"],
        unit="thousand EUR / day", attrs={"license": "CC BY 4.0", "repairs": [{"count": 2, "amount": 0.1}]},
    )  # fmt: skip


def _without_links() -> FirmNetwork:
    return firm_network([], [], [], [1.0, 2.0], firm=[7, 3])


CASES: dict[str, Callable[[], FirmNetwork]] = {
    "a chain": lambda: firm_network([0, 1], [1, 2], [1.0, 1.0], [0, 0, 1.0]),
    "labels, text ids, several products": _labelled,
    "no links": _without_links,
    "buyers for final use": lambda: replace(_labelled(), final_shares=np.array([[0.5, 0.5], [0, 0], [0, 1], [0, 0.9]])),
}


@pytest.fixture(params=CASES)
def network(request: pytest.FixtureRequest) -> FirmNetwork:
    return CASES[request.param]()


def test_reads_back_what_was_written(network: FirmNetwork, tmp_path: Path) -> None:
    back = read_network(write_network(network, tmp_path / "deep" / "n.zarr"))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(back, name), getattr(network, name), err_msg=name)
        assert getattr(back, name).dtype.kind == getattr(network, name).dtype.kind
    same = ("regions", "sectors", "unit", "attrs")
    assert [getattr(back, name) for name in same] == [getattr(network, name) for name in same]
    assert content_hash(back) == content_hash(network)
    assert (back.final_shares is None) == (network.final_shares is None)
    if network.final_shares is not None:
        np.testing.assert_array_equal(back.final_shares, network.final_shares)


def test_an_earlier_release_reads_a_store_that_says_who_buys_for_final_use(tmp_path: Path) -> None:
    """It ignores the array, and checks the hash that it knows: of all else."""
    network = CASES["buyers for final use"]()
    write_network(network, tmp_path / "n.zarr")
    told = open_network(tmp_path / "n.zarr").attrs["content_hash"]
    assert told == content_hash(replace(network, final_shares=None)) != content_hash(network)


def test_changed_buyers_are_refused(tmp_path: Path) -> None:
    write_network(CASES["buyers for final use"](), tmp_path / "n.zarr")
    zarr.open_array(str(tmp_path / "n.zarr/network/final_shares"), mode="r+")[0, 0] = 0.25
    with pytest.raises(NetworkStoreError, match="final_shares: the contents are not those that were written"):
        read_network(tmp_path / "n.zarr")


def test_several_shards_read_back(random_network: Callable[..., FirmNetwork], tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(networks, "CHUNK", 16)
    network = random_network(firms=300, links=2000)
    back = read_network(write_network(network, tmp_path / "n.zarr"))
    np.testing.assert_array_equal(back.amount, network.amount)
    assert len(list((tmp_path / "n.zarr/network/data/c").iterdir())) > 5


def test_anndata_reads_the_links_as_a_matrix(network: FirmNetwork, tmp_path: Path) -> None:
    write_network(network, tmp_path / "n.zarr")
    matrix: Any = anndata.io.read_elem(zarr.open_group(str(tmp_path / "n.zarr"), mode="r")["network"])
    n = network.n_firms
    expected = scipy.sparse.coo_matrix((network.amount, (network.buyer, network.supplier)), (n, n)).toarray()
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-15)


def test_xarray_opens_lazily_with_names_and_units(tmp_path: Path) -> None:
    network = _labelled()
    write_network(network, tmp_path / "n.zarr")
    plain = xr.open_zarr(str(tmp_path / "n.zarr"), group="network", chunks=None, consolidated=False)
    for opened in (open_network(tmp_path / "n.zarr"), plain):
        assert dict(opened.sizes) == {"link": 4, "firm": 3, "firm_ptr": 4, "region": 2, "sector": 2}
        assert opened["data"].attrs["units"] == "thousand EUR / day"
        assert not opened["data"].variable._in_memory
        assert list(opened["region"].values[opened["region_code"].values]) == ["DEU", "NA", "NA"]
        assert opened.attrs["row_role"] == "buyer"
        np.testing.assert_array_equal(np.diff(opened["indptr"]), [1, 2, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"amount": np.array([1.0, 1.5])}, {"final_demand": np.array([0, 0, 1.5])}, {"firm": np.array([0, 1, 3])},
        {"regions": ("other",)}, {"sectors": ("other",)}, {"unit": "EUR / day"},
        {"product": np.array([0, 1], np.int32)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_the_hash_sees_every_change(change: dict[str, Any]) -> None:
    network = CASES["a chain"]()
    assert content_hash(replace(network, **change)) != content_hash(network)


def test_changed_contents_are_refused(tmp_path: Path) -> None:
    write_network(_labelled(), tmp_path / "n.zarr")
    zarr.open_array(str(tmp_path / "n.zarr/network/data"), mode="r+")[0] = 9.0
    with pytest.raises(NetworkStoreError, match=r"n\.zarr: content_hash: the contents are not those that were written"):
        read_network(tmp_path / "n.zarr")


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "beyond": ({"supplier": np.array([0, 4000], np.int32)}, r"supplier: .*«0 ≤ supplier < 3 firms»: .*\[1\] = 4000"),
    "below": ({"buyer": np.array([-1, 2], np.int32)}, r"buyer: .*buyer\[0\] = -1"),
    "a region beyond": ({"region": np.array([0, 0, 7])}, r"region: .*«0 ≤ region < 1»: region\[2\] = 7"),
    "a sector below": ({"sector": np.array([0, -1, 0])}, r"sector: .*sector\[1\] = -1"),
    "not a number": ({"amount": np.array([1.0, np.nan])}, r"amount: .*«finite and > 0»: amount\[1\] = nan"),
    "negative": ({"amount": np.array([-1.0, 1.0])}, r"amount: .*amount\[0\] = -1"),
    "unbalanced": ({"final_demand": np.array([0, 0, 0.5])}, r"output: .*«output = sales \+ final demand, to 1e-6»"),
    "idle": (
        {"final_demand": np.zeros(3), "output": np.array([1.0, 1.0, 0])}, r"output: .*«a firm that buys has .*\[2\] = 0"
    ),
    "ids twice": ({"firm": np.array([5, 6, 5])}, r"firm: .*«none given twice»: firm\[2\] = 5"),
    "buyers of too much": ({"final_shares": np.array([[1.1]])}, r"final_shares: .*«shares ≥ 0 of .*: .*\[0\] = 1.1"),
    "unsorted": ({"supplier": np.array([1, 0]), "buyer": np.array([2, 2])}, r"link: .*«sorted by buyer, product and"),
}  # fmt: skip


@pytest.fixture(params=BROKEN.values(), ids=[*BROKEN])
def broken(request: pytest.FixtureRequest) -> tuple[FirmNetwork, str]:
    """A network that breaks a rule, and the words that say which."""
    change, says = request.param
    return replace(CASES["a chain"](), **change), says


def test_a_broken_network_is_not_written(broken: tuple[FirmNetwork, str], tmp_path: Path) -> None:
    with pytest.raises(NetworkStoreError, match=rf"n\.zarr: {broken[1]}.*; nothing was written"):
        write_network(broken[0], tmp_path / "n.zarr")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_network_that_was_signed_is_not_read(
    broken: tuple[FirmNetwork, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(networks, "check_network", lambda network: None)  # as another program might write it
        write_network(broken[0], tmp_path / "n.zarr")
    with pytest.raises(NetworkStoreError, match=rf"n\.zarr: ({broken[1]}|indptr: does not lead)"):
        read_network(tmp_path / "n.zarr")


OF_LINKS, OF_FIRMS = (
    tuple(name for name, of in networks.DIMENSIONS.items() if of == dimension) for dimension in ("link", "firm")
)


@pytest.mark.parametrize(
    ("names", "claim", "says"),
    [
        (OF_LINKS, 5 * 10**8, r"data: claims 500,000,000 values in .* files, of which 1 are there"),
        (OF_FIRMS, 5 * 10**8, r"indptr: shape \(4,\), expected"),
        (("region",), 5 * 10**8, r"region: claims 500,000,000 values"),
        (("data",), 3, r"indices: shape \(2,\), expected \(3,\)"),
    ],
)  # fmt: skip
def test_what_a_store_claims_is_held_against_what_is_there(
    names: tuple[str, ...], claim: int, says: str, tmp_path: Path
) -> None:
    write_network(CASES["a chain"](), tmp_path / "n.zarr")
    for array in names:
        file = tmp_path / "n.zarr/network" / array / "zarr.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"shape": [claim]}), "utf-8")
    with pytest.raises((NetworkStoreError, DamagedStoreError), match=rf"n\.zarr: {says}"):
        read_network(tmp_path / "n.zarr")


def test_a_store_without_a_unit_is_refused(tmp_path: Path) -> None:
    write_network(CASES["a chain"](), tmp_path / "n.zarr")
    del zarr.open_group(str(tmp_path / "n.zarr/network"), mode="r+").attrs["unit"]
    with pytest.raises(NetworkStoreError, match=r"n\.zarr: network: unit: missing"):
        read_network(tmp_path / "n.zarr")


def test_a_store_is_written_once(tmp_path: Path) -> None:
    write_network(_labelled(), tmp_path / "n.zarr")
    with pytest.raises(NetworkStoreError, match=r"n\.zarr: exists already"):
        write_network(_without_links(), tmp_path / "n.zarr")
    assert read_network(tmp_path / "n.zarr").n_links == 4


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(places, "flush_tree", full)
    with pytest.raises(OSError, match="disk full"):
        write_network(_labelled(), tmp_path / "n.zarr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("attrs", "message"),
    [({"shape": [1]}, "the names shape are reserved"), ({"when": object()}, "must be JSON"),
     ({"error": float("nan")}, "must be JSON")],
)  # fmt: skip
def test_bad_attributes_are_refused(attrs: dict[str, object], message: str, tmp_path: Path) -> None:
    network = firm_network([], [], [], [1.0], attrs=attrs)
    with pytest.raises(NetworkStoreError, match=message):
        write_network(network, tmp_path / "n.zarr")


def _nothing(path: Path) -> None:
    assert not path.exists()


def _a_table(path: Path) -> None:
    zarr.create_group(str(path), attributes={"shockmesh_schema": "table/1"})


def _another_schema(path: Path) -> None:
    zarr.create_group(str(path), attributes={"shockmesh_schema": "run/1"})


def _not_zarr(path: Path) -> None:
    path.mkdir()
    (path / "readme.txt").write_text("hello")


@pytest.mark.parametrize(
    ("make", "message"),
    [(_nothing, "no such store"), (_not_zarr, "not a Zarr store"),
     (_a_table, "is a table; `shockmesh generate"),
     (_another_schema, "shockmesh_schema: 'run/1': must be 'network/1'")],
)  # fmt: skip
@pytest.mark.parametrize("read", [read_network, open_network])
def test_what_is_no_network_is_refused(
    make: Callable[[Path], None], message: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    make(tmp_path / "x.zarr")
    with pytest.raises(NetworkStoreError, match=f"x.zarr: {message}"):
        read(tmp_path / "x.zarr")
