"""A calibration, from a spec to a posterior: steps or members, checkpoints, early stopping, what was found.

Variational inference goes step by step and keeps a checkpoint every few; an ensemble is blocks of members, executed and
committed as a sweep's. Both resume to the same bits: keys depend on seed, step and member alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from shockmesh.cluster.calibrating.calibration import Calibration, infer_of, noise_of
from shockmesh.cluster.planning.plan import EVALUATED
from shockmesh.cluster.seeing.progress import duration
from shockmesh.cluster.spec.models import Spec
from shockmesh.inference.baselines import baselines
from shockmesh.inference.diagnostics import moved, pareto_k, rmse_over, scores
from shockmesh.inference.ensemble import Pull, pull
from shockmesh.inference.guides import make_guide
from shockmesh.inference.problem import Latents, Problem, field_values, member_keys, predictions, prior_draws, score
from shockmesh.inference.svi import Info, State, Variational, advance, log_weights, posterior_draws, variational
from shockmesh.io.posteriors import Posterior, Seen, Weights
from shockmesh.io.stores.checkpoints import last_checkpoint, write_checkpoint
from shockmesh.io.stores.places import Place

LAST_STEPS = 20  # an objective that is told is the mean of so many
VALIDATION_DRAWS = 16  # of the guide, for the held-out loss at a checkpoint


class CalibrationError(ValueError):
    """A calibration that cannot go on. The message names the step and what was not finite."""


@dataclass(frozen=True)
class Track:
    """How a calibration went so far."""

    objective: np.ndarray  # −ELBO of each step
    held_out: np.ndarray  # loss of the held-out window at each checkpoint
    bad_steps: int = 0  # steps not taken because a number was not finite


@dataclass(frozen=True)
class Fitted:
    """A guide at the end of its steps."""

    method: Variational
    state: State
    track: Track
    stopped: str = field(default="")


type Steps = Callable[[State, int], tuple[State, Info]]
type Watch = Callable[[int, Track], None]


def fit_guide(
    spec: Spec, bound: Calibration, run: Place, watch: Watch, steps: Callable[[Variational], Steps] | None = None
) -> Fitted:
    """Step the guide from the last checkpoint in `run` to the end, or until the held-out loss has not fallen for long.

    Args:
        steps: how steps are taken, if not in this process.

    Raises:
        CalibrationError: no step of a whole interval could be taken.
    """
    infer, method = infer_of(spec), make_method(spec, bound)
    take = steps(method) if steps else lambda state, n: advance(method, bound.problem, state, n)
    state, track = _restore(run, method)
    while (step := int(state.step)) < infer.steps:
        if infer.patience and stale(track.held_out) >= infer.patience:
            return Fitted(method, state, track, f"the held-out loss has not fallen since {infer.patience} checkpoints")
        state, info = take(state, min(infer.checkpoint_every, infer.steps - step))
        track = _extend(track, info, _held_out(bound, method, state))
        _refuse_standstill(step, info)
        write_checkpoint(run, int(state.step), _saved(state, track))
        watch(int(state.step), track)
    return Fitted(method, state, track)


def make_method(spec: Spec, bound: Calibration) -> Variational:
    """The guide of a spec and how it is stepped. It is the same in every process."""
    infer = infer_of(spec)
    guide = make_guide(infer.guide, bound.problem, bound.neighbourhood, rank=infer.rank)
    return variational(
        bound.problem, guide, steps=infer.steps, seed=spec.sweep.seed, particles=infer.particles, rate=infer.rate
    )


def stale(held_out: np.ndarray) -> int:
    """How many checkpoints ago the least held-out loss was."""
    return len(held_out) - 1 - int(np.argmin(held_out)) if len(held_out) else 0


def describe_guide(spec: Spec, bound: Calibration, fitted: Fitted) -> Posterior:
    """What a fitted guide says of the firms and of the series, and how each of its draws weighs in the posterior."""
    given = (fitted.method, bound.problem, fitted.state, infer_of(spec).draws, spec.sweep.seed)
    found = describe_draws(spec, bound, posterior_draws(*given), fitted.track.objective)
    weights = log_weights(*given, batch=EVALUATED)
    return replace(found, weights=Weights(weights, pareto_k(weights)))


def describe_draws(spec: Spec, bound: Calibration, latents: Latents, history: np.ndarray) -> Posterior:
    """What draws of latent numbers (group, draw) say of the firms and of the series, beside as many of the prior."""
    prior = prior_draws(bound.problem, member_keys(spec.sweep.seed, range(infer_of(spec).draws)))
    after, before, simple = _evaluate(bound, latents), _evaluate(bound, prior), baselines(bound.problem)
    seen = {
        observe.variable: Seen(
            series=series,
            noise=noise_of(observe, series),
            fitted=np.asarray(part.fitted)[:, : len(series.names), 0],
            held_out=np.asarray(part.held_out)[:, : len(series.names), 0],
            posterior=after[f"seen.{k}"][:, : len(series.names)],
            prior=before[f"seen.{k}"][:, : len(series.names)],
            baselines={name: of[k][:, : len(series.names)] for name, of in simple.items()},
        )
        for k, (observe, series, part) in enumerate(
            zip(spec.observe, bound.series, bound.problem.experiments[0].seen, strict=True)
        )
    }
    fields, prior_fields = _named(after), _named(before)
    found = {
        f"{name}_{part}": scores(of.posterior, of.series.values, getattr(of, part), of.noise)
        for name, of in seen.items()
        for part in ("fitted", "held_out")
    }
    simpler = {
        f"{name}_{part}": {
            baseline: rmse_over(values, of.series.values, getattr(of, part))
            for baseline, values in of.baselines.items()
        }
        for name, of in seen.items()
        for part in ("fitted", "held_out")
    }
    return Posterior(
        fields=fields, prior=prior_fields, seen=seen, loss=after["loss"], loss_held_out=after["held_out"],
        history=history, scores=found, simpler=simpler, moved=moved(prior_fields, fields),
    )  # fmt: skip


def pull_members(spec: Spec, bound: Calibration, members: range) -> dict[str, np.ndarray]:
    """Members of the ensemble pulled to the data: their latent numbers (group, member), objective and failures."""
    infer = infer_of(spec)
    with jax.enable_x64(spec.precision == "float64"):
        found = pull(bound.problem, member_keys(spec.sweep.seed, members), Pull(infer.steps, infer.rate))
    latents = {f"latent.{site}": np.asarray(values) for site, values in found.latents.items()}
    return latents | {"objective": np.asarray(found.objective), "failed": np.asarray(found.failed)}


def describe_ensemble(spec: Spec, bound: Calibration, blocks: Sequence[Mapping[str, np.ndarray]]) -> Posterior:
    """What an ensemble's members say; those that met a number that is not finite are left out."""
    whole = {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in blocks[0]}
    good = ~whole["failed"]
    latents = {
        name.removeprefix("latent."): jax.numpy.asarray(values[:, good])
        for name, values in whole.items()
        if name.startswith("latent.")
    }
    return describe_draws(spec, bound, latents, whole["objective"][:, good].mean(axis=1))


