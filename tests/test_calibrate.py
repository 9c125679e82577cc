"""A calibration from a spec to a posterior: what it keeps, what it resumes to, what it refuses."""

import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import cast

import arviz as az
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from shockmesh.cluster.calibrating import fit as calibrate
from shockmesh.cluster.calibrating import run as calibrating
from shockmesh.cluster.calibrating.calibration import bind_calibration
from shockmesh.cluster.calibrating.fit import CalibrationError, Track, stale
from shockmesh.cluster.calibrating.run import CalibrationSummary
from shockmesh.cluster.cli import main
from shockmesh.cluster.running import run as runs
from shockmesh.cluster.running.run import status
from shockmesh.cluster.spec.load import SpecError, load_spec
from shockmesh.inference.baselines import BASELINES
from shockmesh.inference.diagnostics import pareto_k
from shockmesh.inference.problem import field_values
from shockmesh.io.inputs.series import SeriesError, read_noise, read_series
from shockmesh.io.networks.store import read_network, write_network
from shockmesh.io.posteriors import open_posterior
from shockmesh.io.reports.posterior import trust
from shockmesh.io.results import ResultsError, open_run
from shockmesh.io.stores.checkpoints import CHECKPOINTS, discard_damaged, last_checkpoint, write_checkpoint

pytestmark = pytest.mark.usefixtures("quickly")

run = cast(Callable[..., CalibrationSummary], runs.run)  # of calibrations
resume = cast(Callable[..., CalibrationSummary], runs.resume)

