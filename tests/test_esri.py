"""The Economic Systemic Risk Index: published numbers, a dense second implementation, laws."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from arrays import moved
from hypothesis import given, settings
from hypothesis import strategies as st
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs.printing import BAD_INPUT, DONE
from shockmesh.io.networks.store import write_network
from shockmesh.io.rankings import read_essential
from shockmesh.kernels.esri import esri, lay_out_cascade, propagate
from shockmesh.kernels.network import FirmNetwork, firm_network

pytestmark = pytest.mark.usefixtures("quickly")

TOY_LINKS = [(3, 6), (4, 6), (4, 7), (5, 7), (6, 1), (6, 2), (7, 10), (7, 11), (8, 1), (8, 2), (9, 11)]
TOY_SECTORS = [1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5]
# GLcascade's replication example of Diem et al. (2024), PNAS Nexus 3:pgae064: no replacement, w = max(inputs, sales).
PUBLISHED = {
    "none": ".277778 .277778 .166667 .333333 .166667 .333333 .333333 .222222 .111111 .166667 .277778",
    "all": ".277778 .277778 .222222 .416667 .194444 .444444 .388889 .333333 .166667 .166667 .277778",
}


def toy() -> FirmNetwork:
    supplier, buyer = np.array(TOY_LINKS).T - 1
    names = [f"S{k}" for k in range(5)]
    final_demand = np.where(np.bincount(supplier, minlength=11) > 0, 0, 1e-12)  # who buys and sells to nobody
    return firm_network(
        supplier, buyer, np.ones(11), final_demand, sector=np.array(TOY_SECTORS) - 1, sectors=names
    )  # fmt: skip


def any_network(seed: int, firms: int, sectors: int = 3) -> FirmNetwork:
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, firms, (3 * firms, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return firm_network(
        pairs[:, 0], pairs[:, 1], rng.uniform(0.1, 1, len(pairs)), rng.uniform(0, 1, firms),
        region=rng.integers(0, 2, firms), regions=["R0", "R1"],
        sector=rng.integers(0, sectors, firms), sectors=[f"S{k}" for k in range(sectors)],
    )  # fmt: skip


def dense_health(network, level, market, size, limit, tolerance):
    """d and u of one member, written from the paper with an N × N matrix and loops: rows sell, columns buy."""
    n = network.n_firms
    flow = np.zeros((n, n))
    flow[network.supplier, network.buyer] = network.amount
    sizes = flow.sum(1) if size == "sales" else network.output
    place = {"sector": network.sector, "industry": network.industry, "none": None}[market]
    d, u = limit.copy(), limit.copy()
    while True:
        sigma = np.ones(n)
        for i in range(n):
            made = 0.0 if place is None else (sizes * d)[place == place[i]].sum()
            sigma[i] = min(sizes[i] / made, 1) if made > 0 else 1
        new_d, new_u = limit.copy(), limit.copy()
        for j in range(n):
            missing, linear = sigma * (1 - d) * flow[:, j], 0.0
            for product in np.unique(network.sector[flow[:, j] > 0]):
                of_product = network.sector == product
                if level[product, network.sector[j]] == 2:
                    new_d[j] = min(new_d[j], 1 - missing[of_product].sum() / flow[of_product, j].sum())
                if level[product, network.sector[j]] == 1:
                    linear += missing[of_product].sum() / flow[:, j].sum()
            new_d[j] = min(new_d[j], 1 - linear)
            if sizes[j] > 0:
                new_u[j] = min(new_u[j], 1 - flow[j] @ (1 - u) / sizes[j])
        change = max(np.abs(new_d - d).max(), np.abs(new_u - u).max())
        d, u = new_d, new_u
        if change <= tolerance:
            return d, u


@pytest.mark.parametrize("essential", PUBLISHED)
def test_published_numbers(precision, essential):
    network = toy()
    weights = np.maximum(network.inputs, network.sales)
    found = esri(network, essential, market="none", weights=weights, batch=4, dtype=precision)
    np.testing.assert_allclose(found, np.array(PUBLISHED[essential].split(), float), rtol=0, atol=1e-6)


# The star that the program of Diem et al. (2022) is tried with (github.com/vitelot/Economic-Systemic-Risk), and its
# answers: twelve links of 1, supplier sector > buyer sector, level of essentiality.
STAR = "A1X1:2 B2X1:2 C2X1:2 D2X1:2 E3X1:1 F3X1:1 G5X1:1 H9X1:0 X1I1:2 X1J3:1 X1K4:2 K4L2:2"
ANSWERS = {
    "X": 1.0, "A": 0.4166667, "K": 0.3888889, "L": 0.3888889, "I": 0.3055556, "J": 0.3055556, "B": 0.1369048,
    "C": 0.1369048, "D": 0.1369048, "E": 0.1232040, "F": 0.1232040, "G": 0.1232040, "H": 0.0833333,
}  # fmt: skip


def test_the_list_of_diem_et_als_program_gives_its_answers(tmp_path: Path) -> None:
    rows = [",".join((link[0], link[2], link[1], link[3], "1", link[5])) for link in STAR.split()]
    (tmp_path / "list.csv").write_text("\n".join(["supplier,customer,supplierNACE,customerNACE,weight,type", *rows]))
    assert main(["import", "links", str(tmp_path / "list.csv"), str(tmp_path / "n.zarr")]) == DONE
    words = ["esri", str(tmp_path / "n.zarr"), "--essential", "imported", "-o", str(tmp_path / "esri.csv")]
    assert main(words) == DONE
    found = pd.read_csv(tmp_path / "esri.csv", index_col="firm")["esri"].to_dict()
    assert found == pytest.approx(ANSWERS, abs=1e-6)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    market=st.sampled_from(["sector", "industry", "none"]),
    size=st.sampled_from(["sales", "output"]),
    tolerance=st.sampled_from([1e-2, 1e-4]),
)
def test_equals_dense_numpy(seed, market, size, tolerance):
    network, rng = any_network(seed, 12), np.random.default_rng(seed)
    level = rng.integers(0, 3, (3, 3))
    limit = np.where(rng.random((12, 3)) < 0.2, rng.random((12, 3)), 1)
    with jax.enable_x64(True):
        cascade = lay_out_cascade(network, level, market=market, size=size, dtype=np.float64)
        health = propagate(cascade, jnp.asarray(limit), tolerance=tolerance)
    for member in range(3):
        d, u = dense_health(network, level, market, size, limit[:, member], tolerance)
        np.testing.assert_allclose(health.downstream[:, member], d, atol=1e-12)
        np.testing.assert_allclose(health.upstream[:, member], u, atol=1e-12)


def test_an_index_is_the_weighted_loss_of_one_failure(float64):
    network = any_network(5, 20)
    found = esri(network, "all", size="output", dtype=np.float64)
    for firm in (0, 7, 19):
        limit = np.where(np.arange(20) == firm, 0.0, 1.0)
        lost = 1 - np.minimum(*dense_health(network, np.full((3, 3), 2), "sector", "output", limit, 1e-2))
        assert found[firm] == pytest.approx(lost @ network.output / network.output.sum(), abs=1e-12)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.sampled_from([1, 3, 15, 40]))
def test_batches_and_names_do_not_matter(seed, batch):
    network, order = any_network(seed, 20), np.random.default_rng(seed).permutation(20)
    place = np.argsort(order)  # where each firm goes
    with jax.enable_x64(True):
        found = esri(network, batch=20, dtype=np.float64)
        again = esri(moved(network, place), batch=batch, dtype=np.float64)
    np.testing.assert_allclose(again, found[order], atol=1e-12)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_more_essential_inputs_and_fewer_replacements_never_help(seed):
    network = any_network(seed, 15)
    with jax.enable_x64(True):

        def index(essential, market):
            return esri(network, essential, market=market, size="output", tolerance=1e-12, dtype=np.float64)

        linear, leontief, alone = index("none", "sector"), index("all", "sector"), index("all", "none")
    own = network.output / network.output.sum()
    for less, more in ((own, linear), (linear, leontief), (leontief, alone), (alone, np.ones(15))):
        assert (less <= more + 1e-9).all()


def test_a_negligible_input_does_nothing(float64):
    chain = firm_network([0, 1], [1, 2], [1, 1], [0, 0, 1], sector=[0, 1, 2], sectors=["A", "B", "C"])
    level = np.zeros((3, 3), int)
    found = propagate(lay_out_cascade(chain, level, dtype=np.float64), jnp.asarray([[0.0], [1.0], [1.0]]))
    np.testing.assert_array_equal(found.downstream[:, 0], [0, 1, 1])


def test_rounds_count_and_stop(float64):
    chain = firm_network([0, 1, 2], [1, 2, 3], [1, 1, 1], [0, 0, 0, 1])
    cascade = lay_out_cascade(chain, dtype=np.float64, market="none")
    limit = jnp.asarray([[0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(propagate(cascade, limit).rounds, [4, 1])
    np.testing.assert_array_equal(propagate(cascade, limit, tolerance=1.0).downstream[:, 0], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"batch": 0}, "batch = 0: at least one failure"),
        ({"tolerance": 0.0}, "tolerance = 0.0: must be > 0"),
        ({"weights": np.zeros(11)}, "weights: .* not all 0"),
        ({"weights": np.ones(3)}, r"weights: \(3,\), expected one of each of 11 firms"),
        ({"essential": np.ones((2, 5), int)}, r"essential: shape \(2, 5\), expected \(4 products, 5 sectors\)"),
        ({"essential": np.full((5, 5), 3)}, "essential: levels .*3.*, expected 0, 1 or 2"),
    ],
)
def test_a_wrong_call_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        esri(toy(), **arguments)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return write_network(toy(), "toy.zarr").name


def test_the_verb_writes_a_ranking_and_prints_the_top_ten(store: str, capsys: Any):
    assert main(["esri", store, "--essential", "none", "--market", "none"]) == DONE
    told = capsys.readouterr().out
    assert told.startswith("toy.esri.csv: 11 firms by esri")
    assert len(told.splitlines()) == 11
    assert "  region, S" in told.splitlines()[1]
    ranking = pd.read_csv("toy.esri.csv")
    assert list(ranking.columns) == ["rank", "firm", "region", "sector", "output", "esri"]
    expected = esri(toy(), "none", market="none")
    np.testing.assert_allclose(ranking["esri"], expected[ranking["firm"]], atol=1e-9)
    assert ranking["esri"].is_monotonic_decreasing
    assert ranking["rank"].tolist()[:4] == [1, 1, 1, 4]


def test_essential_inputs_are_read_from_a_file(store: str):
    table = pd.DataFrame(1, index=[f"S{k}" for k in range(6)], columns=[f"S{k}" for k in range(5)])
    table.loc["S2", "S4"], table.loc["S1", "S2"] = 2, 0
    table.to_csv("levels.csv")
    level = np.ones((5, 5), int)
    level[2, 4], level[1, 2] = 2, 0
    np.testing.assert_array_equal(read_essential("levels.csv", toy()), level)
    assert main(["esri", store, "--essential", "levels.csv", "-o", "some.csv", "-q"]) == DONE
    ranking = pd.read_csv("some.csv").sort_values("firm")
    np.testing.assert_allclose(ranking["esri"], esri(toy(), level), atol=1e-9)


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("sector,S0\nS0,1\n", "levels.csv: row: S1, S2, S3, S4: each sector must be named once"),
        ("s,S0,S1,S2,S3,S4\n" + "".join(f"S{k},1,1,1,1,x\n" for k in range(5)), "levels.csv: S0, S4: x: must be 2"),
        (None, "levels.csv: no such file"),
    ],
)
def test_a_bad_file_of_levels_is_refused(store: str, capsys: Any, csv: str | None, says: str):
    if csv:
        Path("levels.csv").write_text(csv, "utf-8")
    assert main(["esri", store, "--essential", "levels.csv"]) == BAD_INPUT
    assert says in capsys.readouterr().err
    assert not Path("toy.esri.csv").exists()


def test_what_exists_is_not_overwritten(store: str, capsys: Any):
    Path("toy.esri.csv").write_text("mine", "utf-8")
    assert main(["esri", store]) == BAD_INPUT
    assert capsys.readouterr().err == "toy.esri.csv: exists already; give another path with --out\n"
    assert main(["esri", store, "-o", "new.csv", "--batch", "0"]) == BAD_INPUT
    assert capsys.readouterr().err == "batch: 0: must be ≥ 1\n"
