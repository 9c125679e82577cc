"""The validation pack as a table: how far each preset missed what followed past shocks.

    shockmesh bench prediction [--models pichler2022 hamid2025 …] [--json] [--save FOLDER]

Root mean square error in % points of output before the shock, series by value added; in brackets the bias, positive
where losses are understated; the share of values within the 90 % interval of what such series do in other years, drawn
around the prediction. `--save` puts the pack's specs and economy into a folder, where `shockmesh run` takes them.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from shockmesh.cluster.predicting.pack import BASELINES, PRESET_MODELS, Score, score_pack, unpack
from shockmesh.io.validation import cases


def main(arguments: Sequence[str]) -> None:
    """Score the models and print the table."""
    options = _parser().parse_args(arguments)
    if options.save is not None:
        options.save.mkdir(parents=True)
        unpack(options.save)
        return
    start = time.perf_counter()
    found = score_pack({name: PRESET_MODELS[name] for name in options.models})
    if options.json:
        told = {"seconds": time.perf_counter() - start, "scores": [asdict(score) for score in found]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(table(found)) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shockmesh bench prediction", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=[*PRESET_MODELS], default=[*PRESET_MODELS], help="which presets")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--save", type=Path, help="a new folder for the pack's specs and economy; nothing is scored")
    return parser


def table(found: Sequence[Score]) -> list[str]:
    """Scores as a table in Markdown, a column for each window of a case."""
    columns = list(dict.fromkeys((score.case, score.window) for score in found))
    cells = {(score.model, score.case, score.window): _cell(score) for score in found}
    head = ["", *(f"{case}, {window}" for case, window in columns)]
    rows = [
        [name if name in BASELINES else f"`{name}`", *(cells[name, *column] for column in columns)]
        for name in dict.fromkeys(score.model for score in found)
    ]
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
    return [*lines, "", *(f"{name}: {case.title}. {case.source} ({case.licence})." for name, case in cases().items())]


def _cell(score: Score) -> str:
    return f"{score.rmse:.1f} ({score.bias:+.1f}), {score.coverage:.0%}".replace("%", " %").replace("-", "−")
