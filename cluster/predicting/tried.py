"""What was tried to predict better: each change alone, each part of `shockmesh2026` taken away, and what to choose.

A trial is a shock of the pack, how losses follow the index (where the shock is `measures`), and overrides of its spec.
It is judged by the error of each country over that of the first-order shock at the country's dates. No number is fitted
here; `leave_one_out` asks what would be chosen without a country, and how that does in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.optimize import minimize
from shockmesh.cluster.predicting.measures import Response, strengths, stringency, write_measures
from shockmesh.cluster.predicting.pack import (
    OWN,
    Paths,
    Share,
    Struck,
    errors_by_country,
    predictions,
    share_of,
    simulated,
    unpack,
)
from shockmesh.cluster.spec.binding import BoundTable
from shockmesh.inference.baselines import first_order

SERVICES = (
    "D35", "E36", "E37-E39", "F", "C33", "G45", "G46", "G47", "H49", "H50", "H51", "H52", "H53", "I", "J58", "J59_J60",
    "J61", "J62_J63", "K64", "K65", "K66", "L68", "M69_M70", "M71", "M72", "M73", "M74_M75", "N", "O84", "P85", "Q",
    "R_S", "T",
)  # fmt: skip
NEVER_SHORT = f"model.inventory_by_product={{{', '.join(f'{of}: inf' for of in SERVICES)}}}"
OURS = ("model.preset=shockmesh2026", *OWN)
WEIGHTS = (0.25, 0.5, 0.75)  # of the model, beside the first-order shock


@dataclass(frozen=True)
class Trial:
    """One thing that was tried."""

    shock: str
    overrides: tuple[str, ...] = ()
    response: Response = field(default=Response())


ALONE: Mapping[str, Trial] = {  # pichler2022 at dates, and one thing changed
    "pichler2022, at dates": Trial("dates"),
    "every input critical": Trial("dates", ("model.production=leontief", "model.criticality=null")),
    "no input critical": Trial("dates", ("model.production=linear", "model.criticality=null")),
    "important inputs do not slow down": Trial("dates", ("model.production=weakly_critical",)),
    "goods alone critical": Trial("dates", ("model.criticality=surveyed_goods",)),
    "services never short": Trial("dates", (NEVER_SHORT,)),
    "30 days of stock": Trial("dates", ("model.inventory_days=30",)),
    "labour hoarded, back at once": Trial("dates", ("model.capacity_rule=constant",)),
    "overtime of 10 %": Trial("dates", ("model.capacity=1.1",)),
    "households spend what they earn": Trial("dates", ("model.consumption=labour_income",)),
    "consumers last": Trial("dates", ("model.rationing=final_demand_last",)),
    "as strict as measures were": Trial("measures"),
    "the same, measures never fade": Trial("measures", (), Response(adaptation=1e6)),
    "the same, every point of the index counts": Trial("measures", (), Response(start=0)),
    "the same, at once": Trial("measures", (), Response(lag=0)),
}
WITHOUT: Mapping[str, Trial] = {  # shockmesh2026 under measures, and one part taken away
    "shockmesh2026": Trial("measures", OURS),
    "without measures, at dates": Trial("dates", OURS),
    "with services critical as surveyed": Trial("measures", (*OURS, "model.criticality=surveyed")),
    "with no input critical": Trial("measures", (*OURS, "model.production=linear")),
    "with every input critical": Trial("measures", (*OURS, "model.production=leontief")),
    "with 15 days of stock": Trial("measures", (*OURS, "model.inventory_days=15")),
    "with labour let go and hired": Trial("measures", (*OURS, "model.capacity_rule=hiring")),
    "without overtime": Trial("measures", (*OURS, "model.capacity=1.0")),
    "with overtime of 5 %": Trial("measures", (*OURS, "model.capacity=1.05")),
    "with overtime of 15 %": Trial("measures", (*OURS, "model.capacity=1.15")),
    "with services never short": Trial("measures", (*OURS, NEVER_SHORT)),
}


def try_all(trials: Mapping[str, Trial]) -> list[Share]:
    """The errors of each trial; of the baselines under both shocks; and of mixtures with the first-order shock."""
    with TemporaryDirectory() as folder:
        pack = unpack(Path(folder))
        known = {shock: predictions(pack.under(shock), {}) for shock in ("dates", "measures")}
        first = errors_by_country(pack, known["dates"]["first order"])
        found = [
            share_of(pack.under(shock), f"{name}, {shock}", daily, first)
            for shock, of in known.items()
            for name, daily in of.items()
        ]
        for name, trial in trials.items():
            daily = _predicted(pack, trial)
            found.append(share_of(pack.under(trial.shock), name, daily, first))
            if name == "shockmesh2026":
                alone = known[trial.shock]["first order"]
                mixed = {f"{of:.0%} of it, the rest first order": of * daily + (1 - of) * alone for of in WEIGHTS}
                found += [share_of(pack.under(trial.shock), which, of, first) for which, of in mixed.items()]
        return found


def _predicted(pack: Struck, trial: Trial) -> Paths:
    write_measures(pack.spec.parent, trial.response)
    return simulated(pack.under(trial.shock).simulator(trial.overrides))


def leave_one_out(found: list[Share]) -> Iterator[tuple[str, str, float]]:
    """Each country, what has the least mean square share of error in all others, and its share in the country."""
    table = np.array([list(share.of.values()) for share in found])
    for k, country in enumerate(found[0].of):
        others = np.sqrt(np.mean(np.delete(table, k, axis=1) ** 2, axis=1))
        best = int(np.argmin(others))
        yield country, found[best].model, float(table[best, k])


@dataclass(frozen=True)
class Refit:
    """What the numbers of `Response` are without a country, and how the first-order shock then does in it."""

    country: str
    start: float
    adaptation: float
    power: float
    fitted: float  # share of the error of the first-order shock at dates, numbers fitted to all other countries
    round: float  # the same with the round numbers


def refit(pack: Struck, steps: int = 60) -> Iterator[Refit]:
    """Fit start, adaptation and power of `Response` without each country in turn, by the first-order shock."""
    first = errors_by_country(pack, predictions(pack, {})["first order"])
    told = FirstOrder(pack.under("measures"))

    def shares(numbers: np.ndarray) -> dict[str, float]:
        response = replace(Response(), **dict(zip(("start", "adaptation", "power"), numbers, strict=True)))
        return share_of(pack, "", told.daily(response), first).of

    known = np.array([Response().start, Response().adaptation, Response().power])
    rounded = shares(known)
    for country in rounded:

        def others(logs: np.ndarray, country: str = country) -> float:
            of = shares(known * np.exp(logs))
            return float(np.mean([share**2 for name, share in of.items() if name != country]))

        simplex = np.vstack([np.zeros(3), 0.2 * np.eye(3)])
        best = minimize(
            others, np.zeros(3), method="Nelder-Mead", options={"maxfev": steps, "initial_simplex": simplex}
        )
        start, adaptation, power = (known * np.exp(best.x)).tolist()
        fitted = shares(np.array([start, adaptation, power]))[country]
        yield Refit(country, start, adaptation, power, fitted, rounded[country])


class FirstOrder:
    """The first-order shock of a spec of measures, for any response."""

    def __init__(self, pack: Struck) -> None:
        bound = pack.simulator().bound
        self.network, self.index = pack.network, stringency()
        self.losses = [
            (
                shock.shock.on,
                Path(shock.shock.file).stem,
                np.broadcast_to(shock.loss.at({})[:, 0], pack.network.n_firms),
            )
            for shock in bound.shocks
            if isinstance(shock, BoundTable) and shock.loss is not None
        ]
        some = np.where(pack.network.output > 0, pack.network.output, 1)
        self.final_share = pack.network.final_demand / some

    def daily(self, response: Response) -> Paths:
        both = [strengths(self.index[name].to_numpy(float), response) for name in self.network.regions]
        path = {
            name: np.stack([of[k] for of in both], axis=1)[:, self.network.region]
            for k, name in enumerate(("standing", "fading"))
        }
        lost = {on: 1 - np.prod([1 - loss * path[file] for of, file, loss in self.losses if of == on], axis=0)
                for on in ("production", "final_demand")}  # fmt: skip
        return first_order(lost["production"], lost["final_demand"], self.final_share)
