"""How much of what a run loses each of its numbers decides: Sobol' indices of a sweep with the design saltelli.

    first order  S_i = Var E[Y | X_i] / Var Y        what is decided by the number alone
    total        T_i = E Var[Y | all but X_i] / Var Y  together with all others
Estimators of Saltelli et al. (2010, Computer Physics Communications 181), as scipy.stats.sobol_indices has them; where
numbers work alone, S = T and all sum to 1. Errors and intervals are those of resamples of the points, percentiles:
scipy's own bootstrap has no bounds for a number that decides nothing.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from scipy.stats import sobol_indices
from shockmesh.io.reports.losses import recorded
from shockmesh.io.risk import RiskError, member_losses

RESAMPLES = 400
ENDS = (0.05, 0.95)


def run_indices(ds: xr.Dataset, spec: dict[str, Any], name: str | None = None) -> pd.DataFrame:
    """Indices of the total loss of a recorded flow, by path: see `indices`.

    Raises:
        RiskError: another design, a member that failed, or a loss that is the same in all members.
    """
    sweep, name = dict(spec.get("sweep") or {}), name or next(iter(recorded(ds)), "")
    if sweep.get("design") != "saltelli":
        raise RiskError(f"sweep.design: {sweep.get('design', 'random')}: indices need a run with saltelli")
    losses = member_losses(ds, name).values
    if len(losses) != sweep["members"] or not np.isfinite(losses).all():
        sound = int(np.isfinite(losses).sum())
        raise RiskError(f"{name}: {sound} of {sweep['members']} members are sound: indices need all of them")
    return indices(losses, list(sweep["vary"]))


def indices(values: Float[np.ndarray, " member"], paths: list[str], seed: int = 0) -> pd.DataFrame:
    """First-order and total indices with standard errors and 90 % intervals, one row a path.

    Args:
        values: of the members of a design saltelli: A, B, and A with a column of B for each path.

    Raises:
        RiskError: all values are alike.
    """
    a, b, *mixed = values.reshape(len(paths) + 2, 1, -1)
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        raise RiskError("the loss is the same in all members: no number decides it")
    parts = {"f_A": a, "f_B": b, "f_AB": np.stack(mixed)}
    found, rng, n = _indices(parts), np.random.default_rng(seed), a.shape[1]
    resamples = (rng.integers(0, n, n) for _ in range(RESAMPLES))
    again = np.stack([_indices({name: of[..., chosen] for name, of in parts.items()}) for chosen in resamples])
    rows: dict[str, Any] = {"path": paths}
    for k, kind in enumerate(("first_order", "total")):
        low, high = np.quantile(again[:, k], ENDS, axis=0)
        error = again[:, k].std(axis=0, ddof=1)
        rows |= {kind: found[k], f"{kind}_error": error, f"{kind}_low": low, f"{kind}_high": high}
    return pd.DataFrame(rows)


def _indices(parts: dict[str, np.ndarray]) -> Float[np.ndarray, "2 path"]:
    of: Any = parts
    found = sobol_indices(func=of, n=parts["f_A"].shape[-1])
    return np.stack([np.ravel(found.first_order), np.ravel(found.total_order)])
