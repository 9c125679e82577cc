"""The design of a robustness study: which other models, stocks, networks and draws a spec is run under.

A cell is the spec with some keys set anew, so that `shockmesh run SPEC --set …` repeats it. Its members are what the
spec draws, each under every level of stocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from shockmesh.cluster.spec.fields import SURVEYS, PerFirm
from shockmesh.cluster.spec.members import Members
from shockmesh.cluster.spec.models import Model, Spec, path_of
from shockmesh.cluster.spec.reference import flow
from shockmesh.cluster.spec.rules import MODEL_VALUES
from shockmesh.cluster.spec.source import SpecError
from shockmesh.io.inputs.survey import unrated
from shockmesh.io.reports.losses import MEASURES
from shockmesh.kernels.rollout import quantity

PRESETS = ("hamid2025", "hallegatte2014", "pichler2022")  # of different schools, stable at their own numbers
RATED, UNRATED = ("leontief", "half_critical", "weakly_critical"), ("leontief", "linear")  # by what is known of inputs
DAYS = (5.0, 15.0, 60.0)  # stocks where the spec gives one number or none
TIMES = (1 / 3, 1.0, 3.0)  # stocks where it gives several: multiples of them
STOCKS, NETWORK, DRAW = "inventory_days", "network", "draw"
FACTORS = ("preset", "production", NETWORK, STOCKS, DRAW)  # in the order of the axes of an answer
DRAWN = (NETWORK, DRAW)  # of these, what is a random sample


@dataclass(frozen=True)
class Cell:
    """The runs of one preset, one production and one network: under all stocks and draws."""

    name: str  # of its folder
    levels: dict[str, str]  # preset, production, network
    settings: tuple[str, ...]  # as `--set` takes them


@dataclass(frozen=True)
class Design:
    """All combinations of some levels."""

    levels: dict[str, tuple[str, ...]]  # factor → levels, in the order of FACTORS
    cells: tuple[Cell, ...]
    remarks: tuple[str, ...]  # what is left out, and why

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(self.levels[name]) for name in FACTORS)


def make_design(
    spec: Spec,
    sectors: Sequence[str],
    members: Members,
    networks: Mapping[str, str],
    draws: int,
    presets: Sequence[str] = PRESETS,
    days: Sequence[float] = DAYS,
) -> Design:
    """The design for a spec.

    Args:
        sectors: of its economy, which may be rated by the survey or not.
        members: of its sweep, bound to its economy.
        networks: name → store; the spec's own first.
        draws: members of the spec's own sweep, at most.
        presets: the spec's own is added.
        days: levels of stocks, where the spec gives one number or none.
    """
    presets = tuple(dict.fromkeys([spec.model.preset, *presets]))
    productions, remarks = _productions(spec, sectors)
    stocks = _stocks(spec, days)
    entries = list(_entries(spec, members, stocks, draws))
    n_draws = len(entries) // len(stocks)
    cells = tuple(
        _cell(spec, preset, production, (name, store), entries)
        for preset, production, (name, store) in product(presets, productions, networks.items())
    )
    levels = (presets, productions, tuple(networks), tuple(stocks), tuple(map(str, range(n_draws))))
    remarks += _left_out(spec, presets)
    return Design(dict(zip(FACTORS, levels, strict=True)), cells, tuple(remarks))


def _productions(spec: Spec, sectors: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """What a missing input does, level by level; the spec's own is added where it is none of them."""
    own, named = spec.model.switches.production, spec.model.criticality not in (None, *SURVEYS)
    unknown = [] if named else unrated(sectors)
    levels = UNRATED if unknown else RATED
    several = [
        f"production: no sector is rated for criticality here ({', '.join(unknown[:3])}, …): only bounds are tried"
    ]
    return tuple(dict.fromkeys([own, *levels])), several if unknown else []


