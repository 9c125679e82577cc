"""Gradients against sampling: the calibration of 1,000 firms, two unknown numbers each, from series of a known truth.

    shockmesh bench calibration [--seeds 5] [--seed 0] [--quick] [--json] [--out FILE.json]

Target inventories and recovery rates of every firm are unknown; output is seen for 60 days with noise of 1 %, by sector
or in total. Each method says what happened in those days, in the 60 days after, and in another shock to other firms;
errors are of the mean of its draws against the noiseless truth, in % of the undisturbed day. An evaluation is one
simulation; `forward_equivalents` counts a gradient as what it was measured to cost in this run.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from shockmesh.inference.diagnostics import coverage, rmse
from shockmesh.inference.ensemble import Pull, pull
from shockmesh.inference.guides import make_guide
from shockmesh.inference.latents import Effect, LatentField
from shockmesh.inference.losses import observed
from shockmesh.inference.problem import (
    Experiment,
    Latents,
    Problem,
    batch_value_and_gradient,
    losses,
    member_keys,
    predictions,
    prior_draws,
    problem,
)
from shockmesh.inference.rejection import accept, prior_losses, sequential
from shockmesh.inference.smoother import smooth
from shockmesh.inference.svi import advance, posterior_draws, variational
from shockmesh.kernels.layout import lay_out
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import FirmNetwork, firm_network
from shockmesh.kernels.segments import segments
from shockmesh.kernels.shocks import Recovery, Scenario

FITTED, DAYS, NOISE, SECTORS, DRAWS = 60, 120, 0.01, 20, 100
ABC = (300, 3_000, 30_000)
KEPT = 100


@dataclass(frozen=True)
class Case:
    """One truth, what is seen of it, and the same firms under another shock."""

    network: FirmNetwork
    known: Problem  # with data
    truth: dict[str, jax.Array]
    exact: np.ndarray  # noiseless output by sector (day, sector)
    other: Problem  # the new shock, nothing fitted
    exact_other: np.ndarray


def economy(firms: int) -> FirmNetwork:
    """A random network with ten suppliers a firm."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, firms, (10 * firms, 2)), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    amount = rng.uniform(0.1, 1, len(pairs))
    sales, inputs = (np.bincount(pairs[:, side], amount, firms) for side in (0, 1))
    final_demand = np.maximum(inputs * rng.uniform(1.1, 1.5, firms) - sales, 0.1)
    names = [f"S{k}" for k in range(SECTORS)]
    sector = rng.integers(0, SECTORS, firms)
    return firm_network(pairs[:, 0], pairs[:, 1], amount, final_demand, sector=sector, sectors=names)


def make_case(network: FirmNetwork, seed: int, observations: str, effects: bool) -> Case:
    """A truth drawn from the prior (or with sector effects that the prior does not know), and data of it."""
    rng, n = np.random.default_rng([7, seed]), network.n_firms
    sector, firm = segments(network.sector, SECTORS), segments(np.arange(n), n)
    spread = (Effect("firm", firm, 0.5),)
    fields = (
        LatentField("inventory_days", ("parameters", "inventory_days"), "above_one", spread),
        LatentField("recovery_rate", ("productivity", 0, "recovery_rate"), "positive", spread),
    )
    numbers = Parameters(*(jnp.full((n, 1), value, jnp.float32) for value in (9.0, 6.0, 1.1)))

    def unknown(shock: Scenario) -> Problem:
        seen = observed("output", sector, np.ones((DAYS, SECTORS)), NOISE)
        return problem(
            lay_out(network), PRESETS["hamid2025"].switches, numbers, [Experiment(shock, (seen,), DAYS)], fields
        )

    first, other = unknown(_shock(rng, n)), unknown(_shock(rng, n))
    truth = prior_draws(first, member_keys(1000 + seed, [0]))
    if effects:
        truth = {site: 0.6 * z + 0.8 * rng.standard_normal((SECTORS, 1))[network.sector] for site, z in truth.items()}
    exact, exact_other = (np.asarray(jax.jit(predictions)(one, truth)[0][0])[..., 0] for one in (first, other))
    known = replace(
        first, experiments=(replace(first.experiments[0], seen=(_data(network, exact, observations, rng),)),)
    )
    return Case(network, known, truth, exact, other, exact_other)


