"""Candidates of a network: their rules, how they are drawn, read and kept, and what does not see them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import ArrayLike
from shockmesh.cluster.cli import main
from shockmesh.io.inputs.rows.sheets import SheetError
from shockmesh.io.networks.candidates import candidates_of, draw_candidates
from shockmesh.io.networks.facts import describe_network
from shockmesh.io.networks.generate import generate_network
from shockmesh.io.networks.store import NetworkStoreError, content_hash, read_network, write_network
from shockmesh.kernels.devices.layout import candidates_of as candidates_of_links
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.network import FirmNetwork, NetworkError, firm_network, with_candidate_links, with_candidates
from tables import random_table

# 0 and 1 sell a, 2 sells b; 3 buys a from 0 and b from 2, 4 buys a from 1
FIVE = firm_network(
    [0, 2, 1], [3, 3, 4], [1.0, 2, 3], [1.0, 1, 1, 5, 5], sector=[0, 0, 1, 2, 2], sectors=list("abc"),
    firm=[f"f{k}" for k in range(5)],
)  # fmt: skip


@pytest.fixture(scope="module")
def generated() -> FirmNetwork:
    return generate_network(random_table(3, 4, seed=1), 400, seed=11, candidates=3)


def pools(network: FirmNetwork) -> set[tuple[int, int]]:
    return set(zip(network.buyer.tolist(), network.product.tolist(), strict=True))


@pytest.mark.parametrize(
    ("supplier", "buyer", "product", "rule"),
    [
        ([5], [3], [0], "candidate supplier: 1 break the rule «0 ≤ candidate supplier < 5 firms»"),
        ([0], [0], [0], "no firm supplies itself"),
        ([0], [3], [0], "no supplier of the pool already"),
        ([1, 1], [3, 3], [0, 0], "each supplier is a candidate of a pool once"),
        ([2], [4], [1], "candidate product: 1 break the rule «the buyer has links of the product»"),
        ([1], [3], [-1], "the buyer has links of the product"),
    ],
)
def test_candidates_break_rules(supplier: ArrayLike, buyer: ArrayLike, product: ArrayLike, rule: str):
    with pytest.raises(NetworkError, match=rule):
        with_candidates(FIVE, supplier, buyer, product)


def test_links_of_candidates_carry_nothing():
    """They come among the links in canonical order; all sums stay."""
    wide = with_candidate_links(with_candidates(FIVE, [1, 0], [3, 4], [0, 0]))
    assert wide.supplier.tolist() == [0, 1, 2, 0, 1]
    assert wide.amount.tolist() == [1, 0, 2, 0, 3]
    np.testing.assert_array_equal(wide.inputs, FIVE.inputs)
    candidates = candidates_of_links(wide)
    assert candidates is not None
    np.testing.assert_array_equal(candidates.amount, [0, 1, 2, 3, 0])
    np.testing.assert_array_equal(candidates.some, [1, 1, 0, 1, 1])
    np.testing.assert_array_equal(lay_out(wide).pool_amount, lay_out(FIVE).pool_amount)
    assert with_candidate_links(FIVE) is FIVE


def test_each_pool_gets_what_there_is(generated: FirmNetwork):
    """Three, or all that sell the product and do not supply the pool."""
    more = generated.candidates
    of_pool = dict.fromkeys(pools(generated), 0)
    for pool in zip(more.buyer.tolist(), more.product.tolist(), strict=True):
        of_pool[pool] += 1
    sellers = {p: set(generated.supplier[generated.product == p].tolist()) for p in range(4)}
    for (buyer, product), found in of_pool.items():
        own = set(generated.supplier[(generated.buyer == buyer) & (generated.product == product)].tolist())
        assert found <= min(3, len(sellers[product] - own - {buyer}))
    assert np.mean([found == 3 for found in of_pool.values()]) > 0.99


def test_candidates_are_drawn_alike_and_beside_the_links(generated: FirmNetwork):
    """The same seed gives the same, another does not; links are those without candidates."""
    alone = generate_network(random_table(3, 4, seed=1), 400, seed=11)
    assert content_hash(generated) == content_hash(alone)
    again, other = (draw_candidates(alone, 3, seed).candidates for seed in (11, 12))
    np.testing.assert_array_equal(again.supplier, generated.candidates.supplier)
    assert not np.array_equal(other.supplier[:1000], again.supplier[:1000])


def test_large_and_near_firms_are_drawn_as_they_trade():
    """Buyers in y buy twice as much from x as from y; within a region firms are drawn by their sales."""
    buyers = 6000
    supplier = np.concatenate([np.arange(buyers) % 4, [0, 1, 2, 3]])
    amount = np.concatenate([np.tile([2.0, 2, 1, 1], buyers // 4), [4.0, 4, 2, 2] * np.array([8, 1, 1, 1])])
    buyer = np.concatenate([4 + np.arange(buyers), np.full(4, 4 + buyers)])
    region = np.array([0, 0, 1, 1] + [1] * buyers + [0])
    network = firm_network(
        supplier, buyer, amount, np.full(buyers + 5, 1.0) + 1e4 * (np.arange(buyers + 5) >= 4), region=region,
        regions=["x", "y"], sector=(np.arange(buyers + 5) >= 4).astype(int), sectors=["goods", "shops"],
    )  # fmt: skip
    more = draw_candidates(network, 1, seed=3).candidates
    sales = network.sales[:4]
    trade = np.array([2, 2, 1, 1]) / 6
    of_region = np.array([trade[:2].sum()] * 2 + [trade[2:].sum()] * 2)
    weight = of_region * sales / np.array([sales[:2].sum()] * 2 + [sales[2:].sum()] * 2)
    expected = np.zeros(4)
    for own in range(4):  # a quarter of the buyers have this supplier already
        left = np.where(np.arange(4) == own, 0, weight)
        expected += left / left.sum() / 4
    drawn = np.bincount(more.supplier[more.buyer < 4 + buyers], minlength=4) / buyers
    np.testing.assert_allclose(drawn, expected, atol=4 * np.sqrt(0.25 / buyers))


FILES = {
    "supplier,buyer\nf1,f3\n": [(1, 3, 0)],
    "supplier,buyer,product\nf1,f3,a\nf0,f4,a\n": [(1, 3, 0), (0, 4, 0)],
}
BAD_FILES = {
    "supplier,buyer\nf9,f3\n": "supplier is not a firm of the network: line 2 (supplier 'f9')",
    "supplier,buyer\nf1,\n": "buyer is not a firm of the network: line 2",
    "supplier,buyer,product\nf1,f3,z\n": "product is none of the network's: line 2",
}


@pytest.mark.parametrize("text", FILES)
def test_candidates_are_read(tmp_path: Path, text: str):
    (tmp_path / "more.csv").write_text(text)
    more = candidates_of(FIVE, str(tmp_path / "more.csv")).candidates
    assert list(zip(more.supplier, more.buyer, more.product, strict=True)) == FILES[text]


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_files_are_told(tmp_path: Path, text: str):
    (tmp_path / "more.csv").write_text(text)
    with pytest.raises(SheetError) as error:
        candidates_of(FIVE, str(tmp_path / "more.csv"))
    assert BAD_FILES[text] in str(error.value)


def test_a_supplier_of_several_products_needs_one_named(tmp_path: Path):
    network = firm_network([0, 0, 1], [1, 2, 2], [1.0] * 3, [0.0, 1, 9], product=[0, 1, 1])
    (tmp_path / "more.csv").write_text("supplier,buyer\n0,1\n")
    with pytest.raises(SheetError, match="supplier sells several products"):
        candidates_of(network, str(tmp_path / "more.csv"))


def test_stores_keep_candidates(generated: FirmNetwork, tmp_path: Path):
    write_network(generated, tmp_path / "with")
    found = read_network(tmp_path / "with").candidates
    for end in ("supplier", "buyer", "product"):
        np.testing.assert_array_equal(getattr(found, end), getattr(generated.candidates, end))
    told = describe_network(tmp_path / "with")
    assert told["candidates"] == len(found)
    assert told["links"] == generated.n_links
    write_network(replace(generated, candidates=type(found)(*(found.buyer[:0],) * 3)), tmp_path / "without")
    assert not [name for name in zarr.open_group(tmp_path / "without/network").array_keys() if "candidate" in name]
    assert "candidates" not in describe_network(tmp_path / "without")


def test_a_reader_of_links_alone_reads_them(generated: FirmNetwork, tmp_path: Path):
    """What older readers look at is what they know: arrays, schema and check sum."""
    alone = replace(generated, candidates=type(generated.candidates)(*(generated.buyer[:0],) * 3))
    attrs = {}
    for name, network in (("with", generated), ("without", alone)):
        write_network(network, tmp_path / name)
        attrs[name] = dict(zarr.open_group(tmp_path / name / "network").attrs)
    assert attrs["with"]["shockmesh_schema"] == "network/1"
    assert attrs["with"].pop("candidates_hash")
    assert attrs["with"] == attrs["without"]


def _cut(group: zarr.Group) -> None:
    del group["candidate_buyer"]


def _other(group: zarr.Group) -> None:
    group["candidate_supplier"][0] = (int(group["candidate_supplier"][0]) + 1) % 400  # pyright: ignore


DAMAGES: dict[str, tuple[Callable[[zarr.Group], None], str]] = {
    "lost": (_cut, "candidate_buyer: missing; make the store again"),
    "changed": (_other, "candidates_hash: the candidates are not those that were written"),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_candidates_are_told(generated: FirmNetwork, tmp_path: Path, how: str):
    damage, told = DAMAGES[how]
    write_network(generated, tmp_path / "with")
    damage(zarr.open_group(tmp_path / "with/network"))
    with pytest.raises(NetworkStoreError, match=told):
        read_network(tmp_path / "with")


def test_import_takes_candidates(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "links.csv").write_text("supplier,buyer,amount\nf0,f2,1\nf1,f3,2\n")
    (tmp_path / "firms.csv").write_text("firm,region,sector,final_demand\nf0,x,a,1\nf1,x,a,1\nf2,x,b,9\nf3,x,b,9\n")
    (tmp_path / "more.csv").write_text("supplier,buyer\nf1,f2\n")
    for said, count in (("2", 2), (str(tmp_path / "more.csv"), 1)):
        store = tmp_path / f"store{count}"
        assert main(["import", "links", str(tmp_path), str(store), "--candidates", said]) == 0
        assert len(read_network(store).candidates) == count
        assert f"candidates {count}" in capsys.readouterr().out
    assert main(["import", "links", str(tmp_path), str(tmp_path / "none"), "--candidates", "0"]) == 2
    assert "candidates: 0: must be ≥ 1 and ≤ 1,000 for each pool" in capsys.readouterr().err