TRUTH = """
economy: economy.zarr
horizon: {days: 20}
model: {inventory_days: 3}
shocks: [{name: storm, kind: recovery, loss: 0.7, recovery_days: 8}]
record: {output: [sector]}
"""
SPEC = """
economy: economy.zarr
horizon: {days: 20}
shocks: [{name: storm, kind: recovery, where: {sector: [S0, S1]}, loss: 0.5, recovery_days: 15}]
observe:
  - {file: series.csv, by: sector, noise: 0.02, window: [0, 14], held_out: [14, 20]}
infer:
  parameters:
    model.adjustment_days: {spread: {all: 0.2}}
    model.inventory_days: {spread: {all: 0.5, firm: 0.3}}
    shocks.storm.recovery_days: {spread: {sector: 0.5}}
    shocks.storm.loss: {spread: {all: 0.5}, doubt: 0.3}
  guide: mean_field
  steps: 8
  checkpoint_every: 4
  draws: 5
sweep: {seed: 3}
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, random_network: Callable) -> Path:
    """A folder with a spec, its economy, and a series of what happened there."""
    folder = tmp_path_factory.mktemp("seen")
    write_network(random_network(firms=30, links=120), folder / "economy.zarr")
    (folder / "truth.yaml").write_text(TRUTH)
    run(folder / "truth.yaml", folder / "truth", address="local", quiet=True)
    with open_run(folder / "truth") as ds:
        ratio = (ds.output / ds.output_baseline).isel(member=0)
        table = ratio.to_pandas()
        table.insert(0, "day", np.arange(20))
        table.to_csv(folder / "series.csv", index=False)
    (folder / "fit.yaml").write_text(SPEC)
    return folder


@pytest.fixture
def spec(seen: Path, tmp_path: Path) -> Path:
    return Path(copytree(seen, tmp_path, dirs_exist_ok=True)) / "fit.yaml"


def same(one: Path, other: Path) -> None:
    """Two posteriors are equal to the last bit."""
    found, expected = open_posterior(one), open_posterior(other)
    assert set(found.children) == set(expected.children)
    for name in found.children:
        xr.testing.assert_identical(found[name].to_dataset().drop_attrs(), expected[name].to_dataset().drop_attrs())


def test_a_posterior_is_whole_and_arviz_reads_it(spec, tmp_path):
    summary = run(spec, tmp_path / "run", address="local", quiet=True)
    assert (summary.complete, summary.done, summary.of, summary.unit) == (True, 8, 8, "steps")
    assert set(summary.fit) == set(summary.held_out) == {"output"}
    assert f"shockmesh report {tmp_path / 'run'}" in summary.text()
    assert status(tmp_path / "run")["state"] == "complete"
    tree = az.from_zarr(tmp_path / "run" / "posterior.zarr")
    assert {"posterior", "posterior_predictive", "observed_data", "prior", "sample_stats"} <= set(tree.children)
    fields = ["model.adjustment_days", "model.inventory_days", "shocks.storm.loss", "shocks.storm.recovery_days"]
    posterior = tree["posterior"].to_dataset()
    assert sorted(map(str, posterior.data_vars)) == fields
    assert dict(posterior.sizes) == {"chain": 1, "draw": 5, "firm": 30}
    assert (posterior["model.inventory_days"] > 1).all()
    hit = np.isin(posterior["sector"], ["S0", "S1"])
    np.testing.assert_array_equal(posterior["shocks.storm.loss"].values[..., ~hit], 0)
    assert (posterior["shocks.storm.loss"].values[..., hit] > 0).all()
    assert len(az.summary(tree, var_names=fields[1:2], kind="stats")) == 30
    assert dict(tree["posterior_predictive"].sizes) == {"chain": 1, "draw": 5, "output_period": 20, "output_series": 4}
    assert np.sum(tree["constant_data/output_fitted"]) == 14 * 4
    assert np.sum(tree["constant_data/output_held_out"]) == 6 * 4
    assert len(tree["history"]["objective"]) == 8
    simpler = tree["baselines"].to_dataset()
    assert tuple(simpler.baseline.values) == BASELINES
    assert dict(simpler.sizes) == {"baseline": 4, "output_period": 20, "output_series": 4}
    away = (np.asarray(tree["observed_data/output"]) - 1)[np.asarray(tree["constant_data/output_held_out"])]
    no_change = 100 * float(np.sqrt(np.mean(away**2)))
    assert summary.simpler["output"]["no change"] == pytest.approx(no_change, rel=1e-5)
    assert f"output, held out, by simpler models: no change {no_change:.3g} %, shocks alone" in summary.text()
    assert main(["report", str(tmp_path / "run"), "--quiet"]) == 0
    html = (tmp_path / "run" / "report.html").read_text()
    for words in (
        "Calibration report",
        "output: seen and predicted",
        "RMSE beside that of simpler models",
        "By sector, before and after",
        "shocks.storm.loss",
    ):
        assert words in html
    assert len(tree.attrs["fingerprint"]) == 64


def test_a_guide_keeps_the_weights_of_its_draws(spec, tmp_path):
    run(spec, tmp_path / "run", ["infer.draws=40"], address="local", quiet=True)
    stats = open_posterior(tmp_path / "run")["sample_stats"].to_dataset()
    assert stats["log_weight"].shape == stats["loss"].shape == (1, 40)
    assert float(stats["pareto_k"]) == pareto_k(stats["log_weight"].values[0]) > 0.7  # eight steps are few
    assert main(["report", str(tmp_path / "run"), "--quiet"]) == 0
    assert "importance weights of the 40 draws = " in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("k", "words"),
    [
        (0.4, "40 draws = 0.40, below 0.7: fine, no sign that the guide is far from the posterior"),
        (0.9, "40 draws = 0.90, not below 0.7: the guide is far from the posterior; do not trust its intervals"),
        (np.nan, "40 draws cannot be told: it takes 30 draws or more, all with a finite loss"),
    ],
)
def test_the_report_says_how_far_the_guide_is_from_the_posterior(k, words):
    draws = xr.Dataset({"number": (("chain", "draw"), np.zeros((1, 40)))})
    tree = xr.DataTree.from_dict({"posterior": draws, "sample_stats": xr.Dataset({"pareto_k": k})})
    for guide in ("mean_field", "structured"):
        (notice,) = trust(tree, guide)
        assert words in notice.text
        assert ("take guide: structured" in notice.text) == (k > 0.7 and guide != "structured")


def test_an_ensemble_has_no_weights(spec, tmp_path):
    run(spec, tmp_path / "run", ["infer.method=rml"], address="local", quiet=True)
    assert "log_weight" not in open_posterior(tmp_path / "run")["sample_stats"]
    assert main(["report", str(tmp_path / "run"), "--quiet"]) == 0
    assert "Pareto" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("method", ["svi", "rml"])
def test_a_calibration_that_was_interrupted_resumes_to_the_same_bits(spec, tmp_path, monkeypatch, method):
    given = [f"infer.method={method}", "resources.members_per_block=2"]
    run(spec, tmp_path / "whole", given, address="local", quiet=True)
    with monkeypatch.context() as patch:
        stop_after_one(patch)
        summary = run(spec, tmp_path / "run", given, address="local", quiet=True)
    done = {"svi": 4, "rml": 2}[method]
    assert (summary.interrupted, summary.complete, summary.done) == (True, False, done)
    assert f"interrupted; go on with: shockmesh resume {tmp_path / 'run'}" in summary.text()
    assert status(tmp_path / "run")["state"] == "not complete"
    with pytest.raises(ResultsError, match="a calibration writes it when it ends"):
        open_posterior(tmp_path / "run")
    damaged = max((tmp_path / "run" / {"svi": "checkpoints", "rml": "members"}[method]).glob("*.npz"))
    os.truncate(damaged, damaged.stat().st_size // 2)
    summary = resume(tmp_path / "run", address="local", quiet=True)
    assert (summary.complete, len(summary.again)) == (True, 1)
    assert f"{damaged}: cut short or changed; what it held was done again" in summary.text()
    same(tmp_path / "run", tmp_path / "whole")
    monkeypatch.setattr(calibrating, "bind_calibration", None)  # nothing is computed of a calibration that is complete
    again = resume(tmp_path / "run", address="local", quiet=True)
    assert "complete already, nothing was done" in again.text()
    told = ("done", "of", "fit", "held_out", "simpler", "complete")
    assert [getattr(again, name) for name in told] == [getattr(summary, name) for name in told]


@pytest.mark.parametrize(
    "damage", [lambda found: found[: len(found) // 2], lambda found: b"", lambda found: found[:-1]]
)
def test_a_fit_goes_on_from_the_checkpoint_before_one_that_was_cut(tmp_path, damage):
    for step in (2, 4):
        write_checkpoint(tmp_path, step, {"step": np.array(step)})
    file = tmp_path / CHECKPOINTS / "4.npz"
    file.write_bytes(damage(file.read_bytes()))
    assert discard_damaged(tmp_path / CHECKPOINTS) == [f"{file}: cut short or changed"]
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert found["step"] == 2


def stop_after_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt, as by Ctrl-C, once a checkpoint, or a block of members, is written."""
    write, pull = calibrate.write_checkpoint, calibrate.pull_members
    called: list[None] = []

    def written(*given) -> None:
        write(*given)
        raise KeyboardInterrupt

    def pulled(*given) -> dict:
        if called:
            raise KeyboardInterrupt
        called.append(None)
        return pull(*given)

    monkeypatch.setattr(calibrate, "write_checkpoint", written)
    monkeypatch.setattr(calibrate, "pull_members", pulled)


