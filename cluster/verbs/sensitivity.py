"""`shockmesh sensitivity`: how much each firm matters to a spec's loss, as a ranking, by one backward pass."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float
from shockmesh.cluster.planning.loads import drawn, kept_numbers
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.cluster.spec.shocks import part_of
from shockmesh.io.rankings import RankingError, check_new, write_ranking
from shockmesh.kernels.devices.layout import linked
from shockmesh.kernels.mechanisms.courses import Failures, Recovery, Rise
from shockmesh.kernels.mechanisms.rebuilding import Damage, HouseholdDamage
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import affordable_states, few_states, kept_states
from shockmesh.kernels.sensitivity import Flow, Sensitivity, importance, sensitivity_function

MEMORY = 4 * 2**30  # bytes that a backward pass of several members may take


def rank_by_sensitivity(
    spec: str | Path, out: str | Path, *, overrides: Sequence[str] = (), loss: Flow = "output", memory: int = MEMORY
) -> pd.DataFrame:
    """Rank the firms of a spec's economy by what they add to the total loss, and write the ranking to `out`, a CSV.

    Columns, means over the spec's members: `importance`, the loss avoided per relative increase of the firm's capacity
    [the network's unit × days]; `d_<name>`, the derivative of the loss with respect to each parameter of the firm, and
    to what each shock takes from the firm (`loss`), asks of it (`worth`) or makes dearer (`rate`).

    Raises:
        SpecError, NetworkStoreError, ScenarioError: the spec, its economy or its files break a rule.
        RankingError: `out` exists, or a derivative is not a number.
    """
    check_new(out)
    loaded = load_spec(spec, overrides)
    economy = on_economy(loaded)
    loaded, network = economy.spec, economy.network
    block = members_at_once(loaded, network, memory)
    simulator = Simulator(loaded, network, block)
    columns: dict[str, np.ndarray] = {}
    with jax.enable_x64(loaded.precision == "float64"):
        derive = sensitivity_function(
            simulator.layout(), loaded.model.switches, days=loaded.horizon.days, loss=loss,
            states=affordable_states(loaded.horizon.days, block * state_bytes(loaded, network), memory),
        )  # fmt: skip
        for members in _blocks(loaded.members, block):
            parameters, scenario = simulator.inputs(members)
            for name, values in _columns(loaded, derive(parameters, scenario), parameters):
                columns[name] = columns.get(name, 0) + values[:, : len(members)].sum(axis=1) / loaded.members
    _check_finite(columns)
    return write_ranking(out, network, "importance", columns)


def members_at_once(spec: Spec, network: FirmNetwork, memory: int) -> int:
    """How many members' backward passes fit into `memory` bytes; at least one, at most all."""
    least = kept_states(spec.horizon.days, few_states(spec.horizon.days)) * state_bytes(spec, network)
    return max(1, min(spec.members, memory // least))


def state_bytes(spec: Spec, network: FirmNetwork) -> int:
    """Bytes of one member's state: stock and orders of every link, and what damages and detours hand on."""
    links = linked(network, spec.model.switches).n_links
    numbers = kept_numbers(spec) * max(links, network.n_firms) + drawn(spec, network).kept
    return math.ceil(numbers * np.dtype(spec.precision).itemsize)


def _blocks(members: int, block: int) -> Iterator[range]:
    return (range(start, min(start + block, members)) for start in range(0, members, block))


def _columns(
    spec: Spec, found: Sensitivity, parameters: Parameters
) -> Iterator[tuple[str, Float[np.ndarray, "firm member"]]]:
    """What the ranking says of each firm."""
    yield "importance", np.asarray(importance(found, parameters), np.float64)
    for name in spec.model.numbers:
        yield f"d_{name}", np.asarray(getattr(found.parameters, name), np.float64)
    for position, delay in enumerate([delay for delay in spec.model.delays if delay.stages]):
        yield f"d_delays.{delay.name}.days", np.asarray(found.parameters.delay_days, np.float64)[position]
    for name, shock in _shocks(spec, found.scenario):
        if isinstance(shock, Recovery | Failures | Damage):
            yield f"d_shocks.{name}.loss", np.asarray(shock.loss, np.float64)
        if isinstance(shock, Rise):
            yield f"d_shocks.{name}.rate", np.asarray(shock.rate, np.float64)
        if isinstance(shock, HouseholdDamage):
            yield f"d_shocks.{name}.worth", np.asarray(shock.worth, np.float64)
        if isinstance(shock, Failures):
            between = np.asarray(shock.days_between_failures, np.float64)
            yield f"d_shocks.{name}.days_between_failures", between


def _shocks(spec: Spec, scenario: Scenario) -> Iterator[tuple[str, object]]:
    """The shocks by name, in the order in which a scenario holds them."""
    parts = (
        ("production", scenario.productivity),
        ("final_demand", scenario.final_demand),
        ("damage", scenario.damages),
        ("household_damage", scenario.homes),
        ("value_added", scenario.costs),
    )
    for part, shocks in parts:
        names = [shock.name for shock in spec.shocks if part_of(shock) == part]
        yield from zip(names, shocks, strict=True)


def _check_finite(columns: dict[str, np.ndarray]) -> None:
    for name, values in columns.items():
        if not np.isfinite(values).all():
            raise RankingError(f"{name}: {(~np.isfinite(values)).sum()} firms: the derivative is not a number")
