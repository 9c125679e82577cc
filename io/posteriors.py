"""The result store of a calibration: a tree of groups by ArviZ's names, `posterior.zarr` in the run's folder.

posterior, prior          each field (chain, draw, firm), with the firms' region and sector
posterior_predictive      each observed variable (chain, draw, period, series), ratios to the undisturbed day
observed_data             the same variables (period, series); constant_data: noise, fitted, held_out, days
baselines                 the same variables (baseline, period, series): what simpler models say
sample_stats              loss and loss_held_out of each draw; for a guide also each log_weight, and one pareto_k
history                   the objective by step
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
import zarr.errors
from jaxtyping import Bool, Float
from shockmesh.io.inputs.series import Series
from shockmesh.io.results import ResultsError
from shockmesh.io.stores.places import ROOT, Place, place, whole, zarr_store
from shockmesh.io.stores.schemas import mismatch
from shockmesh.io.stores.seals import POSTERIOR, seal
from shockmesh.kernels.network import FirmNetwork

SCHEMA = "posterior/1"


@dataclass(frozen=True)
class Seen:
    """An observed variable, and what the posterior and the prior say of it."""

    series: Series
    noise: Float[np.ndarray, "period series"]
    fitted: Bool[np.ndarray, "period series"]
    held_out: Bool[np.ndarray, "period series"]
    posterior: Float[np.ndarray, "period series draw"]
    prior: Float[np.ndarray, "period series draw"]
    baselines: Mapping[str, Float[np.ndarray, "period series"]]  # name of a simpler model → what it says


@dataclass(frozen=True)
class Weights:
    """How far a guide is from the posterior: the importance weights of its draws."""

    log: Float[np.ndarray, " draw"]
    pareto_k: float  # shape of their tail; NaN of too few draws, or where a weight is not finite


@dataclass(frozen=True)
class Posterior:
    """Everything that a calibration found."""

    fields: Mapping[str, Float[np.ndarray, "firm draw"]]
    prior: Mapping[str, Float[np.ndarray, "firm draw"]]
    seen: Mapping[str, Seen]
    loss: Float[np.ndarray, " draw"]
    loss_held_out: Float[np.ndarray, " draw"]
    history: Float[np.ndarray, " step"]
    scores: Mapping[str, Mapping[str, float]]  # variable_fitted, variable_held_out → score → value
    simpler: Mapping[str, Mapping[str, float]]  # the same → baseline → RMSE
    moved: Mapping[str, float]  # field → share of free firms that the data moved
    weights: Weights | None = None  # of the draws of a guide; an ensemble has none


def write_posterior(run: str | Place, found: Posterior, network: FirmNetwork, attrs: Mapping[str, Any]) -> Place:
    """Write a posterior; the store appears whole or not at all."""
    path = place(run) / POSTERIOR
    groups = {
        "posterior": _firms(found.fields, network),
        "prior": _firms(found.prior, network),
        "posterior_predictive": _predictive({name: (of, of.posterior) for name, of in found.seen.items()}),
        "prior_predictive": _predictive({name: (of, of.prior) for name, of in found.seen.items()}),
        "observed_data": _series({name: (of, of.series.values) for name, of in found.seen.items()}),
        "constant_data": _constants(found.seen),
        "baselines": _baselines(found.seen),
        "sample_stats": _stats(found),
        "scores": _score_table(found),
        "history": xr.Dataset({"objective": ("step", found.history)}),
    }  # fmt: skip
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"shockmesh_schema": SCHEMA, **attrs}
    with (
        whole(path) as partial,
        warnings.catch_warnings(),
    ):  # consolidated metadata: xarray and ArviZ look for it; Zarr warns that other readers may not
        warnings.filterwarnings("ignore", "Consolidated metadata", zarr.errors.ZarrUserWarning)
        tree.to_zarr(partial, mode="w", zarr_format=3, consolidated=True)
        seal(place(run), partial)
    return path


def _stats(found: Posterior) -> xr.Dataset:
    of_draws = {"loss": found.loss, "loss_held_out": found.loss_held_out}
    of_draws |= {"log_weight": found.weights.log} if found.weights else {}
    stats = xr.Dataset({name: (("chain", "draw"), values[None]) for name, values in of_draws.items()})
    return stats.assign(pareto_k=found.weights.pareto_k) if found.weights else stats


def _score_table(found: Posterior) -> xr.Dataset:
    names = list(next(iter(found.scores.values())))
    variables = {name: ("score", [of[score] for score in names]) for name, of in found.scores.items()}
    baselines = list(next(iter(found.simpler.values())))
    errors = {f"{name}_baselines": ("baseline", [*of.values()]) for name, of in found.simpler.items()}
    coords = {"score": names, "baseline": baselines}
    return xr.Dataset(variables | errors, coords, {f"moved {name}": share for name, share in found.moved.items()})


def open_posterior(run: str | Place) -> xr.DataTree:
    """Open the posterior of a calibration run lazily; ArviZ takes the tree as it is.

    Raises:
        ResultsError: no posterior there, or one of another schema.
    """
    path = place(run) / POSTERIOR
    if not (path / ROOT).is_file():
        raise ResultsError(f"{path}: no posterior here; a calibration writes it when it ends")
    tree = xr.open_datatree(zarr_store(path, read_only=True), engine="zarr", chunks=None)
    if wrong := mismatch(tree.attrs, SCHEMA):
        raise ResultsError(f"{path}: {wrong}")
    return tree


def _firms(fields: Mapping[str, np.ndarray], network: FirmNetwork) -> xr.Dataset:
    regions, sectors = np.asarray(network.regions, str), np.asarray(network.sectors, str)
    coords = {
        "firm": np.asarray(network.firm),
        "region": ("firm", regions[network.region]),
        "sector": ("firm", sectors[network.sector]),
    }
    variables = {name: (("chain", "draw", "firm"), values.T[None]) for name, values in fields.items()}
    return xr.Dataset(variables, coords)


def _dims(name: str) -> tuple[str, str]:
    return f"{name}_period", f"{name}_series"


def _series(seen: Mapping[str, tuple[Seen, np.ndarray]]) -> xr.Dataset:
    coords = {_dims(name)[1]: np.asarray(of.series.names, str) for name, (of, _) in seen.items()}
    return xr.Dataset({name: (_dims(name), values) for name, (_, values) in seen.items()}, coords)


def _predictive(seen: Mapping[str, tuple[Seen, np.ndarray]]) -> xr.Dataset:
    coords = {_dims(name)[1]: np.asarray(of.series.names, str) for name, (of, _) in seen.items()}
    variables = {
        name: (("chain", "draw", *_dims(name)), np.moveaxis(values, -1, 0)[None]) for name, (_, values) in seen.items()
    }
    return xr.Dataset(variables, coords)


def _baselines(seen: Mapping[str, Seen]) -> xr.Dataset:
    names = [*next(iter(seen.values())).baselines]
    variables = {name: (("baseline", *_dims(name)), np.stack([*of.baselines.values()])) for name, of in seen.items()}
    return xr.Dataset(variables, {"baseline": names})


def _constants(seen: Mapping[str, Seen]) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name, of in seen.items():
        period, _ = _dims(name)
        variables |= {
            f"{name}_fitted": (_dims(name), of.fitted),
            f"{name}_held_out": (_dims(name), of.held_out),
            f"{name}_noise": (_dims(name), of.noise),
            f"{name}_first_day": (period, of.series.first_day),
            f"{name}_last_day": (period, of.series.last_day),
        }
    return xr.Dataset(variables)