def test_patience_ends_a_fit_whose_held_out_loss_does_not_fall(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate, "_held_out", lambda *_: 1.0)
    given = ["infer.patience=1", "infer.checkpoint_every=2"]
    summary = run(spec, tmp_path / "run", given, address="local", quiet=True)
    assert (summary.complete, summary.done) == (True, 4)
    assert "stopped early: the held-out loss has not fallen since 1 checkpoints" in summary.text()
    assert [stale(np.array(losses)) for losses in ([], [3.0], [3.0, 2.0], [2.0, 3.0, 3.0])] == [0, 0, 0, 2]


def test_an_interval_without_a_finite_step_ends_with_the_names(spec, tmp_path, monkeypatch, capsys):
    real = calibrate.advance

    def broken(method, problem, state, steps):
        state, info = real(method, problem, state, steps)
        return state, info._replace(bad_params={name: np.ones(steps, bool) for name in info.bad_params})

    monkeypatch.setattr(calibrate, "advance", broken)
    assert main(["run", str(spec), "-o", str(tmp_path / "run"), "--address", "local", "--quiet"]) == 2
    assert "steps 0 … 3: not finite: the gradient of auto_loc, the gradient of auto_scale" in capsys.readouterr().err
    assert issubclass(CalibrationError, ValueError)
    assert Track(np.array([]), np.array([])).bad_steps == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "infer.parameters.model.capasity={spread: {all: 0.1}}",
            "model.capasity: is not a number that can be inferred",
        ),
        ("infer.parameters.shocks.storm.onset={spread: {all: 0.1}}", "shocks.storm.onset: is not a number that can be"),
        (
            "infer.parameters.shocks.snow.recovery_days={spread: {all: 0.1}}",
            "snow.recovery_days: is not a number that can",
        ),
        ("infer.guide=meanfield", "must be 'mean_field', 'low_rank', 'structured' or 'flow'"),
        ("sweep.members=4", "a calibration has no sweep"),
        ("observe=[]", "observe and infer come together"),
        ("infer.parameters={}", "nothing to infer"),
        (
            "infer.parameters.shocks.rain.loss={}",
            "spread: empty: needs a level (all, region, series, sector or firm), or",
        ),
        (
            "infer.parameters.shocks.rain.loss={like: model.inventory_days}",
            "must be a number of the same kind that has",
        ),
        ("infer.parameters.shocks.rain.loss={like: shocks.strom.loss}", "did you mean «shocks.storm.loss»?"),
    ],
)
def test_a_spec_is_refused(spec, change, message):
    if change.startswith("infer.parameters."):
        path, _, value = change.removeprefix("infer.parameters.").partition("=")
        added = spec.read_text().replace("    model.inv", f"    {path}: {value}\n    model.inv", 1)
        rain = "{name: rain, kind: recovery, loss: 0.1}"
        snow = "{name: snow, kind: recovery, loss: 0.1, recovery_days: 9, course: s_shaped}"
        spec.write_text(added.replace("15}]", f"15}}, {rain}, {snow}]"))
        change = ""
    with pytest.raises(SpecError) as error:
        load_spec(spec, [change] if change else [])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("window: [5, 40]", "observe[0].window: [5, 40]: must be two days, the first below the second, within 0 … 20"),
        ("window: [0, 15]", "observe[0].held_out: [14, 20]: overlaps the window that is fitted"),
    ],
)
def test_windows_are_refused(spec, change, message):
    spec.write_text(spec.read_text().replace("window: [0, 14]", change))
    with pytest.raises(SpecError) as error:
        load_spec(spec)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,S0\n0,1\n", "columns: no first_day"),
        ("day,S0\n0,1\n0,1\n", "series.csv:3: day 0: is in another period too"),
        ("day,S0\n25,1\n", "series.csv:2: days 25 … 25: must lie within 0 … 19"),
        ("day,S0\n1.5,1\n", "series.csv:2: day: 1.5: must be a whole number of days"),
        ("day,S0\n1,-1\n", "series.csv:2: S0: -1: must be a number ≥ 0 and ≤ 10,000, a ratio to the"),
        ("day,S0\n1,\n", "no series: every column but the days is one, and something must be seen"),
        ("day,S9\n1,1\n", "series.csv:1: column: S9: no such sector"),
    ],
)
def test_series_are_refused(spec, text, message):
    (spec.parent / "series.csv").write_text(text)
    loaded = load_spec(spec)
    with pytest.raises(SeriesError) as error:
        bind_calibration(loaded, read_network(loaded.economy))
    assert message in str(error.value)


