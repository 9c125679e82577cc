"""The surveyed criticality: its crosswalk, the means of wide sectors, what a spec may leave out, what is refused."""

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.running.provenance import inputs
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.fields import SURVEYED
from shockmesh.cluster.spec.load import SpecError, load_spec
from shockmesh.io.examples import EXAMPLES
from shockmesh.io.inputs.survey import CROSSWALK, surveyed_criticality, unrated
from shockmesh.kernels.network import FirmNetwork, firm_network
from toy import MakeSpec

SECTIONS = {  # ISIC Rev. 4: first and last division
    "A": (1, 3), "B": (5, 9), "C": (10, 33), "D": (35, 35), "E": (36, 39), "F": (41, 43), "G": (45, 47), "H": (49, 53),
    "I": (55, 56), "J": (58, 63), "K": (64, 66), "L": (68, 68), "M": (69, 75), "N": (77, 82), "O": (84, 84),
    "P": (85, 85), "Q": (86, 88), "R": (90, 93), "S": (94, 96), "T": (97, 98), "U": (99, 99),
}  # fmt: skip
HALF = {"model": {"production": "half_critical"}}


def classification(table: str) -> list[str]:
    return np.load(EXAMPLES / "tables" / table)["sectors"].tolist()


WIOD, ICIO = classification("wiod2016_2014_parts.npz"), classification("icio2021_2014.npz")
RATED = [sector for sector in WIOD if sector != "U"]


def published() -> pd.DataFrame:
    """The ratings as published: neither T nor 11 pairs have one."""
    told = pd.read_csv(
        Path(__file__).parent / "data" / "uk_covid2020" / "ihs_input_criticality_wiod55.csv", index_col=0
    )
    return told.reindex(index=RATED, columns=RATED).fillna(0)


def divisions(sector: str) -> set[int]:
    """The divisions of ISIC that a code says: C10-C12 and C10T12 say 10 to 12, C31_32 says 31 and 32, C301 says 30."""
    found = set[int]()
    for part in sector.split("_"):
        ends = [int(number[:2]) for number in re.findall(r"\d+", part)] or SECTIONS[part]
        found |= set(range(ends[0], ends[-1] + 1))
    return found


def test_the_crosswalk_has_every_packaged_sector_and_goes_by_divisions():
    table = pd.read_csv(CROSSWALK, keep_default_na=False)
    assert table["sector"].is_unique
    assert unrated([*WIOD, *ICIO, *SECTIONS]) == []
    for sector, rated in zip(table["sector"], table["rated"], strict=True):
        assert rated.split() == [of for of in RATED if divisions(of) & divisions(sector)]


def test_rated_sectors_keep_their_ratings_to_the_bit():
    some = RATED[::-3]
    np.testing.assert_array_equal(surveyed_criticality(RATED), published())
    np.testing.assert_array_equal(surveyed_criticality(some), published().loc[some, some])
    np.testing.assert_array_equal(surveyed_criticality(["A01", "U"]), [[1, 0], [0, 0]])
    assert set(np.unique(surveyed_criticality(WIOD))) == {0.0, 0.5, 1.0}


@pytest.mark.parametrize("sectors", [ICIO, list(SECTIONS)], ids=["ICIO", "sections"])
def test_wide_sectors_have_the_mean_of_what_they_cover_by_what_was_paid(sectors: list[str]):
    table = np.load(EXAMPLES / "tables" / "wiod2016_2014_parts.npz")
    paid = pd.DataFrame((table["Zd"].astype(float) + table["M"]).sum(axis=0) + 1, WIOD, WIOD)
    all_ratings, all_weights = published().to_numpy(), paid.loc[RATED, RATED].to_numpy()
    covered = [[k for k, of in enumerate(RATED) if divisions(of) & divisions(sector)] for sector in sectors]
    found = surveyed_criticality(sectors)
    for (product, rows), (buyer, columns) in itertools.product(enumerate(covered), repeat=2):
        ratings, weights = (of[np.ix_(rows, columns)] for of in (all_ratings, all_weights))
        if len(np.unique(ratings)) == 1:
            assert found[product, buyer] == ratings[0, 0]
        elif ratings.size:
            assert found[product, buyer] == pytest.approx((ratings * weights).sum() / weights.sum(), rel=1e-12)
        else:
            assert found[product, buyer] == 0


