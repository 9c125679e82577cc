"""A calibration spec bound to its economy: the problem that `shockmesh.inference` solves, and what its parts are."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float, Int
from shockmesh.cluster.calibrating.checks import check_inside, check_ratios, check_windows
from shockmesh.cluster.running.batch import Simulator
from shockmesh.cluster.spec.domains import DOMAINS
from shockmesh.cluster.spec.fields import Window
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.shocks import part_of
from shockmesh.cluster.spec.unknowns import Infer, Observe, Spreads, Unknown
from shockmesh.inference.latents import Effect, LatentField, Support
from shockmesh.inference.losses import Loss, Observed, observed, temperature_of
from shockmesh.inference.problem import Experiment, Problem, problem
from shockmesh.io.inputs.series import Series, firms_of_series, read_noise, read_series
from shockmesh.kernels.devices.segments import Segments, segments
from shockmesh.kernels.network import FirmNetwork

KIND_OF = {"production": "productivity", "final_demand": "final_demand"}  # what a shock acts on → field of Scenario


@dataclass(frozen=True)
class Calibration:
    """A problem on its network."""

    problem: Problem
    series: tuple[Series, ...]  # one for each observed variable
    neighbourhood: Int[np.ndarray, " firm"]  # the series of the first variable that sees each firm
    network: FirmNetwork
    cautions: tuple[str, ...] = ()  # what its author may not expect, as sentences


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
        check_windows(spec, seen)
        for observe, (part, series, _) in zip(spec.observe, bound, strict=True):
            check_ratios(observe, series, part, infer.residual, layout)
        fields = [_field(spec, path, unknown, network, bound[0][2]) for path, unknown in infer.parameters.items()]
        notes = check_inside(spec, simulator.bound, fields)
        experiment = Experiment(scenario, seen, spec.horizon.days, _fitted_days(seen))
        unknown = problem(layout, spec.model.switches, parameters, [experiment], fields, loss, spec.resources.kernel)
    return Calibration(unknown, tuple(series for _, series, _ in bound), bound[0][2], network, tuple(notes))


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
    series = read_series(observe.file, days, spec.horizon.start)
    of_firm = firms_of_series(series, observe.by, observe.groups, network, observe.file)
    names, shape = len(series.names), series.values.shape
    padded = np.column_stack([series.values, np.full(shape[0], np.nan)])  # a last series, never seen, for firms of none
    noise = noise_of(observe, series)
    seen = observed(
        observe.variable,
        segments(of_firm, names + 1),
        padded,
        np.column_stack([noise, np.ones(shape[0])]),
        fitted=_for_all(_fitted(series, observe), names + 1),
        held_out=_for_all(_within(series, observe.held_out or (0, 0)), names + 1),
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


def _fitted(series: Series, observe: Observe) -> Bool[np.ndarray, " period"]:
    """The periods within the window; without one, those that share no day with what is held out."""
    if observe.window is not None:
        return _within(series, observe.window)
    first, after = observe.held_out or (0, 0)
    return (series.last_day < first) | (series.first_day >= after)


def _within(series: Series, window: Window) -> Bool[np.ndarray, " period"]:
    """The periods whose days all lie in a window."""
    first, after = window
    return (series.first_day >= first) & (series.last_day < after)


def _for_all(periods: Bool[np.ndarray, " period"], names: int) -> Bool[np.ndarray, "period series"]:
    return np.repeat(periods[:, None], names, axis=1)


def _field(spec: Spec, path: str, unknown: Unknown, network: FirmNetwork, series: np.ndarray) -> LatentField:
    *_, owner, name = path.split(".")
    target = _model_target(spec, owner, name) if path.startswith("model.") else _shock_target(spec, owner, name)
    prior = infer_of(spec).parameters[unknown.like] if unknown.like else unknown
    effects = tuple(
        Effect(level, _level(level, network, series), spread, prior.doubt) for level, spread in prior.spread.items()
    )
    return LatentField(path, target, _support(name), effects, unknown.like or "")


def _model_target(spec: Spec, owner: str, name: str) -> tuple[str, str] | tuple[str, str, int]:
    means = [delay.name for delay in spec.model.delays if delay.stages]
    return ("parameters", "delay_days", means.index(owner)) if name == "days" else ("parameters", name)


def _shock_target(spec: Spec, owner: str, name: str) -> tuple[str, int, str]:
    """Where a shock's number lies in a scenario. Recovery days are a rate there; a prior of logarithms suits both."""
    part = part_of(next(shock for shock in spec.shocks if shock.name == owner))
    alike = [shock.name for shock in spec.shocks if part_of(shock) == part]
    return KIND_OF[part], alike.index(owner), "recovery_rate" if name == "recovery_days" else name


def _support(name: str) -> Support:
    domain = DOMAINS["delay_days" if name == "days" else name]
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
