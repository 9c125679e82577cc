"""What the files and numbers of a calibration need together: values to fit, ratios to something, room to stray."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from shockmesh.cluster.spec.binding import Bound, BoundShock, ever_hit
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.source import SpecError
from shockmesh.cluster.spec.unknowns import Observe
from shockmesh.inference.choices import Residual
from shockmesh.inference.latents import BOUNDS, LatentField
from shockmesh.inference.losses import Observed
from shockmesh.io.inputs.series import Series, SeriesError
from shockmesh.kernels.devices.layout import Layout
from shockmesh.kernels.rollout import baseline


def check_windows(spec: Spec, seen: Sequence[Observed]) -> None:
    """Something must be fitted, and each series must count; one may be held out as a whole.

    Raises:
        SpecError: a window that holds no whole period with a value.
    """
    rule, problems = "holds no whole period with a value", []
    fitted, held = ([bool(np.asarray(getattr(part, name)).any()) for part in seen] for name in ("fitted", "held_out"))
    for i, observe in enumerate(spec.observe):
        if not fitted[i] and not (held[i] and any(fitted)):
            window = list(observe.window or (0, spec.horizon.days))
            problems.append(spec.problem(("observe", i, "window"), window, rule))
        if observe.held_out and not held[i]:
            problems.append(spec.problem(("observe", i, "held_out"), list(observe.held_out), rule))
    if problems:
        raise SpecError(problems)


def check_ratios(observe: Observe, series: Series, seen: Observed, residual: Residual, layout: Layout) -> None:
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


def check_inside(spec: Spec, bound: Bound, fields: Sequence[LatentField]) -> list[str]:
    """A number on a bound of what it may be cannot stray from it: sentences on those that some firms have there.

    Raises:
        SpecError: a number to be inferred has no value, or lies on a bound for every firm.
    """
    problems, told = [], []
    for field in fields:
        path, (low, high) = f"infer.parameters.{field.name}", BOUNDS[field.support]
        values = _values(bound, field.name).astype(spec.precision)
        held = values[(values <= low) | (values >= high)]
        inside = f"> {low:g}" if high == np.inf else f"> {low:g} and < {high:g}"
        if not len(values):
            problems.append(spec.problem(path, "missing", "the shock must say a value, from which it may stray"))
        elif len(held) == len(values):
            rule = f"its value must be {inside} for some firm: on a bound it cannot be inferred"
            problems.append(spec.problem(path, f"{values.max():g}", rule))
        elif len(held):
            named = " or ".join(f"{value:g}" for value in np.unique(held))
            told.append(
                f"{path}: {len(held):,} of {len(values):,} firms stay at {named}: only a value {inside} can stray"
            )
    if problems:
        raise SpecError(problems)
    return told


def _values(bound: Bound, path: str) -> Float[np.ndarray, " firm"]:
    """The value in the spec of a number to be inferred, for each firm that it concerns; of no firm if there is none."""
    *_, owner, name = path.split(".")
    n = bound.parameters["inventory_days"].n_firms
    if path.startswith("model."):
        field, hit = bound.parameters[name], np.ones(n, bool)
    else:
        shock = next(of for of in bound.shocks if isinstance(of, BoundShock) and of.shock.name == owner)
        field, hit = shock.fields.get(name), ever_hit(shock.places["where"], bound.members)
    return np.zeros(0) if field is None else np.broadcast_to(field.at({})[:, 0], n)[hit]