def _evaluate(bound: Calibration, latents: Latents) -> dict[str, np.ndarray]:
    """Fields, predictions and losses of draws, a batch at a time; the draws are the last axis."""
    draws = next(iter(latents.values())).shape[-1]
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, draws, EVALUATED):
        ids = np.minimum(np.arange(start, start + EVALUATED), draws - 1)  # a short batch is padded: one program
        found = jax.device_get(_of_batch(bound.problem, {site: values[:, ids] for site, values in latents.items()}))
        parts.append({name: values[..., : draws - start] for name, values in found.items()})
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


@jax.jit
def _of_batch(problem: Problem, latents: Latents) -> dict[str, jax.Array]:
    found = predictions(problem, latents)
    seen = {f"seen.{k}": values for k, values in enumerate(found[0])}
    firms = problem.layout.n_firms  # a field of one effect, on all, has one row
    fields = {
        f"field.{name}": jnp.broadcast_to(values, (firms, values.shape[1]))
        for name, values in field_values(problem, latents).items()
    }
    losses = {"loss": score(problem, found), "held_out": score(problem, found, held_out=True)}
    return seen | fields | losses


def _named(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fields by the name that the spec gives them; its recovery days are rates in the kernels."""
    fields = {name.removeprefix("field."): of for name, of in found.items() if name.startswith("field.")}
    return {name: 1 / of if name.endswith(".recovery_days") else of for name, of in fields.items()}


def _held_out(bound: Calibration, method: Variational, state: State) -> float:
    """The mean loss over the held-out window of a few draws; that of the fitted window where nothing is held out."""
    latents = posterior_draws(method, bound.problem, state, VALIDATION_DRAWS, seed=1)
    held = any(np.asarray(seen.held_out).any() for seen in bound.problem.experiments[0].seen)
    return float(_evaluate(bound, latents)["held_out" if held else "loss"].mean())


def _extend(track: Track, info: Info, held_out: float) -> Track:
    bad = np.asarray(info.bad_particles).any(axis=-1) | np.any(
        [np.asarray(b) for b in info.bad_params.values()], axis=0
    )
    return Track(
        np.concatenate([track.objective, np.asarray(info.loss)]),
        np.append(track.held_out, held_out),
        track.bad_steps + int(bad.sum()),
    )


def _refuse_standstill(step: int, info: Info) -> None:
    """Steps with numbers that are not finite are skipped; if all of an interval are, the fit ends."""
    params = [name for name, bad in info.bad_params.items() if np.asarray(bad).all()]
    particles = np.flatnonzero(np.asarray(info.bad_particles).all(axis=0))
    if params or len(particles):
        what = [*(f"the gradient of {name}" for name in params), *(f"the loss of particle {p}" for p in particles)]
        raise CalibrationError(f"steps {step} … {step + len(info.loss) - 1}: not finite: {', '.join(what)}")


def _saved(state: State, track: Track) -> dict[str, np.ndarray]:
    leaves = {f"leaf_{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(state))}
    return leaves | {"objective": track.objective, "held_out": track.held_out, "bad_steps": np.asarray(track.bad_steps)}


def _restore(run: Place, method: Variational) -> tuple[State, Track]:
    """The last checkpoint's state, or the start."""
    start, found = method.init(), last_checkpoint(run)
    if found is None:
        return start, Track(np.array([]), np.array([]))
    leaves, structure = jax.tree.flatten(start)
    state = jax.tree.unflatten(structure, [jax.numpy.asarray(found[f"leaf_{k}"]) for k in range(len(leaves))])
    return state, Track(found["objective"], found["held_out"], int(found["bad_steps"]))


@dataclass(frozen=True)
class FitPace:
    """How far a fit is, and how fast."""

    done: int
    steps: int
    began: int  # steps that an earlier run had taken
    seconds: float
    track: Track

    @property
    def of(self) -> int:
        """How many steps there are."""
        return self.steps

    def line(self) -> str:
        """The line as a person reads it."""
        left = duration(self.seconds / max(self.done - self.began, 1) * (self.steps - self.done))
        told = f"step {self.done:,} of {self.steps:,}, objective {np.mean(self.track.objective[-LAST_STEPS:]):.6g}"
        return f"{told}, held-out loss {self.track.held_out[-1]:.6g}, {duration(self.seconds)} so far, {left} left"