def test_parts_of_a_rated_sector_have_its_ratings():
    chi = surveyed_criticality(["C24A", "C24B", "B05_06", "C24", "B"])
    np.testing.assert_array_equal(chi[[0, 1, 2]], chi[[3, 3, 4]])
    np.testing.assert_array_equal(chi[:, [0, 1, 2]], chi[:, [3, 3, 4]])


@pytest.mark.parametrize("production", ["strongly_critical", "half_critical", "weakly_critical"])
def test_left_out_by_name_and_as_a_file_are_one_run(toy: FirmNetwork, make: MakeSpec, tmp_path: Path, production: str):
    chi = surveyed_criticality(toy.sectors)
    pd.DataFrame(chi, toy.sectors, toy.sectors).to_csv(tmp_path / "own.csv")
    ways = [{}, {"criticality": SURVEYED}, {"criticality": "own.csv"}]
    specs = [make({"loss": 0.95}, model={"production": production, "inventory_days": 2} | way) for way in ways]
    assert [spec.model.criticality for spec in specs] == [SURVEYED, SURVEYED, str(tmp_path / "own.csv")]
    silent, named, file = (Simulator(spec, toy).simulate(range(1))["output"] for spec in specs)
    np.testing.assert_array_equal(silent, named)
    np.testing.assert_array_equal(silent, file)


def test_the_ratings_are_an_input_of_a_run(toy: FirmNetwork, make: MakeSpec):
    found = inputs(make(**HALF), toy)
    assert found["model.criticality"]["path"] == str(CROSSWALK.parent)
    assert "model.criticality" not in inputs(make(), toy)


def renamed(toy: FirmNetwork, sectors: list[str], product: np.ndarray | None = None) -> FirmNetwork:
    return firm_network(
        toy.supplier, toy.buyer, toy.amount, toy.final_demand, region=toy.region, sector=toy.sector, product=product,
        firm=toy.firm, regions=toy.regions, sectors=sectors,
    )  # fmt: skip


def test_sectors_without_a_rating_are_named(toy: FirmNetwork, tmp_path: Path):
    (tmp_path / "s.yaml").write_text(
        "economy: .\nhorizon: {days: 5}\nmodel:\n  production: half_critical\n", encoding="utf-8"
    )
    spec = load_spec(tmp_path / "s.yaml")
    assert bind(spec, toy).criticality is not None
    with pytest.raises(SpecError) as caught:
        bind(spec, renamed(toy, ["steel", "C10", "10", "I"]))
    told = "no ratings of sectors steel, 10: name a CSV of sectors by sectors; sectors with ratings: "
    assert str(caught.value) == f"{tmp_path}/s.yaml:3: model.criticality: surveyed: {told}{CROSSWALK}"
    with pytest.raises(SpecError, match=r"model\.criticality: surveyed: the network's products are not its sectors"):
        bind(spec, renamed(toy, list(toy.sectors), np.zeros(toy.n_links, int)))
    with pytest.raises(ValueError, match="sectors: steel: not in"):
        surveyed_criticality(["steel"])


def test_the_survey_is_refused_where_nothing_reads_it(make: MakeSpec):
    with pytest.raises(SpecError, match=r"model\.criticality: surveyed: is not read by production: leontief"):
        make(model={"criticality": SURVEYED})


def test_of_goods_alone_is_the_survey_without_what_no_stock_holds():
    goods = [of for of in RATED if of[0] in "ABC" and of != "C33"]
    kept = np.isin(RATED, goods)
    np.testing.assert_array_equal(
        surveyed_criticality(RATED, goods=True), np.where(kept[:, None], surveyed_criticality(RATED), 0)
    )
    assert 0 < surveyed_criticality(["C", "F"], goods=True)[0].max() < surveyed_criticality(["C", "F"])[0].max()


def test_a_preset_says_which_survey_it_reads(toy: FirmNetwork, make: MakeSpec):
    for preset, named in (("pichler2022", "surveyed"), ("shockmesh2026", "surveyed_goods")):
        assert make(model={"preset": preset}).model.criticality == named
