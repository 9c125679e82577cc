"""What models predict of past shocks, beside what was observed: the validation pack, scored.

Every case is run in one program: the countries' industries are the firms of one network without links between
countries. A prediction is output relative to the day before the shock. `BASELINES` need no model: no change; the
smaller of what can be made and what is asked for (Pichler et al. 2022, section 2); Leontief's inverse of what is asked
for; the smaller of the latter and of what can be made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.stats import norm
from shockmesh.cluster.predicting.measures import write_measures
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.load import load_spec
from shockmesh.inference.baselines import first_order, through_leontief
from shockmesh.io.networks.store import write_network
from shockmesh.io.validation import DAYS, PACK, Case, cases, national_economies
from shockmesh.kernels.mechanisms.courses import total_factor
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import PRESETS
from shockmesh.kernels.network import FirmNetwork

BASELINES = ("no change", "first order", "Leontief", "smaller of supply and Leontief")
LEVEL = 0.9  # of the interval whose coverage is told
OWN = ("model.criticality=null", "model.inventory_days=null")  # the numbers of the paper, not the pack's
PRESET_MODELS: Mapping[str, tuple[str, ...]] = {
    name: (f"model.preset={name}", *(() if name == "pichler2022" else OWN)) for name in PRESETS
}

Paths = Float[np.ndarray, "day firm"]


SHOCKS = ("dates", "measures")  # specs of the pack: a pulse at each country's dates, and as strict as its measures were


@dataclass(frozen=True)
class Score:
    """How far a prediction was from what was observed, all in % points of output before the shock."""

    shock: str
    case: str
    window: str
    model: str
    rmse: float  # series by value added, all periods alike
    bias: float  # positive: the loss was understated
    coverage: float  # share of values within the interval of what such series do in other years, around the prediction


@dataclass(frozen=True)
class Share:
    """The error of a model by country, of all series of a country in a case, over that of the first-order shock."""

    shock: str
    model: str
    of: dict[str, float]  # country → mean over its cases of error / error of the first-order shock at dates

    @property
    def median(self) -> float:
        return float(np.median(list(self.of.values())))

    @property
    def worst(self) -> float:
        return max(self.of.values())


@dataclass(frozen=True)
class Struck:
    """The economies of all cases, and a spec of what struck them."""

    network: FirmNetwork
    cases: dict[str, Case]
    spec: Path

    def under(self, shock: str) -> "Struck":
        """The same economies under another shock."""
        return replace(self, spec=self.spec.with_name(f"{shock}.yaml"))

    def simulator(self, overrides: Sequence[str] = ()) -> Simulator:
        return Simulator(load_spec(self.spec, overrides), self.network)


def unpack(folder: Path, shock: str = "dates") -> Struck:
    """Put the pack's specs and their economy into a folder, where they run as any spec does."""
    known = cases()
    regions = tuple(sorted({region for case in known.values() for region in case.regions}))
    network = national_economies(regions)
    write_network(network, folder / "economies.zarr")
    for path in PACK.glob("*.yaml"):
        copyfile(path, folder / path.name)
    write_measures(folder)
    return Struck(network, known, folder / f"{shock}.yaml")


def factors(scenario: Scenario, firms: int) -> tuple[Paths, Paths]:
    """What a scenario leaves of productivity and of final demand, by day."""
    days = jnp.arange(DAYS, dtype=jnp.float32)
    made, wanted = (
        jax.vmap(lambda day, shocks=shocks: jnp.broadcast_to(total_factor(shocks, day), (firms, 1)))(days)
        for shocks in (scenario.productivity, scenario.final_demand)
    )
    return np.asarray(made)[..., 0].astype(float), np.asarray(wanted)[..., 0].astype(float)


def baselines(network: FirmNetwork, made: Paths, wanted: Paths) -> dict[str, Paths]:
    """What each of `BASELINES` says of output relative to before."""
    share = np.divide(network.final_demand, network.output, out=np.zeros(network.n_firms), where=network.output > 0)
    passed_on = np.concatenate([_passed_on(network, wanted, k) for k in range(len(network.regions))], axis=1)
    alone = first_order(1 - made, 1 - wanted, share)
    return dict(zip(BASELINES, (np.ones_like(made), alone, passed_on, np.minimum(made, passed_on)), strict=True))


