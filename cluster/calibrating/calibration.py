"""A calibration spec bound to its economy: the problem that `shockmesh.inference` solves, and what its parts are."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from shockmesh.cluster.running.batch import Simulator, part_of
from shockmesh.cluster.spec.domains import DOMAINS
from shockmesh.cluster.spec.fields import Window
from shockmesh.cluster.spec.models import Infer, Observe, Spec, Spreads, Unknown
from shockmesh.cluster.spec.source import SpecError
from shockmesh.inference.choices import Residual
from shockmesh.inference.latents import BOUNDS, Effect, LatentField, Support, get
from shockmesh.inference.losses import Loss, Observed, observed, temperature_of
from shockmesh.inference.problem import Experiment, Problem, problem
from shockmesh.io.inputs.series import Series, SeriesError, firms_of_series, read_noise, read_series
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.devices.segments import Segments, segments
from shockmesh.kernels.mechanisms.shocks import Scenario
from shockmesh.kernels.model import Parameters
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import baseline

KIND_OF = {"production": "productivity", "final_demand": "final_demand"}  # what a shock acts on → field of Scenario


@dataclass(frozen=True)
class Calibration:
    """A problem on its network."""

    problem: Problem
    series: tuple[Series, ...]  # one for each observed variable
    neighbourhood: Int[np.ndarray, " firm"]  # the series of the first variable that sees each firm
    network: FirmNetwork


def bind_calibration(spec: Spec, network: FirmNetwork) -> Calibration:
    """The problem of a spec with `observe` and `infer`.

    Raises:
        SpecError: as `bind`. SeriesError: a file of observations breaks a rule.
    """
    infer = infer_of(spec)
    with jax.enable_x64(spec.precision == "float64"):
        simulator = Simulator(spec, network)
        parameters, scenario = simulator.inputs(range(1))
        layout, loss = simulator.layout(), _loss(infer)
        bound = [_observed(spec, observe, network) for observe in spec.observe]
        seen = tuple(part for part, _, _ in bound)
        _check_windows(spec, seen)
        for observe, (part, series, _) in zip(spec.observe, bound, strict=True):
            _check_ratios(observe, series, part, infer.residual, layout)
        fields = [_field(spec, path, unknown, network, bound[0][2]) for path, unknown in infer.parameters.items()]
        _check_inside(spec, fields, parameters, scenario)
        experiment = Experiment(scenario, seen, spec.horizon.days, _fitted_days(seen))
        unknown = problem(layout, spec.model.switches, parameters, [experiment], fields, loss)
    return Calibration(unknown, tuple(series for _, series, _ in bound), bound[0][2], network)


def _fitted_days(seen: Sequence[Observed]) -> int:
    """How many days reach all values that are fitted."""
    periods = [np.flatnonzero(np.asarray(part.fitted).any(axis=(1, 2))) for part in seen]
    return 1 + max(
        int(np.flatnonzero(np.isin(part.period, fitted)).max(initial=0))
        for part, fitted in zip(seen, periods, strict=True)
    )


def infer_of(spec: Spec) -> Infer:
    """What a calibration infers, and how. Raises ValueError if the spec is none."""
    if spec.infer is None:
        raise ValueError("infer: missing: this spec is no calibration")
    return spec.infer


def _loss(infer: Infer) -> Loss:
    temperature = infer.temperature or temperature_of(infer.correlation)
    return Loss(infer.residual, infer.penalty, temperature)


def _observed(spec: Spec, observe: Observe, network: FirmNetwork) -> tuple[Observed, Series, np.ndarray]:
    days = spec.horizon.days
    series = read_series(observe.file, days)
    of_firm = firms_of_series(series, observe.by, observe.groups, network, observe.file)
    names, shape = len(series.names), series.values.shape
    padded = np.column_stack([series.values, np.full(shape[0], np.nan)])  # firms of no series: one that is never seen
    noise = noise_of(observe, series)
    seen = observed(
        observe.variable,
        segments(of_firm, names + 1),
        padded,
        np.column_stack([noise, np.ones(shape[0])]),
        fitted=_within(series, observe.window, (0, days)),
        held_out=_within(series, observe.held_out, (0, 0)),
        period=series.period_of_day(days),
        dtype=spec.precision,
    )
    return seen, series, of_firm


def noise_of(observe: Observe, series: Series) -> Float[np.ndarray, "period series"]:
    """The standard deviation of what was seen.

    Raises:
        SeriesError: its file breaks a rule.
    """
    if isinstance(observe.noise, Spreads):
        return read_noise(observe.noise.file, series, DOMAINS["noise"].low, DOMAINS["noise"].high)
    return np.full(series.values.shape, observe.noise)


def _within(series: Series, window: Window | None, otherwise: tuple[int, int]) -> Bool[np.ndarray, "period series"]:
    """Which periods lie in a window of days, for every series and the one that is never seen."""
    first, after = window or otherwise
    inside = (series.first_day >= first) & (series.last_day < after)
    return np.repeat(inside[:, None], len(series.names) + 1, axis=1)


def _check_windows(spec: Spec, seen: Sequence[Observed]) -> None:
    """Something must be fitted; a series may be held out as a whole.

    Raises:
        SpecError: no window holds a whole period that was seen.
    """
    if not any(np.asarray(part.fitted).any() for part in seen):
        windows = [list(observe.window or (0, spec.horizon.days)) for observe in spec.observe]
        rule = "holds no whole period with a value, so that nothing would be fitted"
        raise SpecError([spec.problem(("observe", i, "window"), of, rule) for i, of in enumerate(windows)])


def _check_ratios(observe: Observe, series: Series, seen: Observed, residual: Residual, layout: Layout) -> None:
    """What is seen is a ratio to an undisturbed day above 0; and a relative residual is a share of what is seen.

    Raises:
        SeriesError: a series or a value that is not.
    """
    counts = np.asarray(seen.fitted | seen.held_out)[:, :-1, 0]
    steady = np.asarray(baseline(layout, {seen.variable: seen.groups})[seen.variable])[:-1]
    for k in np.flatnonzero(counts.any(axis=0) & ~(steady > 0)):
        told = f"its {observe.variable} on an undisturbed day is {steady[k]:.4g}"
        raise SeriesError(
            f"{observe.file}:1: column: {series.names[k]}: {told}: must be > 0, for values are ratios to it"
        )
    for row, k in np.argwhere(counts & (series.values == 0)):
        if residual != "absolute":
            rule = f"must be > 0 with infer.residual: {residual}; leave it empty, or use absolute"
            raise SeriesError(f"{observe.file}:{row + 2}: {series.names[k]}: 0: {rule}")


def _check_inside(spec: Spec, fields: Sequence[LatentField], parameters: Parameters, scenario: Scenario) -> None:
    """A number on a bound of what it may be cannot stray from it.

    Raises:
        SpecError: a number to be inferred is on a bound for every firm.
    """
    problems = []
    for field in fields:
        median, (low, high) = np.asarray(get(parameters, scenario, field)), BOUNDS[field.support]
        if not ((median > low) & (median < high)).any():
            bound = f"> {low:g}" if high == np.inf else f"> {low:g} and < {high:g}"
            rule = f"its value must be {bound} for some firm: on a bound it cannot be inferred"
            problems.append(spec.problem(f"infer.parameters.{field.name}", f"{median.max():g}", rule))
    if problems:
        raise SpecError(problems)


def _field(spec: Spec, path: str, unknown: Unknown, network: FirmNetwork, series: np.ndarray) -> LatentField:
    *_, owner, name = path.split(".")
    target = ("parameters", name) if owner == "model" else _shock_target(spec, owner, name)
    prior = infer_of(spec).parameters[unknown.like] if unknown.like else unknown
    effects = tuple(
        Effect(level, _level(level, network, series), spread, prior.doubt) for level, spread in prior.spread.items()
    )
    return LatentField(path, target, _support(name), effects, unknown.like or "")


def _shock_target(spec: Spec, owner: str, name: str) -> tuple[str, int, str]:
    """Where a shock lies in a scenario. Its recovery_days are the kernel's rate: a prior of logarithms suits both."""
    part = part_of(next(shock for shock in spec.shocks if shock.name == owner))
    alike = [shock.name for shock in spec.shocks if part_of(shock) == part]
    return KIND_OF[part], alike.index(owner), "recovery_rate" if name == "recovery_days" else name


def _support(name: str) -> Support:
    domain = DOMAINS[name]
    return "share" if domain.high == 1 else "above_one" if domain.low == 1 else "positive"


def _level(level: str, network: FirmNetwork, series: Int[np.ndarray, " firm"]) -> Segments:
    n = network.n_firms
    match level:
        case "firm":
            return segments(np.arange(n), n)
        case "region":
            return segments(network.region, len(network.regions))
        case "series":
            return segments(series, int(series.max()) + 1)
        case "sector":
            return segments(network.sector, len(network.sectors))
        case _:
            return segments(np.zeros(n, int), 1)
