"""`shockmesh prices`: the prices at rest of a spec's tariffs and costs, without simulating a day."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float
from shockmesh.cluster.planning.plan import shards_of
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.running.devices import on_host
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.cluster.spec.source import SpecError
from shockmesh.io.rankings import check_new, write_ranking
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.prices import PricesAtRest, prices_at_rest, sharded_prices_at_rest
from shockmesh.kernels.shard import Sharded, mesh_of, shard

MOST_FIRMS = 10_000  # whose prices are told one by one
NAMES = ("price", "output", "consumer_price", "tariff_revenue")  # of numbers by firm
SETTLED = 1e-4  # in float32; a move below it is round-off of large networks


class PriceError(ValueError):
    """Prices that come to no rest. The message names the firm that keeps them moving."""


@dataclass(frozen=True)
class Found:
    """Prices at rest on the host."""

    network: FirmNetwork
    price: Float[np.ndarray, " firm"]  # relative to the baseline
    output: Float[np.ndarray, " firm"]  # [the network's unit a day]
    consumer_price: Float[np.ndarray, " firm"]  # of the firm's region
    tariff_revenue: Float[np.ndarray, " firm"]  # on what the firm buys [the network's unit a day]
    rounds: int
    residual: float  # the largest gap that is left, in log price or as a share of a firm's output
    set_up_seconds: float  # the network on the device, and compilation
    solve_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """What is told: prices by firm, or of many firms by region and sector, weighted by baseline output."""
        net = self.network
        revenue = np.bincount(net.region, self.tariff_revenue, len(net.regions))
        return {
            "firms": net.n_firms,
            "links": net.n_links,
            "rounds": self.rounds,
            "residual": self.residual,
            "seconds": {"set_up": round(self.set_up_seconds, 3), "solve": round(self.solve_seconds, 3)},
            "price": self._by_firm() if net.n_firms <= MOST_FIRMS else self._by_industry(),
            "consumer_price_index": self.consumer_prices(),
            "tariff_revenue": dict(zip(net.regions, map(float, revenue), strict=True)),
            "output": {"at_rest": float(self.output.sum()), "baseline": float(net.output.sum())},
            "output_by_region": self.output_by_region(),
            "unit": net.unit,
        }

    def consumer_prices(self) -> dict[str, float]:
        """P of each region that has firms."""
        codes, firms = np.unique(self.network.region, return_index=True)
        return {self.network.regions[code]: float(self.consumer_price[i]) for code, i in zip(codes, firms, strict=True)}

    def output_by_region(self) -> dict[str, dict[str, float]]:
        """Output of each region at rest and undisturbed [the network's unit a day]."""
        net = self.network
        at_rest, baseline = (np.bincount(net.region, of, len(net.regions)) for of in (self.output, net.output))
        return {
            region: {"at_rest": float(now), "baseline": float(before)}
            for region, now, before in zip(net.regions, at_rest, baseline, strict=True)
        }

    def _by_firm(self) -> dict[str, float]:
        return {str(name): float(price) for name, price in zip(self.network.firm, self.price, strict=True)}

    def _by_industry(self) -> dict[str, dict[str, float]]:
        net, shape = self.network, (len(self.network.regions), len(self.network.sectors))
        worth, made = (
            np.bincount(net.industry, of, shape[0] * shape[1]) for of in (net.output * self.price, net.output)
        )
        mean = np.divide(worth, made, out=np.full_like(worth, np.nan), where=made > 0).reshape(shape)
        return {
            region: {sector: float(of) for sector, of in zip(net.sectors, row, strict=True) if np.isfinite(of)}
            for region, row in zip(net.regions, mean, strict=True)
        }


def solve_prices(
    spec: str | Path, *, overrides: Sequence[str] = (), member: int = 0, out: str | Path | None = None
) -> Found:
    """The prices at rest of one member of a spec: tariffs and costs at their height and for good, all else unshocked.

    With `resources.devices_per_gang` above 1 the network is sharded over so many devices of this machine. `out`: a CSV
    of all firms, the dearest first, with columns `price` and `output_at_rest`.

    Raises:
        SpecError, NetworkStoreError, ScenarioError: the spec, its economy or its files break a rule; prices are fixed.
        RankingError: `out` exists.
        PriceError: there are no prices at rest.
    """
    if out is not None:
        check_new(out)
    loaded = load_spec(spec, overrides)
    if loaded.model.prices is None:
        raise SpecError([loaded.problem("model.prices", "missing", "required by this verb; {} takes all defaults")])
    if not 0 <= member < loaded.members:
        raise SpecError([loaded.problem("sweep.members", member, f"no such member; there are {loaded.members}")])
    economy = on_economy(loaded)
    loaded, network = economy.spec, economy.network
    shard_of = shards_of(loaded, network)
    simulator = Simulator(loaded, network, shard_of=shard_of)
    inputs = simulator.inputs(range(member, member + 1))
    with jax.enable_x64(loaded.precision == "float64"):
        start = time.perf_counter()
        if shard_of is None:
            solve, place = prices_at_rest, simulator.layout()
        else:
            with on_host():
                place = shard(network, shard_of, loaded.precision)
            solve = partial(_in_shards, mesh_of(place.shards))
        leaves, structure = jax.tree.flatten((place, *inputs))
        run = jax.jit(lambda leaves: solve(*jax.tree.unflatten(structure, leaves))).lower(leaves).compile()
        ready = time.perf_counter()
        found: PricesAtRest = jax.block_until_ready(run(leaves))
        seconds = ready - start, time.perf_counter() - ready
    told = _checked(str(spec), network, found, seconds)
    if out is not None:
        write_ranking(out, network, "price", {"price": told.price, "output_at_rest": told.output})
    return told


def _in_shards(mesh: Mesh, place: Sharded, parameters: Parameters, scenario: Scenario) -> PricesAtRest:
    return sharded_prices_at_rest(place, mesh, parameters, scenario)


def _checked(spec: str, network: FirmNetwork, found: PricesAtRest, seconds: tuple[float, float]) -> Found:
    moves, rounds = np.asarray(found.moves, np.float64)[:, 0], int(np.asarray(found.rounds)[0, 0])
    restless = ~(moves <= SETTLED)
    if restless.any():
        inputs = np.divide(network.inputs, network.output, out=np.zeros(network.n_firms), where=network.output > 0)
        worst = int(np.argmax(np.where(restless, inputs, -1)))
        raise PriceError(
            f"{spec}: no prices at rest: after {rounds} rounds those of {restless.sum():,} firms still move, such as "
            f"firm {network.firm[worst]}, whose inputs are worth {inputs[worst]:.3g} of its output; prices need firms "
            "whose output is worth more than their inputs, tariffs included"
        )
    numbers = {name: np.asarray(getattr(found, name), np.float64)[:, 0] for name in NAMES}
    return Found(network, **numbers, rounds=rounds, residual=float(moves.max(initial=0)), set_up_seconds=seconds[0],
                 solve_seconds=seconds[1])  # fmt: skip
