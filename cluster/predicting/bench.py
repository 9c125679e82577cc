"""The validation pack as a table: how far each preset missed what followed past shocks.

    shockmesh bench prediction [--models pichler2022 hamid2025 …] [--shocks dates] [--json] [--save FOLDER]

Root mean square error in % points of output before the shock, series by value added; in brackets the bias, positive
where losses are understated; the share of values within the 90 % interval of what such series do in other years, drawn
around the prediction. The last column is the error of a country over that of the first-order shock at its dates.
`--save` puts the pack's specs and economy into a folder, where `shockmesh run` takes them.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from shockmesh.cluster.predicting.pack import BASELINES, PRESET_MODELS, SHOCKS, Score, Share, score_pack, unpack
from shockmesh.io.validation import cases


def main(arguments: Sequence[str]) -> None:
    """Score the models and print the tables."""
    options = _parser().parse_args(arguments)
    if options.save is not None:
        options.save.mkdir(parents=True)
        unpack(options.save)
        return
    start = time.perf_counter()
    scores, shares = score_pack({name: PRESET_MODELS[name] for name in options.models}, options.shocks)
    if options.json:
        told = {
            "seconds": time.perf_counter() - start,
            "scores": [asdict(score) for score in scores],
            "shares": [asdict(share) for share in shares],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_report(scores, shares, options.shocks)) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shockmesh bench prediction", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=[*PRESET_MODELS], default=[*PRESET_MODELS], help="which presets")
    parser.add_argument("--shocks", nargs="+", choices=SHOCKS, default=[*SHOCKS], help="which specs of the pack")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--save", type=Path, help="a new folder for the pack's specs and economy; nothing is scored")
    return parser


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
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def _cell(score: Score) -> str:
    return f"{score.rmse:.1f} ({score.bias:+.1f}), {score.coverage:.0%}".replace("%", " %").replace("-", "−")
