"""Verbs that say how far to trust an answer: robustness."""

import argparse
from pathlib import Path
from typing import Any

from shockmesh.cluster.verbs.options import add_overrides, add_verb, overrides_of
from shockmesh.cluster.verbs.printing import PARTLY_DONE, refuse, show, tell
from shockmesh.cluster.verbs.progress import Progress


def robustness(options: argparse.Namespace) -> int:
    """Run a spec under other presets, inputs, stocks and networks; say how far its loss spreads, and what drives it."""
    from shockmesh.cluster.trust import robustness as study
    from shockmesh.cluster.trust.design import DAYS, PRESETS
    from shockmesh.io.reports.headline import percent, ranged
    from shockmesh.io.reports.robust import NAMES, share_text, told

    out = options.out or f"{Path(options.spec).stem}.robustness"
    try:
        with Progress(options) as doing:
            found = study.robustness(
                options.spec, out, overrides_of(options), presets=options.presets or PRESETS,
                days=options.days or DAYS, table=options.table, seeds=options.networks, draws=options.members,
                address=options.address, doing=doing,
            )  # fmt: skip
    except study.Unfinished as stopped:
        return refuse(options.json, [str(stopped)], PARTLY_DONE)
    numbers = found.as_dict()
    if options.json:
        return tell(options, numbers, "")
    rows = {"as written": ranged(found.as_written), "all": ranged(found.loss).replace("members", "simulations")}
    for factor, levels in found.by_level.items():
        rows |= {f"{factor} {level}": ranged(of).replace("members", "simulations") for level, of in levels.items()}
    title = (
        f"{options.spec}: {found.measure.replace('_', ' ')} lost over {found.days} days, {found.members} simulations"
    )
    show(options, rows, title)
    shares = {NAMES[name]: share_text(of) for name, of in numbers["drivers"].items()}
    show(options, shares, "What drives it: share of the variance, with sampling error")
    more = [f"note: {remark}" for remark in found.remarks]
    over = f"as written it loses more than {percent(found.above)} of the simulations do"
    return tell(options, {}, "\n".join([over, *more, told(numbers), f"wrote {out}"]))


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "robustness", robustness, "how much of an answer is the model's", "spec")
    add_overrides(parser)
    parser.add_argument("-o", "--out", help="the folder of all runs; default: the spec's name with .robustness")
    parser.add_argument(
        "--presets", type=_words, help="beside the spec's own; default: hamid2025,hallegatte2014,pichler2022"
    )
    parser.add_argument("--days", type=_numbers, help="levels of inventory_days; default: 5,15,60")
    parser.add_argument("--table", help="that the network was generated from; default: the one beside it")
    parser.add_argument("--networks", type=int, default=3, help="drawn from that table, the spec's own counted")
    parser.add_argument("--members", type=int, default=4, help="of the spec's own sweep, at most")
    parser.add_argument("--address", default="local", help="a Ray cluster, for many members; default: this process")


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]
