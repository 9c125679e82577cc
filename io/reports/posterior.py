"""The report of a calibration: how well it fits, how far to trust it, what it learned of which sector, how it went."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from plotly.offline import get_plotlyjs
from shockmesh.io.reports import charts as plot
from shockmesh.io.reports.figures import Panel
from shockmesh.io.reports.page import Block, Card, Folded, Notice, Section, Table, page
from shockmesh.io.reports.remarks import notes_of
from shockmesh.io.reports.sections import made

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SERIES = 60  # the most that one figure shows
FINE = 0.7  # Pareto k̂ up to which a guide's draws stand for the posterior (Vehtari et al. 2024)
ALIKE = "every series and period counts alike"
PARTS = {"fitted": "fitted", "held_out": "held out"}

type Manifest = Mapping[str, Any]
type Tree = Any  # an xr.DataTree, whose items the type checker takes for either of two kinds


def render_posterior(tree: Tree, manifest: Manifest, name: str) -> str:
    """The page of a posterior, as HTML."""
    notes, infer = map(Notice, notes_of(manifest)), manifest.get("spec", {}).get("infer", {})
    start = manifest.get("spec", {}).get("horizon", {}).get("start")
    sections = [
        Section("fit", "What it says of the data", [*notes, *_fit(tree, infer.get("guide", ""), start)]),
        Section("learned", "What was learned", list(_learned(tree))),
        Section("course", "How it went", [_course(tree)]),
        Section("made", "How it was made", made(dict(manifest.get("spec", {})), manifest)),
    ]
    draws = tree["posterior"].sizes["draw"]
    subtitle = f"run “{name}” · {infer.get('method', '')} · {draws} draws · {tree['posterior'].sizes['firm']:,} firms"
    return page(f"Calibration report: {name}", subtitle, list(_cards(tree)), sections, get_plotlyjs())


def _fit(tree: Tree, guide: str, start: str | None) -> list[Block]:
    return [_scores(tree), _simpler(tree), *trust(tree, guide), *_predictions(tree, start)]


def _cards(tree: Tree) -> Iterator[Card]:
    for variable in tree["observed_data"].data_vars:
        for part, words in PARTS.items():
            score = tree["scores"][f"{variable}_{part}"]
            if np.isfinite(score.sel(score="rmse")):
                error, covered = float(score.sel(score="rmse")), float(score.sel(score="coverage_90"))
                note = (
                    f"of the undisturbed day, all series alike; 90 % intervals hold {100 * covered:.0f} % of the values"
                )
                yield Card(f"Error of {variable}, {words}", f"{100 * error:.2f} %", note)
    if (k := _pareto_k(tree)) is not None:
        yield Card("Pareto k̂ of the guide", f"{k:.2f}" if np.isfinite(k) else "–", f"below {FINE} is fine")


def _scores(tree: Tree) -> Table:
    rows = [
        [f"{variable}, {words}", *(_score(tree, variable, part, name) for name in tree["scores"]["score"].values)]
        for variable in tree["observed_data"].data_vars
        for part, words in PARTS.items()
    ]
    header = ["", "RMSE", "CRPS", "in 50 % intervals", "in 90 % intervals"]
    return Table(f"Scores of the posterior predictive; errors in % of the undisturbed day; {ALIKE}", header, rows)


def _simpler(tree: Tree) -> Table:
    """The calibration beside what it must beat."""
    names = [str(name) for name in tree["scores"]["baseline"].values]
    rows: list[list[str]] = []
    for variable in tree["observed_data"].data_vars:
        for part, words in PARTS.items():
            errors = 100 * tree["scores"][f"{variable}_{part}_baselines"].values
            told = [f"{error:.3g}" if np.isfinite(error) else "–" for error in errors]
            rows.append([f"{variable}, {words}", _score(tree, variable, part, "rmse"), *told])
    caption = f"RMSE beside that of simpler models; in % of the undisturbed day; {ALIKE}"
    return Table(caption, ["", "calibrated", *names], rows)


def _score(tree: Tree, variable: Any, part: str, name: str) -> str:
    value = 100 * float(tree["scores"][f"{variable}_{part}"].sel(score=name))
    if not np.isfinite(value):
        return "–"
    return f"{value:.0f} %" if name.startswith("coverage") else f"{value:.3g}"


def _pareto_k(tree: Tree) -> float | None:
    """None for an ensemble, whose members come from no density."""
    stats = tree["sample_stats"].data_vars
    return float(stats["pareto_k"]) if "pareto_k" in stats else None


def trust(tree: Tree, guide: str) -> Iterator[Notice]:
    """What k̂ of the importance weights says of the guide, and what to try that was not tried."""
    k, draws = _pareto_k(tree), tree["posterior"].sizes["draw"]
    if k is None:
        return
    if not np.isfinite(k):
        said = "cannot be told: it takes 30 draws or more, all with a finite loss"
    elif k < FINE:
        said = f"= {k:.2f}, below {FINE}: fine, no sign that the guide is far from the posterior that it stands for"
    else:
        said = f"= {k:.2f}, not below {FINE}: the guide is far from the posterior; do not trust its intervals, "
        said += (
            "fit longer, " + ("" if guide == "structured" else "or take guide: structured, ") + "or take method: rml"
        )
    yield Notice(f"Pareto k̂ of the importance weights of the {draws} draws {said}.")


def _predictions(tree: Tree, start: str | None) -> Iterator[Panel]:
    for variable in tree["observed_data"].data_vars:
        seen = tree["observed_data"][variable]
        predicted = tree["posterior_predictive"][variable].isel(chain=0)
        first, last = (tree["constant_data"][f"{variable}_{end}_day"].values for end in ("first", "last"))
        middle = (first + last) / 2
        day = middle.tolist() if start is None else [plot.date_after(start, at) for at in middle.tolist()]
        bands = 100 * np.quantile(predicted.values, QUANTILES, axis=0)
        off = np.nanmean((bands[2] / 100 - seen.values) ** 2, axis=0)
        order = np.argsort(-np.nan_to_num(off))[:SERIES]
        names = seen[f"{variable}_series"].values
        held = tree["constant_data"][f"{variable}_held_out"].values
        starts = {"held out": float(first[held.any(axis=1)].min())} if held.any() else {}
        choices = {
            str(names[k]): plot.against_baseline(
                [*plot.bands(day, bands[:, :, k], "draws"), _dots(day, 100 * seen.values[:, k])],
                ("Day" if start is None else "Date", f"{variable} (% of the undisturbed day)"),
                starts,
                start,
            )
            for k in order
        }
        yield Panel(
            id=f"predicted-{variable}",
            title=f"{variable}: seen and predicted",
            note="Dots were seen; bands hold 90 % and 50 % of the draws, without the noise of a single observation.",
            alt=f"Posterior predictive bands of {variable} against what was seen, the worst fitted series first.",
            choices=choices,
            pick="Series",
        )


def _dots(x: Sequence[Any], y: np.ndarray) -> plot.Trace:
    marker = {"color": plot.VERMILLION, "size": 5}
    return {
        "type": "scatter", "mode": "markers", "x": list(x), "y": plot.numbers(y), "name": "seen", "marker": marker,
        "hovertemplate": "%{y:.2f} %",
    }  # fmt: skip


@dataclass(frozen=True)
class Learned:
    """Draws of the mean of a number over some firms, before and after the data."""

    of: str  # all firms, or a sector
    prior: Float[np.ndarray, " draw"]
    posterior: Float[np.ndarray, " draw"]

    @property
    def told(self) -> bool:
        """Whether the data narrowed it by a tenth, or shifted it by half its width: as `moved` judges firms."""
        width = self.prior.std()
        return bool(
            self.posterior.std() <= 0.9 * width or abs(self.posterior.mean() - self.prior.mean()) >= 0.5 * width
        )

    def cells(self) -> list[str]:
        """Median and 90 % interval, before and after."""
        return [text for draws in (self.prior, self.posterior) for text in _width(draws)]


def learned(tree: Tree, name: Any) -> list[Learned]:
    """What was learned of a number: of the mean over all firms whose number is free, then of each sector's."""
    prior, posterior = (tree[group][name].isel(chain=0).values for group in ("prior", "posterior"))
    free, sector = np.ptp(prior, axis=0) > 0, tree["posterior"]["sector"].values
    groups = {"all firms": free} | {str(one): free & (sector == one) for one in np.unique(sector[free])}
    return [
        Learned(of, prior[:, at].mean(axis=1), posterior[:, at].mean(axis=1)) for of, at in groups.items() if at.any()
    ]


