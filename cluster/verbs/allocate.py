"""`shockmesh allocate`: where to hold stock, spare capacity or second suppliers, for the least loss at a budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.allocate import LEVERS, Allocate
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.cluster.spec.selection import Directory, Selection
from shockmesh.cluster.verbs.sensitivity import MEMORY, members_at_once, state_bytes
from shockmesh.inference.decisions import Decision, decide, ensemble_gradient, tail_weights
from shockmesh.io.rankings import check_new, named_firms
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import affordable_states

NONE, EQUAL, PROPORTIONAL, FOUND = "none", "equal", "proportional", "found"


class AllocateError(ValueError):
    """A budget that cannot be allocated. The message says why."""


@dataclass(frozen=True)
class Allocation:
    """How a budget was spent, and what it is worth. Losses are in money, over the days of the run."""

    unit: str
    budget: float
    options: int  # firms and levers that may get some
    members: int  # that decided
    worth: float  # loss avoided by another unit of money
    decided: dict[str, float]  # loss of none, of equal, proportional to output, found; of members that decided
    held_out: dict[str, float]  # the same of those held out
    saved: dict[
        str, tuple[float, float]
    ]  # by found beyond equal and proportional, of members held out: mean, its error
    firms: pd.DataFrame  # what each firm gets

    def as_dict(self) -> dict[str, Any]:
        names = ("unit", "budget", "options", "members", "worth", "decided", "held_out")
        saved = {name: {"mean": mean, "error": error} for name, (mean, error) in self.saved.items()}
        return {name: getattr(self, name) for name in names} | {"saved": saved}


def allocate_budget(
    spec: str | Path, out: str | Path, *, overrides: Sequence[str] = (), memory: int = MEMORY
) -> Allocation:
    """Allocate the budget of a spec, and write what each firm gets to `out`, a CSV, the largest first.

    Raises:
        SpecError, NetworkStoreError, ScenarioError: the spec, its economy or its files break a rule.
        RankingError: `out` exists.
        AllocateError: nothing may be bought, or too few members are left to decide by.
    """
    check_new(out)
    economy = on_economy(load_spec(spec, overrides))
    ensemble = Ensemble(economy.spec, economy.network, memory)
    found = ensemble.allocate()
    found.firms.to_csv(out, index=False)
    return found


class Ensemble:
    """The members of a spec's sweep, those that decide and those held out, and what money does to their losses."""

    def __init__(self, spec: Spec, network: FirmNetwork, memory: int = MEMORY) -> None:
        if spec.allocate is None:
            raise AllocateError("allocate: missing: say a budget and what it may buy")
        self.told: Allocate = spec.allocate
        self._spec, self._network = spec, network
        self._deciding = spec.members - self.told.held_out
        if self._deciding < 1:
            rule = f"must leave some of the sweep's {spec.members} members to decide by"
            raise AllocateError(f"allocate.held_out: {self.told.held_out}: {rule}")
        both = range(self._deciding), range(self._deciding, spec.members)
        block = min(members_at_once(spec, network, memory), max(map(len, both)))
        self._simulator = Simulator(spec, network, block)
        self._batches = [members[at : at + block] for members in both for at in range(0, len(members), block)]
        frequency = [of for path, of in self._simulator.bound.members.values.items() if path.endswith(".frequency")]
        self._weights = np.asarray(frequency[0], float) if frequency else np.ones(spec.members)
        self._levers, self._firms, self._price = _options(spec, self.told, network)
        self._options_of = {name: np.flatnonzero(self._levers == name) for name in dict.fromkeys(self._levers.tolist())}
        states = affordable_states(spec.horizon.days, block * state_bytes(spec, network), memory)
        with self._precision():
            self._gradient = ensemble_gradient(
                self._simulator.layout(),
                spec.model.switches,
                days=spec.horizon.days,
                loss=self.told.loss,
                states=states,
            )

    def allocate(self) -> Allocation:
        """Spend the budget, and hold the result against equal and proportional allocations."""
        budget, n = self.told.budget, len(self._price)
        sizes = self._network.output[self._firms]
        starts = {EQUAL: np.full(n, budget / n), PROPORTIONAL: budget * sizes / sizes.sum()}
        found = decide(self._objective, budget, starts, self.told.steps)
        spent = {NONE: np.zeros(n), **starts, FOUND: found.spending}
        losses = {name: self._losses(spending, self._batches) for name, spending in spent.items()}
        return self._told(found, losses)

    def _objective(self, spending: np.ndarray) -> tuple[float, Float[np.ndarray, " option"]]:
        deciding = np.arange(self._spec.members) < self._deciding
        weights = np.where(deciding, self._weights, 0) / self._weights[deciding].sum()
        if self.told.tail is not None:
            weights = self._tail(self._losses(spending, self._counting(deciding)), deciding)
        losses, gradient = self._run(spending, weights, self._counting(weights))
        return float(weights @ losses), gradient

    def _tail(self, losses: np.ndarray, of: np.ndarray) -> Float[np.ndarray, " member"]:
        """The weights of some members, of the worst alone where the spec counts those."""
        weights = np.zeros(len(losses))
        weights[of] = tail_weights(losses[of], self._weights[of], self.told.tail or 1.0)
        return weights

    def _counting(self, weights: np.ndarray) -> list[range]:
        """The batches of which a member has a weight."""
        return [members for members in self._batches if weights[members.start : members.stop].any()]

    def _losses(self, spending: np.ndarray, batches: Sequence[range]) -> Float[np.ndarray, " member"]:
        return self._run(spending, np.zeros(self._spec.members), batches)[0]

    def _run(
        self, spending: np.ndarray, weights: np.ndarray, batches: Sequence[range]
    ) -> tuple[Float[np.ndarray, " member"], Float[np.ndarray, " option"]]:
        """The loss of each member of some batches, and the derivative of the weighted sum by money at each option."""
        losses, gradient = np.zeros(len(weights)), np.zeros(len(spending))
        with self._precision():
            added = {name: jnp.asarray(of, self._spec.precision) for name, of in self._added(spending).items()}
            for members in batches:
                parameters, scenario = self._simulator.inputs(members)
                padded = np.zeros(parameters.inventory_days.shape[-1])
                padded[: len(members)] = weights[members.start : members.stop]
                lost, by_firm = self._gradient(parameters, scenario, added, jnp.asarray(padded, self._spec.precision))
                losses[members.start : members.stop] = np.asarray(lost, float)[: len(members)]
                gradient += self._by_option({name: np.asarray(of, float) for name, of in by_firm.items()})
        return losses, gradient

    def _added(self, spending: np.ndarray) -> dict[str, Float[np.ndarray, " firm"]]:
        """What the money buys, by lever and firm."""
        units, n = spending / self._price, self._network.n_firms
        return {name: np.bincount(self._firms[here], units[here], n) for name, here in self._options_of.items()}

    def _by_option(self, by_firm: dict[str, np.ndarray]) -> Float[np.ndarray, " option"]:
        found = np.zeros(len(self._price))
        for name, here in self._options_of.items():
            found[here] = by_firm[name][self._firms[here]]
        return found / self._price

    def _told(self, found: Decision, losses: dict[str, np.ndarray]) -> Allocation:
        members = np.arange(self._spec.members)
        parts = {"decided": members < self._deciding, "held_out": members >= self._deciding}
        mean = {
            part: {name: float(self._tail(of, here) @ of) for name, of in losses.items()}
            for part, here in parts.items()
        }
        held = parts["held_out"]
        chance = self._weights[held] / self._weights[held].sum()
        saved = {name: _paired(losses[name][held] - losses[FOUND][held], chance) for name in (EQUAL, PROPORTIONAL)}
        return Allocation(
            self._network.unit.removesuffix(" / day"), self.told.budget, len(self._price), self._deciding, found.worth,
            **mean, saved=saved, firms=self._table(found),
        )  # fmt: skip

    def _table(self, found: Decision) -> pd.DataFrame:
        paths = {path.rpartition(".")[2]: path for path in LEVERS}
        table = pd.DataFrame(
            {
                **{name: of[self._firms] for name, of in named_firms(self._network).items()},
                "lever": [paths[name] for name in self._levers],
                "spent": found.spending,
                "added": found.spending / self._price,
                "worth": found.worth_of,
            }
        )
        return table.sort_values("spent", ascending=False, kind="stable")

    def _precision(self) -> Any:
        return jax.enable_x64(self._spec.precision == "float64")


def _paired(saved: Float[np.ndarray, " member"], weights: Float[np.ndarray, " member"]) -> tuple[float, float]:
    """The mean over members, and its standard error."""
    n, mean = len(saved), float(weights @ saved)
    if n < 2:
        return mean, math.nan
    return mean, math.sqrt(n / (n - 1) * float((weights**2) @ (saved - mean) ** 2))


def _options(
    spec: Spec, told: Allocate, network: FirmNetwork
) -> tuple[np.ndarray, Int[np.ndarray, " option"], Float[np.ndarray, " option"]]:
    """Where money may go: the name of each option's number, its firm, and what a unit costs there."""
    chosen = Selection("allocate.where", told.where, spec.sweep.seed, Directory(network)).matching()
    levers, firms, prices = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for path, days in told.levers.items():
        price = days * np.asarray(getattr(network, LEVERS[path]))
        here = np.flatnonzero(chosen & (price > 0) & (network.output > 0))
        levers.append(np.full(len(here), path.rpartition(".")[2]))
        firms.append(here)
        prices.append(price[here])
    if not any(map(len, levers)):
        raise AllocateError("allocate.where: no firm there buys or makes anything")
    return np.concatenate(levers), np.concatenate(firms), np.concatenate(prices)
