"""All that reacts in one run: a part that is lost is done again with the same bits, and the report tells of it all."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import yaml
from shockmesh.cluster.cli import main
from shockmesh.cluster.running import run as runs
from shockmesh.cluster.running.run import run
from shockmesh.io.networks.store import write_network
from shockmesh.io.results import open_run
from shockmesh.kernels.network import FirmNetwork
from sourced import with_some

resume = cast(Callable[..., runs.RunSummary], runs.resume)

RECORD = {
    "output": ["region", "sector"], "final_consumption": ["region"], "waiting": ["region"], "switched": ["region"],
    "price": ["sector"], "consumer_price_index": ["region"], "tariff_revenue": ["region"],
}  # fmt: skip
SEA = {"from": {"region": "GBR"}, "to": {"region": ["ESP", "FRA"]}}
SPEC = {
    "economy": "economy.zarr",
    "horizon": {"days": 20},
    "model": {
        "preset": "hallegatte2014",
        "inventory_days": 3,
        "prices": {"elasticity_within": 2},
        "suppliers": {"search_days": 1},
        "delays": [{"name": "sea", **SEA, "days": 2}],
        "routes": [{"name": "strait", **SEA, "capacity": 1.1, "detour_days": 4, "detour_cost": 0.2}],
    },
    "shocks": [
        {"name": "strike", "kind": "recovery", "loss": 0.8, "where": {"region": "GBR"}, "recovery_days": 9},
        {"name": "closed", "kind": "closure", "route": "strait", "loss": 0.7, "onset": 3},
        {"name": "duty", "kind": "tariff", "from": {"region": "FRA"}, "rate": 0.2},
    ],
    "sweep": {"grid": {"model.routes.strait.capacity": [1.0, 1.5], "shocks.closed.loss": [0.6, 0.9]}},
    "resources": {"members_per_block": 2},
    "record": RECORD,
}


def test_a_block_that_is_lost_is_done_again_with_the_same_bits(toy: FirmNetwork, tmp_path: Path):
    shares = np.random.default_rng(2).uniform(0, 1, (len(toy.regions) * len(toy.sectors), len(toy.regions)))
    network = replace(with_some(toy), final_shares=shares / shares.sum(axis=1, keepdims=True))
    write_network(network, tmp_path / "economy.zarr")
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SPEC))
    run(tmp_path / "s.yaml", tmp_path / "run", address="local", quiet=True)
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    shutil.rmtree(tmp_path / "again/results.zarr/output/c/1")
    assert resume(tmp_path / "again", address="local", quiet=True).simulated == 2
    with open_run(tmp_path / "run") as one, open_run(tmp_path / "again") as other:
        for name in RECORD:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        late = one.sum("time")
        for name in ("waiting", "switched", "tariff_revenue"):
            assert (late[name].sum("region") > 1e-4).all(), name
        by_loss = late.waiting.sum("region")
        assert by_loss[1] > by_loss[0]
        assert by_loss[0] > by_loss[2]
    assert main(["report", str(tmp_path / "again"), "--quiet"]) == 0