def _learned(tree: Tree) -> Iterator[Block]:
    found = {str(name): learned(tree, name) for name in tree["posterior"].data_vars}
    shares = {name: float(tree["scores"].attrs.get(f"moved {name}", np.nan)) for name in found}
    yield from (Notice(text) for name, means in found.items() if (text := _untold(name, means, shares[name])))
    header = ["", "prior median", "prior 90 %", "posterior median", "posterior 90 %"]
    rows = [[name, *means[0].cells(), f"{100 * shares[name]:.0f} %"] for name, means in found.items() if means]
    told = "Mean over the firms whose number is not fixed. Moved: narrowed by a tenth, or shifted by half its width"
    yield Table(told, [*header, "firms that the data moved"], rows)
    by_sector = [[f"{name}, {of.of}", *of.cells()] for name, means in found.items() for of in means[1:]]
    yield Folded("By sector, in numbers", Table("Mean over a sector's firms", header, by_sector))
    if by_sector:
        yield _by_sector({name: means[1:] for name, means in found.items() if means})


def _untold(name: str, means: list[Learned], share: float) -> str:
    """A remark if the data told nothing visible of a number."""
    if not means:
        return f"{name}: is fixed for every firm"
    if share > 0 or any(of.told for of in means):
        return ""
    return (
        f"{name}: the data say next to nothing about it: for no firm, no sector, nor all firms together did they "
        "narrow the prior by a tenth or shift it by half its width; what differs less may be the chance of the draws"
    )