def _passed_on(network: FirmNetwork, wanted: Paths, region: int) -> Paths:
    """Leontief's inverse for the industries of one country."""
    here = np.flatnonzero(network.region == region)
    links = network.region[network.supplier] == region
    flows = np.zeros((len(here), len(here)))
    flows[network.supplier[links] - here[0], network.buyer[links] - here[0]] = network.amount[links]
    return through_leontief(flows, network.final_demand[here], 1 - wanted[:, here])


def simulated(simulator: Simulator) -> Paths:
    """What a model says of output relative to before."""
    output = simulator.simulate(range(1))["output"][0].astype(float)
    return output / simulator.network.output


def predicted(case: Case, network: FirmNetwork, daily: Paths) -> Float[np.ndarray, "period series"]:
    """What daily output says of the values of a case."""
    weights = case.weights(network)
    ends = zip(case.series.first_day, case.series.last_day, strict=True)
    means = np.stack([daily[first : last + 1].mean(axis=0) for first, last in ends])
    return means @ weights / weights.sum(axis=0)


def scores(struck: Struck, model: str, daily: Paths) -> Iterator[Score]:
    """The scores of a model, case by case and window by window."""
    for case in struck.cases.values():
        error = 100 * (predicted(case, struck.network, daily) - case.series.values)
        weight = np.broadcast_to(case.weights(struck.network).sum(axis=0), error.shape)
        width = 100 * case.noise * norm.ppf((1 + LEVEL) / 2)
        for window, (first, last) in case.windows.items():
            within = (case.series.first_day >= first) & (case.series.last_day <= last)
            seen = within[:, None] & np.isfinite(error)
            off, of = error[seen], weight[seen]
            yield Score(
                struck.spec.stem, case.name, window, model, float(np.sqrt(np.average(off**2, weights=of))),
                float(np.average(off, weights=of)), float(np.mean(np.abs(off) <= width[seen])),
            )  # fmt: skip


def errors_by_country(struck: Struck, daily: Paths) -> dict[tuple[str, str], float]:
    """Root mean square error [% points] of each country in each case, whole."""
    found: dict[tuple[str, str], float] = {}
    for case in struck.cases.values():
        off, weights = predicted(case, struck.network, daily) - case.series.values, case.weights(struck.network)
        for region in case.regions:
            here = [case.series.names.index(name) for name, of, _ in case.parts if of == region]
            square = np.nanmean(off[:, here] ** 2, axis=0)
            found[region, case.name] = float(100 * np.sqrt(np.average(square, weights=weights[:, here].sum(axis=0))))
    return found


def share_of(struck: Struck, model: str, daily: Paths, first: Mapping[tuple[str, str], float]) -> Share:
    """The error by country over that of the first-order shock at dates."""
    ratios: dict[str, list[float]] = {}
    for (region, case), error in errors_by_country(struck, daily).items():
        ratios.setdefault(region, []).append(error / first[region, case])
    return Share(struck.spec.stem, model, {region: float(np.mean(of)) for region, of in ratios.items()})


def score_pack(
    models: Mapping[str, tuple[str, ...]] = PRESET_MODELS, shocks: Sequence[str] = SHOCKS
) -> tuple[list[Score], list[Share]]:
    """Scores of the baselines and of each model, which is a name and its overrides of the pack's specs."""
    with TemporaryDirectory() as folder:
        pack = unpack(Path(folder))
        told = {shock: predictions(pack.under(shock), models) for shock in shocks}
        known = told.get("dates") or predictions(pack.under("dates"), {})
        first = errors_by_country(pack, known["first order"])
        found = [(pack.under(shock), name, daily) for shock, of in told.items() for name, daily in of.items()]
        return (
            [score for each in found for score in scores(*each)],
            [share_of(*each, first) for each in found],
        )


def predictions(pack: Struck, models: Mapping[str, tuple[str, ...]]) -> dict[str, Paths]:
    """What the baselines and each model say of output relative to before."""
    _, scenario = pack.simulator().inputs(range(1))
    told = baselines(pack.network, *factors(scenario, pack.network.n_firms))
    return told | {name: simulated(pack.simulator(overrides)) for name, overrides in models.items()}
