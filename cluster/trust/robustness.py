"""How much of an answer is the model's: a spec run under other presets, inputs, stocks and networks.

    OUT/as-written        the run of the spec as it is
    OUT/cells/NAME        a run for each preset, production and network, under all stocks and draws
    OUT/networks/SEED     networks drawn from the same table
    OUT/robustness.json   the answer; and the same in OUT/as-written, whose report says it in short

Every run can be interrupted and goes on where it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.cluster.running.run import RunSummary, run
from shockmesh.cluster.spec.binding import bind
from shockmesh.cluster.spec.domains import DOMAINS
from shockmesh.cluster.spec.load import load_spec
from shockmesh.cluster.spec.models import Spec
from shockmesh.cluster.spec.naming import on_economy
from shockmesh.cluster.spec.reference import flow
from shockmesh.cluster.spec.source import SpecError
from shockmesh.cluster.trust.design import DAYS, DRAWN, FACTORS, PRESETS, Design, make_design, measured, model_under
from shockmesh.cluster.trust.variance import first_order
from shockmesh.io.networks.generate import about, generate_network
from shockmesh.io.networks.store import write_network
from shockmesh.io.reports.losses import measure, recorded, spread
from shockmesh.io.reports.robust import ANSWER
from shockmesh.io.reports.robust import told as in_short
from shockmesh.io.results import open_run
from shockmesh.io.tables.store import TableError, open_table
from shockmesh.kernels.model import PRESETS as PUBLISHED
from shockmesh.kernels.network import FirmNetwork
from shockmesh.kernels.rollout import quantity

AS_WRITTEN, CELLS, NETWORKS = "as-written", "cells", "networks"
EARLY = 1e-3  # share of baseline; single precision has 1e-7
MOST_NETWORKS, MOST_DRAWS = 100, 10_000
DRAWS, SEEDS = 4, 3  # of a spec's own sweep, and networks

type Doing = Callable[[str, float], None]  # what is done, and the part that is done


@dataclass(frozen=True)
class Robustness:
    """An answer under all combinations of a design, and what drives it."""

    measure: str  # what is lost
    days: int
    members: int  # simulations, those of the spec as written aside
    models: int  # combinations of levels, draws aside
    levels: dict[str, tuple[str, ...]]
    as_written: dict[str, float]  # loss, a share of baseline: median, low, high, worst
    loss: dict[str, float]  # the same over the design
    above: float  # share of the design that loses less than the median as written
    by_level: dict[str, dict[str, dict[str, float]]]  # factor → level → loss
    drivers: dict[str, dict[str, float | None]]  # factor → share of variance, and its error
    remarks: tuple[str, ...]
    cells: tuple[dict[str, Any], ...]  # levels, settings, and the loss of each member

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return in_short(self.as_dict())


class RobustnessError(ValueError):
    """A study that cannot be made as asked. The message names the option, its value and the rule."""


class Unfinished(Exception):
    """A study of which a run was interrupted or stopped. The message says how to go on."""


def robustness(
    spec_path: str | Path,
    out: str | Path,
    overrides: Sequence[str] = (),
    *,
    presets: Sequence[str] = PRESETS,
    days: Sequence[float] = DAYS,
    table: str | Path | None = None,
    seeds: int = SEEDS,
    draws: int = DRAWS,
    address: str | None = "local",
    doing: Doing = lambda what, part: None,
) -> Robustness:
    """Run a spec under other models, and say how its loss spreads and what drives it; go on if that was begun.

    Args:
        out: a folder, new or of the same study.
        presets: beside the spec's own.
        days: levels of stocks, where the spec gives one number or none; else a third, all and three times of them.
        table: that the network was generated from; left out: one beside the network that has the same title.
        seeds: networks in all, where they can be drawn again from their table.
        draws: members of the spec's own sweep, at most.
        address: as `run` takes it; left out: this process.

    Raises:
        RobustnessError: a preset, a number or a table that cannot be.
        SpecError, NetworkStoreError, ResultsError, ResumeError: as `run`.
        Unfinished: a run was interrupted.
    """
    _check(Path(out), presets, days, seeds, draws)
    economy = on_economy(load_spec(spec_path, overrides))
    spec, folder = economy.spec, Path(out)
    variable = measured(spec)
    if spec.infer is not None:
        raise SpecError([spec.problem("infer", "a calibration", "robustness is of a sweep; run what was found as one")])
    members = bind(spec, economy.network).members
    networks, told = other_networks(spec, economy.network, folder, table, seeds, doing)
    design = make_design(spec, economy.network.sectors, members, networks, draws, presets, days)
    written, _ = _losses(_done(spec_path, folder / AS_WRITTEN, overrides, address), spec, variable)
    losses: list[Float[np.ndarray, " member"]] = []
    unsteady: list[str] = []
    for i, cell in enumerate(design.cells):
        doing(f"{cell.name} ({i + 1} of {len(design.cells)})", i / len(design.cells))
        path = _done(spec_path, folder / CELLS / cell.name, [*overrides, *cell.settings], address)
        lost, early = _losses(path, spec, variable)
        losses.append(lost)
        unsteady += [cell.name] if early > EARLY else []
    if unsteady:
        told.append(f"{', '.join(unsteady)}: changes before any shock: the steady state is unstable, no result")
    found = _answer(spec, design, written, losses, variable, (*told, *design.remarks))
    text = json.dumps(found.as_dict(), indent=1, ensure_ascii=False)
    for place in (folder, folder / AS_WRITTEN):
        (place / ANSWER).write_text(text, "utf-8")
    return found


def _check(out: Path, presets: Sequence[str], days: Sequence[float], seeds: int, draws: int) -> None:
    """Refuse levels that cannot be, and a folder of something else, before anything is read."""
    if out.exists() and not (
        out.is_dir() and {of.name for of in out.iterdir()} <= {AS_WRITTEN, CELLS, NETWORKS, ANSWER}
    ):
        raise RobustnessError(f"out: {out}: exists already, and is no folder of such a study")
    _check_presets(presets)
    for level in days:
        if not DOMAINS["inventory_days"].admits(level):
            raise RobustnessError(f"days: {level:g}: {DOMAINS['inventory_days'].rule}")
    for name, value, most in (("networks", seeds, MOST_NETWORKS), ("members", draws, MOST_DRAWS)):
        if not 1 <= value <= most:
            raise RobustnessError(f"{name}: {value}: must be ≥ 1 and ≤ {most:,}")


def _check_presets(presets: Sequence[str]) -> None:
    for name in presets:
        if name not in PUBLISHED:
            raise RobustnessError(f"presets: {name}: no such preset; there are {', '.join(PUBLISHED)}")


def _done(spec_path: str | Path, path: Path, overrides: Sequence[str], address: str | None) -> Path:
    """The folder of a run, once it is complete."""
    summary = run(spec_path, path, overrides, address=address, quiet=True, go_on=True)
    assert isinstance(summary, RunSummary)
    if not summary.ended:
        why = summary.stopped or "interrupted"
        raise Unfinished(f"{path}: {why}; the same command goes on with what is not done")
    return path


def _losses(path: Path, spec: Spec, variable: str) -> tuple[Float[np.ndarray, " member"], float]:
    """The loss of each member over the horizon, a share of baseline, NaN where it failed; the largest change before any
    shock."""
    onsets = [getattr(shock, "onset", 0.0) for shock in spec.shocks]
    known = all(isinstance(day, float) for day in onsets) and not any(".onset" in path for path in spec.sweep.paths)
    quiet = int(min(onsets, default=0.0)) if known else 0
    with open_run(path) as ds:
        name = next(name for name in recorded(ds) if quantity(name) == variable)
        found, values = measure(ds, name), np.full(ds.sizes["member"], np.nan)
        values[np.isin(ds["member"].values, found.member)] = found.share().values
    return values, float(np.abs(1 - found.total[:, :quiet]).max(initial=0))


def run_presets(specs: Sequence[str], presets: Sequence[str], folder: str | None, address: str | None) -> list[str]:
    """Run a spec under several presets, or go on with that; the folders of the runs.

    Raises:
        RobustnessError: more than one spec, or a preset that there is not.
        SpecError, ResultsError, ResumeError: as `run`.
        Unfinished: a run was interrupted.
    """
    if len(specs) > 1:
        raise RobustnessError(f"presets: {', '.join(specs)}: one spec at a time is run under presets")
    _check_presets(presets)
    spec = load_spec(specs[0])
    out = Path(folder or f"{Path(specs[0]).stem}.presets")
    models = {name: model_under(spec.model, name, _production(spec, name)) for name in presets}
    said = {name: of.model_dump(mode="json", exclude_unset=True, exclude_none=True) for name, of in models.items()}
    return [str(_done(specs[0], out / name, [f"model={flow(model)}"], address)) for name, model in said.items()]


def _production(spec: Spec, preset: str) -> str:
    """What the spec says of missing inputs, else what the preset does."""
    return spec.model.production or PUBLISHED[preset].switches.production


def _answer(
    spec: Spec,
    design: Design,
    written: Float[np.ndarray, " member"],
    losses: Sequence[Float[np.ndarray, " member"]],
    variable: str,
    remarks: Sequence[str],
) -> Robustness:
    values = np.concatenate(losses).reshape(design.shape)
    if not np.isfinite(values).all():
        broken = [cell.name for cell, of in zip(design.cells, losses, strict=True) if not np.isfinite(of).all()]
        raise SpecError([spec.problem("model", ", ".join(broken), "gives numbers that are not finite: leave it out")])
    sound = written[np.isfinite(written)]
    by_level = {
        name: {level: spread(np.take(values, i, axis).ravel()) for i, level in enumerate(design.levels[name])}
        for axis, name in enumerate(FACTORS)
        if len(design.levels[name]) > 1 and name != "draw"
    }
    return Robustness(
        measure=variable, days=spec.horizon.days, members=values.size, models=values.size // design.shape[-1],
        levels=design.levels, as_written=spread(sound), loss=spread(values.ravel()),
        above=float((values < np.median(sound)).mean()), by_level=by_level,
        drivers={name: asdict(of) for name, of in first_order(values, FACTORS, DRAWN).items()}, remarks=tuple(remarks),
        cells=tuple(
            {"name": cell.name, **cell.levels, "set": list(cell.settings), "loss": of.tolist()}
            for cell, of in zip(design.cells, losses, strict=True)
        ),
    )  # fmt: skip


def other_networks(
    spec: Spec, network: FirmNetwork, folder: Path, table: str | Path | None, seeds: int, doing: Doing
) -> tuple[dict[str, str], list[str]]:
    """Name → store of the networks to run on, the spec's own first; and what is left out, and why."""
    made = network.attrs.get("generator")
    if made is None:
        if table is not None:
            raise RobustnessError(f"table: {table}: {spec.economy} was not generated from a table")
        return {"as-given": spec.economy}, ["network: was not generated from a table, so no other is drawn"]
    own = {f"seed-{made['seed']}": spec.economy}
    if any(getattr(where, "firm", ()) for shock in spec.shocks for where in vars(shock).values()):
        return own, ["network: shocks name firms, which other networks do not have"]
    source = table if table is not None else _beside(spec.economy, made["table"])
    if source is None:
        return own, [
            f"network: no table «{made['table'].get('title')}» beside it; --table names one to draw others from"
        ]
    candidates = _candidates(network)
    for seed in range(int(made["seed"]) + 1, int(made["seed"]) + seeds):
        store = folder / NETWORKS / f"seed-{seed}.zarr"
        if not store.exists():
            doing(f"draws network {seed}", 0.0)
            with open_table(source, year=made["table"].get("year")) as opened:
                structure = made.get("structure", "proportional")
                drawn = generate_network(opened, made["firms"], seed, made["mean_degree"], candidates, structure)
            store.parent.mkdir(parents=True, exist_ok=True)
            write_network(drawn, store)
        own[f"seed-{seed}"] = str(store.resolve())
    return own, []


def _candidates(network: FirmNetwork) -> int:
    """How many a pool of the network has at most, as `generate --candidates` was told."""
    of = network.candidates
    return int(np.unique([of.buyer, of.product], axis=1, return_counts=True)[1].max()) if len(of) else 0


def _beside(store: str, told: Mapping[str, Any]) -> Path | None:
    """The table in the folder of a network that it was generated from, as far as title and year tell."""
    if "://" in store:
        return None
    for path in sorted(Path(store).parent.iterdir()):
        try:
            with open_table(path, year=told.get("year")) as table:
                if about(table) == told:
                    return path
        except (TableError, KeyError):
            continue
    return None