def _shock(rng: np.random.Generator, n: int) -> Scenario:
    loss = rng.uniform(0.5, 1, (n, 1)) * (rng.random((n, 1)) < 0.6)
    shock = (loss, np.zeros((1, 1)), np.zeros((1, 1)), np.full((n, 1), 0.05))
    return Scenario(productivity=(Recovery(*(jnp.asarray(values, jnp.float32) for values in shock)),))


def _data(network: FirmNetwork, exact: np.ndarray, observations: str, rng: np.random.Generator) -> Any:
    late = np.arange(DAYS)[:, None] >= FITTED
    if observations == "sector":
        groups, values = segments(network.sector, SECTORS), exact
    else:
        weight = np.bincount(network.sector, network.output, SECTORS)
        groups, values = segments(np.zeros(network.n_firms, int), 1), (exact @ weight / weight.sum())[:, None]
    noisy = values + NOISE * rng.standard_normal(values.shape)
    return observed("output", groups, noisy, NOISE, held_out=np.broadcast_to(late, values.shape))


def judge(case: Case, latents: Latents) -> dict[str, float]:
    """Errors of the draws' mean [%], and 90 % coverage of firms' numbers, sector means and predictions."""
    seen = Experiment(case.known.experiments[0].scenario, case.other.experiments[0].seen, DAYS)
    by_sector = replace(case.known, experiments=(seen,))
    found = np.asarray(_PREDICT(by_sector, latents)[0][0])
    new = np.asarray(_PREDICT(case.other, latents)[0][0])
    return {
        "loss_in_sample": 100 * rmse(found[:FITTED], case.exact[:FITTED]),
        "loss_later_window": 100 * rmse(found[FITTED:], case.exact[FITTED:]),
        "loss_new_shock": 100 * rmse(new, case.exact_other),
    } | _covered(case, latents, found)


_PREDICT = jax.jit(predictions)


def _covered(case: Case, latents: Latents, found: np.ndarray) -> dict[str, float]:
    if next(iter(latents.values())).shape[1] < 10:
        return {}
    mean = np.zeros((SECTORS, case.network.n_firms))
    mean[case.network.sector, np.arange(case.network.n_firms)] = 1
    mean /= mean.sum(axis=1, keepdims=True)
    draws = {site: np.asarray(z) for site, z in latents.items()}
    truth = {site: np.asarray(z)[:, 0] for site, z in case.truth.items()}
    return {
        "coverage_firms": float(np.mean([coverage(z, truth[site], 0.9) for site, z in draws.items()])),
        "coverage_sectors": float(np.mean([coverage(mean @ z, mean @ truth[site], 0.9) for site, z in draws.items()])),
        "coverage_predictions": coverage(found[:FITTED], case.exact[:FITTED], 0.9),
    }


def methods(case: Case, seed: int, quick: bool, cost: float) -> list[dict[str, Any]]:
    """Every method on one case: name, evaluations, forward equivalents, seconds, errors, coverage."""
    rows: list[dict[str, Any]] = []

    def add(method: str, evaluations: int, price: float, run: Callable[[], Latents]) -> None:
        start = time.perf_counter()
        latents = jax.block_until_ready(run())
        seconds = time.perf_counter() - start
        row = {"method": method, "evaluations": evaluations, "forward_equivalents": round(evaluations * price)}
        rows.append(row | {"seconds": seconds} | judge(case, latents))

    def rejected(kept: np.ndarray) -> Latents:
        return prior_draws(case.known, member_keys(seed, kept.tolist()))

    add("prior", 0, 1, lambda: rejected(np.arange(DRAWS)))
    found = prior_losses(case.known, seed, ABC[1] if quick else ABC[-1])
    for draws in [count for count in ABC if count <= len(found)]:
        accepted = accept(found[:draws], KEPT).draws
        add("abc", draws, 1, lambda kept=accepted: rejected(kept[:1]))
        add("abc_100", draws, 1, lambda kept=accepted: rejected(kept))
    for members, rounds in ((100, 2),) if quick else ((300, 9), (1000, 29)):
        add(
            "abc_smc",
            members * (rounds + 1),
            1,
            lambda m=members, r=rounds: dict(sequential(case.known, seed, m, rounds=r).latents),
        )
    for members in (100,) if quick else (300, 1000):
        add("es_mda", 4 * members, 1, lambda members=members: smooth(case.known, member_keys(seed, range(members))))
    for steps in (30, 100) if quick else (30, 100, 300, 1000):
        add("svi", steps, cost, lambda steps=steps: _svi(case, seed, steps))
    for members, steps, rate in ((10, 10, 0.3),) if quick else ((10, 10, 0.3), (20, 15, 0.25), (33, 30, 0.2)):
        add(
            "rml",
            members * steps,
            cost,
            lambda m=members, s=steps, r=rate: pull(case.known, member_keys(seed, range(m)), Pull(s, r)).latents,
        )
    return rows


