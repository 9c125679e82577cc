"""Gradients against sampling: the calibration of 1,000 firms, two unknown numbers each, from series of a known truth.

    shockmesh bench calibration [--seeds 5] [--seed 0] [--quick] [--observations sector total] [--json]
                                [--out FILE.json] [--plot FILE.png]

Target inventories and recovery rates of every firm are unknown; output is seen for 60 days with noise of 1 %, by sector
or in total. Each method says what happened in those days, in the 60 days after, and in another shock to other firms;
errors are of the mean of its draws against the noiseless truth, in % of the undisturbed day. An evaluation is one
simulation; `forward_equivalents` counts a gradient as what it was measured to cost in this run. "three shocks" sees
two more shocks to other firms, by the same kind of series; "sector prior" has effects of the sector in the prior, and
`npe` learns these alone.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from shockmesh.inference.diagnostics import coverage, rmse
from shockmesh.inference.ensemble import Pull, pull
from shockmesh.inference.evolution import evolve
from shockmesh.inference.guides import make_guide
from shockmesh.inference.latents import Effect, LatentField
from shockmesh.inference.losses import observed
from shockmesh.inference.npe import estimate
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
from shockmesh.kernels.devices.layout import lay_out
from shockmesh.kernels.devices.segments import segments
from shockmesh.kernels.mechanisms.courses import Recovery
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS, Parameters
from shockmesh.kernels.network import FirmNetwork, firm_network

FITTED, DAYS, NOISE, SECTORS, DRAWS = 60, 120, 0.01, 20, 100
ABC = (300, 3_000, 30_000)
NPE = 3_000  # simulations that the flow learns from
CMA = (320, 3_200, 32_000)  # whole generations
KEPT = 100
SPREAD, BY_SECTOR, BY_FIRM = 0.5, 0.8, 0.6  # of a firm's number; parts of sector and firm where effects are by sector
LOSSES = {"loss_in_sample": "in sample", "loss_later_window": "in the later window", "loss_new_shock": "in a new shock"}


@dataclass(frozen=True)
class Case:
    """One truth, what is seen of it, and the same firms under another shock."""

    network: FirmNetwork
    known: Problem  # with data
    truth: dict[str, jax.Array]
    exact: np.ndarray  # noiseless output by sector (day, sector)
    other: Problem  # the new shock, nothing fitted
    exact_other: np.ndarray
    more: tuple[Experiment, ...]  # two more shocks, with data
    by_sector: tuple[LatentField, ...]  # the same unknown numbers, with effects of the sector


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
    fields = _fields(Effect("firm", firm, SPREAD))
    by_sector = _fields(Effect("sector", sector, BY_SECTOR * SPREAD), Effect("firm", firm, BY_FIRM * SPREAD))
    numbers = Parameters(*(jnp.full((n, 1), value, jnp.float32) for value in (9.0, 6.0, 1.1)))

    def unknown(shock: Scenario) -> Problem:
        seen = observed("output", sector, np.ones((DAYS, SECTORS)), NOISE)
        return problem(
            lay_out(network), PRESETS["hamid2025"].switches, numbers, [Experiment(shock, (seen,), DAYS)], fields
        )

    first, other = unknown(_shock(rng, n)), unknown(_shock(rng, n))
    truth = prior_draws(first, member_keys(1000 + seed, [0]))
    if effects:
        of_sector = {site: rng.standard_normal((SECTORS, 1))[network.sector] for site in truth}
        truth = {site: BY_FIRM * z + BY_SECTOR * of_sector[site] for site, z in truth.items()}

    def seen_exactly(one: Problem) -> np.ndarray:
        return np.asarray(_PREDICT(one, truth)[0][0])[..., 0]

    exact, exact_other = seen_exactly(first), seen_exactly(other)
    known = replace(
        first, experiments=(replace(first.experiments[0], seen=(_data(network, exact, observations, rng),)),)
    )
    again = np.random.default_rng([11, seed])
    more = [unknown(_shock(again, n)) for _ in range(2)]
    with_data = (
        replace(one.experiments[0], seen=(_data(network, seen_exactly(one), observations, again),)) for one in more
    )
    return Case(network, known, truth, exact, other, exact_other, tuple(with_data), by_sector)


def _fields(*effects: Effect) -> tuple[LatentField, ...]:
    return (
        LatentField("inventory_days", ("parameters", "inventory_days"), "above_one", effects),
        LatentField("recovery_rate", ("productivity", 0, "recovery_rate"), "positive", effects),
    )


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
    for evaluations in CMA[:2] if quick else CMA:
        add("cma_es", evaluations, 1, lambda n=evaluations: dict(evolve(case.known, n, seed=seed).latents))
    for members in (100,) if quick else (300, 1000):
        add("es_mda", 4 * members, 1, lambda members=members: smooth(case.known, member_keys(seed, range(members))))
    by_sector = replace(case.known, fields=case.by_sector)
    effects = [site for site in by_sector.sites if site.endswith(".sector")]
    add("npe, sector prior", NPE, 1, lambda: _by_firm(case, estimate(by_sector, effects, seed, NPE, DRAWS)))
    for steps in (30, 100) if quick else (30, 100, 300, 1000):
        add("svi", steps, cost, lambda steps=steps: _svi(case, seed, steps))
    for members, steps, rate in ((10, 10, 0.3),) if quick else ((10, 10, 0.3), (20, 15, 0.25), (33, 30, 0.2)):
        add(
            "rml",
            members * steps,
            cost,
            lambda m=members, s=steps, r=rate: pull(case.known, member_keys(seed, range(m)), Pull(s, r)).latents,
        )
    members, steps, rate = (10, 10, 0.3) if quick else (20, 15, 0.25)
    for shocks, prior in ((1, "sector"), (3, "firm"), (3, "sector")):
        name = ", ".join(["rml"] + ["three shocks"] * (shocks == 3) + ["sector prior"] * (prior == "sector"))
        of = replace(case.known, experiments=case.known.experiments + case.more) if shocks == 3 else case.known
        of = replace(of, fields=case.by_sector) if prior == "sector" else of
        run = partial(pull, of, member_keys(seed, range(members)), Pull(steps, rate))
        add(name, shocks * members * steps, cost, lambda run=run: _by_firm(case, run().latents))
    return rows


def _by_firm(case: Case, latents: Latents) -> Latents:
    """Latent numbers of the prior by sector as those of the prior by firm that give the same economy."""
    if len(latents) == len(case.truth):
        return latents
    fields, sector = (field.name for field in case.known.fields), case.network.sector
    return {
        f"{name}.firm": BY_SECTOR * latents[f"{name}.sector"][sector] + BY_FIRM * latents[f"{name}.firm"]
        for name in fields
    }


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


def wins(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the rows say of gradients against rejection, and of a new shock, in sentences; medians over the seeds."""
    said: list[str] = []
    for about, same in _grouped(rows, "truth", "observations"):
        methods = dict(_grouped(same, "method", "evaluations"))
        rejected = max((key for key in methods if key[0] == "abc"), key=lambda key: key[1])
        few = [key for key in methods if key[0] in ("svi", "rml") and key[1] <= 100]
        best = min(few, key=lambda key: np.median(_losses(methods[key], "loss_in_sample")))
        counts = (f"{words} on {_below(methods[best], methods[rejected], loss)}" for loss, words in LOSSES.items())
        said.append(
            f"{', '.join(about)}: the best gradient method at {best[1]} evaluations, {best[0]}, is below ABC's best of "
            f"{rejected[1]:,} {', '.join(counts)} seeds."
        )
        if (more := (best[0], 300)) in methods:
            ratio = _losses(methods[more], "loss_in_sample") / _losses(methods[rejected], "loss_in_sample")
            said.append(
                f"{', '.join(about)}: {best[0]} at 300 evaluations errs in sample by {np.median(ratio):.2f} of ABC's "
                f"best, {ratio.max():.2f} at most."
            )
        for key in (key for key in methods if key[0].startswith("rml, ")):
            error, prior = (np.median(_losses(methods[of], "loss_new_shock")) for of in (key, ("prior", 0)))
            below = _below(methods[key], methods["prior", 0], "loss_new_shock")
            said.append(
                f"{', '.join(about)}: {key[0]}: error in a new shock {error:.2f} % against the prior's {prior:.2f} %, "
                f"below it on {below} seeds."
            )
    return said