def test_noise_by_period_and_series(spec):
    noise = "day,S3,S0,S1,S2\n" + "".join(f"{day},0.4,{0.01 * (day + 1)},0.2,0.3\n" for day in range(20))
    (spec.parent / "noise.csv").write_text(noise)
    spec.write_text(spec.read_text().replace("noise: 0.02", "noise: {file: noise.csv}"))
    with pytest.raises(SpecError, match=r"observe\[0\]\.noise\.file: .*none\.csv: no such file"):
        load_spec(spec, ["observe.0.noise.file=none.csv"])
    loaded = load_spec(spec)
    (seen,) = bind_calibration(loaded, read_network(loaded.economy)).problem.experiments[0].seen
    np.testing.assert_allclose(seen.noise[:, 0, 0], 0.01 * np.arange(1, 21), rtol=1e-6)
    np.testing.assert_allclose(seen.noise[5, 1:4, 0], [0.2, 0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("day,S0\n0,1\n", "noise.csv: day: must be those of the series"),
        ("day,S0\n0,1\n1,2\n", "noise.csv:1: columns: no S1: each series needs one"),
        ("day,S0,S1\n0,1,1\n1,2,0\n", "noise.csv:3: S1: 0: must be ≥ 1e-06 and ≤ 100"),
        ("day,S0,S1\n0,1,1\n1,2,\n", "noise.csv:3: S1: nan: must be ≥ 1e-06 and ≤ 100"),
    ],
)
def test_noise_is_refused(tmp_path, text, message):
    (tmp_path / "series.csv").write_text("day,S0,S1\n0,1,1\n1,1,1\n")
    (tmp_path / "noise.csv").write_text(text)
    with pytest.raises(SeriesError) as error:
        read_noise(tmp_path / "noise.csv", read_series(tmp_path / "series.csv", 2), 1e-6, 100)
    assert message in str(error.value)