def _width(draws: Float[np.ndarray, " draw"]) -> list[str]:
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
    return [f"{middle:.3g}", f"{low:.3g} to {high:.3g}"]


def _by_sector(found: Mapping[str, list[Learned]]) -> Panel:
    """Median and 90 % interval of each sector's mean, posterior over prior."""
    return Panel(
        id="by-sector",
        title="By sector, before and after",
        note="Mean over a sector's firms: grey is the prior's 90 %, blue the posterior's.",
        alt="Prior and posterior intervals of each sector's mean.",
        choices={name: _intervals(name, means) for name, means in found.items()},
        pick="Number",
        height=130 + 18 * max(len(means) for means in found.values()),
    )


def _intervals(name: str, means: list[Learned]) -> plot.Figure:
    sectors = [of.of for of in means]
    drawn = {"prior": [of.prior for of in means], "posterior": [of.posterior for of in means]}
    traces: list[plot.Trace] = []
    for group, colour, width in (("prior", plot.FAINT, 9), ("posterior", plot.BLUE, 4)):
        low, middle, high = np.quantile(drawn[group], [0.05, 0.5, 0.95], axis=1)
        error = {"type": "data", "symmetric": False, "array": plot.numbers(high - middle), "width": 0}
        error |= {"arrayminus": plot.numbers(middle - low), "thickness": width, "color": colour}
        traces.append({
            "type": "scatter", "mode": "markers", "y": sectors, "x": plot.numbers(middle), "name": group,
            "marker": {"color": colour, "size": width + 2}, "error_x": error,
        })  # fmt: skip
    every_label = {"autorange": "reversed", "type": "category", "tickmode": "linear"}
    return plot.figure(traces, name, "", yaxis=every_label, hovermode="closest")


def _course(tree: Tree) -> Panel:
    objective = tree["history"]["objective"].values
    shown = plot.line(list(range(1, len(objective) + 1)), objective, "objective", color=plot.BLUE)
    shown["hovertemplate"] = "%{y:.5g}"
    start, end = (float(np.mean(part)) for part in (objective[:10], objective[-10:]))
    return Panel(
        id="course",
        title="The objective",
        note="Of each step; noisy where it is estimated from few draws.",
        alt=f"The objective fell from {start:.4g} to {end:.4g} in {len(objective)} steps.",
        choices={"objective": plot.figure([shown], "Step", "Objective")},
    )