def _grouped(rows: Sequence[dict[str, Any]], *keys: str) -> list[tuple[tuple, list[dict[str, Any]]]]:
    found: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [*found.items()]


def _losses(rows: Sequence[dict[str, Any]], loss: str) -> np.ndarray:
    return np.array([row[loss] for row in sorted(rows, key=lambda row: row["seed"])])


def _below(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], loss: str) -> str:
    return f"{int(np.sum(_losses(one, loss) < _losses(other, loss)))} of {len(one)}"


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Losses against forward equivalents, a line for each method: its median and its range over the seeds."""
    cases = _grouped(rows, "truth", "observations")
    figure = Figure(figsize=(15, 4.2 * len(cases)), layout="constrained")
    grid = figure.subplots(len(cases), len(LOSSES), squeeze=False)
    for (about, same), line in zip(cases, grid, strict=True):
        for (loss, words), axes in zip(LOSSES.items(), line, strict=True):
            for k, ((method,), points) in enumerate(_grouped(same, "method")):
                spent = _grouped(points, "forward_equivalents")
                spent.sort(key=lambda pair: pair[0])
                x = [cost for (cost,), _ in spent]
                low, middle, high = np.quantile([_losses(of, loss) for _, of in spent], [0, 0.5, 1], axis=1)
                if method == "prior":
                    axes.axhline(middle[0], color="grey", linestyle=":", label=method)
                    continue
                away = [middle - low, high - middle]
                axes.errorbar(x, middle, away, color=f"C{k % 10}", marker="osD^v<>P"[k % 8], capsize=2, label=method)
            axes.set(xscale="log", yscale="log", title=f"{', '.join(about)}: {words}")
            axes.set(xlabel="forward equivalents", ylabel="error (% of the undisturbed day)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="shockmesh bench calibration", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--firms", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="fewer evaluations, independent firms only")
    parser.add_argument("--observations", nargs="+", choices=("sector", "total"), default=("sector", "total"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="also write the JSON there, case by case")
    parser.add_argument("--plot", type=Path, help="draw the losses against what they cost, as PNG")
    options = parser.parse_args(arguments)
    network, rows, cost = economy(options.firms), [], None
    cases = [("independent", "sector"), ("independent", "total"), ("sector effects", "sector")]
    for truth, observations in cases[:2] if options.quick else cases:
        if observations not in options.observations:
            continue
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
    lines = [" ".join(f"{key}: {value}" for key, value in about.items()), *table(rows), *wins(rows)]
    if options.plot:
        draw(rows, options.plot)
    sys.stdout.write((found if options.json else "\n".join(lines)) + "\n")


if __name__ == "__main__":
    main()