def test_numbers_of_several_shocks_stray_together_and_by_series(spec):
    (spec.parent / "series.csv").write_text("first_day,last_day,goods,services\n0,9,0.9,\n10,14,0.8,1.1\n")
    (spec.parent / "groups.csv").write_text("sector,series\nS0,goods\nS1,goods\nS2,services\n")
    text = spec.read_text().replace("by: sector", "by: sector, groups: groups.csv")
    text = text.replace("[0, 14], held_out: [14, 20]", WHOLE)
    text = text.replace("loss: 0.5, recovery_days: 15}", "loss: 0.5}, {name: rain, kind: recovery, loss: 0.2}")
    text = text.replace("    shocks.storm.recovery_days: {spread: {sector: 0.5}}\n", "")
    text = text.replace("    shocks.storm.loss: {spread: {all: 0.5}, doubt: 0.3}", LIKE)
    spec.write_text(text)
    loaded = load_spec(spec)
    bound = bind_calibration(loaded, read_network(loaded.economy))
    assert {site: n for site, n in bound.problem.sites.items() if "loss" in site} == {"shocks.storm.loss.series": 3}
    assert bound.problem.experiments[0].fitted_days == 10
    latents = {site: jnp.zeros((n, 1)) for site, n in bound.problem.sites.items()}
    latents["shocks.storm.loss.series"] = jnp.asarray([[1.0], [0.0], [0.0]])
    found = field_values(bound.problem, latents)
    goods = bound.neighbourhood == 0
    for name, median, hit in (("storm", 0.5, goods), ("rain", 0.2, np.ones(30, bool))):
        expected = np.where(goods, 1 / (1 + (1 - median) / median * np.exp(-0.7)), median) * hit
        np.testing.assert_allclose(found[f"shocks.{name}.loss"][:, 0], expected, rtol=1e-5)


WHOLE = "[0, 10], held_out: [10, 20]"  # days of whole periods
LIKE = """
    shocks.storm.loss: {spread: {series: 0.7}}
    shocks.rain.loss: {like: shocks.storm.loss}
"""


def test_periods_and_groups_of_sectors(spec):
    (spec.parent / "series.csv").write_text("first_day,last_day,goods,services\n0,9,0.9,\n10,19,0.8,1.1\n")
    (spec.parent / "groups.csv").write_text("sector,series\nS0,goods\nS1,goods\nS2,services\n")
    text = spec.read_text().replace("by: sector", "by: sector, groups: groups.csv")
    spec.write_text(text.replace("[0, 14], held_out: [14, 20]", WHOLE))
    series = read_series(spec.parent / "series.csv", 20)
    np.testing.assert_array_equal(series.period_of_day(20), np.repeat([0, 1], 10))
    loaded = load_spec(spec)
    network = read_network(loaded.economy)
    bound = bind_calibration(loaded, network)
    of_sector = {name: {*bound.neighbourhood[network.sector == k]} for k, name in enumerate(network.sectors)}
    assert of_sector == {"S0": {0}, "S1": {0}, "S2": {1}, "S3": {2}}
    (seen,) = bound.problem.experiments[0].seen
    np.testing.assert_array_equal(seen.fitted[..., 0], [[True, False, False], [False, False, False]])