def _stocks(spec: Spec, days: Sequence[float]) -> dict[str, dict[str, float]]:
    """Level → what a member sets."""
    given, path = spec.model.inventory_days, path_of(STOCKS)
    if not isinstance(given, PerFirm):
        return {f"{level:g} days": {path: float(level)} for level in days}
    parts = {path: given.default or spec.model.default(STOCKS)}
    parts |= {f"{path}.by_region.{name}": value for name, value in given.by_region.items()}
    parts |= {f"{path}.by_sector.{name}": value for name, value in given.by_sector.items()}
    return {f"× {times:.2g}": {key: max(1.0, times * value) for key, value in parts.items()} for times in TIMES}


def _entries(
    spec: Spec, members: Members, stocks: Mapping[str, Mapping[str, float]], draws: int
) -> Iterator[dict[str, Any]]:
    """What each member sets: stocks by stocks, and for each the draws."""
    kept = np.unique(np.linspace(0, members.n - 1, min(draws, members.n)).round().astype(int))
    if spec.sweep.vary:
        kept = np.arange(min(draws, members.n))  # a longer sweep begins with the shorter one
    for level in stocks.values():
        for member in kept:
            drawn = {
                path: values[member].item()
                for path, values in members.values.items()
                if not path.startswith(path_of(STOCKS)) and not path.endswith(".frequency")  # told of events, not set
            }
            yield {**drawn, **level}


def _cell(
    spec: Spec, preset: str, production: str, network: tuple[str, str], entries: Sequence[Mapping[str, Any]]
) -> Cell:
    model = model_under(spec.model, preset, production)
    read = {path_of(name) for name in model.numbers}
    unread = {path_of(name) for name in MODEL_VALUES} - read
    kept = [{path: value for path, value in entry.items() if path not in unread} for entry in entries]
    name, store = network
    said = model.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    settings = (
        f"economy={flow(store)}",
        f"model={flow(said)}",
        f"sweep={flow({'seed': spec.sweep.seed, 'list': kept})}",
        f"record={flow({measured(spec): []})}",
    )
    return Cell(f"{preset}-{production}-{name}", {"preset": preset, "production": production, NETWORK: name}, settings)


def measured(spec: Spec) -> str:
    """The recorded variable whose loss is the answer.

    Raises:
        SpecError: prices alone are recorded.
    """
    recorded = {quantity(name) for name in spec.record}
    found = next((name for name in MEASURES if name in recorded), None)
    if found is None:
        raise SpecError([spec.problem("record", sorted(recorded), "has nothing that can be lost; record output")])
    return found


def model_under(model: Model, preset: str, production: str) -> Model:
    """A spec's model with another preset and production; numbers that nothing reads then are left out."""
    given = {name: getattr(model, name) for name in model.model_fields_set if getattr(model, name) is not None}
    changed = Model.model_validate(given | {"preset": preset, "production": production})
    if changed.switches.consumption == "labour_income" and changed.switches.capacity_rule != "hiring":
        given.pop("consumption")
        changed = Model.model_validate(given | {"preset": preset, "production": production})
    unread = {name for name in MODEL_VALUES if name in given and name not in changed.numbers}
    if not changed.switches.needs_criticality:
        unread |= {"criticality"}
    kept = {name: value for name, value in given.items() if name not in unread}
    return Model.model_validate(kept | {"preset": preset, "production": production})


def _left_out(spec: Spec, presets: Sequence[str]) -> list[str]:
    """What the spec says and not every cell reads; what cannot be varied."""
    given = [name for name in MODEL_VALUES if name in spec.model.model_fields_set]
    dropped = {
        name: [preset for preset in presets if name not in model_under(spec.model, preset, "leontief").numbers]
        for name in given
    }
    told = [f"model.{name}: not read by {', '.join(where)}" for name, where in dropped.items() if where]
    stocks = spec.model.inventory_days
    if any(path.startswith(path_of(STOCKS)) for path in spec.sweep.paths):
        told.append(f"sweep: model.{STOCKS}: the levels of stock take the place of what the sweep draws")
    if isinstance(stocks, PerFirm) and stocks.file is not None:
        told.append(f"model.{STOCKS}.file: these firms keep their stocks in all cells")
    if spec.model.inventory_by_product is not None:
        told.append("model.inventory_by_product: these products keep their stocks in all cells")
    return told
