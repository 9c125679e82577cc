"""Suppliers that change, as specs say them: numbers reach the kernels, sweeps, plans; what is refused and told."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from shockmesh.cluster.cli import main
from shockmesh.cluster.planning.plan import shards_of, sizes_of
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.cautions import suppliers_told
from shockmesh.cluster.spec.source import SpecError
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import open_run
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import DEFAULTS, PRESETS, Parameters, Switches
from shockmesh.kernels.network import FirmNetwork, with_candidate_links
from shockmesh.kernels.rollout import rollout
from sourced import with_some
from toy import DAYS, MakeSpec

STRIKE = {"where": {"sector": "C10", "region": "GBR"}, "loss": 0.9}


def test_numbers_reach_the_kernels(toy: FirmNetwork, make: MakeSpec):
    network, hit, esp = with_some(toy), (toy.sector == 1) & (toy.region == 2), toy.region == 0
    suppliers = {"search_days": 1, "switching_days": {"default": 3, "by_region": {"ESP": 2}}, "turnover": 0.01}
    record = {"output": ["firm"], "switched": ["firm"]}
    found = Simulator(make(STRIKE, model={"suppliers": suppliers}, record=record), network).simulate(range(1))
    numbers: dict[str, Any] = dict(PRESETS["hamid2025"].defaults)
    numbers |= {name: DEFAULTS[name] for name in ("satisfaction_days", "sensitivity", "pull")}
    numbers |= {"search_days": 1.0, "turnover": 0.01, "switching_days": np.where(esp, 2.0, 3.0)[:, None]}
    with jax.enable_x64(True):
        model = Parameters.of({name: jnp.asarray(np.atleast_2d(of), "float64") for name, of in numbers.items()})
        zero = jnp.zeros((1, 1))
        scenario = Scenario((Recovery(jnp.asarray(0.9 * hit[:, None]), zero, zero, zero),))
        switches, layout = Switches(suppliers="satisfaction"), lay_out(with_candidate_links(network), jnp.float64)
        records = rollout(layout, switches, model, scenario, days=DAYS, record=dict.fromkeys(record))
    expected = {name: np.moveaxis(np.asarray(values), -1, 0) for name, values in records.items()}
    assert expected["switched"].max() > 0.01
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_numbers_may_be_swept(toy: FirmNetwork, make: MakeSpec):
    """A member is what a spec of its numbers gives."""
    grid = {"model.suppliers.pull": [0.5, 2.0], "model.suppliers.search_days": [1.0, 2.0]}
    top, network = {"record": {"output": ["sector"], "switched": []}}, with_some(toy)
    together = Simulator(make(STRIKE, model={"suppliers": {}}, sweep={"grid": grid}, **top), network).simulate(range(4))
    last = {"suppliers": {"pull": 2.0, "search_days": 2.0}}
    for name, values in Simulator(make(STRIKE, model=last, **top), network).simulate(range(1)).items():
        np.testing.assert_allclose(together[name][3:], values, rtol=1e-12)
    assert np.ptp(together["switched"][:, -1]) > 0


def test_they_need_candidates(toy: FirmNetwork, make: MakeSpec):
    with pytest.raises(SpecError, match=r"model.suppliers: a network without candidates: needs candidates, .*generate"):
        Simulator(make(model={"suppliers": {}}), toy)


def test_links_of_candidates_are_planned_for(toy: FirmNetwork, make: MakeSpec):
    network, fixed = with_some(toy), make()
    outage = {"name": "outage", "kind": "failures", "loss": 1, "days_between_failures": 9, "repair_days": 2}
    sea = {"name": "sea", "from": {"region": "GBR"}, "to": {"region": "FRA"}, "days": 3}
    turning = make(model={"suppliers": {}, "delays": [sea]}, resources={"devices_per_gang": 2}, shocks=[outage])
    shard_of, more = shards_of(turning, network), len(network.candidates)
    sizes = sizes_of(turning, network, shard_of)
    assert sizes.cut is not None
    assert sizes.drawn.failures > 0
    assert (sizes.links, sum(sizes.cut.links)) == (toy.n_links + more, toy.n_links + more)
    assert sizes_of(fixed, network).links == toy.n_links
    all_links = with_candidate_links(network)
    by_sea = (all_links.supplier % 3 == 2) & (all_links.buyer % 3 == 1)
    np.testing.assert_array_equal(bind(turning, network).delays[0].goods.links, np.flatnonzero(by_sea))


def test_that_they_change_is_said(toy: FirmNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: MakeSpec):
    """By validate, in the run and in its report; a run goes from the store to the record."""
    network = with_some(toy)
    write_network(network, tmp_path / "economy.zarr")
    spec = {
        "economy": "economy.zarr", "horizon": {"days": 9}, "model": {"suppliers": {"search_days": 1}},
        "shocks": [{"name": "strike", "kind": "recovery", **STRIKE}], "record": {"output": [], "switched": ["sector"]},
    }  # fmt: skip
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(spec))
    out = str(tmp_path / "run")
    assert main(["validate", str(tmp_path / "s.yaml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["notes"][-1]
    assert told.startswith(f"suppliers: change with satisfaction: {len(network.candidates)} candidates beside ")
    assert main(["run", str(tmp_path / "s.yaml"), "--address", "local", "--out", out, "--quiet"]) == 0
    with open_run(out) as run:
        assert run.switched.sum() > 0
    assert main(["report", out, "--quiet"]) == 0
    assert told in (tmp_path / "run/report.html").read_text("utf-8")
    assert not list(suppliers_told(make(), network))
