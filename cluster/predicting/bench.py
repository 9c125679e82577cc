"""The validation pack as a table: how far each preset missed what followed past shocks.

    shockmesh bench prediction [--models pichler2022 hamid2025 …] [--shocks dates] [--json]
    shockmesh bench prediction --tried | --bands | --refit | --profile [--json]
    shockmesh bench prediction --save FOLDER

Root mean square error in % points of output before the shock, series by value added; in brackets the bias, positive
where losses are understated; the share of values within the 90 % interval of what such series do in other years, drawn
around the prediction. The last column is the error of a country over that of the first-order shock at its dates.
`--tried` tells this share of all that was tried to predict better, `--bands` how the bands of `bands.py` did in
countries that they were not learned from, `--refit` what the numbers of `measures.py` are without each country,
`--profile` how the failures of single firms drawn for Hungary compare with those of its real firms, as published.
`--save` puts the pack's specs and economy into a folder, where `shockmesh run` takes them.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from shockmesh.cluster.predicting.bands import Held, Width, held_out, learned, values
from shockmesh.cluster.predicting.pack import (
    BASELINES,
    PRESET_MODELS,
    SHOCKS,
    Score,
    Share,
    predictions,
    score_pack,
    unpack,
)
from shockmesh.cluster.predicting.profile import profiles
from shockmesh.cluster.predicting.tried import ALONE, WITHOUT, leave_one_out, refit, try_all
from shockmesh.io.validation import cases

BANDED = (("no change", "dates"), ("first order", "dates"), ("first order", "measures"), ("shockmesh2026", "measures"))


def main(arguments: Sequence[str]) -> None:
    """Score what is asked for and print the tables."""
    options = _parser().parse_args(arguments)
    if options.save is not None:
        options.save.mkdir(parents=True)
        unpack(options.save)
        return
    start = time.perf_counter()
    asked = [make for name, make in ASKED.items() if getattr(options, name)]
    found, lines = asked[0]() if asked else _scores(options)
    if options.json:
        sys.stdout.write(json.dumps({"seconds": time.perf_counter() - start, **found}, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(lines) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shockmesh bench prediction", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=[*PRESET_MODELS], default=[*PRESET_MODELS], help="which presets")
    parser.add_argument("--shocks", nargs="+", choices=SHOCKS, default=[*SHOCKS], help="which specs of the pack")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--tried", action="store_true", help="what was tried to predict better, in place of the presets")
    what.add_argument("--bands", action="store_true", help="bands, in countries that they were not learned from")
    what.add_argument("--refit", action="store_true", help="the numbers of measures, fitted without each country")
    what.add_argument("--profile", action="store_true", help="failures of single firms, drawn for Hungary")
    what.add_argument("--save", type=Path, help="a new folder for the pack's specs and economy; nothing is scored")
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _scores(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    scores, shares = score_pack({name: PRESET_MODELS[name] for name in options.models}, options.shocks)
    found = {"scores": [asdict(score) for score in scores], "shares": [asdict(share) for share in shares]}
    return found, [*_report(scores, shares, options.shocks)]


def _tried() -> tuple[dict[str, Any], list[str]]:
    shares = try_all({**ALONE, **WITHOUT})
    chosen = [*leave_one_out(shares)]
    return {"tried": [asdict(share) for share in shares], "left_out": chosen}, [*tried_table(shares, chosen)]


def _bands() -> tuple[dict[str, Any], list[str]]:
    with TemporaryDirectory() as folder:
        pack = unpack(Path(folder))
        told = {shock: predictions(pack.under(shock), _banded_models(shock)) for shock in SHOCKS}
        of = {f"{name}, {shock}": values(pack, told[shock][name]) for name, shock in BANDED}
    held = {name: held_out(each) for name, each in of.items()}
    counts = {name: [len(one.seen) for one in each.values()] for name, each in of.items()}
    kinds = {True: "industries", False: "whole countries or manufacturing"}
    widths = {
        kind: learned({name: one for name, one in of["shockmesh2026, measures"].items() if one.by_industry == by})
        for by, kind in kinds.items()
    }
    found = {
        "held_out": {name: [asdict(one) for one in each] for name, each in held.items()},
        "widths": {kind: asdict(width) for kind, width in widths.items()},
    }
    return found, [*bands_table(held, counts, widths)]


def _refit() -> tuple[dict[str, Any], list[str]]:
    with TemporaryDirectory() as folder:
        found = [*refit(unpack(Path(folder)))]
    rows = [["left out", "start", "adaptation [days]", "power", "fitted to the others", "round numbers"]]
    for one in found:
        numbers = [f"{one.start:.0f}", f"{one.adaptation:.0f}", f"{one.power:.1f}"]
        rows.append([one.country, *numbers, f"{one.fitted:.2f}", f"{one.round:.2f}"])
    shares = [[getattr(one, name) for one in found] for name in ("fitted", "round")]
    rows.append(["median, worst", "", "", "", *(f"{np.median(of):.2f}, {max(of):.2f}" for of in shares)])
    return {"refit": [asdict(one) for one in found]}, [*_markdown(rows)]


def _profile() -> tuple[dict[str, Any], list[str]]:
    found = [*profiles()]
    rows = [["links", "essential inputs", "firms above 10 % of output", "below 1 %", "largest"]]
    rows.append(["Hungary's own", "by industry of the buyer", "0.035 % (at about 23 %)", "99.8 %", "about 23 %"])
    for one in found:
        shares = (one.above_tenth, one.below_hundredth, one.largest)
        rows.append([one.structure, one.essential, *(f"{100 * of:.3g} %" for of in shares)])
    return {"profile": [asdict(one) for one in found]}, [*_markdown(rows)]


ASKED = {"tried": _tried, "bands": _bands, "refit": _refit, "profile": _profile}


def _banded_models(shock: str) -> dict[str, tuple[str, ...]]:
    return {name: PRESET_MODELS[name] for name, of in BANDED if name in PRESET_MODELS and of == shock}


def tried_table(shares: Sequence[Share], chosen: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    """Each trial's share of the first-order shock's error: median and worst country, three of them, those that gain."""
    shown = ("GBR", "SWE", "USA")
    rows = [["", "median", "worst", *shown, "countries below 1"]]
    for share in shares:
        of = [f"{share.of[name]:.2f}" for name in shown]
        below = f"{sum(one < 1 for one in share.of.values())} of {len(share.of)}"
        rows.append([share.model, f"{share.median:.2f}", f"{share.worst:.2f}", *of, below])
    yield from _markdown(rows)
    picks = [model for _, model, _ in chosen]
    told = ", ".join(
        f"«{name}» {picks.count(name)} times" for name in sorted(set(picks), key=picks.count, reverse=True)
    )
    got = [share for *_, share in chosen]
    yield f"\nChosen without the country itself: {told}; median {np.median(got):.2f}, worst {max(got):.2f}."


def bands_table(
    held: Mapping[str, Sequence[Held]], counts: Mapping[str, Sequence[int]], widths: Mapping[str, Width]
) -> Iterator[str]:
    """How often values of left-out countries lie in 90 % bands, and scores of the bands."""
    rows = [
        ["", "values within", "United Kingdom", "United States", "fewest in a country", "CRPS", "error of the point"]
    ]
    for name, each in held.items():
        within = {one.country: one.coverage for one in each}
        pooled = np.average([one.coverage for one in each], weights=counts[name])
        shares = [pooled, within["GBR"], within["USA"], min(within.values())]
        means = [np.mean([one.crps for one in each]), np.mean([one.point for one in each])]
        rows.append([name, *(f"{100 * of:.0f} %" for of in shares), *(f"{of:.1f}" for of in means)])
    yield from _markdown(rows)
    for kind, width in widths.items():
        small, large, scale = 100 * width.small, width.large, width.scale
        yield f"\n{kind}: σ = {scale:.2f} √(s² + ({small:.1f} points)² + ({large:.2f} of the loss)²)"


def _report(scores: Sequence[Score], shares: Sequence[Share], shocks: Sequence[str]) -> Iterator[str]:
    for shock in shocks:
        yield f"Shock: {shock}.yaml\n"
        yield from table([of for of in scores if of.shock == shock], [of for of in shares if of.shock == shock])
        yield ""
    yield from (f"{name}: {case.title}. {case.source} ({case.licence})." for name, case in cases().items())


def table(scores: Sequence[Score], shares: Sequence[Share]) -> list[str]:
    """Scores of a shock as a table in Markdown, a column for each window of a case, and one of shares."""
    columns = list(dict.fromkeys((score.case, score.window) for score in scores))
    cells = {(score.model, score.case, score.window): _cell(score) for score in scores}
    head = ["", *(f"{case}, {window}" for case, window in columns), "of first order: median, worst country"]
    rows = [
        [
            of.model if of.model in BASELINES else f"`{of.model}`",
            *(cells[of.model, *column] for column in columns),
            f"{of.median:.2f}, {of.worst:.2f}",
        ]
        for of in shares
    ]
    return [*_markdown([head, *rows])]


def _markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def _cell(score: Score) -> str:
    return f"{score.rmse:.1f} ({score.bias:+.1f}), {score.coverage:.0%}".replace("%", " %").replace("-", "−")
