"""What runs say differently: losses side by side, with the uncertainty of their differences.

Members of two runs are pairs where they drew the same: the same id, and the same number for every path that both sweep.
Then the difference is taken member by member, and what both drew cancels: its standard error is sd(d) / √n. Members
that are no pairs are independent samples, with the error √(s₁² / n₁ + s₂² / n₂) and Welch's degrees of freedom (Welch
1947, Biometrika 34). Intervals of a mean are Student's.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import special
from shockmesh.io.reports.losses import HIGH, Losses, measure, recorded
from shockmesh.io.results import drawn_by_member, open_run
from shockmesh.io.stores.damage import reading
from shockmesh.kernels.rollout import quantity

PLACES = ("region", "sector")


class CompareError(ValueError):
    """Runs that cannot be compared. The message names both sides and the rule."""


@dataclass(frozen=True)
class Side:
    """One of the runs."""

    name: str
    losses: Losses
    draws: dict[str, np.ndarray]  # path → value of each sound member


def compare_runs(paths: Sequence[str], variable: str | None = None) -> xr.Dataset:
    """Compare runs by their folders, or members of them: `RUN@3` is member 3 of a run. See `compare`.

    Raises:
        ResultsError: no run there, or a calibration.
        CompareError: as `compare`; a member that a run does not have.
    """
    named = dict(zip(_names(paths), paths, strict=True))
    have: dict[str, list[str]] = {}
    for name, path in named.items():
        with _opened(path) as ds:
            have[name] = _quantities(ds)
    chosen, sides = _variable(have, variable), list[Side]()
    for name, path in named.items():
        with _opened(path) as ds:
            sides.append(_side(name, ds, chosen))
    return _compared(sides, chosen)


@contextmanager
def _opened(path: str) -> Generator[xr.Dataset]:
    """A run, or the one member that a path names."""
    run, _, member = path.rpartition("@") if path.rpartition("@")[2].isdecimal() else (path, "", "")
    with reading(run), open_run(run) as ds:
        if member and int(member) not in ds["member"].values:
            raise CompareError(f"{path}: no member {member}; there are {_span(ds['member'].values)}")
        yield ds.sel(member=[int(member)]) if member else ds


def compare(runs: Mapping[str, xr.Dataset], variable: str | None = None) -> xr.Dataset:
    """Compare open runs, each with the first.

    Args:
        runs: name → run, as `open_run` gives it.
        variable: whose loss; left out, the most telling that all have recorded.

    Returns:
        `loss` (run, member): share of the baseline lost over the horizon; NaN where a run lacks a member.
        `difference` (run, member): loss less the first run's, pair by pair; left out where members are no pairs.
        `mean`, `error`, `low`, `high` (run): mean difference, its standard error [share], its 90 % interval.
        `more_often` (run): share of pairs that lose more than in the first run.
        `mean_by_region`, `error_by_region` (run, region), and the same by sector, where all runs recorded these.
        `path` (run, time): mean difference by day, of what is made, as a share of the baseline.
        Attributes: `measure`, `first`, `members` (pairs, or independent), `days`. Of single members no error is known.

    Raises:
        CompareError: fewer than two, other horizons or units, or nothing that all have recorded.
        ReportError: no member of a run is sound.
    """
    name = _variable({run: _quantities(ds) for run, ds in runs.items()}, variable)
    return _compared([_side(run, ds, name) for run, ds in runs.items()], name)


def _compared(sides: Sequence[Side], name: str) -> xr.Dataset:
    first, pairs = sides[0], all(_paired(sides[0], other) for other in sides[1:])
    for other in sides[1:]:
        _check(first, other)
    members = sorted({int(member) for side in sides for member in side.losses.member})
    loss = np.stack([_aligned(side.losses.share().values, side, members) for side in sides])
    found = {"loss": (("run", "member"), loss), **_differences(loss, pairs)}
    for place in PLACES:
        if all(place in side.losses.dims for side in sides):
            found |= _by_place(sides, place, members, pairs)
    found["path"] = (
        ("run", "time"),
        np.stack([(side.losses.total.mean(0) - first.losses.total.mean(0)) for side in sides]),
    )
    places = {place: first.losses.baseline[place].values for place in PLACES if f"mean_by_{place}" in found}
    coords = {"run": [side.name for side in sides], "member": members, "time": first.losses.time, **places}
    how = "pairs" if pairs else "independent"
    return xr.Dataset(
        found, coords, {"measure": name, "first": first.name, "members": how, "days": len(first.losses.time)}
    )


def _quantities(ds: xr.Dataset) -> list[str]:
    """What a run recorded that can be lost, the most telling first."""
    return list(dict.fromkeys(quantity(of) for of in recorded(ds)))


def _variable(have: Mapping[str, list[str]], asked: str | None) -> str:
    """The quantity to compare, of what each run recorded."""
    if len(have) < 2:
        raise CompareError(f"{', '.join(have) or 'no run'}: nothing to compare it with; name two runs or more")
    for name, recorded_ in have.items():
        if asked is not None and asked not in recorded_:
            raise CompareError(f"{name}: variable: {asked}: not recorded; there is {', '.join(recorded_) or 'no flow'}")
    first, others = next(iter(have.values())), [*have.values()][1:]
    common = [name for name in first if all(name in other for other in others)]
    if not common:
        said = "; ".join(f"{name}: {', '.join(of) or 'no flow'}" for name, of in have.items())
        raise CompareError(f"no variable that all have recorded: {said}")
    return asked or common[0]


def _side(name: str, ds: xr.Dataset, variable: str) -> Side:
    stored = next(of for of in recorded(ds) if quantity(of) == variable)
    losses = measure(ds, stored)
    draws = {path: of.values for path, of in drawn_by_member(ds.sel(member=losses.member)).items()}
    return Side(name, losses, draws)


def _paired(one: Side, other: Side) -> bool:
    """Whether members of one id drew the same."""
    common, at, there = np.intersect1d(one.losses.member, other.losses.member, return_indices=True)
    if not len(common):
        return False
    same = one.draws.keys() & other.draws.keys()
    return all(np.array_equal(one.draws[path][at], other.draws[path][there]) for path in same)


def _check(one: Side, other: Side) -> None:
    """Refuse sides whose losses are of something else."""
    a, b = one.losses, other.losses
    if len(a.time) != len(b.time):
        raise CompareError(f"{one.name}: {len(a.time)} days; {other.name}: {len(b.time)} days: horizons must be alike")
    if not np.array_equal(a.time, b.time):
        raise CompareError(f"{one.name} begins {a.days[0]}; {other.name} begins {b.days[0]}: days must be alike")
    if a.unit != b.unit:
        raise CompareError(f"{one.name}: in {a.unit}; {other.name}: in {b.unit}: units must be alike")
    for place in PLACES:
        if place in a.dims and place in b.dims:
            mine, theirs = ({str(label) for label in of.baseline[place].values} for of in (a, b))
            if mine != theirs:
                only = ", ".join(sorted(mine ^ theirs)[:5])
                raise CompareError(f"{one.name}, {other.name}: {place}s differ: {only} in one of them only")


def _aligned(values: Float[np.ndarray, "member *place"], side: Side, members: Sequence[int]) -> np.ndarray:
    """Values by the members of all sides, NaN where this one lacks it."""
    whole = np.full((len(members), *values.shape[1:]), np.nan)
    whole[np.searchsorted(members, side.losses.member)] = values
    return whole


def _differences(loss: Float[np.ndarray, "run member"], pairs: bool) -> dict[str, tuple[Any, np.ndarray]]:
    """Each run less the first, with what can be said of it."""
    told = [_mean(loss[0], one, pairs) for one in loss]
    mean, error, freedom = (np.array([of[i] for of in told]) for i in range(3))
    reach = np.where(np.isfinite(error), special.stdtrit(np.maximum(freedom, 1), HIGH), np.nan) * error
    found: dict[str, tuple[Any, np.ndarray]] = {
        "mean": ("run", mean), "error": ("run", error), "low": ("run", mean - reach), "high": ("run", mean + reach),
    }  # fmt: skip
    if pairs:
        apart = loss - loss[0]
        known = np.isfinite(apart)
        more = np.where(known, apart > 0, False).sum(1) / np.maximum(known.sum(1), 1)
        found |= {"difference": (("run", "member"), apart), "more_often": ("run", more)}
    return found


def _mean(one: np.ndarray, other: np.ndarray, pairs: bool) -> tuple[float, float, float]:
    """Mean difference of two samples by member, its standard error, its degrees of freedom; NaN of a single member."""
    if pairs:
        apart = (other - one)[np.isfinite(other - one)]
        n = len(apart)
        return float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan, n - 1.0
    parts = [of[np.isfinite(of)] for of in (one, other)]
    mean = float(parts[1].mean() - parts[0].mean())
    squares = [of.var(ddof=1) / len(of) if len(of) > 1 else 0.0 for of in parts]
    whole = sum(squares)
    if max(map(len, parts)) < 2:
        return mean, np.nan, np.nan
    below = sum(square**2 / (len(of) - 1) for square, of in zip(squares, parts, strict=True) if len(of) > 1)
    return mean, float(np.sqrt(whole)), float(whole**2 / below) if below > 0 else 1.0


def _by_place(
    sides: Sequence[Side], place: str, members: Sequence[int], pairs: bool
) -> dict[str, tuple[Any, np.ndarray]]:
    """Mean difference and its error of each region or sector."""
    labels = sides[0].losses.baseline[place].values
    shares = [side.losses.share(place).transpose("member", place).sel({place: labels}).values for side in sides]
    whole = [_aligned(values, side, members) for values, side in zip(shares, sides, strict=True)]
    told = np.array([[_of_label(whole[0][:, i], other[:, i], pairs) for i in range(len(labels))] for other in whole])
    dims = "run", place
    return {f"mean_by_{place}": (dims, told[..., 0]), f"error_by_{place}": (dims, told[..., 1])}


def _of_label(one: np.ndarray, other: np.ndarray, pairs: bool) -> tuple[float, float]:
    """Mean difference and error; NaN of a place without a baseline."""
    if not (np.isfinite(one).any() and np.isfinite(other).any()):
        return np.nan, np.nan
    return _mean(one, other, pairs)[:2]


def _names(paths: Sequence[str]) -> list[str]:
    """The folders' names, or whole paths where these are not enough."""
    short = [Path(path.rstrip("/")).name for path in paths]
    named = short if len(set(short)) == len(short) else [*paths]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise CompareError(f"{twice}: named twice; name runs or members that differ")
    return named


def _span(members: np.ndarray) -> str:
    return f"{members.min()} … {members.max()}" if len(members) else "none"


def largest(found: xr.Dataset, place: str, run: str, most: int) -> Iterator[tuple[str, float, float]]:
    """The labels whose mean differs most between a run and the first: label, mean, error."""
    one = found.sel(run=run)
    mean, error = one[f"mean_by_{place}"].values, one[f"error_by_{place}"].values
    order = np.argsort(-np.abs(np.nan_to_num(mean)), kind="stable")[:most]
    yield from ((str(one[place].values[i]), float(mean[i]), float(error[i])) for i in order if abs(mean[i]) > 1e-6)