def _svi(case: Case, seed: int, steps: int) -> Latents:
    guide = make_guide("mean_field", case.known, case.network.sector)
    method = variational(case.known, guide, steps=steps, rate=0.1, seed=seed)
    state, _ = advance(method, case.known, method.init(), steps)
    return posterior_draws(method, case.known, state, DRAWS)


def gradient_cost(case: Case, members: int = 10, repeat: int = 5) -> float:
    """Seconds of value and gradient over seconds of a forward pass, medians."""
    latents = prior_draws(case.known, member_keys(3, range(members)))
    medians: list[float] = []
    for run in (jax.jit(batch_value_and_gradient), jax.jit(losses)):
        jax.block_until_ready(run(case.known, latents))
        times: list[float] = []
        for _ in range(repeat):
            start = time.perf_counter()
            jax.block_until_ready(run(case.known, latents))
            times.append(time.perf_counter() - start)
        medians.append(float(np.median(times)))
    return medians[0] / medians[1]


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Medians over the seeds, a line for each method and what it saw."""
    names = ("loss_in_sample", "loss_later_window", "loss_new_shock", "coverage_firms", "coverage_sectors",
             "coverage_predictions", "seconds")  # fmt: skip
    lines = [
        f"{'truth, seen, method, evaluations (forward equivalents)':58}" + "".join(f"{n[-12:]:>13}" for n in names)
    ]
    keys = ("truth", "observations", "method", "evaluations", "forward_equivalents")
    for key in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        same = [row for row in rows if tuple(row[k] for k in keys) == key]
        values = [np.median([row.get(name, np.nan) for row in same]) for name in names]
        label = f"{key[0]}, {key[1]}, {key[2]}, {key[3]:,} ({key[4]:,})"
        lines.append(f"{label:58}" + "".join(f"{value:13.3f}" for value in values))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench calibration", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--firms", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="fewer evaluations, independent firms only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there, case by case")
    options = parser.parse_args(arguments)
    network, rows, cost = economy(options.firms), [], None
    cases = [("independent", "sector"), ("independent", "total"), ("sector effects", "sector")]
    for truth, observations in cases[:1] if options.quick else cases:
        for seed in range(options.seed, options.seed + options.seeds):
            case = make_case(network, seed, observations, truth == "sector effects")
            cost = cost or gradient_cost(case)
            about = {"truth": truth, "observations": observations, "seed": seed}
            rows += [about | row for row in methods(case, seed, options.quick, cost)]
            sys.stderr.write(f"{truth}, {observations}, seed {seed}: done\n")
            if options.out:
                options.out.write_text(json.dumps({"rows": rows}, indent=1))
    about = {
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {platform.machine()}",
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        "firms": network.n_firms, "links": network.n_links, "days": DAYS, "seeds": options.seeds,
        "gradient_cost": cost,
    }  # fmt: skip
    found = json.dumps(about | {"rows": rows}, indent=1)
    if options.out:
        options.out.write_text(found)
    lines = [" ".join(f"{key}: {value}" for key, value in about.items()), *table(rows)]
    sys.stdout.write((found if options.json else "\n".join(lines)) + "\n")


if __name__ == "__main__":
    main()
