"""The packaged example of the United Kingdom in 2020: its table, its series, and the errors that its README states."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from shockmesh.cluster.calibrating.calibration import bind_calibration
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.running.run import run
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.load import load_spec
from shockmesh.inference.baselines import first_order, through_leontief, weighted_error
from shockmesh.io.examples import copy_example
from shockmesh.io.inputs.series import firms_of_series, read_noise, read_series
from shockmesh.io.networks.generate import generate_network
from shockmesh.io.networks.store import write_network
from shockmesh.io.posteriors import open_posterior
from shockmesh.io.sources import Said
from shockmesh.io.tables.importing import import_table
from shockmesh.io.tables.store import TableError, open_table
from shockmesh.kernels.network import FirmNetwork

DAYS, NOT_MARKET = 335, {"O", "P", "Q", "T"}
SCORED = (  # series, their sectors, rows: months of the fit, months held out, quarters held out
    ("observed.csv", "sections.csv", slice(1, 5)),
    ("observed.csv", "sections.csv", slice(5, 11)),
    ("quarterly_observed.csv", "divisions.csv", slice(1, 3)),
)


class Example(NamedTuple):
    folder: Path
    network: FirmNetwork
    findings: list[str]


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Example:
    folder = tmp_path_factory.mktemp("uk2020")
    copy_example("uk2020", folder)
    findings = import_table("niot", folder / "gbr_niot_2014.csv", folder / "uk.zarr", Said("million USD"))
    with open_table(folder / "uk.zarr") as table:
        network = generate_network(table, 1000, 7)
    write_network(network, folder / "uk-1000.zarr")
    return Example(folder, network, [finding.check for finding in findings])


def shocks(example: Example) -> pd.DataFrame:
    return pd.read_csv(example.folder / "shocks.csv", index_col=0).loc[list(example.network.sectors)]


def flows(example: Example) -> tuple[np.ndarray, np.ndarray]:
    with open_table(example.folder / "uk.zarr") as table:
        return table["Z"].to_numpy()[0, :, 0], table["Y"].to_numpy()[0, :, 0].sum(axis=1)


def errors(example: Example, daily: np.ndarray) -> list[float]:
    """Errors of daily output relative to before [day, sector], as the README has them: see SCORED."""
    return [error(example, daily, *scored) for scored in SCORED]


def error(example: Example, daily: np.ndarray, file: str, groups: str, rows: slice) -> float:
    """Error over some rows of a file of series [% points], each series by the value added of its sectors."""
    series = read_series(example.folder / file, DAYS)
    of_sector = pd.read_csv(example.folder / groups, index_col=0).series.reindex(list(example.network.sectors))
    parts = (of_sector.to_numpy()[:, None] == np.array(series.names)) * shocks(example)[["value_added"]].to_numpy()
    weight = parts.sum(axis=0)
    ends = zip(series.first_day[rows], series.last_day[rows], strict=True)
    predicted = np.array([daily[first : last + 1].mean(axis=0) @ parts / weight for first, last in ends])
    return weighted_error(predicted, series.values[rows], weight)


def stated(example: Example, row: str) -> list[float]:
    readme = (example.folder / "README.md").read_text("utf-8")
    found = re.findall(rf"^\| {re.escape(row)}[^|]*\| (\S+) \| (\S+) \| (\S+) \|$", readme, re.MULTILINE)
    return [float(number) for number in found[0]]


def recoveries(example: Example) -> list[Any]:
    """The shocks of the spec."""
    return list(load_spec(example.folder / "lockdown.yaml").shocks)


def losses(example: Example) -> dict[str, np.ndarray]:
    """Share lost on each day [day, sector] by each shock of the spec."""
    spec = load_spec(example.folder / "lockdown.yaml")
    _, scenario = Simulator(spec, example.network).inputs(range(1))
    first = [int(np.flatnonzero(example.network.sector == k)[0]) for k in range(len(example.network.sectors))]
    lost: dict[str, np.ndarray] = {}
    for part, of in (("production", scenario.productivity), ("final_demand", scenario.final_demand)):
        names = [shock.name for shock in recoveries(example) if shock.on == part]
        for name, shock in zip(names, of, strict=True):
            days = np.stack([np.asarray(shock.factor(jnp.asarray(float(day))))[:, 0] for day in range(DAYS)])
            lost[name] = 1 - days[:, first]
    return lost


def test_the_table_passes_its_checks_and_adds_up(example):
    assert example.findings == ["inventory changes"]
    told = pd.read_csv(example.folder / "gbr_niot_2014.csv", index_col=0)
    rest = told.loc[["imports", "taxes", "value_added", "margins"]].sum()
    with open_table(example.folder / "uk.zarr") as table:
        assert table.sizes["sector"] == 55
        assert table.attrs["year"] == 2014
        for sector, value in zip(table.sector.values, table.value_added.values[0], strict=True):
            assert value == pytest.approx(rest[f"GBR_{sector}"], abs=0.01)


def test_a_national_table_is_what_the_user_says_or_asks(example):
    """The file says neither whose it is, nor its year, nor its unit: none is made up."""
    file, store = example.folder / "gbr_niot.csv", example.folder / "other.zarr"
    file.write_bytes((example.folder / "gbr_niot_2014.csv").read_bytes())
    for said, says in ((Said(), "nothing says what its amounts are counted in"), (Said("kUSD"), "year: none in its")):
        with pytest.raises(TableError, match=rf"gbr_niot\.csv: {says}"):
            import_table("niot", file, store, said)
    import_table("niot", file, store, Said("thousand GBP", (2020,), "the office", "OGL 3.0"))
    with open_table(store) as table, open_table(example.folder / "uk.zarr") as untold:
        told = [table.attrs[name] for name in ("units", "year", "source", "license")]
        assert told == ["thousand GBP / year", 2020, "the office, gbr_niot.csv", "OGL 3.0"]
        assert untold.attrs["license"] == "not stated"
        assert "WIOD" not in str(untold.attrs)


def test_every_market_section_is_seen_in_every_month(example):
    series = read_series(example.folder / "observed.csv", DAYS)
    of_sector = pd.read_csv(example.folder / "sections.csv", index_col=0).series
    assert sorted(of_sector.index) == sorted(example.network.sectors)
    assert set(of_sector) - NOT_MARKET == set(series.names)
    assert (series.first_day[0], series.last_day[-1]) == (0, DAYS - 1)
    np.testing.assert_array_equal(series.first_day[1:], series.last_day[:-1] + 1)
    firms = firms_of_series(series, "sector", str(example.folder / "sections.csv"), example.network, "observed.csv")
    assert set(firms) == set(range(len(series.names) + 1))
    told = pd.read_csv(example.folder / "monthly_gva.csv", index_col=0)
    np.testing.assert_allclose(series.values[:, :-1], told[list(series.names[:-1])], atol=1e-4)
    np.testing.assert_allclose(series.values[:, -1], told[["R", "S"]].mean(axis=1), atol=1e-4)


def test_quarters_of_divisions_are_those_of_the_file(example):
    series = read_series(example.folder / "quarterly_observed.csv", DAYS)
    path = str(example.folder / "divisions.csv")
    of_firm = firms_of_series(series, "sector", path, example.network, "quarterly_observed.csv")
    market = ~np.isin([code[0] for code in example.network.sectors], list(NOT_MARKET))
    assert (of_firm < len(series.names)).tolist() == market[example.network.sector].tolist()
    told = pd.read_csv(example.folder / "quarterly_gva.csv", index_col=0)
    ratio = (told / told.loc["2019-Q4"]).loc["2020-Q2":]
    alike = [name for name in series.names if name in told.columns]
    assert len(alike) == 24
    for name in alike:
        np.testing.assert_allclose(series.values[:, series.names.index(name)], ratio[name], atol=1e-4)
    hotels = series.values[:, series.names.index("I")]
    np.testing.assert_allclose(hotels, ratio[["I55", "I56"]].mean(axis=1), atol=1e-4)


@pytest.mark.parametrize(
    ("series", "noise"), [("observed.csv", "noise.csv"), ("quarterly_observed.csv", "quarterly_noise.csv")]
)
def test_noise_is_the_model_s_and_what_other_years_bring(example, series, noise):
    found = read_noise(example.folder / noise, read_series(example.folder / series, DAYS), 1e-6, 100)
    assert found.min() >= 0.03
    assert (found[-1] > found[0]).all()


def test_the_shocks_of_the_specs_are_those_of_the_file(example):
    given = recoveries(example)
    assert list(load_spec(example.folder / "calibration.yaml").shocks) == given
    lost = {shock.name: dict(shock.loss.by_sector) for shock in given}
    supply = lost["closure"] | lost["lockdown"]
    assert not set(lost["closure"]) & set(lost["lockdown"])
    for given_loss, column in ((supply, "supply_shock"), (lost["caution"], "final_demand_shock")):
        lower = (-shocks(example)[column].to_numpy(float)).round(3)
        assert given_loss == {
            of: loss for of, loss in zip(example.network.sectors, lower.tolist(), strict=True) if loss > 0
        }
    for sector, loss in (lost["november"] | lost["tiers"]).items():
        assert loss == pytest.approx(supply[sector] / 2, abs=1e-3)


@pytest.mark.parametrize("row", ["no change at all", "supply shock alone", "first order", "demand through Leontief"])
def test_baselines_give_the_errors_of_the_readme(example, row):
    lost = losses(example)
    supply = 1 - np.prod([1 - lost[name] for name in ("closure", "lockdown", "november", "tiers")], axis=0)
    sold, final = flows(example)
    share = final / (sold.sum(axis=1) + final)
    daily = {
        "no change at all": lambda: np.ones_like(supply),
        "supply shock alone": lambda: 1 - supply,
        "first order": lambda: first_order(supply, lost["caution"], share),
        "demand through Leontief": lambda: np.array([through_leontief(sold, final, one) for one in lost["caution"]]),
    }[row]()
    np.testing.assert_allclose(errors(example, daily), stated(example, row), atol=0.06)


@pytest.mark.parametrize(
    ("row", "overrides"),
    [
        ("`hamid2025`", ["model.preset=hamid2025", "model.criticality=null"]),
        ("`pichler2022`", []),
    ],
)
def test_presets_give_the_errors_of_the_readme(example, row, overrides):
    spec = load_spec(example.folder / "lockdown.yaml", overrides)
    found = Simulator(spec, example.network).simulate(range(1))["value_added"][0]
    daily = found / found[0]
    np.testing.assert_allclose(errors(example, daily), stated(example, row), atol=0.06)


@pytest.mark.parametrize("name", ["lockdown.yaml", "calibration.yaml"])
def test_criticality_is_as_published(example, name):
    file = Path(__file__).parent / "data" / "uk_covid2020" / "ihs_input_criticality_wiod55.csv"
    sectors = list(example.network.sectors)  # T has no ratings
    published = pd.read_csv(file, index_col=0).reindex(index=sectors, columns=sectors).fillna(0)
    bound = bind(load_spec(example.folder / name), example.network)
    np.testing.assert_array_equal(bound.criticality, published)


def test_leontief_without_a_shock_is_no_change():
    assert through_leontief(np.array([[0.0, 2], [1, 0]]), np.array([3.0, 4]), np.zeros(2)) == pytest.approx(1)


def test_the_calibration_passes_every_check(example):
    """One of its series is held out as a whole."""
    bound = bind_calibration(load_spec(example.folder / "calibration.yaml"), example.network)
    assert [bool(seen.fitted.any()) for seen in bound.problem.experiments[0].seen] == [True, False]


@pytest.mark.slow
def test_the_calibration_gives_the_errors_of_the_readme(example):
    """A few minutes on two quiet cores."""
    run(example.folder / "calibration.yaml", example.folder / "run", address="local", quiet=True)
    tree: Any = open_posterior(example.folder / "run")
    weights = shocks(example).value_added
    found: list[float] = []
    for file, groups, rows in SCORED:
        variable = "value_added" if file == "observed.csv" else "output"
        seen = tree["observed_data"][variable].values[rows]
        names = tree["observed_data"][variable][f"{variable}_series"].values
        of_sector = pd.read_csv(example.folder / groups, index_col=0).series
        weight = weights.groupby(of_sector).sum()[list(names)].to_numpy()
        mean = tree["posterior_predictive"][variable].values[0].mean(axis=0)[rows]
        found.append(weighted_error(mean, seen, weight))
    readme = (example.folder / "README.md").read_text("utf-8")
    row = re.findall(r"^\| `pichler2022` \| (\S+) \| (\S+) \| (\S+) \| .*%", readme, re.MULTILINE)[0]
    np.testing.assert_allclose(found, [float(number) for number in row], atol=0.2)
    alike = [100 * float(tree["scores"][f"value_added_{part}"].sel(score="rmse")) for part in ("fitted", "held_out")]
    said = re.findall(r"The report of the first run says (\S+) and (\S+) in place of", readme)[0]
    np.testing.assert_allclose(alike, [float(number) for number in said], atol=0.2)
    assert 0.85 <= float(tree["scores"]["value_added_held_out"].sel(score="coverage_90")) <= 0.95
